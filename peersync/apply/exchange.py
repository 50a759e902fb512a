"""Rows whose unique values change hands, where no value of ours could be parked in them meanwhile.

They are taken out of their table as they stand, every column of them, and put back as they are to be, once all of those
values are free. References to them are looked at afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from peersync.apply.blocks import Place
from peersync.apply.indexes import stored_columns
from peersync.apply.session import Pending, Session
from peersync.apply.write import Writer, by_fields
from peersync.registry import SyncModel

STASH = "peersync_aside"
TURNS = 50


class Exchange:
    """Of one model, inside of one savepoint."""

    def __init__(self, session: Session, model: SyncModel) -> None:
        self.model, self.connection = model, session.connection
        self.writer = Writer(session, model)
        self.quote = self.connection.ops.quote_name
        self.columns = stored_columns(self.connection, model.table)
        self.table = self.quote(model.table)

    def open(self) -> None:
        deferred = (
            "SET CONSTRAINTS ALL DEFERRED"
            if self.connection.vendor == "postgresql"
            else "PRAGMA defer_foreign_keys = ON"
        )
        pk = ", ".join(self.model.local.columns(self.connection))
        with self.connection.cursor() as cursor:
            cursor.execute(deferred)
            cursor.execute(f"DROP TABLE IF EXISTS {STASH}")
            cursor.execute(f"CREATE TEMPORARY TABLE {STASH} AS SELECT {self.columns} FROM {self.table} WHERE 1 = 0")
            cursor.execute(f"CREATE INDEX {STASH}_pk ON {STASH} ({pk})")

    def take_out(self, pendings: Sequence[Pending]) -> None:
        """What is to be deleted is deleted by this; the others have to be put back."""
        pks = [str(p.local.pk) for p in pendings]
        these, parameters = self.model.local.among(self.connection, pks)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {STASH} ({self.columns}) SELECT {self.columns} FROM {self.table} WHERE {these}",
                parameters,
            )
        self.writer.delete(pks)

    def put_back(self, pendings: Sequence[Pending]) -> None:
        for group in by_fields(pendings):
            self.writer.update(group, STASH)
        # the clause is for keys that only the database hands out
        given = " OVERRIDING SYSTEM VALUE" if self.connection.vendor == "postgresql" else ""
        these, parameters = self.model.local.among(self.connection, [str(p.local.pk) for p in pendings])
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self.table} ({self.columns}){given} SELECT {self.columns} FROM {STASH} WHERE {these}",
                parameters,
            )

    def close(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {STASH}")


# ---------------------------------------------------------------------- where it may be done, and what is done elsewhere


def turns(
    rows: Sequence[Pending], takes: Mapping[Place, Collection[Place]]
) -> tuple[list[list[Pending]], list[Pending]]:
    """Rows that let a value go before those that take it over; second, those that go round in a circle.

    Of a chain that is longer than ``TURNS`` the rest counts as a circle.
    """
    left = {p.place: p for p in rows}
    found: list[list[Pending]] = []
    while len(found) < TURNS:
        ready = [p for p in left.values() if not any(held in left for held in takes.get(p.place, ()))]
        if not ready:
            break
        found.append(ready)
        for pending in ready:
            del left[pending.place]
    return found, list(left.values())


def allowed(session: Session, model: SyncModel) -> bool:
    """Whether nothing else would happen: no trigger of the project's fires, and the database deletes, or refuses, nothing.

    Where our own writing is captured, a deletion would be.
    """
    if session.captured:
        return False
    found = _refused_by_postgres if session.connection.vendor == "postgresql" else _refused_by_sqlite
    return not found(session.connection, model.table)


_REFUSED = """
SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE confrelid = %s::regclass AND contype = 'f'
               AND (confdeltype <> 'a' OR NOT condeferrable))
    OR EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'
               AND tgtype & 12 <> 0 AND left(tgname, 9) <> 'peersync_')
    OR EXISTS (SELECT 1 FROM pg_class WHERE oid = %s::regclass AND (relhasrules OR relrowsecurity))
"""


def _refused_by_postgres(connection: Any, table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_REFUSED, [connection.ops.quote_name(table)] * 3)
        return bool(cursor.fetchone()[0])


_QUOTED = re.compile(r""""(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]""")
_EVENT = re.compile(r"\b(INSERT|DELETE|UPDATE)\b", re.IGNORECASE)


def _refused_by_sqlite(connection: Any, table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
            " AND f.\"table\" = %s COLLATE NOCASE AND f.on_delete <> 'NO ACTION' LIMIT 1",
            [table],
        )
        if cursor.fetchone() is not None:
            return True
        cursor.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s COLLATE NOCASE"
            " AND substr(name, 1, 9) <> 'peersync_'",
            [table],
        )
        events = [_EVENT.search(_QUOTED.sub("", sql)) for (sql,) in cursor.fetchall()]
    return any(event is None or event[1].upper() != "UPDATE" for event in events)
