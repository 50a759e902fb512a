"""Rows of one model as one peer gets them: contents, tombstones, exits, or nothing; and what it then has is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from peersync import gaps, marks, memory, origins
from peersync.journal import journal_of
from peersync.memory import IN_VIEW, ITS_OWN, KEPT, OUT_OF_VIEW, TOLD_GONE
from peersync.records import Caller, Key, Row
from peersync.registry import SyncModel
from peersync.rows import NO_ROW, Reader, Stored, key_from_json, pk_value
from peersync.tombstones import unread_names
from peersync.transactions import NodeRow, reading, writing
from peersync.versions import State, version_of
from peersync.viewpages import with_elsewhere
from peersync.views import View


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
        # what was carried of a field that this node has learnt, and keeps from the peer, stays home like its own values
        more=gaps.only(gaps.read(state.gaps), model.left_out, others=True) if stored is not None else (),
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
                    gone = replace(rows[pk], kind="exit", content=None, pk=None, fields=None, more=())  # type: ignore[type-var]  # it was just set
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
        known = memory.remembered(self.node, self.caller.node, self.model.label, pks)
        visible = self.view.visible(self.model.label, [pk for pk in pks if pk in stored])
        shown: dict[str, str | None] = {}
        places: dict[str, int | None] = {}
        for pk in pks:
            state, place = found.get(pk), known.get(pk)
            sender = state.sender if state is not None else ""
            echo = bool(sender) and sender == self.caller.node and not self.asked
            if pk in visible:
                shown[pk] = None if echo and place == IN_VIEW else "row"
                places[pk] = IN_VIEW
            elif pk in stored:
                shown[pk] = self._leaves(pk, place, places)
            elif place in (None, KEPT, TOLD_GONE):
                shown[pk] = None
            elif echo:
                shown[pk], places[pk] = None, None
            else:
                shown[pk], places[pk] = "row", self.node.last_seq if place < 0 else place
        if not self.caller.dry:
            memory.remember(self.node, self.caller.node, self.model.label, places)
        return shown

    def _leaves(self, pk: str, place: int | None, places: dict[str, int | None]) -> str | None:
        """A row out of view: an exit for who has it, once, and nothing where it stays there, or never was."""
        keep = self.model.exit == "keep"
        if place is None or place in (OUT_OF_VIEW, ITS_OWN, TOLD_GONE) or (place == KEPT and keep):
            return None
        if place == IN_VIEW and keep:
            places[pk] = KEPT
            return None
        places[pk] = self.node.last_seq if place < 0 else place
        return "exit"
