"""Conflicts that nobody has settled yet (the policy ``manual``): one per row and source, with the version that came last.

Both sides stay as they are meanwhile. It closes by itself as soon as the row here has seen that version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from peersync.apply.records import entry_of, version_json, write_records
from peersync.apply.session import Pending, Session
from peersync.rows import key_json
from peersync.states import list_parameter, text_list
from peersync.versions import Version, covers, version_of

REPLACED = "open conflict replaced"
"""Kind of the record of a version that was in an open conflict, and that the next one of its source had not seen."""
_UPDATED = ("key", "pk_text", "local", "incoming", "local_version", "incoming_version", "seq", "stamp")


class _Open(NamedTuple):
    number: int
    key: str
    pk: str
    source: str
    version: Version
    local: str | None
    incoming: str | None
    local_version: str


Standing = dict[tuple[str, str], list[_Open]]
"""Model and name of a row (its key as JSON, or its local primary key) → the conflicts that are open for it."""


def keep(session: Session, pendings: Sequence[Pending]) -> None:
    """Open a conflict for each, or give the one that is open for its row the version that came now."""
    standing = _standing(session, pendings)
    opened: list[dict[str, Any]] = []
    changes: list[list[Any]] = []
    for pending in pendings:
        entry = entry_of(session, pending, "conflict", "")
        found = (one for one in _of(standing, pending) if one.source == pending.source)
        old = next(found, None)
        if old is None:
            opened.append(entry)
        else:
            changes.append([*(entry[name] for name in _UPDATED), old.number])
            if not covers(pending.row.version, old.version):
                _keep_replaced(session, old, entry)
        if old is None or old.version != pending.row.version:
            session.opened.append(entry)
            session.count(pending.row.model).conflicts += 1
    # at once: whatever this transaction decides from now on has to know of them
    write_records(session.connection, opened)
    if changes:
        sets = ", ".join(f'"{name}" = %s' for name in _UPDATED)
        with session.connection.cursor() as cursor:
            cursor.executemany(f"UPDATE peersync_conflict SET {sets} WHERE id = %s", changes)


def _keep_replaced(session: Session, old: _Open, entry: dict[str, Any]) -> None:
    """The source sent a version that does not cover the one before: that one is kept in a record of its own."""
    replaced = {name: getattr(old, name) for name in ("local", "incoming", "local_version")}
    session.records.append(
        {**entry, **replaced, "kind": REPLACED, "incoming_version": version_json(old.version), "open": False}
    )


def close(session: Session, taken: Iterable[Pending]) -> None:
    """Close what the rows that were just decided have seen by now."""
    pendings = [p for p in taken if p.decision is not None and p.decision.state is not None]
    standing = _standing(session, pendings)
    closed = [
        (*_outcome(pending, one), one.number)
        for pending in pendings
        if standing
        for one in _of(standing, pending)
        if covers(_version_now(session, pending), one.version)
    ]
    if closed:
        with session.connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE peersync_conflict SET open = %s, winner = %s, settled = CURRENT_TIMESTAMP WHERE id = %s", closed
            )


def _outcome(pending: Pending, one: _Open) -> tuple[bool, str]:
    """That it is not open any more, and which of the two sides the row is as now."""
    decision = pending.decision
    content = pending.content if decision is not None and decision.write else pending.local.content
    for winner, text in (("incoming", one.incoming), ("local", one.local)):
        side = json.loads(text or "null")
        if (None if side is None else tuple(side.get(name) for name in pending.names)) == content:
            return False, winner
    return False, "merged"


def _version_now(session: Session, pending: Pending) -> dict[str, int]:
    facts = session.facts(pending)
    state = pending.decision.state if pending.decision is not None else None
    return version_of(state, facts.node, facts.install, facts.baselines)


def _names(pending: Pending) -> tuple[str, ...]:
    keys = (key_json(pending.row.key), key_json(pending.former or pending.row.key))
    return tuple(dict.fromkeys([*keys, pending.local.pk or keys[0]]))


def _of(standing: Standing, pending: Pending) -> list[_Open]:
    found = [one for name in _names(pending) for one in standing.get((pending.row.model, name), ())]
    return list({one.number: one for one in found}.values())


def _standing(session: Session, pendings: Sequence[Pending]) -> Standing:
    wanted: dict[str, set[str]] = {}
    for pending in pendings:
        wanted.setdefault(pending.row.model, set()).update(_names(pending))
    found: Standing = {}
    if not wanted or not _any(session):
        return found
    for label, names in wanted.items():
        for one in _of_model(session, label, names):
            for name in {one.key, one.pk}:
                found.setdefault((label, name), []).append(one)
    return found


def _any(session: Session) -> bool:
    with session.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_conflict WHERE open LIMIT 1")
        return cursor.fetchone() is not None


def _of_model(session: Session, label: str, names: set[str]) -> list[_Open]:
    connection = session.connection
    names_given = list_parameter(connection, names)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, key, pk_text, source, incoming_version, local, incoming, local_version FROM peersync_conflict"
            f" WHERE open AND model = %s AND ({text_list(connection, 'pk_text')} OR {text_list(connection, 'key')})",
            [label, names_given, names_given],
        )
        return [_Open(n, key, pk, source, json.loads(v), *rest) for n, key, pk, source, v, *rest in cursor.fetchall()]


def counts(session: Session) -> dict[str, int]:
    """How many conflicts with versions of this source are open, per model."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, count(*) FROM peersync_conflict WHERE open AND source = %s GROUP BY model",
            [session.batch.source],
        )
        return dict(cursor.fetchall())
