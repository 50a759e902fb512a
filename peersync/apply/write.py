"""Writing rows in sets: columns as arrays on PostgreSQL, ``executemany`` on SQLite; never a model instance per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peersync import loose
from peersync.apply.defaults import Default, defaults
from peersync.apply.pointers import Pointers
from peersync.apply.session import Pending, Session
from peersync.codec import held, is_odd, key_text
from peersync.generics import GenericId
from peersync.localnames import to_write
from peersync.records import Key
from peersync.registry import RawColumn, SyncField, SyncModel
from peersync.rows import as_key, buried, find, find_model, local_value, plain_reference
from peersync.states import chunks

WRITE_CHUNK = 2000


class Writer:
    """Writes rows of one model; capture is off for its table while it does (see :mod:`peersync.capture`).

    ``lenient``: foreign keys to rows that are not here (yet) are NULL.
    """

    def __init__(self, session: Session, model: SyncModel, *, lenient: bool = False) -> None:
        self.session, self.model, self.lenient = session, model, lenient
        self.connection = session.connection
        self.quote = self.connection.ops.quote_name
        self.postgres = self.connection.vendor == "postgresql"

    # ------------------------------------------------------------------ values

    def columns(self, pendings: Sequence[Pending]) -> tuple[list[SyncField], list[list[Any]]]:
        """The fields to write, and per field the driver's parameters of all rows."""
        names = pendings[0].names
        fields = [f for f in self.model.fields if f.name in names]
        values = []
        for field in fields:
            place = names.index(field.name)
            wires = [(p.content or ())[place] for p in pendings]
            # what a policy made of both versions may have such a value from the row that stands here
            odd = any(p.odd or (not self.postgres and p.content is not p.row.content) for p in pendings)
            if isinstance(field, GenericId) and any(isinstance(wire, dict) for wire in wires):
                found = Pointers(self.session, field, wires)
                wires = [found.local(wire) for wire in wires]
            if field.loose:
                heres = [None if p.local.content is None else p.local.content[place] for p in pendings]
                wires = [loose.settled(field, *pair) for pair in zip(wires, heres, strict=True)]
            if field in self.model.file_fields:
                pks = [p.local.pk if p.local.content is not None else None for p in pendings]
                wires = to_write(self.connection, self.model, field, wires, pks)
            values.append(self._local(field, wires) if field.target else self._encoded(field, wires, odd=odd))
        return fields, values

    def _encoded(self, field: SyncField, wires: list[Any], *, odd: bool) -> list[Any]:
        codec = field.raw.on(self.connection)
        encode = codec.encode or _same
        if odd:
            return [held(w) if not codec.valid(w) and is_odd(w) else encode(w) for w in wires]
        return [encode(wire) for wire in wires] if codec.encode else wires

    def _local(self, field: SyncField, wires: list[Any]) -> list[Any]:
        """Foreign keys: the local value of the row that each key names."""
        if plain_reference(field):
            wires = [wire["gone"] if isinstance(wire, dict) else wire for wire in wires]
            # the key is the value itself, perhaps of a row that comes with this very statement
            return [None if wire is None else self._parameter(field.raw, key_text(as_key(wire)[0])) for wire in wires]
        keys = {as_key(wire) for wire in wires if wire is not None and not isinstance(wire, dict)}
        found = find(self.connection, str(field.target), keys, field.target_column)
        coming = self.session.coming.get(str(field.target), {})
        found.update({key: coming[key] for key in keys if key in coming and key not in found})
        renamed = self.session.becoming.get(str(field.target), {})
        if renamed and field.target_column == self.session.model(str(field.target)).pk.name:
            found.update({key: renamed[key] for key in keys if key in renamed})
        if field.left_alone:
            found = {**buried(self.connection, field, keys - found.keys()), **found}
        local = {key: self._parameter(field.raw, text) for key, text in found.items()}
        get = local.get if self.lenient else local.__getitem__
        return [
            None
            if wire is None
            else self._parameter(field.raw, key_text(wire["gone"]))
            if isinstance(wire, dict)
            else get(as_key(wire))
            for wire in wires
        ]

    def _parameter(self, raw: RawColumn, text: str) -> Any:
        return local_value(self.connection, raw, text)

    # ------------------------------------------------------------------ statements

    def insert(self, pendings: Sequence[Pending], pks: Sequence[str] = ()) -> dict[Key, str]:
        """Insert the rows; wire key → the local primary key that each got.

        ``pks``: primary keys to be given to them, one for each, where neither key nor content says them.
        """
        fields, values = self.columns(pendings)
        raws = [f.raw for f in fields]
        if pks:
            raws.append(self.model.pk)
            values.append([self._parameter(self.model.pk, pk) for pk in pks])
        self._insert(self.model.table, raws, values)
        keys = [p.row.key for p in pendings]
        if self.model.plain_key:
            return {key: self.model.local.key_text(key) for key in keys}
        return dict(zip(keys, pks, strict=True)) if pks else find_model(self.connection, self.model, keys)

    def stage(self, pendings: Sequence[Pending], table: str, number: RawColumn, first: int) -> None:
        """Insert the rows into a table of ours that has this column too, for numbers from ``first`` on."""
        fields, values = self.columns(pendings)
        numbers = [self._parameter(number, str(first + place)) for place in range(len(pendings))]
        self._insert(table, [*(f.raw for f in fields), number], [*values, numbers])

    def _insert(self, table: str, raws: Sequence[RawColumn], values: list[list[Any]]) -> None:
        left = defaults(self.connection, self.model, {raw.name for raw in raws})
        if self.postgres:
            self._insert_arrays(table, raws, values, left)
            return
        names = [self.quote(raw.name) for raw in (*raws, *(default.raw for default in left))]
        values = values + [default.values(len(values[0])) for default in left]
        marks = ", ".join(["%s"] * len(values))
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self.quote(table)} ({', '.join(names)}) VALUES ({marks})",
                list(zip(*values, strict=True)),
            )

    def _insert_arrays(
        self, table: str, raws: Sequence[RawColumn], values: list[list[Any]], left: list[Default]
    ) -> None:
        """A default that is the same for all rows is sent once."""
        own, same = [d for d in left if d.varies], [d for d in left if not d.varies]
        arrays, writes = self._arrays(raws)
        writes += [f"v.c{place}::{default.type}" for place, default in enumerate(own, len(raws))]
        writes += [f"%s::{default.type}" for default in same]
        values = values + [default.values(len(values[0])) for default in own]
        marks = ", ".join([*arrays, *["%s::text[]"] * len(own)])
        source = f"unnest({marks}) AS v({', '.join(f'c{i}' for i in range(len(values)))})"
        constants = [default.value() for default in same]
        names = ", ".join(self.quote(raw.name) for raw in (*raws, *(default.raw for default in (*own, *same))))
        into = f"INSERT INTO {self.quote(table)} ({names})"
        with self.connection.cursor() as cursor:
            for part in chunks(list(zip(*values, strict=True)), WRITE_CHUNK):
                cursor.execute(
                    f"{into} SELECT {', '.join(writes)} FROM {source}",
                    [*constants, *(list(column) for column in zip(*part, strict=True))],
                )

    def _arrays(self, raws: Sequence[RawColumn]) -> tuple[list[str], list[str]]:
        """For each column: the placeholder of its array, and SQL of a value of it."""
        codecs = [raw.on(self.connection) for raw in raws]
        return (
            [f"%s::{codec.array}[]" for codec in codecs],
            [codec.write_sql(f"v.c{place}") for place, codec in enumerate(codecs)],
        )

    def update(self, pendings: Sequence[Pending], table: str = "") -> None:
        """Update the rows, by their local primary keys, in their own table or in one of ours with the same columns."""
        fields, values = self.columns(pendings)
        kept = [(f, v) for f, v in zip(fields, values, strict=True) if f.column not in self.model.local.names]
        if not kept:
            return
        raws = [f.raw for f, _ in kept]
        columns = [v for _, v in kept]
        local = self.model.local
        pks = [local.values(self.connection, str(p.local.pk)) for p in pendings]
        columns += [list(column) for column in zip(*pks, strict=True)]
        table = self.quote(table or self.model.table)
        with self.connection.cursor() as cursor:
            if not self.postgres:
                sets = ", ".join(f"{self.quote(raw.name)} = %s" for raw in raws)
                known = " AND ".join(f"{column} = %s" for column in local.columns(self.connection))
                cursor.executemany(f"UPDATE {table} SET {sets} WHERE {known}", list(zip(*columns, strict=True)))
                return
            raws += local.parts
            arrays, writes = self._arrays(raws)
            sets = ", ".join(f"{self.quote(f.column)} = {write}" for (f, _), write in zip(kept, writes, strict=False))
            names = ", ".join(f"c{i}" for i in range(len(raws)))
            pairs = zip(local.columns(self.connection, "t"), writes[len(kept) :], strict=True)
            known = " AND ".join(f"{column} = {write}" for column, write in pairs)
            for part in chunks(list(zip(*columns, strict=True)), WRITE_CHUNK):
                cursor.execute(
                    f"UPDATE {table} t SET {sets} FROM unnest({', '.join(arrays)}) AS v({names}) WHERE {known}",
                    [list(column) for column in zip(*part, strict=True)],
                )

    def delete(self, pks: Iterable[str]) -> None:
        with self.connection.cursor() as cursor:
            for part in chunks(list(pks)):
                where, parameters = self.model.local.among(self.connection, part)
                cursor.execute(f"DELETE FROM {self.quote(self.model.table)} WHERE {where}", parameters)

    def park(self, pks: Iterable[str]) -> None:
        """Give the unique values of these rows up, for values that can't collide, until they are written."""
        by_name = {f.column: f for f in self.model.fields}
        columns = {column for group in self.model.uniques for column in group if column in by_name}
        columns.difference_update(self.model.local.names)
        sets = [
            f"{self.quote(c)} = {self._parking(by_name[c].raw)}" for c in sorted(columns) if self._parkable(by_name[c])
        ]
        if not sets:
            return
        where, parameters = self.model.local.among(self.connection, pks)
        with self.connection.cursor() as cursor:
            cursor.execute(f"UPDATE {self.quote(self.model.table)} SET {', '.join(sets)} WHERE {where}", parameters)

    @staticmethod
    def _parkable(field: SyncField) -> bool:
        return field.null or (field.raw.wire in ("text", "int", "uuid") and field.target is None)

    def _parking(self, raw: RawColumn) -> str:
        pk = self.model.local.text(self.connection)
        if raw.field.null:
            return "NULL"
        if raw.wire == "int":
            return f"-{self.quote(self.model.pk.name)} - 1" if self.model.pk.wire == "int" else "NULL"
        digest = f"md5({pk})" if self.postgres else f"hex(CAST({pk} AS BLOB))"
        if raw.wire == "uuid":
            return f"{digest}::uuid" if self.postgres else f"substr({digest}||hex(randomblob(16)),1,32)"
        length = raw.field.max_length or 32
        return f"substr('~'||{digest}, 1, {length})"


def by_fields(rows: Sequence[Pending]) -> list[list[Pending]]:
    """Sets of rows that bring the same fields."""
    groups: dict[tuple[str, ...], list[Pending]] = {}
    for pending in rows:
        groups.setdefault(pending.names, []).append(pending)
    return list(groups.values())


def _same(value: Any) -> Any:
    return value
