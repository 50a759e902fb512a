"""Columns of SQLite, which holds any value in any of them: what a column's type does not allow is named as such.

Dates and decimals are what Django reads there: texts in its own form, numbers of fifteen digits.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from zoneinfo import ZoneInfo

from peersync.codec import forms, odd
from peersync.codec import sqlite_values as convert
from peersync.codec.documents import alike
from peersync.codec.odd import guarded, with_odd
from peersync.codec.shapes import Shape
from peersync.codec.values import Codec

_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"


def _glob(pattern: str, length: int) -> str:
    """Whether a text has that form, with nothing or the digits of a fraction behind it."""
    fraction = f"(substr({{}},{length + 1},1)='.' AND substr({{}},{length + 2}) NOT GLOB '*[^0-9]*'"
    return (
        f"({{}} IS NULL OR (typeof({{}})='text' AND {{}} GLOB '{pattern}*' AND (length({{}})={length} OR"
        f" {fraction} AND length({{}}) BETWEEN {length + 2} AND {length + 7}))))"
    )


def _typed(*names: str) -> str:
    return f"typeof({{}}) IN ({', '.join(repr(name) for name in (*names, 'null'))})"


_FRACTION = "substr(CASE WHEN length({})>%d THEN substr({},%d) ELSE '.' END||'000000',1,7)"
_UUID = "substr({},1,8)||'-'||substr({},9,4)||'-'||substr({},13,4)||'-'||substr({},17,4)||'-'||substr({},21)"
_IS_DATE = f"({{}} IS NULL OR (typeof({{}})='text' AND {{}} GLOB '{_DATE}'))"
_IS_UUID = "({} IS NULL OR (typeof({})='text' AND length({})=32 AND {} NOT GLOB '*[^0-9a-f]*'))"
_IS_BOOL = "({} IS NULL OR (typeof({})='integer' AND {} IN (0, 1)))"


# ---------------------------------------------------------------------- the codecs

_FIXED: dict[str, Codec] = {
    "int": Codec(
        "int",
        read=guarded(_typed("integer")),
        valid=forms.is_int(-forms.INT_RANGE, forms.INT_RANGE - 1),
        judge=forms.int_reason(-forms.INT_RANGE, forms.INT_RANGE - 1),
    ),
    "bool": Codec(
        "bool",
        read=guarded(_IS_BOOL),
        decode=convert.bool_out,
        valid=forms.is_bool,
    ),
    "text": Codec(
        "text",
        read=guarded(_typed("text")),
        valid=forms.is_text,
        judge=forms.text_reason(None, ""),
        odd=odd.of_text_bytes,
    ),
    "date": Codec(
        "date",
        read=guarded(_IS_DATE),
        valid=forms.is_date,
        judge=forms.date_reason("date", infinity=False),
        soften=convert.soft(lambda text: dt.date.fromisoformat(text).isoformat()),
    ),
    "time": Codec(
        "time",
        read=guarded(_glob(_TIME, 8), "substr({},1,8)||" + _FRACTION % (8, 9)),
        encode=convert.time_in,
        valid=forms.is_time,
        judge=forms.no("time between 00:00 and 23:59:59.999999"),
        soften=convert.soft(convert.read_time),
    ),
    "duration": Codec(
        "duration",
        read=guarded(_typed("integer")),
        valid=forms.is_int(-forms.INT_RANGE, forms.INT_RANGE - 1),
        judge=forms.duration_reason(-forms.INT_RANGE, forms.INT_RANGE - 1, months=False),
    ),
    "float": Codec(
        "float",
        read=guarded(_typed("real", "integer")),
        decode=convert.float_out,
        encode=convert.float_in,
        valid=forms.is_float,
        judge=forms.float_reason(nan=False),
        alike=forms.same_float,
    ),
    "uuid": Codec(
        "uuid",
        read=guarded(_IS_UUID, _UUID),
        encode=convert.undashed,
        valid=forms.is_uuid,
        judge=forms.no("UUID"),
        soften=convert.soft(lambda text: str(uuid.UUID(text))),
    ),
    "bytes": Codec(
        "bytes",
        # hex(NULL) is '' on SQLite
        read=guarded(_typed("blob"), "CASE WHEN {} IS NOT NULL THEN lower(hex({})) END"),
        encode=convert.hexed,
        valid=forms.is_hex,
        judge=forms.no("hex text"),
    ),
    "json": Codec(
        "json",
        read=guarded(_typed("text")),
        valid=forms.is_json,
        judge=forms.json_reason(""),
        alike=alike,
    ),
    "ip": Codec(
        "ip",
        read=guarded(_typed("text")),
        valid=forms.is_text,
        judge=forms.text_reason(None, ""),
        alike=forms.same_address,
    ),
}
_TAKEN = frozenset(("int", "bool", "float", "text", "bytes"))
"""Types of which Django reads whatever SQLite holds; it would stumble over a date that is none."""

_BY_TYPE = {
    **dict.fromkeys(["text", "varchar", "char", "character", "nchar", "nvarchar", "citext", "clob"], "text"),
    **dict.fromkeys(["integer", "int", "bigint", "smallint", "integer unsigned", "bigint unsigned"], "int"),
    "blob": "bytes",
}


def wire_of(db_type: str) -> str | None:
    """The wire type of a column by its own type, for fields that Django's internal types say nothing of."""
    return _BY_TYPE.get(Shape("", db_type).base.lower())


def codec(shape: Shape) -> Codec:
    """The codec of a column of SQLite."""
    if shape.wire == "native":
        return _native(shape)
    found = _FIXED.get(shape.wire) or _decimal(shape)
    if shape.wire == "datetime":
        found = _datetime(shape.zone)
    found = replace(found, declared=shape.declared(shape.wire), odd=found.odd or odd.of_bytes)
    return with_odd(found, taken=shape.wire in _TAKEN)


def _datetime(name: str) -> Codec:
    zone = ZoneInfo(name) if name else dt.UTC
    found = Codec(
        "datetime",
        read=guarded(
            _glob(f"{_DATE} {_TIME}", 19), "substr({},1,10)||'T'||substr({},12,8)||" + _FRACTION % (19, 20) + "||'Z'"
        ),
        encode=convert.datetime_in,
        valid=forms.is_datetime,
        judge=forms.date_reason("time", infinity=False),
        soften=convert.soft(convert.read_datetime(zone)),
    )
    return replace(found, decode=convert.naive_out(zone), encode=convert.naive_in(zone)) if name else found


def _decimal(shape: Shape) -> Codec:
    numeric = _typed("integer", "real")
    return Codec(
        "decimal",
        read=guarded(numeric),
        key=f"CAST({guarded(numeric, f'printf(char(37)||{chr(39)}.{shape.places or 0}f{chr(39)},{{}})')} AS TEXT)",
        decode=convert.decimal_out(shape.places),
        valid=convert.decimal_valid(shape.digits, shape.places),
        judge=convert.decimal_reason(shape.digits, shape.places),
        alike=forms.same_decimal,
    )


def _native(shape: Shape) -> Codec:
    name = f"native:sqlite:{shape.db_type}"
    return Codec(
        name,
        declared=name,
        read="+{}",
        decode=convert.native_out,
        encode=convert.native_in,
        valid=convert.is_native,
        odd=convert.native_out,
    )
