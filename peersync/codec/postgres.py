"""Columns of PostgreSQL. Every type of its own that we don't know travels as its text, to PostgreSQL alone."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from peersync.codec import forms
from peersync.codec.documents import alike
from peersync.codec.instants import same_instants
from peersync.codec.odd import with_odd
from peersync.codec.shapes import Shape
from peersync.codec.values import Codec

HOLDER = "PostgreSQL"
_INTS = {"smallint": 1 << 15, "integer": 1 << 31, "int": 1 << 31, "serial": 1 << 31, "smallserial": 1 << 15}
_DAYS = (1 << 31) * forms.DAY
"""An interval counts days in 32 bits."""

_DATE = (
    "CASE WHEN {} IN ('infinity', '-infinity') THEN {}::text WHEN {} < '0001-01-01' THEN to_char({}, 'YYYY-MM-DD BC')"
    " ELSE to_char({}, 'YYYY-MM-DD') END"
)
_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_UTC = "{} AT TIME ZONE 'UTC'"
_DATETIME = (
    "CASE WHEN {} IN ('infinity', '-infinity') THEN {}::text"
    f" WHEN {_UTC} < '0001-01-01' THEN to_char({_UTC}, '{_FORMAT} BC') ELSE to_char({_UTC}, '{_FORMAT}') END"
)
_MONTHS = "(extract(year FROM {}) * 12 + extract(month FROM {}))::bigint"
_CLOCK = (
    "(extract(hour FROM {}) * 3600000000 + extract(minute FROM {}) * 60000000 + extract(microsecond FROM {}))::bigint"
)
_DURATION = (
    "CASE WHEN NOT isfinite({}) THEN {}::text"
    f" WHEN {_MONTHS} <> 0 THEN {_MONTHS}||' mons '||extract(day FROM {{}})||' days '||{_CLOCK}||' microseconds'"
    " ELSE trunc(extract(epoch FROM {}) * 1000000)::text END"
)
_ADDRESS = "CASE WHEN masklen({}) = CASE family({}) WHEN 4 THEN 32 ELSE 128 END THEN host({}) ELSE text({}) END"


def _float_out(value: Any) -> Any:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float_in(value: Any) -> Any:
    return None if value is None else float(value)


def _duration_out(value: Any) -> Any:
    return value if value is None or value[-1] not in "0123456789" else int(value)


def _duration_in(value: Any) -> Any:
    """As Django writes one: whole days, and a positive rest."""
    if type(value) is int:
        days, rest = divmod(value, forms.DAY)
        return f"{days:+d} days {rest:+d} microseconds"
    # in some styles of intervals a sign that is not there means another one
    return re.sub(r"(^| )(?=\d)", r"\1+", value) if isinstance(value, str) else value


_TIMES = {
    "date": Codec("date", read=_DATE, write="{}::date", valid=forms.is_date),
    "datetime": Codec("datetime", read=_DATETIME, write="{}::timestamptz", valid=forms.is_datetime),
    "time": Codec(
        "time",
        read="to_char({}, 'HH24:MI:SS.US')",
        write="{}::time",
        valid=forms.is_time,
        judge=forms.no("time between 00:00 and 23:59:59.999999"),
    ),
    "duration": Codec(
        "duration",
        read=_DURATION,
        write="{}::interval",
        decode=_duration_out,
        encode=_duration_in,
        valid=forms.is_int(-_DAYS, _DAYS - 1),
        judge=forms.duration_reason(-_DAYS, _DAYS - 1, months=True),
    ),
}
_TIMES["date"] = replace(_TIMES["date"], judge=forms.date_reason("date", infinity=True))
_TIMES["datetime"] = replace(_TIMES["datetime"], judge=forms.date_reason("time", infinity=True))

_FIXED: dict[str, Codec] = {
    **_TIMES,
    "bool": Codec(
        "bool",
        write="{}::boolean",
        key="({})::int::text",
        array="boolean",
        valid=forms.is_bool,
    ),
    "float": Codec(
        "float",
        write="{}::float8",
        decode=_float_out,
        encode=_float_in,
        array="float8",
        valid=forms.is_float,
        judge=forms.float_reason(nan=True),
        alike=forms.same_float,
    ),
    "uuid": Codec("uuid", read="{}::text", write="{}::uuid", valid=forms.is_uuid, judge=forms.no("UUID")),
    "bytes": Codec(
        "bytes", read="encode({}, 'hex')", write="decode({}, 'hex')", valid=forms.is_hex, judge=forms.no("hex text")
    ),
    "json": Codec(
        "json",
        read="{}::text",
        write="{}::jsonb",
        valid=forms.is_json,
        judge=forms.json_reason(HOLDER),
        alike=alike,
    ),
    "ip": Codec(
        "ip",
        read=_ADDRESS,
        write="{}::inet",
        valid=forms.is_address,
        judge=forms.no("address"),
        alike=forms.same_address,
    ),
}

_BY_TYPE = {
    **dict.fromkeys(["text", "varchar", "character varying", "citext", "char", "character", "bpchar"], "text"),
    **dict.fromkeys([*_INTS, "bigint", "bigserial"], "int"),
    **dict.fromkeys(["timestamp with time zone", "timestamptz"], "datetime"),
    **dict.fromkeys(["numeric", "decimal"], "decimal"),
    **dict.fromkeys(["json", "jsonb"], "json"),
    "boolean": "bool",
    "bool": "bool",
    "date": "date",
    "time": "time",
    "interval": "duration",
    "double precision": "float",
    "uuid": "uuid",
    "bytea": "bytes",
    "inet": "ip",
}


def wire_of(db_type: str) -> str | None:
    """The wire type of a column by its own type, for fields that Django's internal types say nothing of."""
    return _BY_TYPE.get(Shape("", db_type).base.lower())


def codec(shape: Shape) -> Codec:
    """The codec of a column of PostgreSQL."""
    make = {"int": _int, "text": _text, "decimal": _decimal, "native": _native, "json": _json}
    found = make[shape.wire](shape) if shape.wire in make else _FIXED[shape.wire]
    declared = found.declared or shape.declared(shape.wire)
    return with_odd(replace(found, declared=declared), taken=False)


def _int(shape: Shape) -> Codec:
    bound = _INTS.get(shape.base.lower(), forms.INT_RANGE)
    low, high = -bound, bound - 1
    return Codec(
        "int",
        write="{}::bigint",
        array="bigint",
        valid=forms.is_int(low, high),
        judge=forms.int_reason(low, high),
    )


def _text(shape: Shape) -> Codec:
    base = shape.base.lower()
    found = Codec("text", valid=forms.is_text_of(shape.length), judge=forms.text_reason(shape.length, HOLDER))
    if base in ("char", "character", "bpchar"):
        return replace(found, read="{}::text", write="{}::bpchar", alike=forms.same_padded)
    return replace(found, read="{}::text", write="{}::citext") if base == "citext" else found


def _decimal(shape: Shape) -> Codec:
    return Codec(
        "decimal",
        read="{}::text",
        write="{}::numeric",
        valid=forms.decimal_form(shape.digits, shape.places),
        judge=forms.decimal_reason(shape.digits, shape.places),
        alike=forms.same_decimal,
    )


def _json(shape: Shape) -> Codec:
    return replace(_FIXED["json"], write="{}::json") if shape.base.lower() == "json" else _FIXED["json"]


def _native(shape: Shape) -> Codec:
    instants = any(name in shape.base for name in ("timestamp with time zone", "timestamptz", "tstz"))
    return Codec(
        f"native:postgresql:{shape.base}",
        declared=f"native:postgresql:{shape.db_type}",
        read="{}::text",
        write=f"{{}}::{shape.base}",
        valid=forms.is_text,
        judge=forms.text_reason(None, HOLDER),
        alike=same_instants if instants else None,
    )


__all__ = ["codec", "wire_of"]
