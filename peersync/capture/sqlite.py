"""Triggers on SQLite: three per table. Text in sqlite_master is kept as it was given, so it can be compared.

A trigger may name no other table than its own and ours: one that reads a parent breaks the parent's next
migration.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from peersync.capture.deploying import MARK
from peersync.capture.plans import Made, Plan, Standing, journal_table, literal, mark, md5
from peersync.models import Applying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peersync.registry import SyncModel

PREFIX = "peersync_"
_HEADER = re.compile(r" /\* peersync (\w{32}) (\w{32}) \*/")
_STAMP = (
    f'CASE WHEN EXISTS (SELECT 1 FROM "{Applying._meta.db_table}" WHERE "table" = \'{MARK}\') THEN 0'
    " ELSE CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER) END"
)
EVENTS = ("INSERT", "UPDATE", "DELETE")


def trigger_name(table: str, event: str) -> str:
    return f"{PREFIX}{table}_{event[0].lower()}"


def make(connection: Any, plan: Plan, *, stand_in: bool = False) -> Made:
    """The three triggers of one table.

    ``stand_in``: in the middle of a migrate. It names no column but the key's, so that the others may come
    and go; an UPDATE that changes nothing is then an event too.
    """
    bodies = {event: _body(connection, plan, event, stand_in) for event in EVENTS}
    digest = md5("\n".join(bodies.values()))
    return Made(tuple(_signed(body, digest) for body in bodies.values()), digest)


def _signed(body: str, digest: str) -> str:
    head, begin, rest = body.partition(" BEGIN ")
    return f"{head}{begin.rstrip()} /* peersync {digest} {md5(body)} */ {rest}"


def _body(connection: Any, plan: Plan, event: str, stand_in: bool) -> str:
    q = connection.ops.quote_name
    guard = f'NOT EXISTS (SELECT 1 FROM {q(Applying._meta.db_table)} WHERE "table" = {literal(plan.table)})'
    if event == "UPDATE" and not stand_in:
        changed = " OR ".join(_changed(q(column)) for column in plan.compared)
        guard += f" AND ({changed})"
    return (
        f"CREATE TRIGGER {q(trigger_name(plan.table, event))} AFTER {event} ON {q(plan.table)} WHEN {guard}"
        f" BEGIN {'; '.join(_inserts(connection, plan, event, stand_in))}; END"
    )


def _changed(column: str) -> str:
    # Without COLLATE BINARY a column that ignores case would call 'a' and 'A' equal.
    return f"NEW.{column} COLLATE BINARY IS NOT OLD.{column} COLLATE BINARY"


def _inserts(connection: Any, plan: Plan, event: str, stand_in: bool) -> list[str]:
    q = connection.ops.quote_name
    label = literal(plan.label)
    new, old = (plan.pk.text_of([f"{row}.{q(c)}" for c in plan.pk_columns], "sqlite") for row in ("NEW", "OLD"))
    was = _identity(connection, plan)
    insert = f"INSERT INTO {q(journal_table())} (model, pk_text, what, stamp, before)"
    born = mark(plan, "sqlite")
    if event == "INSERT":
        return [f"{insert} VALUES ({label}, {new}, 'b', {_STAMP}, {born})"]
    if event == "DELETE":
        return [f"{insert} VALUES ({label}, {old}, 'g', {_STAMP}, {was})"]
    moved = " OR ".join(_changed(q(column)) for column in plan.pk_columns)
    moved = moved if len(plan.pk_columns) == 1 else f"({moved})"
    before = "NULL"
    if plan.identity:
        renamed = " OR ".join(_changed(q(c.name)) for c in plan.identity)
        before = f"CASE WHEN NOT ({moved}) AND ({renamed}) THEN {was} END"
    elif plan.marked:
        before = f"CASE WHEN {moved} THEN {born} END"
    values = f"{label}, {new}, CASE WHEN {moved} THEN 'b' ELSE 'c' END, {_STAMP}, {before}"
    if plan.noted and not stand_in:
        values, changed = f"{values}, {_changed_columns(q, plan)}", f"{insert[:-1]}, fields)"
    else:
        changed = insert
    return [
        f"{insert} SELECT {label}, {old}, 'g', {_STAMP}, {was} WHERE {moved}",
        f"{changed} VALUES ({values})",
    ]


def _changed_columns(q: Any, plan: Plan) -> str:
    """A JSON list of the columns that differ."""
    names = ((column, literal(f",{json.dumps(column, ensure_ascii=False)}")) for column in plan.compared)
    parts = (f"CASE WHEN {_changed(q(column))} THEN {name} ELSE '' END" for column, name in names)
    return f"'[' || substr({' || '.join(parts)}, 2) || ']'"


def _identity(connection: Any, plan: Plan) -> str:
    """A JSON object of the identity's columns as key texts, before the change; NULL where the key is the identity."""
    if not plan.identity:
        return "NULL"
    q = connection.ops.quote_name
    pairs = (f"{literal(c.name)}, {c.codec('sqlite').key_sql(f'OLD.{q(c.name)}', 'sqlite')}" for c in plan.identity)
    return f"json_object({', '.join(pairs)})"


def look(connection: Any, models: Iterable[SyncModel]) -> dict[str, Standing]:
    """What stands for each model, by label; models without a table here are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.name, c.name, c.pk FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c"
            " WHERE m.type = 'table' AND c.hidden <> 1"
        )
        columns: dict[str, dict[str, int]] = {}
        for table, column, pk in cursor.fetchall():
            columns.setdefault(table, {})[column] = pk
        found: dict[str, list[str]] = {}
        for table, _, text in _triggers(cursor):
            found.setdefault(table, []).append(text)
    noting = "fields" in columns.get(journal_table(), ())
    return {
        model.label: replace(_standing(columns[model.table], found.get(model.table, [])), noting=noting)
        for model in models
        if model.table in columns
    }


def _triggers(cursor: Any) -> list[tuple[str, str, str]]:
    """Our triggers: table, name, text."""
    cursor.execute(
        "SELECT tbl_name, name, sql FROM sqlite_master"
        r" WHERE type = 'trigger' AND name LIKE 'peersync\_%' ESCAPE '\'"
    )
    return [row for row in cursor.fetchall() if journal_table() in row[2]]


def _standing(columns: dict[str, int], texts: list[str]) -> Standing:
    primary = tuple(column for column, pk in columns.items() if pk)
    names = frozenset(columns)
    if len(texts) < len(EVENTS):
        return Standing(names, primary, reason="its triggers are missing")
    digests = set()
    for text in texts:
        header = _HEADER.search(text)
        if header is None or md5(_HEADER.sub("", text, count=1)) != header[2]:
            return Standing(names, primary, reason="its triggers were altered")
        digests.add(header[1])
    return Standing(names, primary, digest=digests.pop() if len(digests) == 1 else "mixed")


def drop(connection: Any, table: str) -> None:
    """Take our triggers from a table, whatever the table was called when they were made."""
    with connection.cursor() as cursor:
        for on, name, _ in _triggers(cursor):
            if on.lower() == table.lower():
                cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")


def strangers(connection: Any, keep: Iterable[str]) -> list[tuple[str, ...]]:
    """Statements that take our triggers from each table that is not to be kept."""
    kept = set(keep)
    with connection.cursor() as cursor:
        return [
            (f"DROP TRIGGER {connection.ops.quote_name(name)}",) for on, name, _ in _triggers(cursor) if on not in kept
        ]
