"""The forms of wire values: what is ordinary, what is no value of its type at all, and why a database can't hold one."""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any

from peersync.codec.documents import halved, is_document, texts_of

Valid = Callable[[Any], bool]
Judge = Callable[[Any], str | None]

INT_RANGE = 1 << 63
INFINITE = ("infinity", "-infinity")
DAY = 86_400_000_000
"""Microseconds."""


def shown(value: Any) -> str:
    """A value in a sentence, not too long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def matches(pattern: str) -> Valid:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def is_int(low: int, high: int) -> Valid:
    return lambda value: type(value) is int and low <= value <= high


def is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value


def is_text_of(longest: int | None) -> Valid:
    if longest is None:
        return is_text
    return lambda value: isinstance(value, str) and len(value) <= longest and "\x00" not in value


def is_float(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and abs(value) < 1 << 1000


_date = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_time = re.compile(r"\d\d:\d\d:\d\d\.\d{6}", re.ASCII).fullmatch
_datetime = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch


def is_date(value: Any) -> bool:
    """A date that Python has too: whatever else is stored, Django could not read it again."""
    if not isinstance(value, str) or _date(value) is None:
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_time(value: Any) -> bool:
    if not isinstance(value, str) or _time(value) is None:
        return False
    try:
        dt.time.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_datetime(value: Any) -> bool:
    if not isinstance(value, str) or _datetime(value) is None:
        return False
    try:
        dt.datetime.fromisoformat(value[:26])
    except ValueError:
        return False
    return True


is_uuid = matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
is_hex = matches(r"([0-9a-f]{2})*")
is_number = matches(r"-?\d+(\.\d+)?")
is_months = matches(r"-?\d{1,10} mons -?\d{1,10} days -?\d{1,19} microseconds")
"""An interval of months, which have no length; or one of parts that Django would not write so."""


def is_json(value: Any) -> bool:
    if not is_text(value) or ("\\u" in value and ("\\u0000" in value or "\\ud" in value.lower())):
        return False
    return is_document(value)


# ---------------------------------------------------------------------- why not


def of_type(kind: type | tuple[type, ...], reason: Callable[[Any], str]) -> Judge:
    """A judge of values of one JSON type; what is of another is no value of ours."""
    return lambda value: reason(value) if isinstance(value, kind) and not isinstance(value, bool) else None


def no(what: str) -> Judge:
    """Of a text that has another form than ``what`` has."""
    return of_type(str, lambda value: f"{shown(value)} is no {what}")


def text_reason(longest: int | None, holder: str) -> Judge:
    def reason(value: str) -> str:
        if "\x00" in value:
            return f"it has the character U+0000, which {holder} cannot hold" if holder else ""
        return f"its {len(value)} characters are more than the {longest} of its column"

    return of_type(str, reason)


def int_reason(low: int, high: int) -> Judge:
    return of_type(int, lambda value: f"{shown(value)} is not between {low} and {high}")


def date_reason(what: str, *, infinity: bool) -> Judge:
    """PostgreSQL has infinity; years beyond 1 to 9999 it has too, but Python does not."""

    def reason(value: str) -> str:
        if value in INFINITE:
            return "" if infinity else f"SQLite cannot hold the {what} {value}"
        return f"{shown(value)} is no {what} of the years 1 to 9999"

    return of_type(str, reason)


def float_reason(*, nan: bool) -> Judge:
    def judge(value: Any) -> str | None:
        if value == "NaN":
            return "" if nan else "SQLite cannot hold NaN: it would become NULL"
        if value in ("Infinity", "-Infinity"):
            return ""
        if type(value) in (int, float):
            return f"{shown(value)} is beyond a float"
        return None

    return judge


def decimal_form(digits: int | None, places: int | None) -> Valid:
    """Decimals of which no digit is lost in a column of that many."""
    if digits is None or places is None:
        return is_number
    return matches(rf"-?\d{{1,{max(1, digits - places)}}}" + (rf"(\.\d{{1,{places}}})?" if places else ""))


def decimal_reason(digits: int | None, places: int | None) -> Judge:
    def reason(value: str) -> str:
        if value == "NaN" or (digits is None and value in ("Infinity", "-Infinity")):
            return ""
        return outside(digits, places, value)

    return of_type(str, reason)


def outside(digits: int | None, places: int | None, value: str) -> str:
    """Why a number's digits don't fit; empty where they do."""
    if not is_number(value):
        return f"{shown(value)} is no decimal number that its column can hold"
    whole, fraction = significant(value)
    if places is not None and len(fraction) > places:
        return f"{shown(value)} has more than {places} decimal places"
    if digits is not None and places is not None and len(whole) > digits - places:
        return f"{shown(value)} has more than {digits - places} digits before the point"
    return ""


def significant(value: str) -> tuple[str, str]:
    """A number's digits before and behind the point, without zeros that say nothing."""
    whole, _, fraction = value.removeprefix("-").partition(".")
    return whole.lstrip("0"), fraction.rstrip("0")


def duration_reason(low: int, high: int, *, months: bool) -> Judge:
    def judge(value: Any) -> str | None:
        if type(value) is int:
            return f"{value} microseconds are not between {low} and {high}"
        if not isinstance(value, str):
            return None
        if value in INFINITE or is_months(value):
            return "" if months else f"SQLite cannot hold the duration {shown(value)}"
        return f"{shown(value)} is no duration"

    return judge


def json_reason(holder: str) -> Judge:
    """``holder``: a database that takes no U+0000 and no half of a surrogate pair in a document; else empty."""

    def reason(value: str) -> str:
        if not is_document(value):
            return f"{shown(value)} is no JSON document"
        try:
            texts = texts_of(value) if holder else ""
        except (ValueError, RecursionError):
            return ""  # for the database to say
        if "\x00" in texts:
            return f"the document has the character U+0000, which {holder} cannot hold"
        return f"the document has half of a surrogate pair, which {holder} cannot hold" if halved(texts) else ""

    return of_type(str, reason)


def is_address(value: Any) -> bool:
    return isinstance(value, str) and "%" not in value and _interface(value) is not None


def _interface(value: str) -> Any:
    try:
        return ipaddress.ip_interface(value)
    except ValueError:
        return None


# ---------------------------------------------------------------------- one form for what says the same


def same_decimal(value: Any) -> Any:
    if not isinstance(value, str) or "." not in value:
        return "0" if value == "-0" else value
    found = value.rstrip("0").removesuffix(".")
    return "0" if found == "-0" else found


def same_float(value: Any) -> Any:
    """Zero has no sign on SQLite, and a whole number may come without its point."""
    return float(value) + 0.0 if type(value) in (int, float) else value


def same_address(value: Any) -> Any:
    found = _interface(value) if isinstance(value, str) else None
    if found is None:
        return value
    return str(found.ip) if found.network.prefixlen == found.max_prefixlen else str(found)


def same_padded(value: Any) -> Any:
    """Blanks at the end of a char(n) say nothing."""
    return value.rstrip(" ") if isinstance(value, str) else value
