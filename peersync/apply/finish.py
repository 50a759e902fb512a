"""The end of a transfer (``merging``: section 6): what waits is asked for, tried together, and decided where it must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peersync import states
from peersync.apply import open_conflicts, waiting
from peersync.apply.blocks import Block, Place
from peersync.apply.constraints import Weigher, tombstoned
from peersync.apply.loading import load
from peersync.apply.records import record
from peersync.apply.session import Pending, Session, decide_all
from peersync.apply.settle import take
from peersync.conflicts import deletion_lost
from peersync.records import Row

ROUNDS = 12
DEPTH = 12
"""How many rows, one hanging on the other, come back for one at the end of their chain."""


def finish(session: Session, answers: Sequence[Row]) -> None:
    """Take the answers by key in, then everything that waits, until nothing moves."""
    answered = [session.pend(row) for row in answers if row.kind in ("row", "exit")]
    session.answered = {(row.model, row.key): ((), None) for row in answers if row.kind == "none"}
    session.answered |= {p.place: (p.names, p.row.content) for p in answered}
    take(session, answered)
    # by the names that they are called here
    got = {(row.model, row.key): row for row in answers if row.kind == "none"} | {p.place: p.row for p in answered}
    for _ in range(ROUNDS):
        pendings = waiting.waiting(session)
        if not pendings:
            return
        if any(len(take(session, some)) < len(some) for some in _turns(pendings)):
            continue
        if not _decide(session, [p for p in pendings if p.source == session.batch.source], got):
            return


def _turns(pendings: Sequence[Pending]) -> Iterator[list[Pending]]:
    """Sets with one row of each key: the oldest first, and where several wait under one key, the next ones in their turn."""
    found: dict[Place, list[Pending]] = {}
    for pending in sorted(pendings, key=lambda p: (p.row.stamp, p.row.author)):
        found.setdefault(pending.place, []).append(pending)
    for turn in range(max(map(len, found.values()))):
        yield [some[min(turn, len(some) - 1)] for some in found.values()]


def _decide(session: Session, left: Sequence[Pending], got: dict[Place, Row]) -> bool:
    """Of this source, asked, and it still can't be written: a parent that was deleted here comes back, or a deletion loses."""
    load(session, left)
    decide_all(session, left, frozenset())
    held = waiting.held(session)
    for pending in left:
        if pending.local.busy:
            continue
        block = Weigher(session, [pending]).plan().blocked.get(pending.place)
        if block is None:
            continue
        if block.reason == "parent" and _bring_back(session, block, got):
            return True
        hidden = waiting.kept_from(session, block.needs)
        unseen = any(need in hidden or (need in got and need not in held) for need in block.needs)
        if block.reason == "children" and unseen:
            _lose(session, pending)
            return True
    return False


def _bring_back(session: Session, block: Block, got: dict[Place, Row], depth: int = DEPTH) -> bool:
    """The row that is needed, and before it the one that it hangs on itself, which may have gone with it."""
    place = block.needs[0]
    parent = got.get(place)
    if parent is None and tombstoned(session, place):
        session.needed.add(place)  # the source is asked for it
    if parent is None or parent.deleted or parent.kind != "row" or not tombstoned(session, place):
        return False
    pending, forced = session.pend(parent), frozenset([place])
    load(session, [pending])
    decide_all(session, [pending], forced)
    above = Weigher(session, [pending]).plan().blocked.get(pending.place)
    if above is not None and above.reason == "parent":
        return depth > 0 and _bring_back(session, above, got, depth - 1)
    left = take(session, [session.pend(parent)], forced)
    return not left and not tombstoned(session, place)  # under "manual" it stays as it is


def _lose(session: Session, pending: Pending) -> None:
    """The deletion loses against children that its deleter had not seen; the row travels back."""
    decision = deletion_lost(pending.row, pending.local, session.facts(pending))
    record(session, pending, decision.record, decision.winner)
    if decision.state is not None:
        decision.state.pk = decision.state.pk if pending.local.pk is None else pending.local.pk
        states.save(session.connection, [decision.state])
    pending.decision = decision
    open_conflicts.close(session, [pending])
    waiting.leave(session, [pending])
