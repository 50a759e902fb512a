"""What a peer hears of the rows that it sent, in figures; and what it must not hear: that a hidden row is in their way.

Such a row waits, and its owner sees why. The peer is answered as if it had come in, as it would be if nothing was there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from peersync.apply import waiting
from peersync.apply.blocks import Block, Place
from peersync.apply.constraints import order
from peersync.apply.session import Pending, Session
from peersync.verdicts import Decision
from peersync.versions import covers


def count(session: Session, pending: Pending, decision: Decision) -> None:
    """Add what the decision does to the contents to the figures."""
    if pending.untold:
        return
    figures = session.count(pending.row.model)
    if pending.supposed is not None:
        old = pending.supposed
        same = pending.row.content == old.content or covers(old.version, pending.row.version)
        figures.unchanged += same
        figures.deleted += pending.row.deleted and not same
        figures.updated += not pending.row.deleted and not same
    elif not decision.write:
        figures.unchanged += pending.row.content is not None or pending.local.content is not None
    elif pending.content is None:
        figures.deleted += pending.local.content is not None
    elif pending.local.content is None:
        figures.created += 1
    else:
        figures.updated += 1


def suppose(session: Session, pendings: Sequence[Pending]) -> None:
    """Note what the peer takes to be here of rows that it sends anew."""
    fresh = {p.place: p for p in pendings if p.waiting is None and p.row.kind == "row"} if session.overheard else {}
    for before in waiting.standing(session, fresh, waiting.WITHHELD).values():
        fresh[before.place].supposed = before.row


def hush(session: Session, waits: Mapping[Place, tuple[Pending, Block]]) -> None:
    """Let the rows wait untold in whose way stands what the peer must not know of, and those that wait for them."""
    for pending, block in waits.values():
        if pending.untold and pending.source != session.batch.source:
            block.reason = waiting.WITHHELD  # its own peer's next batch looks at it anew
    if not session.overheard:
        return
    for place in _untold(session, waits):
        pending, block = waits[place]
        block.reason = waiting.WITHHELD
        if pending.decision is not None:
            count(session, pending, pending.decision)


def _untold(session: Session, waits: Mapping[Place, tuple[Pending, Block]]) -> set[Place]:
    mine = {place: block for place, (p, block) in waits.items() if p.source == session.batch.source}
    found = _against_hidden(session, mine)
    parents = [need for block in mine.values() if block.reason == "parent" for need in block.needs]
    above = found | {p.place for p in waiting.standing(session, parents, waiting.WITHHELD).values()}
    while above:
        above = {
            p for p, block in mine.items() if block.reason == "parent" and not above.isdisjoint(block.needs)
        } - found
        found |= above
    return found


def _against_hidden(session: Session, mine: Mapping[Place, Block]) -> set[Place]:
    """Of several rows that want one value the peer is told of the others that the first one has it."""
    blocks = {place: block for place, block in mine.items() if block.reason == "unique"}
    hidden = waiting.kept_from(session, [need for block in blocks.values() for need in block.needs])
    first = waiting.hidden_needs(session) if hidden else {}
    found = set()
    for place in sorted(blocks, key=order):
        for need in hidden.intersection(blocks[place].needs):
            if first.setdefault(need, place) == place:
                found.add(place)
            else:
                blocks[place].needs = [first[need]]
    return found
