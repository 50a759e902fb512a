"""Rows that only the target has, after a full comparison: deleted where that is certain, or where ``--mirror`` says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from peersync import origins
from peersync.apply.loading import load
from peersync.apply.records import record
from peersync.apply.session import Pending, Session
from peersync.apply.settle import write_decided
from peersync.records import Key, Row
from peersync.rows import Reader
from peersync.verdicts import Decision
from peersync.versions import State

PROOF_ROWS = 2000


def candidates(session: Session, label: str) -> tuple[Key, ...]:
    """The next keys of a model whose certain deletions are owed; the checkpoint moves on to behind them.

    Only rows that the source had taken over from here can have been deleted there; ``--mirror`` asks about all.
    """
    progress = session.checkpoint.of(label)
    if progress.owed is None:
        return ()
    model = session.model(label)
    reader = Reader(session.connection, model)
    where = ""
    parameters: list[Any] = []
    if progress.owed:
        beyond, parameters = model.local.beyond(session.connection, ">", progress.owed, "t")
        where = f" WHERE {beyond}"
    with session.connection.cursor() as cursor:
        cursor.execute(f"{reader.select()}{where} ORDER BY {reader.pk_order} LIMIT {PROOF_ROWS}", parameters)
        rows = reader.rows(cursor.fetchall())
    owed = rows[-1].pk if len(rows) == PROOF_ROWS else None
    session.checkpoint.progress[label] = replace(progress, owed=owed)
    # the source is not told the keys of rows that it may not see
    hidden = session.view.kept_from(session.node, session.batch.source, label, [row.pk for row in rows])
    keys = [row.key for row in rows if row.pk not in hidden]
    if label in origins.several(session.connection):
        also = origins.others(session.connection, label, keys)
        keys += [key for names in also.values() for key in names]
    return tuple(keys)


def delete_certain(session: Session, answers: Sequence[Row]) -> None:
    """Delete, as local events and recorded, the rows of which the source has neither row nor state."""
    mirror = bool(session.batch.options.get("mirror"))
    # a mirror goes by what stands at the source, not by what waits there
    gone = [session.pend(row) for row in answers if row.kind == "none" or (mirror and row.kind == "busy" and row.base)]
    several = origins.several(session.connection)
    there = [session.pend(row) for row in answers if row.kind != "none" and row.model in several]
    load(session, [*gone, *there])
    known = {pending.place for pending in there}
    doomed = []
    for pending in {p.place: p for p in gone if p.place not in known}.values():
        local = pending.local
        if local.content is None or local.busy or local.hidden or not (mirror or _taken(session, local.state)):
            continue
        state = replace(local.state) if local.state else State(pending.row.model, str(local.pk), pre=True)
        state.touch(session.node.node, state.stamp + 1)
        pending.row = replace(pending.row, kind="row")
        pending.decision = Decision("newer", state, write=True, record="")
        doomed.append(pending)
    if doomed:
        _delete(session, doomed, "mirror" if mirror else "deleted at the source, tombstone pruned")


def _taken(session: Session, state: State | None) -> bool:
    """Whether the source had this very row from here."""
    options: dict[str, Any] = dict(session.batch.options)
    consumed, baseline = options.get("consumed"), bool(options.get("baseline"))
    if consumed is None or not options.get("pruned"):
        return False
    if state is None:
        return baseline
    if state.changed or state.gone:
        return False
    return state.sender == session.batch.source or (state.seq is not None and state.seq <= consumed)


def _delete(session: Session, doomed: Sequence[Pending], why: str) -> None:
    left = write_decided(session, doomed)
    for pending in doomed:
        if pending.place not in left:
            record(session, pending, why, "incoming")
