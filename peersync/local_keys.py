"""Local primary keys: one column or several, as texts that are equal on every database, and back in SQL.

The text of a key of one column is that column's key text; of several, their texts joined by commas.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from peersync.codec import ODD, held, is_odd, key_text, key_value
from peersync.columns import RawColumn

CHUNK = 5000
"""Keys that one query asks for."""
NO_ROW = "~"
"""What the local key of a state begins with whose row never stood here."""


def join(texts: Sequence[str]) -> str:
    """One text for a key of several columns."""
    return ",".join(text.replace("\\", "\\\\").replace(",", "\\,") for text in texts)


def split(text: str, count: int) -> list[str]:
    """The texts of :func:`join`; a ValueError where they are not so many."""
    found = _walk(text) if "\\" in text else text.split(",")
    if len(found) != count:
        raise ValueError("no key of so many parts")
    return found


def _walk(text: str) -> list[str]:
    found, characters = [""], iter(text)
    for character in characters:
        if character == ",":
            found.append("")
        else:
            found[-1] += next(characters, "") if character == "\\" else character
    return found


def local_value(connection: Any, raw: RawColumn, text: str) -> Any:
    """The driver's parameter for a column's key text. A ValueError where it is none of the column's type."""
    codec = raw.codec(connection.vendor)
    if text.startswith(ODD) and codec.wire != "text" and is_odd(text):
        return held(text)
    value = key_value(codec.wire, text)
    if codec.wire in ("int", "bool", "duration") and isinstance(value, str) and codec.judge(value) != "":
        raise ValueError("no key of that type")
    return codec.encode(value) if codec.encode else value


def _strange(text: str) -> bool:
    """Whether a list in JSON would not hand this key to SQLite as it is."""
    return "\x00" in text or text.startswith(ODD) or f",{ODD}" in text


@dataclass(frozen=True)
class LocalKey:
    """The columns by which a table's rows are known in its own database."""

    parts: tuple[RawColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    def columns(self, connection: Any, alias: str = "") -> list[str]:
        """The quoted columns."""
        quote = connection.ops.quote_name
        return [f"{alias}.{quote(part.name)}" if alias else quote(part.name) for part in self.parts]

    def order(self, connection: Any, alias: str = "", *, back: bool = False) -> str:
        """For ORDER BY; ``back``: from the last one on."""
        return ", ".join(f"{column} DESC" if back else column for column in self.columns(connection, alias))

    def text(self, connection: Any, alias: str = "") -> str:
        """SQL of the key text."""
        return self.text_of(self.columns(connection, alias), connection.vendor)

    def text_of(self, columns: Sequence[str], vendor: str) -> str:
        """The same, of whatever SQL stands for the columns."""
        texts = [part.codec(vendor).key_sql(column, vendor) for part, column in zip(self.parts, columns, strict=True)]
        if len(texts) == 1:
            return texts[0]
        # some sessions read a backslash in a constant as an escape
        back = "chr(92)" if vendor == "postgresql" else "char(92)"
        escaped = [f"replace(replace({text}, {back}, {back}||{back}), ',', {back}||',')" for text in texts]
        return f"({f'||{chr(39)},{chr(39)}||'.join(escaped)})"

    def key_text(self, key: Sequence[Any]) -> str:
        """The text of these wire values."""
        return key_text(key[0]) if len(key) == 1 else join([key_text(part) for part in key])

    def key(self, text: str) -> tuple[Any, ...]:
        """The wire values of a key text."""
        return tuple(key_value(part.wire, one) for part, one in zip(self.parts, self.texts(text), strict=True))

    def texts(self, text: str) -> list[str]:
        """The texts of the columns; a ValueError where it is no key of so many."""
        return [text] if len(self.parts) == 1 else split(text, len(self.parts))

    def values(self, connection: Any, text: str) -> list[Any]:
        """The driver's parameters for a key text, one for each column; a ValueError where it is no such key."""
        return [local_value(connection, p, one) for p, one in zip(self.parts, self.texts(text), strict=True)]

    def marks(self, connection: Any) -> list[str]:
        """The placeholders of :meth:`values`, as the columns' types."""
        return [part.codec(connection.vendor).write_sql("(%s)") for part in self.parts]

    def beyond(self, connection: Any, sign: str, text: str, alias: str = "") -> tuple[str, list[Any]]:
        """``key > text`` (or another sign) in the order of the columns, and its parameters."""
        return self.beyond_of(self.columns(connection, alias), connection, sign, text)

    def beyond_of(self, columns: Sequence[str], connection: Any, sign: str, text: str) -> tuple[str, list[Any]]:
        """The same, of whatever SQL stands for the columns."""
        left, marks = ", ".join(columns), ", ".join(self.marks(connection))
        values = self.values(connection, text)
        return (f"{left} {sign} {marks}" if len(values) == 1 else f"({left}) {sign} ({marks})"), values

    def within(self, connection: Any, first: str, last: str, alias: str = "") -> tuple[str, list[Any]]:
        """Keys from the one to the other in the order of the columns."""
        (low, lows), (high, highs) = (
            self.beyond(connection, sign, text, alias) for sign, text in ((">=", first), ("<=", last))
        )
        return f"{low} AND {high}", [*lows, *highs]

    def valid(self, connection: Any, key: Sequence[Any]) -> bool:
        """Whether these wire values are of the columns' types."""
        codecs = [part.codec(connection.vendor) for part in self.parts]
        return len(key) == len(codecs) and all(codec.valid(one) for codec, one in zip(codecs, key, strict=True))

    def among(self, connection: Any, texts: Iterable[str], alias: str = "") -> tuple[str, list[Any]]:
        """``key IN (…)`` for key texts, in a form that uses the index of the columns; and its parameters."""
        return self.among_of(self.columns(connection, alias), connection, list(texts))

    def among_of(self, columns: Sequence[str], connection: Any, texts: Sequence[str]) -> tuple[str, list[Any]]:
        """The same, of whatever SQL stands for the columns."""
        if connection.vendor == "postgresql":
            return self._among_arrays(columns, connection, texts)
        strange = [text for text in texts if _strange(text)]
        plain = [text for text in texts if not _strange(text)] if strange else texts
        where, parameters = self._among_json(columns, connection, plain)
        if not strange:
            return where, parameters
        marks = ", ".join(["%s"] * len(strange))
        return f"({where} OR {self.text_of(columns, 'sqlite')} IN ({marks}))", [*parameters, *strange]

    def _among_arrays(self, columns: Sequence[str], connection: Any, texts: Sequence[str]) -> tuple[str, list[Any]]:
        codecs = [part.codec("postgresql") for part in self.parts]
        names = [f"x{place}" for place in range(len(codecs))]
        casts = ", ".join(codec.write_sql(name) for codec, name in zip(codecs, names, strict=True))
        arrays = ", ".join(["%s::text[]"] * len(codecs))
        if len(codecs) == 1:
            encoded = codecs[0].encode is not None
            lists: list[Any] = [[self.values(connection, text)[0] for text in texts] if encoded else list(texts)]
        else:
            rows = [self._parameters(connection, text) for text in texts]
            lists = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in codecs]
        left = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
        return f"{left} IN (SELECT {casts} FROM unnest({arrays}) AS u({', '.join(names)}))", lists

    def _parameters(self, connection: Any, text: str) -> list[str]:
        """For each column, its key text, or what its encoding makes of that."""
        codecs = [part.codec("postgresql") for part in self.parts]
        values = self.values(connection, text)
        return [
            value if codec.encode else one for codec, value, one in zip(codecs, values, self.texts(text), strict=True)
        ]

    def _among_json(self, columns: Sequence[str], connection: Any, texts: Sequence[str]) -> tuple[str, list[Any]]:
        binary = [part.codec("sqlite").wire == "bytes" for part in self.parts]  # JSON holds no bytes
        rows = [
            [one if is_binary else local_value(connection, part, one) for part, one, is_binary in row]
            for row in (zip(self.parts, self.texts(text), binary, strict=True) for text in texts)
        ]
        left = [
            part.codec("sqlite").key_sql(column, "sqlite") if is_binary else column
            for part, column, is_binary in zip(self.parts, columns, binary, strict=True)
        ]
        if len(left) == 1:
            return f"{left[0]} IN (SELECT value FROM json_each(%s))", [json.dumps([row[0] for row in rows])]
        taken = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(left)))
        return f"({', '.join(left)}) IN (SELECT {taken} FROM json_each(%s))", [json.dumps(rows)]

    def real(self, connection: Any, texts: Iterable[str]) -> list[str]:
        """Without names of ours: a tombstone of a row that never stood here has one, which is no key of these columns."""
        if len(self.parts) == 1:
            of_text = self.parts[0].codec(connection.vendor).wire == "text"
            return [text for text in texts if of_text or not text.startswith(NO_ROW)]
        return [text for text in texts if not text.startswith(NO_ROW) or self._fits(connection, text)]

    def _fits(self, connection: Any, text: str) -> bool:
        try:
            self.values(connection, text)
        except ValueError:
            return False
        return True


def select_in(connection: Any, select: str, key: LocalKey, texts: Iterable[str], alias: str = "") -> Iterator[Any]:
    """Rows of ``select`` whose key is among those given as text, a few thousand a query."""
    real = key.real(connection, texts)
    with connection.cursor() as cursor:
        for start in range(0, len(real), CHUNK):
            where, parameters = key.among(connection, real[start : start + CHUNK], alias)
            cursor.execute(f"{select} WHERE {where}", parameters)
            yield from cursor.fetchall()
