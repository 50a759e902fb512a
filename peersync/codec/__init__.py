"""Column values as they travel: what SQL reads them out, what SQL puts them back, and what JSON they are in between.

A wire value is a JSON value that loses nothing: integers as numbers, decimals, dates, times and UUIDs as text in one
fixed form, durations as microseconds, bytes as hex, JSON as its own text (so that JSON null stands beside SQL NULL).
What a database holds and another cannot is refused by that one, value by value, in a sentence. Contents are compared as
wire values, where several say the same (documents, decimals, addresses) by :attr:`Codec.alike`.
No code of a field class runs on a wire value; a custom field travels as what its column holds.
"""

from __future__ import annotations

from peersync.codec import postgres, sqlite
from peersync.codec.conversion import both_ways, converted
from peersync.codec.odd import PREFIX as ODD
from peersync.codec.odd import held, is_odd, of_undecoded
from peersync.codec.shapes import Shape
from peersync.codec.values import Codec, Convert, key_text, key_value

__all__ = [
    "ODD",
    "Codec",
    "Convert",
    "Shape",
    "both_ways",
    "codec_for",
    "converted",
    "held",
    "is_odd",
    "key_text",
    "key_value",
    "of_undecoded",
    "usable_as_key",
    "wire_of_type",
    "wire_type",
]

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


def wire_of_type(db_type: str, vendor: str) -> str | None:
    """The wire type of a column by what the database calls its type; None for a type that we don't know."""
    return postgres.wire_of(db_type) if vendor == "postgresql" else sqlite.wire_of(db_type)


def usable_as_key(wire: str, digits: int | None = None) -> bool:
    """Floats, JSON and decimals of more than fifteen digits have no text that is the same on every database."""
    return wire in _KEYABLE and (wire != "decimal" or digits is None or digits <= 15)


def codec_for(shape: Shape, vendor: str) -> Codec:
    """The codec of a column of this shape on this database."""
    return postgres.codec(shape) if vendor == "postgresql" else sqlite.codec(shape)
