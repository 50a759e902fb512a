"""This node has learnt fields that others knew before: what was carried for them is filled in, in sets.

That is no change: the versions of the rows have those values in them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections

from peersync import capture, gaps, states
from peersync.apply.blocks import Block, Place
from peersync.apply.defaults import opening
from peersync.apply.filed import note_files, write_files
from peersync.apply.isolate import halve
from peersync.apply.session import Pending, Session
from peersync.apply.values import Values
from peersync.apply.write import Writer, by_fields
from peersync.files.noting import ANYBODY
from peersync.progress import Checkpoint
from peersync.records import START, Batch, Row
from peersync.registry import SyncModel, registry
from peersync.rows import Reader
from peersync.transactions import NodeRow, translated, writing
from peersync.versions import State
from peersync.views import View

ROWS = 1000
AGAIN = 60.0
"""Seconds after which it is looked again, then after twice as many, and so on: a process of the former release may have
kept values meanwhile, but not for ever."""
_looked: dict[str, tuple[int, float, float]] = {}
"""Alias → which registry it was, when to look again, and how long it was waited."""


def fill(alias: str, *, migrated: bool = False, renamed: Collection[str] = ()) -> int:
    """Fill in what can be; how many rows.

    ``migrated``: nobody can have written the new columns but the migration itself, which loses, except for the
    ``renamed`` ones. Else a row where something stands already keeps it.
    """
    done = 0
    for label in _labels(alias):
        model = registry().models.get(label)
        after: int | None = 0
        while model is not None and after is not None:
            with writing(alias) as node:
                filled, after = _Filling(node, model, renamed if migrated else model.names).page(after)
            done += filled
    return done


def look(alias: str) -> None:
    """The same where it was not done for a while."""
    known, at, waited = _looked.get(alias, (0, 0.0, 0.0))
    if known != id(registry()):
        at, waited = 0.0, AGAIN / 2
    if time.monotonic() < at:
        return
    _looked[alias] = id(registry()), time.monotonic() + 2 * waited, 2 * waited
    fill(alias)


def _labels(alias: str) -> list[str]:
    with translated(alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT DISTINCT model FROM peersync_rowstate WHERE gaps IS NOT NULL")
        return sorted(label for (label,) in cursor.fetchall())


class _Filling:
    """Of one model."""

    def __init__(self, node: NodeRow, model: SyncModel, guarded: Collection[str]) -> None:
        """``guarded``: fields where somebody may have written something already."""
        batch = Batch("rows", node.node, node.install, node.node, (), {}, {}, {}, {}, START, ())
        self.session = Session(node, View(node.alias, ""), batch, Checkpoint(node.node))
        self.node, self.model, self.guarded = node, model, guarded
        self.blank = opening(node.connection, model, guarded).blank

    def page(self, after: int) -> tuple[int, int | None]:
        """How many rows were filled in, and the last state that was looked at; None: there are no more."""
        found = self._states(after)
        if not found:
            return 0, None
        rows = Reader(self.node.connection, self.model).by_pk([state.pk for _, state in found])
        wanted = [self._pending(state, rows[state.pk]) for _, state in found if state.pk in rows]
        pendings = [pending for pending in wanted if pending is not None]
        taken = self._write([pending for pending in pendings if pending.names])
        self._forget([state for _, state in found], {p.place for p in pendings if p.names} - taken, rows)
        return len(taken), found[-1][0]

    def _states(self, after: int) -> list[tuple[int, State]]:
        with self.node.connection.cursor() as cursor:
            names = sorted(self.model.own_names)  # of those that are left out nothing is kept either
            named = " OR ".join(["s.gaps LIKE %s"] * len(names))
            cursor.execute(
                f"SELECT {states.SELECT}, s.id FROM peersync_rowstate s WHERE s.model = %s AND s.gaps IS NOT NULL"
                f" AND s.id > %s AND ({named}) ORDER BY s.id LIMIT {ROWS}",
                [self.model.label, after, *(f'%"{name}":%' for name in names)],
            )
            return [(int(row[-1]), states.state_from(row[:-1])) for row in cursor.fetchall()]

    def _pending(self, state: State, stored: Any) -> Pending | None:
        """The row with what is to be filled in."""
        names, own = self.model.names, dict(zip(self.model.names, stored.content, strict=True))
        carried = {n: v for gap in gaps.only(gaps.read(state.gaps), names) for n, v in gap.values.items()}
        if not carried:
            return None
        carried = {n: v for n, v in carried.items() if n not in self.guarded or self.blank(n, own[n])}
        row = Row(self.model.label, stored.key, {}, tuple(carried.values()))
        pending = Pending(row, state.sender or ANYBODY, self.node.install, tuple(carried), waiting=0)
        pending.local.pk, pending.local.content = state.pk, tuple(own[name] for name in carried)
        return pending

    def _write(self, pendings: Sequence[Pending]) -> set[Place]:
        values, connection = (
            Values(self.node.connection, self.model, self.session.view, convert=True),
            self.node.connection,
        )
        for pending in pendings:
            values.complete(pending)
        culprits: dict[Place, Block] = {}
        fitting = [pending for pending in pendings if not pending.unfit]
        writer = Writer(self.session, self.model)
        with capture.off(connection, [self.model.table]):
            for group in by_fields(fitting):
                halve(self.session, group, writer.update, culprits)
        for pending in fitting:
            if pending.place not in culprits:
                note_files(self.session, pending)
        write_files(self.session)
        return {pending.place for pending in fitting} - culprits.keys()

    def _forget(self, found: Sequence[State], left: set[Place], rows: Any) -> None:
        """What was filled in, or stands in no row any more, is carried no longer; what does not fit here is, for others."""
        for state in found:
            stays = state.pk in rows and (self.model.label, rows[state.pk].key) in left
            if not stays:
                carried = gaps.only(gaps.read(state.gaps), self.model.own_names, others=True)
                state.gaps = gaps.stored(carried) if state.pk in rows else None
        states.save(self.node.connection, found)
