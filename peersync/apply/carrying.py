"""What an incoming row says in fields that its sender lacks, or that we lack: taken where it is news, else kept for others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from peersync import gaps
from peersync.apply.records import CARRIED, record_replaced
from peersync.apply.session import Pending, Session
from peersync.conf import settings
from peersync.registry import SyncModel
from peersync.versions import State, version_of


def widen(session: Session, model: SyncModel, pending: Pending, state: State | None, *, standing: bool) -> None:
    """Take the values of fields that we have, and the sender lacks, where we have not seen them yet.

    What is left in the row's ``more`` is of fields that we lack.
    """
    row = pending.row
    if not row.more:
        return
    taken: dict[str, Any] = {}
    known = set(model.names) - set(pending.names)
    node = session.node
    if row.content is not None and gaps.names_of(row.more) & known:
        here = version_of(state, node.node, node.install, node.baseline(model.label)) if standing or state else {}
        base = state.stored_version(node.node) if state is not None else {}
        stamp = (state.stamp, state.author) if state is not None else (0, node.install)
        for gap in gaps.only(row.more, known):
            if not standing or gap.newer(here, stamp, base=base):
                taken.update(gap.values)
    rest = gaps.only(row.more, model.own_names, others=True)
    content = None if row.content is None else (*row.content, *taken.values())
    pending.row = replace(row, more=rest, content=content)
    pending.names, pending.wide = (*pending.names, *taken), frozenset(taken)


def keep(session: Session, pending: Pending, state: State) -> None:
    """What the row's state keeps of fields that we lack; nothing once the row is gone."""
    if state.deleted or state.gone:
        state.gaps = None
        return
    if not pending.row.more:
        return
    found, lost = gaps.merged(gaps.read(state.gaps), pending.row.more)
    text = gaps.stored(found)
    if text is not None and len(text) > settings().limits.line:
        session.warnings.append(f"{state.model}: what others know of a row is too long to be kept for them.")
        return
    state.gaps = text
    for gap in lost:
        row = replace(pending.row, version=gap.version, stamp=gap.stamp, content=tuple(gap.values.values()))
        record_replaced(session, row, tuple(gap.values), pending.source, CARRIED)
