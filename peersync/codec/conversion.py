"""Values of one wire type as values of another, where nothing is lost: a field whose type changed at one side first."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from peersync.codec import forms

_EXACT = 1 << 53
"""Up to here every whole number is a float."""

_FORMS: dict[str, Callable[[Any], bool]] = {
    "decimal": forms.is_number,
    "uuid": forms.is_uuid,
    "date": forms.is_date,
    "time": forms.is_time,
    "datetime": forms.is_datetime,
    "ip": forms.is_address,
    "json": forms.is_json,
}
"""Wire types whose values are texts of a form of their own."""

_PAIRS = frozenset(
    [
        *(frozenset(("text", wire)) for wire in ("int", *_FORMS)),
        *(frozenset(("int", wire)) for wire in ("decimal", "float", "bool")),
        frozenset(("decimal", "float")),
    ]
)


def both_ways(one: str, other: str) -> bool:
    """Whether values of these two wire types can be each other's, as far as each single one can be held there."""
    return frozenset((one, other)) in _PAIRS


def converted(value: Any, wire: str) -> Any:
    """The value as one of the wire type; None where it is none, or would not come back as what it was."""
    if isinstance(value, bool):
        return int(value) if wire == "int" else None
    if not isinstance(value, (int, float, str)):
        return None
    if wire == "bool":
        return bool(value) if value in (0, 1) else None
    if wire == "text":
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else None
    if wire in ("int", "float", "decimal") and forms.is_number(_text(value)):
        return _number(_text(value), wire)
    return value if wire in _FORMS and _FORMS[wire](value) else None


def _text(value: Any) -> str:
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _number(text: str, wire: str) -> Any:
    number = Decimal(text)
    if wire == "int":
        return int(number) if number == number.to_integral_value() and _plain(text) else None
    if wire == "float":
        return found if Decimal(repr(found := float(text))) == number and abs(found) <= _EXACT else None
    return text


def _plain(text: str) -> bool:
    """No zeros before it, which a number would not keep."""
    digits = text.removeprefix("-")
    return text != "-0" and (not digits.startswith("0") or digits[1:2] in ("", "."))
