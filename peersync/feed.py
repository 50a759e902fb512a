"""Reading: batches of the feed, and answers by key. Numbered states and contents come from one snapshot of the database.

A row of which that snapshot shows a journal entry, or a state without a place, is *busy*: a writer was faster than the
pass. The feed leaves it out (it gets a later place), answers by key name it without content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from peersync import memory, states
from peersync.collecting import Collector, busy, opened
from peersync.errors import CursorUnknown
from peersync.histories import check_points, known, point_at
from peersync.records import Batch, Caller, Key, Point, Row
from peersync.rows import find_model, key_from_json, key_json
from peersync.states import list_parameter, text_list
from peersync.tombstones import just_left
from peersync.transactions import NodeRow
from peersync.versions import State
from peersync.views import View

BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends before its rows' text is much longer than this."""

SCAN, SCAN_AT_MOST = 500, 100_000
"""States that are looked at together for a peer that may not see them all; and in one call, however few it is told."""


def header(
    node: NodeRow, view: View, caller: Caller, labels: Sequence[str], points: tuple[Point, ...]
) -> dict[str, Any]:
    """The members that every batch has: who, for whom, which fields, and the head at this moment."""
    with node.connection.cursor() as cursor:
        head = point_at(cursor, node.last_seq)
    models = view.registry.models
    return {
        "source": node.node,
        "source_install": node.install,
        "target": caller.node,
        "models": tuple(labels),
        "fields": {label: models[label].names for label in labels},
        "baselines": {label: tuple(sorted(node.baseline(label))) for label in labels},
        "head": head,
        "points": points,
    }


def changes(
    view: View,
    caller: Caller,
    labels: Sequence[str],
    cursor: Point,
    head: Point | None,
    limit: int,
    points: tuple[Point, ...],
) -> Batch:
    """The next batch of the feed after ``cursor``, up to ``head``. The caller has numbered before.

    Raises CursorUnknown where the cursor is no place of this history, or tombstones behind it were pruned.
    """
    with opened(view, labels) as node:
        check_points(node, caller.points)
        with node.connection.cursor() as sql:
            if not known(sql, [cursor])[0] or cursor.seq < node.pruned_seq:
                raise CursorUnknown(hint="A full comparison follows by itself at the next sync.")
        for label in labels:
            if view.filtered(label) and not caller.dry:
                memory.settle(node, caller.node, label, cursor.seq)
        upto = min(head.seq, node.last_seq) if head else node.last_seq
        if any(view.filtered(label) for label in labels):
            rows, last = _told(node, view, caller, labels, cursor.seq, upto, limit)
        else:
            found, last = _page(node, labels, cursor.seq, upto, limit)
            rows, last = _contents(node, view, caller, found, last, cursor.seq)
        done = last is None
        with node.connection.cursor() as sql:
            end = point_at(sql, upto if last is None else last)
        if end < cursor:
            end = cursor
        return Batch(
            "feed",
            start={"cursor": cursor},
            end={"cursor": end},
            rows=rows,
            done=done,
            **header(node, view, caller, labels, points),
        )


def _told(
    node: NodeRow, view: View, caller: Caller, labels: Sequence[str], after: int, upto: int, limit: int
) -> tuple[list[Row], int | None]:
    """A page of what the peer is told: how full it is, and where it ends, says nothing of what it is not told."""
    rows: list[Row] = []
    place: int | None = after
    size, scanned = max(limit, SCAN), 0
    while place is not None and len(rows) <= limit and scanned < SCAN_AT_MOST:
        found, last = _page(node, labels, place, upto, size)
        more, place = _contents(node, view, caller, found, last, after)
        rows, scanned = [*rows, *more], scanned + size
        if place != last or sum(map(_length, rows)) > BATCH_BYTES:  # it was cut, or is long enough
            break
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1].seq
    return rows, place


def _page(node: NodeRow, labels: Sequence[str], after: int, upto: int, limit: int) -> tuple[list[State], int | None]:
    """States in order of seq, and the last place where the page ends before ``upto``, else None."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {states.SELECT} FROM peersync_rowstate s WHERE s.seq > %s AND s.seq <= %s AND "
            + text_list(node.connection, "s.model")
            + " ORDER BY s.seq LIMIT %s",
            [after, upto, list_parameter(node.connection, labels), limit + 1],
        )
        found = [states.state_from(row) for row in cursor.fetchall()]
    if len(found) <= limit:
        return found, None
    return found[:limit], found[limit - 1].seq


def _contents(
    node: NodeRow, view: View, caller: Caller, found: Sequence[State], last: int | None, read: int
) -> tuple[list[Row], int | None]:
    """The rows of these states in order of seq, cut where they grow too long; and where the page ends then.

    ``read``: the place that the caller has read to.
    """
    by_model: dict[str, dict[str, State]] = {}
    for state in found:
        echo = bool(caller.node) and state.sender == caller.node
        if state.gone or (echo and not view.filtered(state.model)):
            continue
        by_model.setdefault(state.model, {})[state.pk] = state
    rows: dict[int, Row] = {}
    for label, wanted in by_model.items():
        collector = Collector(node, view, caller, view.registry.models[label], read=read)
        for pk, row in collector.collect(wanted, wanted).items():
            if row is not None and row.kind != "busy":
                rows[int(wanted[pk].seq or 0)] = row
    length = 0
    kept: list[Row] = []
    for seq in sorted(rows):
        length += _length(rows[seq])
        if length > BATCH_BYTES and kept:
            return kept, kept[-1].seq
        kept.append(rows[seq])
    return kept, last


def _length(row: Row) -> int:
    if row.content is None:
        return 64
    return 64 + sum(len(value) if isinstance(value, str) else 8 for value in row.content)


def by_key(view: View, caller: Caller, label: str, keys: Sequence[Key], points: tuple[Point, ...]) -> Batch:
    """The rows of these keys as they stand; "none" for what has neither row nor state, or is not the peer's to see."""
    model = view.registry.models[label]
    with opened(view, [label]) as node:
        check_points(node, caller.points)
        pks = find_model(node.connection, model, keys)
        graves = states.load_tombstones(node.connection, label, [key_json(key) for key in keys if key not in pks])
        by_pk = {pk: key for key, pk in pks.items()} | {s.pk: key_from_json(k) for k, s in graves.items()}
        found = states.load(node.connection, label, by_pk)
        rows = Collector(node, view, caller, model, asked=True).collect(found, by_pk)
        answered = {by_pk[pk]: row for pk, row in rows.items() if pk in by_pk}
        waits = _waiting_here(node, label, keys)
        held = set(waits)
        if not view.filtered(label):  # a peer who may not see the row must not see it go either
            held |= just_left(node, model, [key for key in keys if key not in answered])
        answers = [
            answered.get(key)
            or (replace(busy(model, key), base=key in waits) if key in held else Row(label, key, {}, None, kind="none"))
            for key in keys
        ]
        return Batch("rows", start={}, end={}, rows=answers, **header(node, view, caller, [label], points))


def _waiting_here(node: NodeRow, label: str, keys: Sequence[Key]) -> set[Key]:
    """Keys that wait here themselves: they have neither row nor state, but are not gone."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM peersync_quarantine WHERE reason <> 'not_open' AND model = %s AND "
            + text_list(node.connection, "key"),
            [label, list_parameter(node.connection, [key_json(key) for key in keys])],
        )
        return {key_from_json(text) for (text,) in cursor.fetchall()}
