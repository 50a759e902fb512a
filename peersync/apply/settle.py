"""Taking a set of rows in: decide, weigh, write what can be written, and let the rest wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from django.db import DatabaseError, transaction

from peersync import capture, memory, states
from peersync.apply import carrying, open_conflicts, waiting
from peersync.apply.accepting import NotAccepted, bounded, judge, refused_before
from peersync.apply.blocks import Block, Place
from peersync.apply.cascade import carry_out
from peersync.apply.circles import numbers_ahead
from peersync.apply.constraints import Plan, Weigher
from peersync.apply.exchange import Exchange, allowed, turns
from peersync.apply.filed import note_files, write_files
from peersync.apply.indexes import has_exclusions
from peersync.apply.isolate import Clash, Poison, Unnamed, collides, guarded, reason
from peersync.apply.loading import load
from peersync.apply.naming import becoming
from peersync.apply.numbers import given, note_names
from peersync.apply.pointers import place_of
from peersync.apply.records import record
from peersync.apply.sequences import move_past
from peersync.apply.session import Pending, Session, decide_all
from peersync.apply.untold import count, hush, suppose
from peersync.apply.write import Writer, by_fields
from peersync.conflicts import to_cover, unclaimed
from peersync.registry import SyncModel
from peersync.rows import NO_ROW, as_key, key_json, plain_reference
from peersync.tombstones import earlier_keys, ended_in
from peersync.transactions import bound_wait
from peersync.verdicts import Decision
from peersync.versions import State, covers


def take(session: Session, pendings: Sequence[Pending], forced: frozenset[Place] = frozenset()) -> list[Pending]:
    """Take the rows in, all that can be; returns those that wait. One row of a key at a time."""
    load(session, pendings)
    decide_all(session, pendings, forced)
    suppose(session, pendings)
    waits: dict[Place, tuple[Pending, Block]] = {}
    active = [p for p in pendings if not _set_aside(session, p, waits)]
    opened = [p for p in pendings if p.decision is not None and p.decision.open]
    open_conflicts.keep(session, opened)
    blocked = _write_all(session, active)
    taken = [p for p in active if p.place not in blocked]
    for pending in active:
        block = blocked.get(pending.place)
        if block is not None:
            leaves = pending.row.kind == "exit"
            waits[pending.place] = (pending, replace(block, reason=waiting.EXIT) if leaves else block)
    stays = [p for p in pendings if p.row.kind == "exit" and p.decision is None]
    waiting.leave(session, [*(p for p in taken if p.row.kind in ("row", "exit")), *stays, *opened])
    hush(session, waits)
    waiting.drop_renamed(session, pendings)
    waiting.keep(session, waits)
    _unclaim(session, [*opened, *(p for p, _ in waits.values())])
    return [p for p, _ in waits.values()]


def write_decided(session: Session, pendings: Sequence[Pending]) -> Mapping[Place, Block]:
    """Carry out what is decided already, as far as it can be; returns what was left out, and why."""
    return _write_all(session, pendings)


def _write_all(session: Session, active: Sequence[Pending]) -> dict[Place, Block]:
    """Write all that breaks nothing, with states, records and figures; what is left, and why."""
    refused = refused_before(session, active)
    closely = False
    while True:
        plan = Weigher(session, [p for p in active if p.place not in refused], closely=closely).plan()
        try:
            with transaction.atomic(using=session.node.alias):
                _write(session, plan)
                judge(session, plan.rows)
            break
        except NotAccepted as found:
            refused |= found.rows
        except Clash:
            closely = True
        except Poison as poison:
            refused |= poison.rows
        except Unnamed as broken:
            if len(plan.rows) > 1:
                return refused | _write_halves(session, [p for p in active if p.place not in refused])
            refused |= {p.place: broken.block for p in plan.rows}
    blocked = plan.blocked | refused
    _finish(session, [p for p in active if p.place not in blocked], plan)
    return blocked


def would_refuse(session: Session, pendings: Sequence[Pending]) -> frozenset[Place]:
    """Of rows that are tried only: those that ACCEPT does not take. They are written for that, and nothing of it stays."""
    active = [p for p in pendings if p.writes and bounded(session, p.row.model)]
    refused = refused_before(session, active)
    session.tried = True
    while left := [p for p in active if p.place not in refused]:
        plan = Weigher(session, left).plan()
        try:
            with transaction.atomic(using=session.node.alias):
                _write(session, plan)
                judge(session, plan.rows)
                transaction.set_rollback(True, using=session.node.alias)
            break
        except NotAccepted as found:
            refused |= found.rows
        except (Clash, Poison, Unnamed):  # what else is wrong with them a trial does not say
            break
    return frozenset(refused)


def _write_halves(session: Session, active: Sequence[Pending]) -> dict[Place, Block]:
    """Parents first, deletions last: what relies on the other half has its turn when the rows that wait are tried."""
    rank = session.view.registry.rank
    rows = sorted(active, key=lambda p: (p.deletes, -rank[p.row.model] if p.deletes else rank[p.row.model]))
    middle = len(rows) // 2
    return _write_all(session, rows[:middle]) | _write_all(session, rows[middle:])


def _set_aside(session: Session, pending: Pending, waits: dict[Place, tuple[Pending, Block]]) -> bool:
    """Rows that are not decided by their versions: busy here or there, gone from the view, or none of the peer's business."""
    row, local = pending.row, pending.local
    if local.hidden:
        if row.kind == "row":
            _keep_quietly(session, pending)
        return True
    if row.kind == "busy":
        if session.batch.kind == "snapshot":
            _unclaim(session, [pending])
        return True
    if row.kind == "exit":
        pending.decision = _exit(session, pending)
        return pending.decision is None
    if local.busy and row.kind == "row":
        waits[pending.place] = (pending, Block("busy", [], "a writer holds the row"))
        return True
    if pending.failed:
        waits[pending.place] = (pending, Block("policy", [], pending.failed))
        return True
    return row.kind == "none" or (pending.decision is not None and pending.decision.open)


def _keep_quietly(session: Session, pending: Pending) -> None:
    """The peer hears what it would of a row that does not stand here, as if what it sends came in; the owner sees it."""
    row, figures = pending.row, session.count(pending.row.model)
    before = next(iter(waiting.standing(session, [pending.place]).values()), None)
    old = None if before is None else before.row.content
    if row.content == old or (before is not None and covers(before.row.version, row.version)):
        figures.unchanged += row.content is not None or old is not None
        return
    figures.created += old is None
    figures.deleted += row.deleted
    figures.updated += old is not None and not row.deleted
    block = Block("not_open", [], "the peer sent a row that it was never shown and that stands here")
    waiting.keep(session, {pending.place: (pending, block)})


def _exit(session: Session, pending: Pending) -> Decision | None:
    """The row left the source's filter for this node: it goes here too, unless it was changed here meanwhile.

    Its version stays what it was: nobody here has seen what the row says now, and who makes one anew under its key
    must not claim that he had.
    """
    row, local = pending.row, pending.local
    facts = session.facts(pending)
    if local.content is None or local.busy or not covers(row.version, to_cover(row, local, facts)):
        return None
    state = replace(local.state) if local.state else State(row.model, local.pk or "", pre=True)
    state.stamp, state.author, state.sender, state.seq, state.gone = row.stamp, row.author, pending.source, None, True
    return Decision("newer", state, write=True)


# ---------------------------------------------------------------------- writing


def _write(session: Session, plan: Plan) -> None:
    """Parents first, then deletions children first; raises Poison with the rows that the database refused."""
    order = list(session.view.registry.models.values())
    by_model: dict[str, list[Pending]] = {}
    for pending in plan.rows:
        by_model.setdefault(pending.row.model, []).append(pending)
    present = [model for model in order if model.label in by_model]
    if not plan.closely:
        for model in present:
            _park(session, model, by_model[model.label], plan)
    plan.ahead = numbers_ahead(
        session, present, {m.label: [p for p in by_model[m.label] if p.inserts] for m in present}
    )
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
        levels, circles = _levels(model, group)
        for level in levels:
            guarded(session, level, insert, clash=clash)
        guarded(session, circles, insert_circles, clash=clash)


def _levels(model: SyncModel, rows: list[Pending]) -> tuple[list[list[Pending]], list[Pending]]:
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


# ---------------------------------------------------------------------- afterwards


def _finish(session: Session, taken: Sequence[Pending], plan: Plan) -> None:
    """States, records and figures of what was taken in."""
    saved: list[State] = []
    moved: dict[str, list[str]] = {}
    for pending in taken:
        decision = pending.decision
        if decision is None:
            continue
        count(session, pending, decision)
        cascade = plan.dependents[pending.place].records if pending.place in plan.dependents else []
        if decision.record or cascade:
            record(session, pending, decision.record or "cascade", decision.winner, cascade)
        state = decision.state
        if state is not None:
            old = state.pk
            _complete(session, pending, decision, state)
            carrying.keep(session, pending, state)
            if state.stored and old and old != state.pk:
                moved.setdefault(state.model, []).append(old)
            saved.append(state)
        if decision.write:
            session.written.setdefault(pending.row.model, []).append(pending.local.pk or "")
            note_files(session, pending)
    write_files(session)
    for label, pks in moved.items():
        states.delete(session.connection, label, pks)
    states.save(session.connection, saved)
    open_conflicts.close(session, taken)
    _remember(session, taken)


def _complete(session: Session, pending: Pending, decision: Decision, state: State) -> None:
    """Where the row stands now, and what its tombstone is called."""
    content = pending.content if decision.write else pending.local.content
    key = key_json(pending.row.key)
    if pending.local.pk is not None:
        state.pk = pending.local.pk
    elif not state.pk:
        state.pk = f"{NO_ROW}{key}"
    if state.gone:
        state.deleted, state.key = False, None
        return
    state.deleted = content is None
    state.key = key_json(pending.former or pending.row.key) if content is None else None
    if not session.model(state.model).origin:
        _complete_names(pending, decision, state)


def _complete_names(pending: Pending, decision: Decision, state: State) -> None:
    """What the row was called before, here or there: whoever knows it by such a name must find it."""
    row, former = pending.row, pending.former or pending.row.key
    renamed = decision.write and not decision.keeps_name
    now = row.key if renamed and pending.content is not None else former
    changed = decision.write or former != row.key
    names = [*row.earlier, former, row.key] if changed else row.earlier
    more = [key for key in dict.fromkeys(names) if key != now]
    if more or ended_in(row):
        # a name that lost here is news for the source too, whether the source's or our own
        heard = pending.source if renamed or not changed else ""
        unheard = [former] if renamed and decision.kind == "conflict" and former not in (now, *row.earlier) else []
        told = [key for key in more if key not in unheard]
        state.earlier = earlier_keys(state.earlier, told, heard, ended=ended_in(row))
        state.earlier = earlier_keys(state.earlier, unheard)
    if pending.joins:
        state.earlier = earlier_keys(state.earlier, (), ended=[row.key])


def _remember(session: Session, taken: Sequence[Pending]) -> None:
    """What the peer sent, the peer has: rows in view, or its own where they never were."""
    places: dict[str, dict[str, int | None]] = {}
    view, source = session.view, session.batch.source
    for label in {p.row.model for p in taken if view.filtered(p.row.model)}:
        pks = [
            p.local.pk
            for p in taken
            if p.row.model == label
            and p.source == source
            and p.local.pk is not None
            and p.row.kind == "row"
            and not p.row.deleted
        ]
        known = memory.remembered(session.node, source, label, pks)
        visible = view.visible(label, pks)
        places[label] = {
            pk: memory.IN_VIEW if pk in visible or known.get(pk, memory.ITS_OWN) != memory.ITS_OWN else memory.ITS_OWN
            for pk in pks
        }
    for label, found in places.items():
        memory.remember(session.node, source, label, found)


def _unclaim(session: Session, pendings: Sequence[Pending]) -> None:
    """Rows of a snapshot that could not be taken in: the baseline that comes must not claim that they were."""
    if session.batch.kind != "snapshot":
        return
    found = [unclaimed(p.local, session.facts(p), p.row.model) for p in pendings]
    states.save(session.connection, [state for state in found if state is not None])
