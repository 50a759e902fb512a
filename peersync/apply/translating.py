"""Foreign keys, and object ids, that bear a name which their row had here before: they are given the one that it has now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from peersync import states
from peersync.apply import waiting
from peersync.apply.naming import akin, renamed_here
from peersync.apply.parts import Names, in_parts
from peersync.apply.session import Pending, Session
from peersync.records import Key, Row
from peersync.registry import SyncModel
from peersync.rows import find_model, plain_reference


def translate(session: Session, pendings: Sequence[Pending]) -> None:
    """Foreign keys that bear a name which a row had here before: they are given the one that it has now."""
    if not any(_pointing(session.model(label)) for label in {p.row.model for p in pendings}):
        return
    names = _names_now(session, pendings)
    if names:
        for pending in pendings:
            pending.row = _translated(session.model(pending.row.model), pending, names)


def _pointing(model: SyncModel) -> bool:
    return bool(model.generic_ids) or any(not plain_reference(field) for field in model.foreign_keys)


def _names_now(session: Session, pendings: Sequence[Pending]) -> Names:
    """Former name → the present one; but for those that another row bears now, or at the source: they mean that one."""
    names: dict[str, dict[Key, Key]] = {}
    for label, former in renamed_here(session).items():
        others = set(find_model(session.connection, session.model(label), former))
        rows = [p.row for p in (*pendings, *waiting.renamed(session, label)) if p.row.model == label]
        known = states.load(session.connection, label, [former[row.key][0] for row in rows if row.key in former])
        for row in rows:
            if row.key in former and not akin(row, known.get(former[row.key][0]), session.node.node):
                others.add(row.key)
        if now := {key: found[1] for key, found in former.items() if key not in others}:
            names[label] = now
    return names


def _translated(model: SyncModel, pending: Pending, names: Names) -> Row:
    row, content = pending.row, pending.row.content
    key = in_parts(model.key, row.key, names)
    earlier = tuple(in_parts(model.key, one, names) for one in row.earlier)
    if content is not None and len(content) == len(pending.names):
        fields = {field.name: field for field in model.fields}
        content = in_parts([fields[name] for name in pending.names], content, names)
    if (key, earlier, content) == (row.key, row.earlier, row.content):
        return row
    return replace(row, key=key, earlier=earlier, content=content)
