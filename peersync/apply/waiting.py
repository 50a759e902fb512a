"""What can't be written now waits in the database, with the checkpoint that it came with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from peersync import origins
from peersync.apply.blocks import Block, Place
from peersync.apply.packing import pack, unpack
from peersync.apply.records import REPLACED, record_replaced
from peersync.apply.session import Pending, Session
from peersync.records import Key
from peersync.registry import SyncModel
from peersync.rows import as_key, find_model, fits, key_from_json, key_json
from peersync.states import list_parameter, text_list
from peersync.verdicts import version_here
from peersync.versions import covers, join

ASKED_AT_MOST = 2000
EXIT = "leaves the view"
"""The reason of a row that left the source's view while rows that hang on it are still here."""
WITHHELD = "withheld"
"""The reason of a row in whose way stands one that its peer must not know of."""
UNTOLD = f"'not_open', '{WITHHELD}'"
"""Reasons of rows of which the peer is not told that they wait, as a list of SQL."""
QUIET = (EXIT, "not_open", "not_accepted", WITHHELD, "protected", "constraint", "invalid", "policy")
"""Reasons that no answer of the source would mend."""


def waiting(session: Session) -> list[Pending]:
    """All rows that wait here, whatever source they came from, that are still open to this session's peer or its own."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT q.id, q.model, q.row, c.source, q.reason FROM peersync_quarantine q"
            " JOIN peersync_checkpoint c ON c.id = q.checkpoint_id WHERE q.reason <> 'not_open' ORDER BY q.id"
        )
        rows = cursor.fetchall()
    known = session.view.registry.models
    found = []
    for number, label, row, source, reason in rows:
        pending = _of_now(known[label], unpack(label, row, source, number)) if label in known else None
        if pending is not None:
            pending.untold = reason == WITHHELD
            found.append(pending)
    return found


def _of_now(model: SyncModel, pending: Pending) -> Pending | None:
    """The row without fields that the model had when it came, and has no more; None where its key has another form now."""
    row = pending.row
    places = [place for place, name in enumerate(pending.names) if name in model.names]
    if row.content is not None and len(places) < len(pending.names):
        pending.row = replace(row, content=tuple(row.content[place] for place in places))
        pending.names = tuple(pending.names[place] for place in places)
    return pending if fits(model, pending.names, row.key, pending.row.content) else None


def drop_unfit(session: Session, label: str) -> None:
    """Rows of a model whose snapshot begins that are named otherwise than rows are now: they come again, in the new form."""
    model = session.model(label)
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, row FROM peersync_quarantine WHERE checkpoint_id = %s AND model = %s",
            [session.checkpoint.id, label],
        )
        old = [unpack(label, row, session.batch.source, number) for number, row in cursor.fetchall()]
        unfit = [p for p in old if not fits(model, p.names, p.row.key, p.row.content)]
    _drop(session, [p.waiting for p in unfit if p.waiting is not None])


def held(session: Session) -> set[Place]:
    """The keys of rows that wait, or are in an open conflict: what becomes of them is not known yet."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, key FROM peersync_quarantine WHERE reason <> 'not_open'"
            " UNION SELECT model, key FROM peersync_conflict WHERE open"
        )
        return {(label, key_from_json(key)) for label, key in cursor.fetchall()}


def keep(session: Session, blocked: Mapping[Place, tuple[Pending, Block]]) -> None:
    """Store what waits, in place of what waited under the same key from the same source."""
    new = [(p, block) for p, block in blocked.values() if p.waiting is None]
    _note_replaced(session, [p for p, _ in new])
    with session.connection.cursor() as cursor:
        for pending, block in blocked.values():
            needs = json.dumps([[label, key] for label, key in block.needs])
            if pending.waiting is not None:
                cursor.execute(
                    "UPDATE peersync_quarantine SET reason = %s, detail = %s, needs = %s, tried = tried + 1 WHERE id = %s",
                    [block.reason, block.detail[:2000], needs, pending.waiting],
                )
                continue
            cursor.execute(
                "INSERT INTO peersync_quarantine (checkpoint_id, model, key, row, seq, reason, detail, needs, listed,"
                " since, tried) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, CURRENT_TIMESTAMP, 0)"
                " ON CONFLICT (checkpoint_id, model, key) DO UPDATE SET row = excluded.row, seq = excluded.seq,"
                " reason = excluded.reason, detail = excluded.detail, needs = excluded.needs",
                [
                    session.checkpoint.id,
                    pending.row.model,
                    key_json(pending.row.key),
                    pack(pending),
                    pending.row.seq,
                    block.reason,
                    block.detail[:2000],
                    needs,
                    False,
                ],
            )


def _note_replaced(session: Session, pendings: Iterable[Pending]) -> None:
    """Rows that waited and are dropped now, for an answer or a later row whose version does not cover theirs."""
    by_place = {p.place: p for p in pendings}
    if not by_place:
        return
    for number, old in standing(session, by_place).items():
        pending = by_place[old.place]
        facts = session.facts(pending)
        seen = join(version_here(pending.local, facts), pending.row.version)
        if not covers(seen, old.row.version):
            record_replaced(session, old.row, old.names, old.source, REPLACED)
        old.waiting = number


def standing(session: Session, places: Iterable[Place], reason: str = "") -> dict[int, Pending]:
    """What waits from this session's source under these keys, for that reason or any."""
    wanted: dict[str, list[str]] = {}
    for label, key in places:
        wanted.setdefault(label, []).append(key_json(key))
    found = {}
    with session.connection.cursor() as cursor:
        for label, keys in wanted.items():
            cursor.execute(
                "SELECT id, row FROM peersync_quarantine WHERE checkpoint_id = %s AND model = %s"
                " AND %s IN ('', reason) AND " + text_list(session.connection, "key"),
                [session.checkpoint.id, label, reason, list_parameter(session.connection, keys)],
            )
            for number, row in cursor.fetchall():
                found[number] = unpack(label, row, session.batch.source, number)
    return found


def renamed(session: Session, label: str) -> list[Pending]:
    """What waits from this session's source and bears another name than it did before."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, row FROM peersync_quarantine WHERE checkpoint_id = %s AND model = %s AND reason <> 'not_open'"
            " AND row LIKE %s",
            [session.checkpoint.id, label, '%"earlier": [[%'],
        )
        found = [unpack(label, row, session.batch.source, number) for number, row in cursor.fetchall()]
    return [pending for pending in found if pending.row.earlier and pending.content is not None]


def hidden_needs(session: Session) -> dict[Place, Place]:
    """Rows that are hidden from this session's peer → the row of it that waits for them untold."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, key, needs FROM peersync_quarantine WHERE checkpoint_id = %s AND reason = %s",
            [session.checkpoint.id, WITHHELD],
        )
        rows = cursor.fetchall()
    return {
        (other, as_key(need)): (label, key_from_json(key))
        for label, key, text in rows
        for other, need in json.loads(text)
    }


def leave(session: Session, taken: Iterable[Pending]) -> None:
    """What was taken in waits no longer; nor does what waited under its key from the same source."""
    taken = list(taken)
    gone = [p.waiting for p in taken if p.waiting is not None]
    fresh = [p for p in taken if p.waiting is None]
    _note_replaced(session, fresh)
    if fresh:
        gone += list(standing(session, [p.place for p in fresh]))
    _drop(session, gone)


def _drop(session: Session, numbers: Collection[int]) -> None:
    if numbers:
        with session.connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM peersync_quarantine WHERE " + text_list(session.connection, "id"),
                [list_parameter(session.connection, numbers)],
            )


def drop_renamed(session: Session, pendings: Iterable[Pending]) -> None:
    """What waits of incoming rows under a name that they have no more: it would become a row that nobody made.

    A page of the feed names what its reader has not read before: what waits since before was renamed, and what another row
    sends under that name comes later.
    """
    cursor: Any = session.batch.start.get("cursor")
    if session.batch.kind != "feed" or cursor is None:
        return
    now = {(p.row.model, key): p.row for p in pendings for key in p.row.earlier if key != p.row.key}
    gone = {n: old for n, old in standing(session, now).items() if old.row.seq <= cursor.seq} if now else {}
    for old in gone.values():
        if not covers(now[old.place].version, old.row.version):
            record_replaced(session, old.row, old.names, old.source, REPLACED)
    _drop(session, gone)


def wanted(session: Session) -> dict[str, tuple[Key, ...]]:
    """What waits from this source, and what that waits for: to be asked for by key."""
    asked: dict[Place, None] = {}
    unnamed: set[Place] = set()  # what is needed, and stands in no row that the peer sent
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, key, needs, reason FROM peersync_quarantine WHERE checkpoint_id = %s ORDER BY id LIMIT %s",
            [session.checkpoint.id, ASKED_AT_MOST],
        )
        for label, key, needs, reason in cursor.fetchall():
            if reason not in QUIET:
                asked[label, key_from_json(key)] = None
                places = [(other, as_key(k)) for other, k in json.loads(needs)]
                asked.update(dict.fromkeys(places))
                unnamed.update(places if reason in ("unique", "children") else ())
    asked.update(dict.fromkeys(session.needed))
    hidden = kept_from(session, unnamed)
    found: dict[str, list[Key]] = {}
    for label, one in asked:
        if label in session.view.registry.models and (label, one) not in hidden:
            found.setdefault(label, []).append(one)
    for label in origins.several(session.connection) & found.keys():
        # the source may not know the name that counts here
        also = origins.others(session.connection, label, found[label])
        found[label] += [key for keys in also.values() for key in keys]
    return {label: tuple(dict.fromkeys(keys)) for label, keys in found.items()}


def kept_from(session: Session, places: Iterable[Place]) -> set[Place]:
    """Those of the rows here that the peer must not hear of, by their keys: it is not asked for them."""
    by_model: dict[str, list[Key]] = {}
    for label, key in places:
        if session.view.filtered(label):
            by_model.setdefault(label, []).append(key)
    found: set[Place] = set()
    for label, keys in by_model.items():
        local = find_model(session.connection, session.view.registry.models[label], keys)
        hidden = session.view.kept_from(session.node, session.batch.source, label, set(local.values()))
        found |= {(label, key) for key, pk in local.items() if pk in hidden}
    return found


def counts(session: Session, reason: str = "") -> dict[str, int]:
    """How many rows of this source wait, for that reason or any, per model; what the peer must not know of is not counted."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, count(*) FROM peersync_quarantine WHERE checkpoint_id = %s"
            f" AND reason NOT IN ({UNTOLD}) AND %s IN ('', reason) GROUP BY model",
            [session.checkpoint.id, reason],
        )
        return dict(cursor.fetchall())


def some(session: Session, reasons: Sequence[str]) -> int:
    """How many rows of this source wait for one of these reasons."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM peersync_quarantine WHERE checkpoint_id = %s AND "
            + text_list(session.connection, "reason"),
            [session.checkpoint.id, list_parameter(session.connection, reasons)],
        )
        return int(cursor.fetchone()[0])


def list_all(session: Session) -> None:
    """The transfer ended: what still waits is quarantine. A row that left the view, but is held up, stays and is counted."""
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, model FROM peersync_quarantine WHERE checkpoint_id = %s AND reason = %s",
            [session.checkpoint.id, EXIT],
        )
        stays = cursor.fetchall()
        for _, label in stays:
            session.count(label).kept_at_target += 1
        _drop(session, [number for number, _ in stays])
        cursor.execute(
            "UPDATE peersync_quarantine SET listed = %s WHERE checkpoint_id = %s", [True, session.checkpoint.id]
        )


def lowest(connection: Any, source: str) -> int | None:
    """The lowest place of the source's feed that waits or is in an open conflict here; None where nothing does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(seq) FROM (SELECT q.seq FROM peersync_quarantine q"
            f" JOIN peersync_checkpoint c ON c.id = q.checkpoint_id WHERE c.source = %s AND reason NOT IN ({UNTOLD})"
            " UNION ALL SELECT seq FROM peersync_conflict WHERE open AND source = %s AND seq > 0) held",
            [source, source],
        )
        found = cursor.fetchone()[0]
    return None if found is None else int(found)
