"""What a codec is: how the values of one column are read, checked, written, compared, and used as keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Convert = Callable[[Any], Any]


def _malformed(value: Any) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Codec:
    """How the values of one column travel. ``{}`` in the SQL forms stands for the column or the placeholder.

    ``read``: SQL whose result needs at most ``decode`` to be the wire value.
    ``encode``: the driver's parameter for a wire value; ``write``: the SQL around the placeholder.
    ``array``: PostgreSQL's type for a list of such parameters.
    """

    wire: str
    declared: str = ""
    """``wire`` with what narrows it in parentheses, as the description names it: ``decimal(10,2)``."""
    read: str = "{}"
    write: str = "{}"
    key: str = ""
    """SQL of the key text, where that is not the text of ``read``."""
    decode: Convert | None = None
    encode: Convert | None = None
    array: str = "text"
    valid: Callable[[Any], bool] = lambda value: isinstance(value, str)
    """Whether it is an ordinary value, which this column holds as it is."""
    judge: Callable[[Any], str | None] = _malformed
    """Of a value that is not ``valid``: why this column can't hold it; empty where it can all the same; None where it
    is no value of this wire type at all, which no honest peer sends."""
    alike: Convert | None = None
    """The form that all wire values share which say the same, where there are several."""
    odd: Convert | None = None
    """SQLite: the wire value for the bytes that ``read`` gives for what is not of the column's type."""
    soften: Convert | None = None
    """SQLite: what is not written as Django writes it, but is read by it all the same; for contents, never for keys."""

    def read_sql(self, column: str) -> str:
        return self.read.replace("{}", column)

    def write_sql(self, placeholder: str) -> str:
        return self.write.replace("{}", placeholder)

    def key_sql(self, column: str, vendor: str) -> str:
        """The text that names a row by this column: equal on every database."""
        if self.key:
            return self.key.replace("{}", column)
        read = self.read_sql(column)
        return f"({read})::text" if vendor == "postgresql" else f"CAST({read} AS TEXT)"


def key_text(value: Any) -> str:
    """What :meth:`Codec.key_sql` gives for this wire value."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def key_value(wire: str, text: str) -> Any:
    """The wire value of a key text; the text itself where it is no ordinary value of that type."""
    if wire == "bool":
        return text in ("1", "true") if text in ("0", "1", "false", "true") else text
    if wire not in ("int", "duration"):
        return text
    try:
        return int(text)
    except ValueError:
        return text
