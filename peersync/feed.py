"""Reading: batches of the feed, and answers by key. Numbered states and contents come from one snapshot of the database.

A row of which that snapshot shows a journal entry, or a state without a place, is *busy*: a writer was faster than the
pass. The feed leaves it out (it gets a later place), answers by key name it without content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from peersync import marks, origins, states, views
from peersync.errors import CursorUnknown
from peersync.histories import check_points, known, point_at
from peersync.numbering import journal_of
from peersync.records import Batch, Caller, Key, Point, Row
from peersync.registry import SyncModel
from peersync.rows import NO_ROW, Reader, Stored, find_model, key_from_json, key_json, pk_value
from peersync.states import list_parameter, text_list
from peersync.tombstones import just_left, unread_names
from peersync.transactions import NodeRow, reading, writing
from peersync.versions import State, version_of
from peersync.viewpages import with_elsewhere
from peersync.views import IN_VIEW, ITS_OWN, OUT_OF_VIEW, View

BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends before its rows' text is much longer than this."""


@contextmanager
def opened(view: View, labels: Iterable[str]) -> Iterator[NodeRow]:
    """A transaction to read these models for a peer: one that may write where what it is shown must be remembered.

    Under the writing lock no pass runs, and contents are read before the journal is looked at: a row that was written
    in between shows its entry.
    """
    if any(view.filtered(label) for label in labels):
        with writing(view.alias) as node:
            yield node
    else:
        with reading(view.alias) as node:
            yield node


def row_of(
    node: NodeRow,
    model: SyncModel,
    state: State | None,
    stored: Stored | None,
    reader: str = "",
    upto: int = -1,
) -> Row:
    """The row as it travels: contents, or a tombstone under the key that it had.

    With the names that it had before, but for those whose end the reader told, or has read up to that place.
    """
    version = version_of(state, node.node, node.install, node.baseline(model.label))
    tombstone = key_from_json(str(state.key)) if stored is None and state is not None else ()
    key = stored.key if stored is not None else tombstone
    pk = pk_value(model, stored.pk) if stored is not None and model.brings_pk else None
    if state is None:
        return Row(model.label, key, version, stored.content if stored else None, 0, node.install, base=True, pk=pk)
    return Row(
        model.label,
        key,
        version,
        stored.content if stored else None,
        state.stamp,
        state.author or node.install,
        base=state.pre,
        seq=state.seq or 0,
        earlier=unread_names(state.earlier, reader, upto),
        pk=pk,
        fields=marks.sent(state, model.names) if model.looks_at_fields else None,
    )


def busy(model: SyncModel, key: Key) -> Row:
    return Row(model.label, key, {}, None, kind="busy")


class Collector:
    """Rows of one model for one peer: contents, states, journal, and the filter's memory, each read once for all."""

    def __init__(
        self,
        node: NodeRow,
        view: View,
        caller: Caller,
        model: SyncModel,
        *,
        asked: bool = False,
        read: int | None = None,
    ) -> None:
        self.node, self.view, self.caller, self.model = node, view, caller, model
        self.asked = asked
        """Answers by key are given to whoever asks, from whom the row came or not."""
        self.read = caller.told if read is None else read
        """How far the caller has read the feed: until there it knows who was renamed."""

    def collect(
        self, found: Mapping[str, State], pks: Iterable[str], stored: dict[str, Stored] | None = None
    ) -> dict[str, Row | None]:
        """pk → the row as the peer gets it; None where it gets nothing. Rows without a state are untracked."""
        pks = list(pks)
        if stored is None:
            stored = Reader(self.node.connection, self.model).by_pk(pks)
        stored = with_elsewhere(self.view, self.node.connection, self.model, stored)
        noted = journal_of(self.node, self.model.label, pks, take=False)
        rows: dict[str, Row | None] = {}
        filtered = self.view.filtered(self.model.label)
        shown = self._shown(found, stored, pks) if filtered else {}
        for pk in pks:
            state, row = found.get(pk), stored.get(pk)
            if (filtered and shown.get(pk) is None) or (state is None and row is None):
                rows[pk] = None
            elif self.model.origin and state is None and pk in noted and noted[pk].born:
                rows[pk] = None  # it has no name yet; the feed brings it
            elif pk in noted or (state is not None and state.seq is None):
                key = row.key if row else key_from_json(str(state.key)) if state and state.key else None
                rows[pk] = busy(self.model, key) if key is not None else None
            elif state is not None and (state.gone or (row is None and state.key is None)):
                rows[pk] = None
            else:
                rows[pk] = row_of(self.node, self.model, state, row, self.caller.node, self.read)
                if shown.get(pk) == "exit":
                    gone = replace(rows[pk], kind="exit", content=None, pk=None, fields=None)  # type: ignore[type-var]  # it was just set
                    rows[pk] = gone
        if self.model.origin:
            self._add_names(rows)
        return rows

    def _add_names(self, rows: dict[str, Row | None]) -> None:
        """Rows that are known under several names travel with all of them."""
        label = self.model.label
        if label not in origins.several(self.node.connection):
            return
        sent = [int(pk) for pk, row in rows.items() if row is not None and not pk.startswith(NO_ROW)]
        for local, keys in origins.names(self.node.connection, label, sent, main=False).items():
            row = rows[str(local)]
            if row is not None:
                rows[str(local)] = replace(row, earlier=tuple(keys))

    def _shown(
        self, found: Mapping[str, State], stored: Mapping[str, Stored], pks: Sequence[str]
    ) -> dict[str, str | None]:
        """What the filter lets the peer have of each row: "row", "exit" or nothing; notes what it then has."""
        memory = views.remembered(self.node, self.caller.node, self.model.label, pks)
        visible = self.view.visible(self.model.label, [pk for pk in pks if pk in stored])
        shown: dict[str, str | None] = {}
        places: dict[str, int | None] = {}
        for pk in pks:
            state, place = found.get(pk), memory.get(pk)
            sender = state.sender if state is not None else ""
            echo = bool(sender) and sender == self.caller.node and not self.asked
            if pk in visible:
                shown[pk] = None if echo and place == IN_VIEW else "row"
                places[pk] = IN_VIEW
            elif place is None or (pk in stored and place in (OUT_OF_VIEW, ITS_OWN)):
                shown[pk] = None
            elif pk not in stored and echo:
                shown[pk], places[pk] = None, None
            else:
                shown[pk] = "exit" if pk in stored else "row"
                places[pk] = self.node.last_seq if place < 0 else place
        views.remember(self.node, self.caller.node, self.model.label, places)
        return shown


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
            if view.filtered(label):
                views.settle_memory(node, caller.node, label, cursor.seq)
        upto = min(head.seq, node.last_seq) if head else node.last_seq
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
        held = _waiting_here(node, label, keys)
        if not view.filtered(label):  # a peer who may not see the row must not see it go either
            held |= just_left(node, model, [key for key in keys if key not in answered])
        answers = [
            answered.get(key) or (busy(model, key) if key in held else Row(label, key, {}, None, kind="none"))
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
