"""The shapes of docs/protocol.md for ``openapi.yaml``. What comes is really read by :mod:`peersync.wire`.

A member without a serializer of its own is a :class:`Shape`: a field that carries its JSON Schema.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from peersync.records import FIGURES
from peersync_api.problems import CODES

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
POINT_OR_NULL: JsonSchema = {"anyOf": [POINT, {"type": "null"}]}
KEY: JsonSchema = {
    "type": "array",
    "minItems": 1,
    "items": {},
    "description": "What names a row: values, nested where the identity holds a foreign key.",
}
KEY_OR_NULL: JsonSchema = {"anyOf": [KEY, {"type": "null"}]}


def listing(items: JsonSchema) -> JsonSchema:
    """A list of these."""
    return {"type": "array", "items": items}


def mapping(values: JsonSchema) -> JsonSchema:
    """An object of free names, with these values."""
    return {"type": "object", "additionalProperties": values}


VERSION = {**mapping(COUNT), "description": "What the row has seen: {node: place}."}
PLACE: JsonSchema = {
    "type": "object",
    "properties": {"cursor": POINT_OR_NULL, "head": POINT_OR_NULL, "after": TEXT_OR_NULL},
    "additionalProperties": False,
}
RETIRED: JsonSchema = {
    "type": "array",
    "prefixItems": [NODE, COUNT, TEXT, NODE],
    "minItems": 4,
    "maxItems": 4,
    "description": "An id that was given up: [id, seq, nonce, install].",
}
OPTIONS: JsonSchema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("mirror", "accept_conflicts", "dry_run", "first", "final", "repair", "retry"), FLAG),
        "pruned": COUNT,
    },
    "additionalProperties": False,
}


class Shape(serializers.Field):  # type: ignore[type-arg]
    """A member of this JSON Schema."""

    def __init__(self, schema: JsonSchema, **kwargs: Any) -> None:
        self.json_schema = schema
        super().__init__(**kwargs)


def text() -> serializers.CharField:
    return serializers.CharField(allow_blank=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong (RFC 9457)."""

    type = text()
    title = text()
    status = serializers.IntegerField()
    code = Shape({"type": "string", "enum": sorted({code for codes in CODES.values() for code in codes})})
    detail = text()


class HealthSerializer(serializers.Serializer[Any]):
    """The server answers."""

    status = Shape({"type": "string", "const": "ok"})


class ModelSerializer(serializers.Serializer[Any]):
    """One synchronised model, as the caller may see it."""

    label = Shape(LABEL)  # type: ignore[assignment]
    fields = Shape(mapping(TEXT))  # type: ignore[assignment]
    identity = Shape(listing(TEXT))
    fingerprint = text()
    policy = text()
    direction = text()
    filtered = serializers.BooleanField()
    bulk = Shape(listing(TEXT))
    empty = serializers.BooleanField()


class DescriptionSerializer(serializers.Serializer[Any]):
    """Who the node is, and what it has seen of the caller's history."""

    node = Shape(NODE)
    install = Shape(NODE)
    protocol = Shape({"type": "integer", "const": 1})
    clock = Shape({**COUNT, "description": "ms since the epoch"})
    models = ModelSerializer(many=True)
    head = Shape(POINT)
    points = Shape(listing(POINT))
    retired = Shape(listing(RETIRED))
    pruned = Shape(COUNT)
    role = text()
    use_tz = serializers.BooleanField()
    time_zone = text()
    vendor = text()
    limits = Shape(mapping(COUNT))
    passes = Shape(listing(POINT))
    place = text()
    read_only = serializers.BooleanField()  # type: ignore[assignment]
    name = text()


class ProgressSerializer(serializers.Serializer[Any]):
    """How far the caller's feed was consumed."""

    models = Shape(
        mapping(
            {
                "type": "object",
                "properties": {
                    "cursor": POINT_OR_NULL,
                    "head": POINT_OR_NULL,
                    "after": TEXT_OR_NULL,
                    "last": KEY_OR_NULL,
                    "past": KEY_OR_NULL,
                    "owed": TEXT_OR_NULL,
                    "baseline": FLAG,
                    "compare": FLAG,
                },
                "required": ["cursor", "head", "after", "last", "past", "owed", "baseline", "compare"],
                "additionalProperties": False,
            }
        )
    )


class RangeSerializer(serializers.Serializer[Any]):
    """Keys after one, up to another; null is open."""

    after = Shape(KEY_OR_NULL)
    upto = Shape(KEY_OR_NULL)


class RangesSerializer(serializers.Serializer[Any]):
    """What to compare."""

    ranges = RangeSerializer(many=True)
    parts = serializers.IntegerField(min_value=1, max_value=10_000)


class DigestSerializer(RangeSerializer):
    """The rows of one range: how many, and the digest of their keys and contents."""

    count = Shape(COUNT)
    digest = text()


class DigestsSerializer(serializers.Serializer[Any]):
    """One digest per part of each range."""

    digests = DigestSerializer(many=True)


class KeysSerializer(serializers.Serializer[Any]):
    """The rows that are asked for."""

    keys = Shape({**listing(KEY), "minItems": 1})


class OutcomeSerializer(serializers.Serializer[Any]):
    """What became of a batch, and what waits."""

    figures = Shape(
        mapping(
            {
                "type": "object",
                "properties": dict.fromkeys(FIGURES, COUNT),
                "required": list(FIGURES),
                "additionalProperties": False,
            }
        )
    )
    wanted = Shape(mapping(listing(KEY)))
    quarantined = Shape(mapping(COUNT))
    warnings = Shape(listing(TEXT))


class BatchHeaderSerializer(serializers.Serializer[Any]):
    """The first line of a batch."""

    kind = Shape({"type": "string", "enum": ["snapshot", "feed", "rows", "end"]})
    protocol = Shape({"type": "integer", "const": 1})
    source = Shape(NODE)  # type: ignore[assignment]
    source_install = Shape(NODE)
    target = Shape(NODE_OR_EMPTY)
    models = Shape(listing(LABEL))
    fields = Shape(mapping(listing(TEXT)))  # type: ignore[assignment]
    baselines = Shape(mapping(listing(NODE)))
    start = Shape(PLACE)
    end = Shape(PLACE)
    head = Shape(POINT)
    points = Shape(listing(POINT))
    filtered = serializers.BooleanField()
    done = serializers.BooleanField()
    options = Shape(OPTIONS)


class RowSerializer(serializers.Serializer[Any]):
    """A line of a batch: one row. What says nothing is left out."""

    model = Shape(LABEL, required=False)
    key = Shape(KEY)
    version = Shape(VERSION, required=False)
    content = Shape(
        {"type": ["array", "null"], "items": {}, "description": "null: the row was deleted."}, required=False
    )
    stamp = Shape(COUNT, required=False)
    author = Shape(NODE_OR_EMPTY, required=False)
    base = serializers.BooleanField(required=False)
    seq = Shape(COUNT, required=False)
    kind = Shape({"type": "string", "enum": ["row", "busy", "exit", "none"]}, required=False)
    earlier = Shape(listing(KEY), required=False)


class BulkSerializer(serializers.Serializer[Any]):
    """A line of a batch: so many raw lines of COPY's text format follow."""

    bulk = Shape(
        {
            "type": "object",
            "properties": {
                "model": LABEL,
                "encoding": {"type": "string", "const": "pgcopy"},
                "count": COUNT,
                "first": KEY,
                "last": KEY,
            },
            "required": ["model", "encoding", "count", "first", "last"],
            "additionalProperties": False,
        }
    )


class LastRecordSerializer(serializers.Serializer[Any]):
    """The last line of a batch: all of it has come."""

    end = Shape(PLACE)
    next = Shape(TEXT_OR_NULL, required=False)
    rows = Shape(COUNT)


class BrokenOffSerializer(serializers.Serializer[Any]):
    """The last line of a batch that the source broke off."""

    problem = ProblemSerializer()


BATCH = (BatchHeaderSerializer, RowSerializer, BulkSerializer, LastRecordSerializer, BrokenOffSerializer)
"""What the lines of a batch may be."""
