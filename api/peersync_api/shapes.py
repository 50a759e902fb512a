"""JSON Schemas of what travels: by hand for the small values, from their annotations for records."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from peersync.records import Key, Point, Retired
from peersync.wire import batch, checks

JsonSchema = dict[str, Any]

TEXT: JsonSchema = {"type": "string"}
TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
COUNT: JsonSchema = {"type": "integer", "minimum": 0}
FLAG: JsonSchema = {"type": "boolean"}
NODE: JsonSchema = {"type": "string", "format": "uuid"}
NODE_OR_EMPTY: JsonSchema = {"type": "string", "description": "A node's id, or empty."}
LABEL: JsonSchema = {"type": "string", "pattern": r"^\w+\.\w+$", "description": "app.Model"}
POINT: JsonSchema = {
    "type": "array",
    "prefixItems": [COUNT, {"type": "string", "maxLength": 120}],
    "minItems": 2,
    "maxItems": 2,
    "description": "A place of a history: [seq, nonce].",
}
KEY: JsonSchema = {
    "type": "array",
    "minItems": 1,
    "items": {},
    "description": "What names a row: values, nested where the identity holds a foreign key.",
}
MARKS: JsonSchema = {
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "prefixItems": [COUNT, NODE_OR_EMPTY, COUNT],
        "minItems": 3,
        "maxItems": 3,
    },
    "description": "The last change of each field, * for all that are not named: {field: [stamp, author, place]}.",
}
RETIRED: JsonSchema = {
    "type": "array",
    "prefixItems": [NODE, COUNT, TEXT, NODE],
    "minItems": 4,
    "maxItems": 4,
    "description": "An id that was given up: [id, seq, nonce, install].",
}


def listing(items: JsonSchema) -> JsonSchema:
    """A list of these."""
    return {"type": "array", "items": items}


def mapping(values: JsonSchema) -> JsonSchema:
    """An object of free names, with these values."""
    return {"type": "object", "additionalProperties": values}


def optional(schema: JsonSchema) -> JsonSchema:
    """This or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def members(properties: dict[str, JsonSchema], required: bool = True) -> JsonSchema:
    """An object with these members and no others."""
    needed = {"required": list(properties)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


VERSION = {**mapping(COUNT), "description": "What the row has seen: {node: place}."}
PLACE = members({"cursor": optional(POINT), "head": optional(POINT), "after": TEXT_OR_NULL}, required=False)

_OPTION = {checks.integer: COUNT, checks.boolean: FLAG, checks.name: TEXT}
OPTIONS = members({name: _OPTION[read] for name, read in batch.OPTIONS.items()}, required=False)

_BY_TYPE: dict[Any, JsonSchema] = {
    int: COUNT,
    bool: FLAG,
    str: TEXT,
    Point: POINT,
    Key: KEY,
    Retired: RETIRED,
}


def schema_of(record: Any, **exact: JsonSchema) -> JsonSchema:
    """The schema of a record. ``exact``: those of single members, instead of their type's."""
    hints = get_type_hints(record)
    return members({name: exact.get(name) or _schema(hint) for name, hint in hints.items()})


def _schema(hint: Any) -> JsonSchema:
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    if dataclasses.is_dataclass(hint):
        return schema_of(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and args[1:] == (type(None),):
        return optional(_schema(args[0]))
    if origin is tuple and args[1:] == (...,):
        return listing(_schema(args[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return mapping(_schema(args[1]))
    raise TypeError(f"no JSON Schema for {hint}")
