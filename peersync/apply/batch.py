"""One batch: is it for me, does it start where I stand, can it be true; then take it in and move the checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.dispatch import Signal

from peersync import bases, clock, memory, progress, prune, telling
from peersync.apply import open_conflicts, waiting
from peersync.apply.accepting import REASON
from peersync.apply.bulk import take_bulk
from peersync.apply.finish import finish
from peersync.apply.loading import load
from peersync.apply.proof import candidates, delete_certain
from peersync.apply.records import write_records
from peersync.apply.session import Session, check_fields, decide_all, own_role
from peersync.apply.settle import take, would_refuse
from peersync.apply.untold import count
from peersync.apply.writing import broken_references
from peersync.conf import settings
from peersync.conf_values import MATCHES
from peersync.errors import ForgedVersion, StaleBatch, TooManyConflicts, WireError, WrongTarget
from peersync.files.noting import look_again
from peersync.histories import check_points
from peersync.records import Batch, Caller, Figures, Key, Match, Outcome, Row
from peersync.transactions import NodeRow, writing
from peersync.views import View

rows_applied = Signal()
"""Sent after the commit, with ``using``, ``peer`` (its name here) and ``rows``: {label: [local primary keys as text]}.

A run that the database took in as a whole has an empty list."""
conflict_found = Signal()
"""Sent after the commit, with ``using``, ``peer`` and ``conflicts``: what the records hold."""


UNASKED = (REASON, "protected", "constraint", "invalid", "policy", waiting.WITHHELD)
"""Reasons why a row waits of which the source knows nothing: nobody asks for such a row, so the end tries it again."""


def apply_batch(view: View, caller: Caller, batch: Batch) -> Outcome:
    """Take the batch in, in one transaction with the checkpoint.

    Raises WrongTarget, UnknownPoint, StaleBatch, ForgedVersion, UnknownModel, UnknownField, WireError,
    TooManyConflicts: nothing was written then.
    """
    dry = bool(batch.options.get("dry_run"))
    try:
        session, outcome = _applied(view, caller, batch, dry=dry)
    except IntegrityError:
        # SQLite names a reference that breaks at the commit only, and not whose: once more, looking after each write.
        if connections[view.alias].vendor != "sqlite":
            raise
        session, outcome = _applied(view, caller, batch, dry=dry, careful=True)
    if not dry:
        _send(session)
    return outcome


def _applied(view: View, caller: Caller, batch: Batch, *, dry: bool, careful: bool = False) -> tuple[Session, Outcome]:
    with writing(view.alias) as node:
        session = _session(node, view, caller, batch, dry=dry)
        if careful:
            session.broken_before = broken_references(session.connection)
        outcome = _dry(session) if dry else _apply(session)
        if dry:
            transaction.set_rollback(True, using=view.alias)
    return session, outcome


def _session(node: NodeRow, view: View, caller: Caller, batch: Batch, *, dry: bool) -> Session:
    if batch.target != node.node:
        raise WrongTarget("The batch was made for another node, or before this one took a new id.")
    if caller.node and caller.node != batch.source:
        raise WrongTarget("The batch comes in another node's name.")
    if batch.source == node.node:
        raise WrongTarget("Source and target have the same node id.", hint="Run: manage.py sync_peer renew")
    check_points(node, batch.points)
    checkpoint = progress.load(node, batch.source)
    if not dry and not checkpoint.stands_at(batch):
        raise StaleBatch(hint="The next sync goes on from there.")
    if batch.kind == "snapshot":
        checkpoint.restart(batch)
        _agree(node, view, batch)
    role = own_role(view.alias, view.peer)
    session = Session(node, view, batch, checkpoint, None if role is None else role == "master", role=role)
    check_fields(session)
    _check_versions(node, batch)
    session.pushed = view.peer if caller.pushed or caller.name else None
    session.alone = _alone(node, batch)
    session.overheard = bool(caller.name and view.registry.filtered)
    session.served = bool(caller.name)
    session.told = caller.told
    for label in batch.models:
        if view.filtered(label):  # what it let go is no longer its to write
            memory.settle(node, batch.source, label, caller.told)
    if node.pruned_seq:
        session.consumed = _consumed(node)
    checkpoint.install = batch.source_install
    checkpoint.see(batch.head)
    progress.save(node, checkpoint)
    if batch.kind == "snapshot" and batch.start.get("after") is None:
        waiting.drop_unfit(session, batch.models[0])
    return session


def _agree(node: NodeRow, view: View, batch: Batch) -> None:
    """What the rows are called that stood here before; at the first page of a first contact."""
    model, how = view.registry.models.get(batch.models[0]), batch.options.get("match")
    if model is None or not model.origin or how is None or batch.start.get("after") is not None:
        return
    if how not in ("", *MATCHES):
        raise WireError("The batch says of no way in which rows are matched.")
    bases.agree(node, model, batch.source_install, Match(how, batch.options.get("base")))


def _check_versions(node: NodeRow, batch: Batch) -> None:
    """An entry of mine above my last place, or of the sender above the head that he names, cannot be."""
    for row in batch.rows:
        if row.kind in ("busy", "none"):
            continue
        if row.version.get(node.node, -1) > node.last_seq:
            raise ForgedVersion(
                f"A row of {row.model} has seen a change of this node that never happened here: this database was"
                " restored and nobody noticed, or the peer is wrong.",
                hint="After a restore run: manage.py sync_peer renew",
            )
        if row.version.get(batch.source, -1) > batch.head.seq:
            raise ForgedVersion(f"A row of {row.model} is newer than the peer's own feed.")


def _alone(node: NodeRow, batch: Batch) -> bool:
    if set(node.readers) - {batch.source}:
        return False
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_checkpoint WHERE source <> %s LIMIT 1", [batch.source])
        return cursor.fetchone() is None


def _consumed(node: NodeRow) -> dict[str, dict[str, int]]:
    """Per model, how far each source's feed was consumed here; a model whose first contact is not over counts for nothing."""
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT source FROM peersync_checkpoint")
        sources = [source for (source,) in cursor.fetchall()]
    found: dict[str, dict[str, int]] = {}
    for source in sources:
        for label, place in progress.load(node, source).progress.items():
            if place.cursor is not None:
                found.setdefault(label, {})[source] = place.cursor.seq
    return found


def _dry(session: Session) -> Outcome:
    """What would be done: decided, counted, and rolled back."""
    rows = list(session.batch.rows)
    if session.batch.bulk is not None:
        rows = list(take_bulk(session) or [])
    pendings = [session.pend(row) for row in rows if row.kind == "row"]
    load(session, pendings)
    decide_all(session, pendings, frozenset())
    refused = would_refuse(session, [p for p in pendings if not p.local.hidden and p.decision is not None])
    for pending in pendings:
        if pending.local.hidden:
            session.count(pending.row.model).created += not pending.row.deleted
        elif pending.place in refused:
            session.count(pending.row.model).quarantined += 1
        elif pending.decision is not None:
            count(session, pending, pending.decision)
            session.count(pending.row.model).conflicts += pending.decision.kind in ("conflict", "tie")
    return Outcome(session.figures)


def _apply(session: Session) -> Outcome:
    batch = session.batch
    wanted: dict[str, tuple[Key, ...]] = {}
    if batch.kind in ("snapshot", "feed"):
        session.checkpoint.advance(batch, _take_rows(session))
        if batch.kind == "snapshot":
            _after_snapshot(session)
        elif batch.done:
            wanted = waiting.wanted(session)
    elif batch.kind == "rows":
        wanted = _answers(session)
    else:
        if waiting.some(session, UNASKED):
            finish(session, ())
        finish(session, ())
        waiting.list_all(session)
        if session.served:
            _tell(session)
        prune.prune(session.node)
        prune.forget_records(session.node)
    if batch.kind == "end":
        for label, number in waiting.counts(session).items():
            session.count(label).quarantined = number
    write_records(session.connection, session.records)
    progress.save(session.node, session.checkpoint)
    busy = waiting.some(session, ("busy",)) if wanted else 0
    return Outcome(session.figures, wanted, _held(session), _warnings(session), busy)


def _tell(session: Session) -> None:
    """A peer that calls us lacks fields that we synchronise: nobody here has compared the two sides."""
    found = []
    for label in session.batch.models:
        missing = [name for name in session.model(label).names if name not in session.batch.fields.get(label, ())]
        if missing:
            found.append(f"{label}: {', '.join(missing)} do not come from this peer: left out.")
    telling.log(session.view.peer, telling.news(session.connection, session.view.peer, telling.SERVED, found))


def _held(session: Session) -> dict[str, int]:
    """How many rows the source must not count as read past: what waits, and, in the end, what is in an open conflict."""
    held = waiting.counts(session)
    if session.batch.kind == "end":
        for label, number in open_conflicts.counts(session).items():
            held[label] = held.get(label, 0) + number
    return held


def _take_rows(session: Session) -> int:
    """Take the page in; how many of its rows stand here then."""
    bulk = session.batch.bulk
    if session.batch.kind == "snapshot" and session.model(session.batch.models[0]).file_fields:
        look_again(session.connection, session.checkpoint.id, session.batch.models[0])
    rows = session.batch.rows if bulk is None else take_bulk(session)
    if rows is None:
        return bulk.count if bulk is not None else 0
    pendings = [session.pend(row) for row in rows]
    waits = {pending.place for pending in take(session, pendings)}
    return sum(
        (p.local.content is not None and not p.deletes) or (p.inserts and p.place not in waits) for p in pendings
    )


def _answers(session: Session) -> dict[str, tuple[Key, ...]]:
    """Answers by key, for what waits or for the certain deletions of a full comparison; what to ask for next."""
    options = session.batch.options
    if options.get("proof") or options.get("mirror"):
        return _proof(session)
    finish(session, session.batch.rows)
    return waiting.wanted(session)


def _proof(session: Session) -> dict[str, tuple[Key, ...]]:
    """Answers about rows that only the target may have; the next ones to ask for."""
    delete_certain(session, session.batch.rows)
    if session.batch.options.get("mirror"):
        _mirror_again(session)
    wanted: dict[str, tuple[Key, ...]] = {}
    for label in session.batch.models:
        owed = session.checkpoint.of(label).owed is not None
        if keys := candidates(session, label):
            wanted[label] = keys
        elif owed or session.batch.rows:
            session.count(label).kept_at_target += _kept(session, label)
    return wanted


def _mirror_again(session: Session) -> None:
    """Rows that were written at the source, or here, since the snapshot passed; it has counted the others already."""
    standing = [session.pend(row) for row in session.batch.rows if row.kind == "row"]
    before = {label: session.count(label).unchanged for label in session.batch.models}
    take(session, standing)
    for label, unchanged in before.items():
        session.count(label).unchanged = unchanged


def _after_snapshot(session: Session) -> None:
    batch, label = session.batch, session.batch.models[0]
    found = session.figures.get(label, Figures()).conflicts
    state = session.checkpoint.of(label)
    total = state.conflicts + found
    if total > settings().max_conflicts and not batch.options.get("accept_conflicts"):
        raise TooManyConflicts(
            f"The first contact of {label} met more than {settings().max_conflicts} rows that differ (MAX_CONFLICTS);"
            " it stopped before this page, which was not written.",
            hint="Look at them in the admin, then go on with: sync_data --accept-conflicts",
        )
    if not batch.done:
        session.checkpoint.progress[label] = replace(state, conflicts=total)
        return
    if session.checkpoint.of(label).owed is None:  # else those that stay are counted when it is known which
        session.count(label).kept_at_target += _kept(session, label)
    if not batch.filtered and not session.view.filtered(label):
        with session.connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO peersync_baseline (model, install) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [label, batch.source_install],
            )


def _kept(session: Session, label: str) -> int:
    """Rows that only the target has, at the end of a snapshot."""
    if session.view.filtered(label):
        return 0  # the source would learn how many rows it may not see
    model = session.model(label)
    with session.connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {session.connection.ops.quote_name(model.table)}")
        standing = int(cursor.fetchone()[0])
    return max(0, standing - session.checkpoint.of(label).seen)


def _warnings(session: Session) -> tuple[str, ...]:
    bound = clock.now_ms(session.node.alias) + settings().max_clock_skew * 1000
    ahead = sum(1 for row in session.batch.rows if _latest_stamp(row) > bound)
    if ahead:
        session.warnings.append(f"{ahead} rows have a stamp ahead of this node's clock: they win their ties.")
    if session.batch.kind == "end" and session.pushed is not None:
        for label, number in waiting.counts(session, REASON).items():
            session.warnings.append(
                f"{number} rows of {label} were not accepted (ACCEPT of the target), and wait there."
            )
    return tuple(session.warnings)


def _latest_stamp(row: Row) -> int:
    return row.stamp if not row.fields else max(row.stamp, *(mark.stamp for mark in row.fields.values()))


def _send(session: Session) -> None:
    peer: dict[str, Any] = {"using": session.node.alias, "peer": session.view.peer}
    if session.written:
        rows_applied.send(sender=None, rows=session.written, **peer)
    if found := [*session.records, *session.opened]:
        readable = [
            {**r, "local": json.loads(r["local"] or "null"), "incoming": json.loads(r["incoming"] or "null")}
            for r in found
        ]
        conflict_found.send(sender=None, conflicts=readable, **peer)
