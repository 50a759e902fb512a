"""SQLite: from what its driver gives to wire values, and back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from peersync.codec import forms, odd
from peersync.codec.values import Convert

DIGITS = 15
_ROUNDED = Context(prec=DIGITS)
_EXACT = Context(prec=2000)
"""Python's own context rounds at 28 digits."""


def bool_out(value: Any) -> Any:
    return None if value is None else bool(value)


def float_out(value: Any) -> Any:
    if value is None or math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"


def float_in(value: Any) -> Any:
    return None if value is None else float(value)


def hexed(value: Any) -> Any:
    return None if value is None else bytes.fromhex(value)


def undashed(value: Any) -> Any:
    return None if value is None else value.replace("-", "")


def time_in(value: Any) -> Any:
    return None if value is None else value.removesuffix(".000000")


def datetime_in(value: Any) -> Any:
    return None if value is None else (value[:10] + " " + value[11:26]).removesuffix(".000000")


# ---------------------------------------------------------------------- what Django reads though it does not write it so


def soft(read: Callable[[str], str]) -> Convert:
    """Of an odd text: the wire value of what Django reads there, else the odd value itself."""

    def soften(value: str) -> str:
        held = odd.held(value)
        try:
            return read(held) if isinstance(held, str) else value
        except (ValueError, OverflowError):
            return value

    return soften


def _wire_datetime(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_datetime(zone: dt.tzinfo) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = dt.datetime.fromisoformat(text)
        return _wire_datetime(found if found.tzinfo else found.replace(tzinfo=zone))

    return read


def read_time(text: str) -> str:
    found = dt.time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("a time with a zone")
    return found.isoformat(timespec="microseconds")


# ---------------------------------------------------------------------- datetimes of a zone


def naive_out(zone: dt.tzinfo) -> Convert:
    """A local time that its zone left out, or that is beyond the years that there are, stays what it is."""

    def decode(value: Any) -> Any:
        if value is None:
            return None
        local = dt.datetime.fromisoformat(value[:26])
        try:
            wire = _wire_datetime(local.replace(tzinfo=zone))
            if _local(wire, zone) == local:
                return wire
        except OverflowError:
            pass
        return f"{odd.PREFIX}t:{datetime_in(value)}"

    return decode


def _local(wire: str, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromisoformat(wire[:26]).replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)


def naive_in(zone: dt.tzinfo) -> Convert:
    return lambda value: None if value is None else str(_local(value, zone))


# ---------------------------------------------------------------------- decimals


def decimal_out(places: int | None) -> Convert:
    quantum = None if places is None else Decimal(1).scaleb(-places)

    def decode(value: Any) -> Any:
        if value is None:
            return None
        number = _ROUNDED.create_decimal_from_float(value)
        if not number.is_finite():
            return str(number)
        return format(number if quantum is None else number.quantize(quantum, context=_EXACT), "f")

    return decode


def decimal_valid(digits: int | None, places: int | None) -> forms.Valid:
    fits = forms.decimal_form(digits, places)
    if digits is not None and digits <= DIGITS:
        return fits
    return lambda value: fits(value) and len(value) <= DIGITS


def decimal_reason(digits: int | None, places: int | None) -> forms.Judge:
    def reason(value: str) -> str:
        if value == "NaN":
            return "SQLite cannot hold the decimal NaN"
        if found := forms.outside(digits, places, value):
            return found
        whole, fraction = forms.significant(value)
        kept = (whole + fraction).strip("0") if not (whole and fraction) else whole + fraction
        if len(kept) > DIGITS or len(whole) > 300:
            return f"SQLite keeps {DIGITS} digits of a decimal, and would change {forms.shown(value)}"
        return ""

    return forms.of_type(str, reason)


# ---------------------------------------------------------------------- types of its own


def native_out(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return {"hex": bytes(value).hex()}
    return {"real": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def native_in(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return bytes.fromhex(value["hex"]) if "hex" in value else float(value["real"])


def is_native(value: Any) -> bool:
    if isinstance(value, dict):
        return (set(value) == {"hex"} and forms.is_hex(value["hex"])) or value in ({"real": "inf"}, {"real": "-inf"})
    return isinstance(value, (str, float)) or forms.is_int(-forms.INT_RANGE, forms.INT_RANGE - 1)(value)
