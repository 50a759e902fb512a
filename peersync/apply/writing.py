"""Writing a set of rows that was weighed: parents first, then deletions children first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from django.db import DatabaseError, transaction

from peersync import capture
from peersync.apply.blocks import Block
from peersync.apply.cascade import carry_out
from peersync.apply.circles import numbers_ahead
from peersync.apply.constraints import Plan
from peersync.apply.exchange import Exchange, allowed, turns
from peersync.apply.indexes import has_exclusions
from peersync.apply.isolate import Clash, Unnamed, collides, guarded, reason
from peersync.apply.naming import becoming
from peersync.apply.numbers import given, note_names
from peersync.apply.pointers import place_of
from peersync.apply.sequences import move_past
from peersync.apply.session import Pending, Session
from peersync.apply.write import Writer, by_fields
from peersync.registry import SyncModel
from peersync.rows import as_key, plain_reference
from peersync.transactions import bound_wait


def write(session: Session, plan: Plan) -> None:
    """Parents first, then deletions children first; raises Poison with the rows that the database refused."""
    order = list(session.view.registry.models.values())
    by_model: dict[str, list[Pending]] = {}
    for pending in plan.rows:
        by_model.setdefault(pending.row.model, []).append(pending)
    present = [model for model in order if model.label in by_model]
    if not plan.closely:
        for model in present:
            _park(session, model, by_model[model.label], plan)
    plan.ahead = numbers_ahead(session, present, by_model)
    session.becoming = becoming(plan.rows)
    for model in present:
        _write_model(session, model, by_model[model.label], plan)
    for model in reversed(present):
        _delete(session, model, [p for p in by_model[model.label] if p.deletes], plan)
    _check_deferred(session, plan)


def _uncaptured(session: Session, model: SyncModel) -> AbstractContextManager[None]:
    return nullcontext() if session.captured else capture.off(session.connection, [model.table])


def _park(session: Session, model: SyncModel, rows: Sequence[Pending], plan: Plan) -> None:
    """What holds a unique value that another row takes over is given one that can't collide, until it is written."""

    def park(pendings: Sequence[Pending]) -> None:
        Writer(session, model).park([str(p.local.pk) for p in pendings])

    with _uncaptured(session, model):
        guarded(session, [p for p in rows if p.place in plan.passing], park, clash="" if plan.closely else "any")


def _write_model(session: Session, model: SyncModel, rows: list[Pending], plan: Plan) -> None:
    if not plan.closely:
        _write_rows(session, model, rows, plan)
    elif allowed(session, model):
        _exchange(session, model, rows, plan)
    else:
        ready, circles = turns(rows, plan.takes)
        for turn in [*ready, circles]:
            _park(session, model, turn if turn is circles else (), plan)
            _delete(session, model, [p for p in turn if p.place in plan.childless], plan)
            _write_rows(session, model, turn, plan)


def _exchange(session: Session, model: SyncModel, rows: Sequence[Pending], plan: Plan) -> None:
    """What holds values that others take over is out of the table meanwhile."""
    standing = [p for p in rows if p.local.content is not None]
    every = has_exclusions(session.connection, model.table)
    aside = [p for p in standing if every or p.place in plan.passing]
    if not aside:
        _write_rows(session, model, rows, plan)
        return
    out = {p.place for p in aside}
    _carry_out(session, [p for p in aside if p.deletes], plan)
    with _uncaptured(session, model):
        moved = Exchange(session, model)
        moved.open()
        guarded(session, aside, moved.take_out)
        _insert_born(session, model, [p for p in rows if p.inserts], plan)
        guarded(session, [p for p in aside if not p.deletes], moved.put_back)
        moved.close()
    _write_rows(session, model, [p for p in rows if not p.inserts and p.place not in out], plan)


def _write_rows(session: Session, model: SyncModel, rows: Sequence[Pending], plan: Plan) -> None:
    with _uncaptured(session, model):
        _insert_born(session, model, [p for p in rows if p.inserts], plan)
        changed = [p for p in rows if p.writes and p.content is not None and not p.inserts]
        for group in by_fields(changed):
            guarded(session, group, Writer(session, model).update, clash="" if plan.closely else "unique")


def _insert_born(session: Session, model: SyncModel, born: list[Pending], plan: Plan) -> None:
    writer = Writer(session, model)
    ahead, clash = plan.ahead.get(model.label), "" if plan.closely else "unique"
    numbers = given(session, model, born) if ahead is None else ahead

    def insert(pendings: Sequence[Pending]) -> None:
        numbered = [p for p in pendings if model.origin or p.place in numbers]
        others = [p for p in pendings if p.place not in numbers] if numbered else pendings
        got = writer.insert(numbered, [numbers[p.place] for p in numbered]) if numbered else {}
        got |= writer.insert(others) if others else {}
        for pending in pendings:
            pending.local.pk = got.get(pending.row.key, pending.local.pk)
        note_names(session, model, pendings)

    def insert_circles(pendings: Sequence[Pending]) -> None:
        if all(p.place in numbers for p in pendings) and ahead is not None:
            insert(pendings)
            return
        insert([_unbound(model, pending) for pending in pendings])
        writer.update(pendings)

    if model.plain_key and not session.tried:
        warning = move_past(session.connection, model, [p.row.key[0] for p in born])
        if warning and warning not in session.warnings:
            session.warnings.append(warning)
    for group in by_fields(born):
        levels, circles = levels_of(model, group)
        for level in levels:
            guarded(session, level, insert, clash=clash)
        guarded(session, circles, insert_circles, clash=clash)


def levels_of(model: SyncModel, rows: list[Pending]) -> tuple[list[list[Pending]], list[Pending]]:
    """Rows that point to others of the same set stand behind those, where their local key is not known beforehand.

    Second: those that point at each other in a circle, or at themselves, and what hangs on them.
    """
    own = [f.name for f in model.foreign_keys if f.target == model.label and not plain_reference(f)]
    own += [f.name for f in model.generic_ids if model.label in f.labels]
    if not own or not rows:
        return [rows] if rows else [], []
    left = {p.row.key: p for p in rows}
    behind = {key: {one for one in _own_keys(model, p, own) if one in left} for key, p in left.items()}
    before: dict[tuple[object, ...], list[tuple[object, ...]]] = {}
    for key, ones in behind.items():
        for one in ones:
            before.setdefault(one, []).append(key)
    levels: list[list[Pending]] = []
    ready = [key for key, ones in behind.items() if not ones]
    while ready:
        levels.append([left.pop(key) for key in ready])
        ready = [key for one in ready for key in before.get(one, ()) if _steps_up(behind[key], one)]
    return levels, list(left.values())


def _steps_up(behind: set[tuple[object, ...]], one: tuple[object, ...]) -> bool:
    """Whether this was the last row that it stood behind."""
    behind.discard(one)
    return not behind


def _own_keys(model: SyncModel, pending: Pending, names: Sequence[str]) -> list[tuple[object, ...]]:
    values = [(pending.content or ())[pending.names.index(n)] for n in names if n in pending.names]
    generic = [place[1] for value in values if (place := place_of(value)) is not None and place[0] == model.label]
    return generic + [as_key(value) for value in values if value is not None and not isinstance(value, dict)]


def _unbound(model: SyncModel, pending: Pending) -> Pending:
    """The row without what it says of others of its own model: those have no local key yet."""
    own = {f.name for f in model.foreign_keys if f.target == model.label}
    generic = {f.name: f.empty for f in model.generic_ids}
    content = tuple(
        None if name in own else generic[name] if name in generic and place_of(value) is not None else value
        for name, value in zip(pending.names, pending.content or (), strict=True)
    )
    decision = None if pending.decision is None else replace(pending.decision, content=None)
    return replace(pending, row=replace(pending.row, content=content), decision=decision)


def _carry_out(session: Session, rows: Sequence[Pending], plan: Plan) -> None:
    """What goes, or is changed, with these rows in models that stay home."""

    def carry(pendings: Sequence[Pending]) -> None:
        for pending in pendings:
            carry_out(session, plan.dependents[pending.place])

    guarded(session, [p for p in rows if p.place in plan.dependents], carry)


def _delete(session: Session, model: SyncModel, rows: list[Pending], plan: Plan) -> None:
    if not rows:
        return
    writer = Writer(session, model)

    def delete(pendings: Sequence[Pending]) -> None:
        writer.delete([str(p.local.pk) for p in pendings])

    _carry_out(session, rows, plan)
    with _uncaptured(session, model):
        guarded(session, rows, delete)


def _check_deferred(session: Session, plan: Plan) -> None:
    """Constraints that wait for the commit are looked at now, while a row can still be left out."""
    if session.connection.vendor != "postgresql":
        if session.broken_before is not None and broken_references(session.connection) - session.broken_before:
            raise Unnamed(Block("constraint", [], "a row of a table that peersync does not know refers to it"))
        return
    bound_wait(session.node)
    try:
        with transaction.atomic(using=session.node.alias), session.connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    except DatabaseError as error:
        if collides(error) and not plan.closely:
            raise Clash from error
        raise Unnamed(reason(error)) from error


def broken_references(connection: Any) -> frozenset[tuple[Any, ...]]:
    """SQLite: table, row, and table referred to, of each reference that leads nowhere now. Reads all tables with some."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA foreign_key_check")
        return frozenset(tuple(row) for row in cursor.fetchall())
