"""A closer look at unique values: the rows as they will stand, beside the table, by the unique indexes of the database.

Only once it has refused a set: what :mod:`peersync.apply.holders` sees beforehand costs less, and says all of plain
columns. Here conditions, expressions, collations and indexes that no model knows count too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, models, transaction

from peersync.apply.holders import Uniques, Wish
from peersync.apply.indexes import UniqueIndex, stored_columns, unique_indexes
from peersync.apply.isolate import halve
from peersync.apply.session import Pending, Session
from peersync.apply.write import Writer, by_fields
from peersync.registry import RawColumn, SyncModel

STAGE = "peersync_look"
PLACE = RawColumn("peersync_place", models.IntegerField())
"""Of a row that is about to be made: it may have no primary key yet."""


def look(session: Session, model: SyncModel, pendings: Sequence[Pending], found: Uniques) -> None:
    """Add who wants, and who holds, the values of each unique index; nothing where the database allows no such look."""
    indexes = unique_indexes(session.connection, model.table)
    if not indexes or not pendings:
        return
    try:
        with transaction.atomic(using=session.node.alias):
            stage = _Stage(session, model)
            halve(session, pendings, stage.put, {})  # a row that not even the stage takes is none that anyone meets
            for index in indexes:
                stage.compare(index, found)
            stage.drop()
    except DatabaseError:
        return


class _Stage:
    """A temporary table with the rows of one model as they will stand."""

    def __init__(self, session: Session, model: SyncModel) -> None:
        self.session, self.model, self.connection = session, model, session.connection
        self.writer = Writer(session, model, lenient=True)
        self.quote = self.connection.ops.quote_name
        self.table = self.quote(model.table)
        self.columns = stored_columns(self.connection, model.table)
        self.pk = model.local.text(self.connection)
        self.births: list[Pending] = []
        self.changes: dict[str, Pending] = {}
        self._run(f"DROP TABLE IF EXISTS {STAGE}")
        self._run(
            f"CREATE TEMPORARY TABLE {STAGE} AS SELECT {self.columns}, CAST(NULL AS integer) AS {PLACE.name}"
            f" FROM {self.table} WHERE 1 = 0"
        )

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def drop(self) -> None:
        self._run(f"DROP TABLE {STAGE}")

    def put(self, pendings: Sequence[Pending]) -> None:
        changes = [p for p in pendings if not p.inserts]
        if changes:
            these, pks = self.model.local.among(self.connection, [str(p.local.pk) for p in changes])
            self._run(
                f"INSERT INTO {STAGE} ({self.columns}) SELECT {self.columns} FROM {self.table} WHERE {these}", pks
            )
            for group in by_fields(changes):
                self.writer.update(group, STAGE)
        for group in by_fields([p for p in pendings if p.inserts]):
            self.writer.stage(group, STAGE, PLACE, len(self.births))
            self.births += group
        self.changes |= {str(p.local.pk): p for p in changes}

    def compare(self, index: UniqueIndex, found: Uniques) -> None:
        names = [f"k{place}" for place in range(len(index.parts))]
        parts = ", ".join(f"{part} AS {name}" for part, name in zip(index.parts, names, strict=True))
        texts = ", ".join(f"CAST({name} AS text)" for name in names)
        wanted = _key(index.parts, nulls_equal=index.nulls_equal)
        conditions = [f"({index.condition})"] if index.condition else []
        if not index.nulls_equal:
            conditions += [f"{part} IS NOT NULL" for part in index.parts]
        where = " AND ".join(conditions) or "1 = 1"
        query = (
            f"SELECT mine, place, pk, dense_rank() OVER (ORDER BY {', '.join(names)}), {texts} FROM ("
            f"SELECT 1 AS mine, {PLACE.name} AS place, {self.pk} AS pk, {parts} FROM {STAGE} WHERE {where}"
            f" UNION ALL SELECT 0, NULL, {self.pk}, {parts} FROM {self.table} WHERE {where}"
            f" AND ({wanted}) IN (SELECT {wanted} FROM {STAGE} WHERE {where})) x"
        )
        with self.connection.cursor() as cursor:
            # no parameters: the index may say a per cent sign
            cursor.execute(query)
            rows = cursor.fetchall()
        self._note(index, rows, found)

    def _note(self, index: UniqueIndex, rows: Sequence[tuple[Any, ...]], found: Uniques) -> None:
        held = {rank: pk for mine, _, pk, rank, *_ in rows if not mine}
        for mine, place, pk, rank, *texts in rows:
            pending = (self.births[place] if place is not None else self.changes.get(pk)) if mine else None
            if pending is None:
                continue
            wish = Wish(self.model.label, index.name, (str(rank),), by_index=True)
            found.want(wish, pending, f"{_said(index)} = {', '.join(map(str, texts))}")
            if rank in held:
                found.hold(wish, pending, held[rank])


def _key(parts: Sequence[str], *, nulls_equal: bool) -> str:
    """SQL of all values together, to be compared with others; NULLs are equal in an array."""
    if nulls_equal:
        return f"ARRAY[{', '.join(f'CAST({part} AS text)' for part in parts)}]"
    return ", ".join(parts)


def _said(index: UniqueIndex) -> str:
    parts = ", ".join(part.split(" COLLATE ")[0].strip('()"`') if "(" not in part[1:] else part for part in index.parts)
    return f"{parts} (where {index.condition})" if index.condition else parts
