"""Column values as they travel: what SQL reads them out, what SQL puts them back, and what JSON they are in between.

A wire value is a JSON value that loses nothing: integers as numbers, decimals, dates, times and UUIDs as text in one
fixed form, durations as microseconds, bytes as hex, JSON as its own text (so that JSON null stands beside SQL NULL).
The same instant, decimal or document has the same wire value on every database: contents are compared as wire values.
No code of a field class runs on a wire value; a custom field travels as what its column holds.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """How the values of one column travel. ``{}`` in the SQL forms stands for the column or the placeholder.

    ``read``: SQL whose result needs at most ``decode`` to be the wire value.
    ``encode``: the driver's parameter for a wire value; ``write``: the SQL around the placeholder.
    ``array``: PostgreSQL's type for a list of such parameters.
    """

    wire: str
    read: str = "{}"
    write: str = "{}"
    decode: Convert | None = None
    encode: Convert | None = None
    array: str = "text"
    valid: Callable[[Any], bool] = lambda value: isinstance(value, str)
    key: str = ""
    """SQL of the key text, where that is not the text of ``read``."""

    def read_sql(self, column: str) -> str:
        return self.read.replace("{}", column)

    def write_sql(self, placeholder: str) -> str:
        return self.write.replace("{}", placeholder)

    def key_sql(self, column: str, vendor: str) -> str:
        """The text that names a row by this column: equal on every database."""
        if self.key:
            return self.key.replace("{}", column)
        read = self.read_sql(column)
        if self.wire == "bool" and vendor == "postgresql":
            return f"({read})::int::text"
        return f"({read})::text" if vendor == "postgresql" else f"CAST({read} AS TEXT)"


def key_text(value: Any) -> str:
    """What :meth:`Codec.key_sql` gives for this wire value."""
    return str(int(value)) if isinstance(value, bool) else str(value)


INT_RANGE = 1 << 63


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -INT_RANGE <= value < INT_RANGE


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value


def _is_float(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("NaN", "Infinity", "-Infinity")
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d:\d\d\.\d{6}"
_is_date = _matches(_DATE)
_is_time = _matches(_TIME)
_is_datetime = _matches(f"{_DATE}T{_TIME}Z")
_is_uuid = _matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_is_hex = _matches(r"([0-9a-f]{2})*")
_is_decimal = _matches(r"-?\d+(\.\d+)?|NaN|-?Infinity")


def _is_json(value: Any) -> bool:
    if not _is_text(value):
        return False
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _float_out(value: Any) -> Any:
    if value is None:
        return None
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _float_in(value: Any) -> Any:
    return None if value is None else float(value)


def canonical_json(text: Any) -> Any:
    """One text for one document: sorted keys, no spaces. A number that a float cannot hold leaves the text as it is."""
    if text is None:
        return None
    if not isinstance(text, str):
        text = json.dumps(text)
    exact = True

    def number(digits: str) -> float:
        nonlocal exact
        value = float(digits)
        exact = exact and not math.isinf(value) and Decimal(repr(value)) == Decimal(digits)
        return value

    try:
        document = json.loads(text, parse_float=number)
    except ValueError:
        return text
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if exact else text


_EXACT = Context(prec=2000)
"""Python's own context rounds at 28 digits, and refuses to name the digits of more."""


def _decimal_out(places: int) -> Convert:
    quantum = Decimal(1).scaleb(-places)

    def decode(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity")):
            return value
        try:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
            return format(number.quantize(quantum, context=_EXACT), "f")
        except (InvalidOperation, ValueError):
            return str(value)

    return decode


def _hexed(value: Any) -> Any:
    return None if value is None else bytes.fromhex(value)


def _undashed(value: Any) -> Any:
    return None if value is None else value.replace("-", "")


def _sqlite_time(value: Any) -> Any:
    return None if value is None else value.removesuffix(".000000")


def _sqlite_datetime(value: Any) -> Any:
    return None if value is None else (value[:10] + " " + value[11:26]).removesuffix(".000000")


def _naive_out(zone: str) -> Convert:
    tz = ZoneInfo(zone)

    def decode(value: Any) -> Any:
        if value is None:
            return None
        local = dt.datetime.fromisoformat(value[:26]).replace(tzinfo=tz)
        return local.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")

    return decode


def _naive_in(zone: str) -> Convert:
    tz = ZoneInfo(zone)

    def encode(value: Any) -> Any:
        if value is None:
            return None
        instant = dt.datetime.fromisoformat(value[:26]).replace(tzinfo=dt.UTC)
        return str(instant.astimezone(tz).replace(tzinfo=None))

    return encode


def _bool_out(value: Any) -> Any:
    return None if value is None else bool(value)


def _sqlite_native_out(value: Any) -> Any:
    return {"hex": bytes(value).hex()} if isinstance(value, (bytes, memoryview)) else value


def _sqlite_native_in(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def _is_sqlite_native(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"hex"} and _is_hex(value["hex"])
    return isinstance(value, (str, int, float))


_SQLITE_UUID = (
    "lower(substr({},1,8)||'-'||substr({},9,4)||'-'||substr({},13,4)||'-'||substr({},17,4)||'-'||substr({},21))"
)
_SQLITE_FRACTION = "substr(CASE WHEN length({})>%d THEN substr({},%d) ELSE '.' END||'000000',1,7)"
_SQLITE_DATETIME = "substr({},1,10)||'T'||substr({},12,8)||" + _SQLITE_FRACTION % (19, 20) + "||'Z'"
_SQLITE_TIME = "substr({},1,8)||" + _SQLITE_FRACTION % (8, 9)

_POSTGRES: dict[str, Codec] = {
    "int": Codec("int", write="{}::bigint", array="bigint", valid=_is_int),
    "bool": Codec("bool", write="{}::boolean", array="boolean", valid=_is_bool),
    "text": Codec("text", valid=_is_text),
    "date": Codec("date", read="to_char({}, 'YYYY-MM-DD')", write="{}::date", valid=_is_date),
    "time": Codec("time", read="to_char({}, 'HH24:MI:SS.US')", write="{}::time", valid=_is_time),
    "datetime": Codec(
        "datetime",
        read="to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        write="{}::timestamptz",
        valid=_is_datetime,
    ),
    "duration": Codec(
        "duration",
        read="(extract(epoch from {})*1000000)::bigint",
        write="({}::bigint * interval '1 microsecond')",
        array="bigint",
        valid=_is_int,
    ),
    "decimal": Codec("decimal", read="{}::text", write="{}::numeric", valid=_is_decimal),
    "float": Codec("float", write="{}::float8", decode=_float_out, encode=_float_in, array="float8", valid=_is_float),
    "uuid": Codec("uuid", read="{}::text", write="{}::uuid", valid=_is_uuid),
    "bytes": Codec("bytes", read="encode({}, 'hex')", write="decode({}, 'hex')", valid=_is_hex),
    "json": Codec("json", read="{}::text", write="{}::jsonb", decode=canonical_json, valid=_is_json),
    "ip": Codec("ip", read="host({})", write="{}::inet", valid=_is_text),
}

_SQLITE: dict[str, Codec] = {
    "int": Codec("int", valid=_is_int),
    # the unary plus hides the declared type, which the driver would parse
    "bool": Codec("bool", read="+{}", decode=_bool_out, valid=_is_bool),
    "text": Codec("text", valid=_is_text),
    "date": Codec("date", read="+{}", valid=_is_date),
    "time": Codec("time", read=_SQLITE_TIME, encode=_sqlite_time, valid=_is_time),
    "datetime": Codec("datetime", read=_SQLITE_DATETIME, encode=_sqlite_datetime, valid=_is_datetime),
    "duration": Codec("duration", valid=_is_int),
    "decimal": Codec("decimal", valid=_is_decimal),
    "float": Codec("float", decode=_float_out, encode=_float_in, valid=_is_float),
    "uuid": Codec("uuid", read=_SQLITE_UUID, encode=_undashed, valid=_is_uuid),
    "bytes": Codec("bytes", read="lower(hex({}))", encode=_hexed, valid=_is_hex),
    "json": Codec("json", decode=canonical_json, valid=_is_json),
    "ip": Codec("ip", valid=_is_text),
}
# hex(NULL) is '' on SQLite
_SQLITE["bytes"] = Codec(
    "bytes", read="CASE WHEN {} IS NULL THEN NULL ELSE lower(hex({})) END", encode=_hexed, valid=_is_hex
)

_INTERNAL = {
    **dict.fromkeys(
        [
            "AutoField",
            "BigAutoField",
            "SmallAutoField",
            "IntegerField",
            "BigIntegerField",
            "SmallIntegerField",
            "PositiveIntegerField",
            "PositiveBigIntegerField",
            "PositiveSmallIntegerField",
        ],
        "int",
    ),
    **dict.fromkeys(["CharField", "TextField", "SlugField", "FileField", "FilePathField"], "text"),
    "BooleanField": "bool",
    "DateField": "date",
    "TimeField": "time",
    "DateTimeField": "datetime",
    "DurationField": "duration",
    "DecimalField": "decimal",
    "FloatField": "float",
    "UUIDField": "uuid",
    "BinaryField": "bytes",
    "JSONField": "json",
    "GenericIPAddressField": "ip",
}
_KEYABLE = frozenset(["int", "bool", "text", "date", "time", "datetime", "duration", "decimal", "uuid", "bytes", "ip"])


def wire_type(internal_type: str) -> str:
    """The wire type of Django's internal type; ``native`` where there is none."""
    return _INTERNAL.get(internal_type, "native")


def usable_as_key(wire: str, digits: int | None = None) -> bool:
    """Floats, JSON and decimals of more than fifteen digits have no text that is the same on every database."""
    return wire in _KEYABLE and (wire != "decimal" or digits is None or digits <= 15)


def codec_for(
    wire: str,
    vendor: str,
    *,
    db_type: str = "",
    places: int = 0,
    use_tz: bool = True,
    zone: str = "UTC",
) -> Codec:
    """The codec of a column of this wire type on this database.

    ``db_type`` for ``native``: the column's own type; the text goes only between two databases of one kind.
    """
    if vendor == "postgresql":
        if wire == "native":
            base = re.sub(r"\([^)]*\)", "", db_type)
            return Codec(f"native:postgresql:{base}", read="{}::text", write=f"{{}}::{base}", valid=_is_text)
        return _POSTGRES[wire]
    if wire == "native":
        return Codec(
            f"native:{vendor}:{db_type}",
            decode=_sqlite_native_out,
            encode=_sqlite_native_in,
            valid=_is_sqlite_native,
        )
    if wire == "decimal":
        return Codec(
            "decimal", decode=_decimal_out(places), valid=_is_decimal, key=f"printf(char(37)||'.{places}f', {{}})"
        )
    if wire == "datetime" and not use_tz:
        return Codec("datetime", decode=_naive_out(zone), encode=_naive_in(zone), valid=_is_datetime)
    return _SQLITE[wire]
