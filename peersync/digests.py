"""Comparing without sending rows: a digest of the keys and contents in each range of keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from peersync import generics
from peersync.codec import Convert, key_text
from peersync.collecting import opened
from peersync.generics import GenericId
from peersync.records import Digest, Key, Range
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, Stored, key_json
from peersync.transactions import NodeRow
from peersync.viewpages import with_elsewhere
from peersync.views import View

FETCH = 2000


def digests(view: View, label: str, ranges: Sequence[Range], parts: int, names: Sequence[str]) -> list[Digest]:
    """Each range cut into ``parts`` of about equal length, each with a digest of the fields ``names``.

    A range with at most ``parts`` rows gives one digest a row: its range is that key alone.
    """
    model = view.registry.models[label]
    with opened(view, [label]) as node:
        found: list[Digest] = []
        for one in ranges:
            rows = _Rows(node, view, model, one)
            found += _cut(rows, one, parts, names)
        return found


class _Rows:
    """The rows of a range in the order of their keys, as the peer may see them."""

    def __init__(self, node: NodeRow, view: View, model: SyncModel, bounds: Range) -> None:
        self.node, self.view, self.model, self.bounds = node, view, model, bounds
        self.connection = node.connection
        self.reader = Reader(self.connection, model)

    def __iter__(self) -> Iterator[Stored]:
        where, parameters = self._where()
        with self.connection.chunked_cursor() as cursor:
            cursor.execute(f"{self.reader.select()}{where} ORDER BY {self._order()}", parameters)
            while batch := cursor.fetchmany(FETCH):
                rows = self.reader.rows(batch)
                if self.view.filtered(self.model.label):
                    seen = self.view.visible(self.model.label, [row.pk for row in rows])
                    rows = [row for row in rows if row.pk in seen]
                yield from with_elsewhere(self.view, self.connection, self.model, {r.pk: r for r in rows}).values()

    def count(self) -> int:
        if self.view.filtered(self.model.label):
            return sum(1 for _ in self)
        where, parameters = self._where()
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM ({self.reader.select()}{where}) AS counted", parameters)
            return int(cursor.fetchone()[0])

    def _leaves(self) -> list[str]:
        """Text of the key's parts, which has one order on every database (COLLATE "C"; numbers by length first)."""
        found = []
        for node in self.reader.key_leaves():
            text = self.reader.texts[node]
            collate = ' COLLATE "C"' if self.connection.vendor == "postgresql" else ""
            found += [f"length({text})", f"{text}{collate}"]
        return found

    def _order(self) -> str:
        return ", ".join(self._leaves())

    def _where(self) -> tuple[str, list[Any]]:
        clauses, parameters = [], []
        leaves = ", ".join(self._leaves())
        for sign, key in ((">", self.bounds.after), ("<=", self.bounds.upto)):
            if key is not None:
                values = [part for text in map(self._bound, _flat(key)) for part in (len(text), text)]
                clauses.append(f"({leaves}) {sign} ({', '.join(['%s'] * len(values))})")
                parameters += values
        return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), parameters

    def _bound(self, text: str) -> str:
        """PostgreSQL is asked for the next text where it cannot hold the one that SQLite names."""
        return text.replace("\x00", "\x01") if self.connection.vendor == "postgresql" else text


def _flat(key: Any) -> list[str]:
    if isinstance(key, (list, tuple)):
        return [text for part in key for text in _flat(part)]
    return [key_text(key)]


def _compared(field: SyncField, alike: Convert | None) -> Convert | None:
    """What makes of two wire values of a field that say the same one value."""
    if field.loose:
        return generics.alike
    if isinstance(field, GenericId):
        return lambda value: generics.alike(value) if alike is None or isinstance(value, dict) else alike(value)
    return None if field.target else alike


def _cut(rows: _Rows, bounds: Range, parts: int, names: Sequence[str]) -> list[Digest]:
    total = rows.count()
    size = max(1, -(-total // parts))
    places = [rows.model.names.index(name) for name in names]
    alike = [rows.model.fields[place].raw.on(rows.connection).alike for place in places]
    plain = [(place, _compared(rows.model.fields[place], one)) for place, one in zip(places, alike, strict=True)]
    found: list[Digest] = []
    after, count, digest = bounds.after, 0, hashlib.sha256()
    last: Key | None = None
    for row in rows:
        digest.update(key_json(row.key).encode())
        values = [row.content[place] if one is None else one(row.content[place]) for place, one in plain]
        digest.update(json.dumps(values, ensure_ascii=False).encode(errors="surrogatepass"))
        count, last = count + 1, row.key
        if count == size and len(found) < parts - 1:
            found.append(Digest(Range(after, last), count, digest.hexdigest()))
            after, count, digest = last, 0, hashlib.sha256()
    found.append(Digest(Range(after, bounds.upto), count, digest.hexdigest()))
    return found
