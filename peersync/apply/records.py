"""Records of rows that lost although the winner had not seen them (P3): whole, as readable JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from peersync.apply.session import Pending, Session
from peersync.openings import OPENED
from peersync.records import Row
from peersync.registry import SyncModel
from peersync.rows import key_json
from peersync.verdicts import stamp_here, version_here
from peersync.versions import UNNUMBERED, Version

COUNTED = ("conflict", "two settlements of one conflict", "deletion lost", "mirror", "repair", OPENED)
"""Kinds that count as a conflict found; the others record what was lost with a deletion or a replaced row."""

REPLACED = "waiting row replaced"
LOST = "lost with a restored peer"
CARRIED = "carried value replaced"
ONE_SIDED = frozenset({REPLACED, LOST, CARRIED})
"""Kinds that record a row which waited and was dropped, or values that were kept for others: of the row that stood here
they say nothing."""


def whole(model: SyncModel, pending: Pending) -> dict[str, Any] | None:
    """Every synchronised field of the row that stands here."""
    if pending.local.whole is None:
        return None
    return dict(zip(pending.local.names or model.names, pending.local.whole, strict=True))


def incoming(pending: Pending) -> dict[str, Any] | None:
    if pending.row.content is None:
        return None
    return dict(zip(pending.names, pending.row.content, strict=True))


def record(session: Session, pending: Pending, kind: str, winner: str, cascade: Sequence[dict[str, Any]] = ()) -> None:
    """Note it; it is written with the rest of the session."""
    entry = entry_of(session, pending, kind, winner)
    entry["cascade"] = json.dumps(list(cascade), ensure_ascii=False)
    session.records.append(entry)
    if kind in COUNTED:
        session.count(pending.row.model).conflicts += 1


def entry_of(session: Session, pending: Pending, kind: str, winner: str) -> dict[str, Any]:
    """The record of a row that stands here, and of the one that came: column → value."""
    model = session.model(pending.row.model)
    facts = session.facts(pending)
    decision = pending.decision
    return {
        "model": pending.row.model,
        "key": key_json(pending.row.key),
        "pk_text": pending.local.pk or "",
        "kind": kind,
        "policy": model.policy if kind == "conflict" else "",
        "winner": winner,
        "source": pending.source,
        "local": _json(whole(model, pending)),
        "incoming": _json(incoming(pending)),
        "local_version": version_json(version_here(pending.local, facts)),
        "incoming_version": version_json(pending.row.version),
        "cascade": "[]",
        "open": decision is not None and decision.open,
        "seq": pending.row.seq,
        "stamp": max(pending.row.stamp, stamp_here(pending.local, facts)[0]),
        "settled": decision is not None and decision.clean,
    }


def record_replaced(session: Session, row: Row, names: Sequence[str], source: str, kind: str) -> None:
    """A row that waited here and is dropped for one that had not seen it."""
    session.records.append(
        {
            "model": row.model,
            "key": key_json(row.key),
            "pk_text": "",
            "kind": kind,
            "policy": "",
            "winner": "incoming",
            "source": source,
            "local": None,
            "incoming": _json(dict(zip(names, row.content, strict=True)) if row.content is not None else None),
            "local_version": "{}",
            "incoming_version": version_json(row.version),
            "cascade": "[]",
            "open": False,
            "seq": row.seq,
            "stamp": row.stamp,
            "settled": False,
        }
    )


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def version_json(version: Version) -> str:
    return json.dumps({node: place for node, place in version.items() if place != UNNUMBERED})


def write_records(connection: Any, records: Iterable[dict[str, Any]]) -> None:
    rows = list(records)
    if not rows:
        return
    columns = ", ".join(f'"{name}"' for name in rows[0])
    marks = ", ".join("CASE WHEN %s THEN CURRENT_TIMESTAMP END" if name == "settled" else "%s" for name in rows[0])
    with connection.cursor() as cursor:
        cursor.executemany(
            f'INSERT INTO peersync_conflict ({columns}, "at") VALUES ({marks}, CURRENT_TIMESTAMP)',
            [list(row.values()) for row in rows],
        )
