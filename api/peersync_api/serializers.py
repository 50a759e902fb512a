"""The shapes of docs/protocol.md for ``openapi.yaml``. What comes is really read by :mod:`peersync.wire`.

Those of records are made from the records themselves: what gains a member there gains it here.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from peersync.records import Description, Figures, Outcome, Progress, Range
from peersync_api.problems import CODES
from peersync_api.shapes import (
    COUNT,
    KEY,
    LABEL,
    MARKS,
    NODE,
    NODE_OR_EMPTY,
    OPTIONS,
    PLACE,
    POINT,
    TEXT,
    TEXT_OR_NULL,
    VERSION,
    listing,
    mapping,
    members,
    schema_of,
)


class Shape(serializers.Field):  # type: ignore[type-arg]
    """A member of this JSON Schema."""

    def __init__(self, schema: dict[str, Any], **kwargs: Any) -> None:
        self.json_schema = schema
        super().__init__(**kwargs)


def text() -> serializers.CharField:
    return serializers.CharField(allow_blank=True)


def _of(record: type, **exact: dict[str, Any]) -> type[serializers.Serializer[Any]]:
    """The serializer of a record; ``exact``: schemas of single members, instead of their type's."""
    members = {name: Shape(schema) for name, schema in schema_of(record, **exact)["properties"].items()}
    about = (record.__doc__ or "").strip().splitlines()[0]
    return type(f"{record.__name__}Serializer", (serializers.Serializer,), {"__doc__": about, **members})


DescriptionSerializer = _of(
    Description,
    node=NODE,
    install=NODE,
    protocol={"type": "integer", "const": 1},
    told={"type": "integer", "minimum": -1},
)
RangeSerializer = _of(Range)
OutcomeSerializer = _of(Outcome, figures=mapping(schema_of(Figures)), wanted=mapping(listing(KEY)))


class ProgressSerializer(serializers.Serializer[Any]):
    """How far the caller's feed was consumed."""

    models = Shape(mapping(schema_of(Progress)))


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


class RangesSerializer(serializers.Serializer[Any]):
    """What to compare."""

    ranges = RangeSerializer(many=True)
    parts = serializers.IntegerField(min_value=1, max_value=10_000)
    fields = serializers.ListField(  # type: ignore[assignment]  # the name on the wire; DRF takes it off the class
        child=serializers.CharField(max_length=200), required=False
    )


class DigestSerializer(RangeSerializer):  # type: ignore[misc, valid-type]
    """The rows of one range: how many, and the digest of their keys and contents."""

    count = Shape(COUNT)
    digest = text()


class DigestsSerializer(serializers.Serializer[Any]):
    """One digest per part of each range."""

    digests = DigestSerializer(many=True)


class KeysSerializer(serializers.Serializer[Any]):
    """The rows that are asked for."""

    keys = Shape({**listing(KEY), "minItems": 1})


_ASKED = {"key": KEY, "field": TEXT, "name": TEXT, "salt": TEXT}
_INFO = {"state": {"type": "string", "enum": ["here", "missing", "none", "unreadable"]}, "size": COUNT, "digest": TEXT}
_STATE = {
    "offset": {"type": ["integer", "null"], "minimum": 0, "description": "Bytes that have come; null: send none."}
}


class FilesAskedSerializer(serializers.Serializer[Any]):
    """Files that are asked for: of which row, in which field, under which name; what the digest is to begin with."""

    files = Shape({**listing(members(_ASKED)), "minItems": 1})


class FileInfosSerializer(serializers.Serializer[Any]):
    """What the source has of them, in order; where reading takes long, of the first ones only."""

    files = Shape(listing(members(_INFO)))


class FileContentSerializer(serializers.Serializer[Any]):
    """The file whose contents are asked for, from an offset on."""

    key = Shape(KEY)
    field = text()
    name = text()
    offset = Shape(COUNT)


class FilesWantedSerializer(serializers.Serializer[Any]):
    """Fields whose files both sides synchronise, and the number behind which the page begins."""

    fields = Shape(mapping(listing(TEXT)))  # type: ignore[assignment]  # the name on the wire
    after = Shape(COUNT)


class FilePageSerializer(serializers.Serializer[Any]):
    """Files that the target waits for; on the last page also how many of each model wait because something is wrong."""

    wants = Shape(listing(members({"number": COUNT, "model": LABEL, **_ASKED})))
    after = Shape(COUNT)
    done = serializers.BooleanField()
    waiting = Shape(mapping(COUNT))


class FileOffersSerializer(serializers.Serializer[Any]):
    """What the source has of files that the target waits for, by their numbers."""

    offers = Shape(listing(members({"number": COUNT, **_INFO})))


class FileStateSerializer(serializers.Serializer[Any]):
    """What of a file is to be sent."""

    offset = Shape(_STATE["offset"])


class FileStatesSerializer(serializers.Serializer[Any]):
    """The same of each, in order."""

    states = Shape(listing(members(_STATE)))


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
    pk = Shape(
        {
            "type": ["integer", "string"],
            "description": "The source's primary key, where the key does not name it; beside contents only.",
        },
        required=False,
    )
    fields = Shape(MARKS, required=False)  # type: ignore[assignment]  # a member of that name
    more = Shape(
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "values": {"type": "object", "additionalProperties": {}},
                    "version": VERSION,
                    "stamp": COUNT,
                    "author": NODE_OR_EMPTY,
                },
                "required": ["values"],
                "additionalProperties": False,
            },
            "description": "What is known of the row in fields that the header does not name; kept for others.",
        },
        required=False,
    )


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
