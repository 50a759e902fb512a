"""JSON documents: one form for all texts that say the same, however a database spaces, orders and spells them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

_MARK = f"number {secrets.token_hex(16)} "
"""Stands before the digits of a number that Python's own number would not spell so; nobody can write it beforehand."""
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_LARGEST = 20_000
"""An exponent beyond which no database that knows exact numbers takes them."""


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def is_document(text: str) -> bool:
    """Whether the text is JSON (NaN and Infinity are none)."""
    try:
        json.loads(text, parse_constant=_refuse, parse_float=str, parse_int=str)
    except RecursionError:
        return True  # deeper than Python goes: for the database to say
    except ValueError:
        return False
    return True


def texts_of(text: str) -> str:
    """All names and strings of a document, as one text."""
    document = json.loads(
        text,
        object_pairs_hook=lambda items: [part for pair in items for part in pair],
        parse_float=lambda _: None,
        parse_int=lambda _: None,
    )
    found: list[str] = []
    stack = [document]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            stack += one
        elif isinstance(one, str):
            found.append(one)
    return "".join(found)


def alike(text: Any) -> Any:
    """Sorted keys, no spaces, numbers spelled out; the text as it is where it is no JSON, or too deep for Python."""
    if not isinstance(text, str):
        return text
    try:
        try:
            return _ordered(text, int)
        except ValueError:
            return _ordered(text, _whole)
    except (ValueError, RecursionError):
        return text


def _ordered(text: str, whole: Callable[[str], Any]) -> str:
    document = json.loads(text, parse_float=_number, parse_int=whole, parse_constant=_refuse)
    found = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if ("\\ud" in text or "\\uD" in text) and halved(found):
        # half of a surrogate pair, which SQLite holds as an escape, has no UTF-8
        found = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return _MARKED.sub(r"\1", found) if _MARK in found else found


def halved(text: str) -> bool:
    """Whether it has half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _whole(digits: str) -> Any:
    """An integer of more digits than Python makes a number of stays digits."""
    return int(digits) if len(digits) < 1000 else _MARK + digits


def _number(digits: str) -> Any:
    """PostgreSQL spells numbers without exponents and zero without a sign, and keeps zeros at the end."""
    value = float(digits)
    if value and repr(value) == digits and "e" not in digits:
        return value
    number = Decimal(digits)
    if abs(number.adjusted()) > _LARGEST:
        return _MARK + digits.lower()
    spelled = format(number, "f")
    if "." in spelled:
        spelled = re.sub(r"(\.\d+?)0+$", r"\1", spelled)
    return _MARK + (spelled.removeprefix("-") if number.is_zero() else spelled)
