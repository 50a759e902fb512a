"""What becomes of rows that were taken in, or could not be: states, records, figures, what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence

from peersync import memory, states
from peersync.apply import carrying, open_conflicts
from peersync.apply.accepting import refused_beside
from peersync.apply.constraints import Plan
from peersync.apply.filed import note_files, write_files
from peersync.apply.records import record
from peersync.apply.session import Pending, Session
from peersync.apply.untold import count
from peersync.conflicts import unclaimed
from peersync.rows import NO_ROW, key_json
from peersync.tombstones import earlier_keys, ended_in
from peersync.verdicts import Decision
from peersync.versions import State


def note_taken(session: Session, taken: Sequence[Pending], plan: Plan) -> None:
    """States, records and figures of what was taken in."""
    saved: list[State] = []
    moved: dict[str, list[str]] = {}
    refused = refused_beside(session, taken)
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
            if pending.place not in refused:
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


def unclaim(session: Session, pendings: Sequence[Pending]) -> None:
    """Rows of a snapshot that could not be taken in: the baseline that comes must not claim that they were."""
    if session.batch.kind != "snapshot":
        return
    found = [unclaimed(p.local, session.facts(p), p.row.model) for p in pendings]
    states.save(session.connection, [state for state in found if state is not None])
