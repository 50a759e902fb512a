"""ACCEPT: which rows a push may make, change or leave behind. Judged row by row, in sets, by the database itself.

A row that is changed or deleted must match as it stands before, and one that was written as it stands afterwards: what
it is named by and what its foreign keys lead to count, whichever way they came to be. One that does not match is taken
out of the set, which is written again without it; it waits in quarantine, and is judged anew by the same peer's ACCEPT
whenever it is tried, whoever's transfer that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from peersync.apply.blocks import Block, Place, named
from peersync.apply.session import Pending, Session
from peersync.registry import registry
from peersync.views import View

REASON = "not_accepted"


class NotAccepted(Exception):
    """Rows of a set that was written, and must not stay so."""

    def __init__(self, rows: dict[Place, Block]) -> None:
        super().__init__("rows that ACCEPT does not take")
        self.rows = rows


def bounded(session: Session, label: str) -> bool:
    """Whether the session is a push, and ACCEPT bounds what it may do with rows of the model."""
    return session.pushed is not None and label in registry(session.pushed).bounded


def refused_before(session: Session, pendings: Iterable[Pending]) -> dict[Place, Block]:
    """Those that would change or delete a row which, as it stands, is none of the peer's to write."""
    return _refused(session, [p for p in pendings if p.writes and p.local.content is not None and not p.inserts])


def refused_beside(session: Session, pendings: Iterable[Pending]) -> set[Place]:
    """Of rows that say no more than stands here: those to which the peer may add nothing that is kept for others either."""
    return set(_refused(session, [p for p in pendings if p.row.more and not p.writes and p.local.content is not None]))


def judge(session: Session, pendings: Iterable[Pending]) -> None:
    """Look at what was written; raises NotAccepted with the rows that must not stand as they do now."""
    refused = _refused(session, [p for p in pendings if p.writes and p.content is not None])
    if refused:
        raise NotAccepted(refused)


def _refused(session: Session, pendings: Sequence[Pending]) -> dict[Place, Block]:
    found: dict[tuple[str, str], dict[str, Pending]] = {}
    for pending in pendings:
        if pending.pushed is not None and pending.row.model in registry(pending.pushed).bounded:
            found.setdefault((pending.pushed, pending.row.model), {})[str(pending.local.pk)] = pending
    refused: dict[Place, Block] = {}
    for (peer, label), by_pk in found.items():
        for pk in View(session.node.alias, peer).refused(label, by_pk):
            place = by_pk[pk].place
            refused[place] = Block(REASON, [], f"ACCEPT does not let {peer or 'the peer'} write {named(place)}")
    return refused
