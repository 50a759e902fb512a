"""Taking a set of rows in: decide, weigh, write what can be written, and let the rest wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db import transaction

from peersync.apply import open_conflicts, waiting
from peersync.apply.accepting import NotAccepted, bounded, judge, refused_before
from peersync.apply.blocks import Block, Place
from peersync.apply.constraints import Weigher
from peersync.apply.isolate import Clash, Poison, Unnamed
from peersync.apply.loading import load
from peersync.apply.session import Pending, Session, decide_all
from peersync.apply.taken import note_taken, unclaim
from peersync.apply.untold import hush, suppose
from peersync.apply.writing import write
from peersync.conflicts import to_cover
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
    unclaim(session, [*opened, *(p for p, _ in waits.values())])
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
                write(session, plan)
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
    note_taken(session, [p for p in active if p.place not in blocked], plan)
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
                write(session, plan)
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
            unclaim(session, [pending])
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
