"""ACCEPT: which rows a push may make, change or leave behind. Judged row by row, in sets, by the database itself.

A row that is changed or deleted must match as it stands before, and one that was written as it stands afterwards: what
it is named by and what its foreign keys lead to count, whichever way they came to be. One that does not match is taken
out of the set, which is written again without it; it waits in quarantine, and is judged anew by the same peer's ACCEPT
whenever it is tried, whoever's transfer that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet

from peersync.apply.blocks import Block, Place, named
from peersync.apply.session import Pending, Session
from peersync.queries import among, texts
from peersync.registry import Registry, registry
from peersync.views import filtered_by

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
        rows, key = _accepted(registry(peer), label, session.node.alias, peer), registry(peer).models[label].local
        taken = set(texts(among(rows, key, by_pk), key))
        for pk in by_pk.keys() - taken:
            place = by_pk[pk].place
            refused[place] = Block(REASON, [], f"ACCEPT does not let {peer or 'the peer'} write {named(place)}")
    return refused


def _accepted(known: Registry, label: str, alias: str, peer: str) -> QuerySet[Any]:
    """The rows that a push may write: by the model's own ACCEPT, and by that of the rows whose part they are."""
    model = known.models[label]
    rows = filtered_by(model.accept, model.model._base_manager.using(alias).all(), peer, f"ACCEPT of {label}")
    for field in known.parts(label):
        key: Any = field.raw.field
        whole = _accepted(known, str(field.target), alias, peer).order_by().values(key.target_field.attname)
        rows = rows.filter(**{f"{key.name}__in": whole})
    return rows
