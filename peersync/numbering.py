"""The numbering pass: what capture noted is folded into the row states, and those get their places in the feed.

Numbers are given out after the writers committed, by one pass at a time, so a reader's cursor never passes by a change
that becomes visible later. A writer touches nothing that a pass touches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from django.db import connections

from peersync import clock, marks, states
from peersync.folding import fold_model
from peersync.histories import mint
from peersync.journal import ENTRY, Noted, noted_by_model
from peersync.refound import pointing
from peersync.registry import Registry, registry
from peersync.states import list_parameter, text_list
from peersync.tombstones import number_names, unnumbered_names
from peersync.transactions import NodeRow, translated, writing
from peersync.versions import State
from peersync.viewchanges import look
from peersync.watching import hanging_on

BITE = 10_000
"""Journal entries, and states, that one transaction takes at most."""
UNLISTED = "it was not synchronised for a time"
"""Why a model owes a comparison."""


def number(alias: str) -> int:
    """Number everything that is visible, in bites. Returns the node's last place. A first pass is made in any case."""
    look(alias)
    idle = _idle(alias)
    if idle is not None:
        return idle
    while True:
        with writing(alias) as node:
            taken = take_journal(node)
            given = _give_places(node)
            last = node.last_seq
        if taken < BITE and given < BITE:
            return last


def _idle(alias: str) -> int | None:
    """The last place where nothing waits for one; a look that locks nothing. None where there is something to do."""
    with translated(alias), connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT last_seq FROM peersync_node WHERE id = 1 AND last_seq > 0"
            " AND NOT EXISTS (SELECT 1 FROM peersync_journal)"
            " AND NOT EXISTS (SELECT 1 FROM peersync_rowstate WHERE seq IS NULL)"
        )
        found = cursor.fetchone()
    return None if found is None else int(found[0])


def take_journal(node: NodeRow) -> int:
    """Fold up to BITE journal entries into the states; returns how many."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {ENTRY} FROM peersync_journal ORDER BY id LIMIT %s",
            [BITE],
        )
        entries = cursor.fetchall()
        if not entries:
            return 0
        cursor.execute(
            "DELETE FROM peersync_journal WHERE " + text_list(node.connection, "id"),
            [list_parameter(node.connection, [entry[0] for entry in entries])],
        )
    known = registry()
    by_model = noted_by_model(entries)
    _owe(node, set(by_model) - set(known.models))
    # parents first: what names their children by them finds the tombstones of those that went together
    for model in [known.models[label] for label in known.models if label in by_model]:
        fold_model(node, model, by_model[model.label])
    _fold_refound(node, known, by_model)
    return len(entries)


def _owe(node: NodeRow, labels: set[str]) -> None:
    """Models that are not synchronised here, now or by this release: what was noted of them is dropped, and made good by
    a comparison, should they be again.
    """
    with node.connection.cursor() as cursor:
        for label in sorted(labels):
            cursor.execute(
                "INSERT INTO peersync_missedcapture (model, since, reason, seq) VALUES (%s, CURRENT_TIMESTAMP, %s, %s)"
                " ON CONFLICT (model) DO UPDATE SET seq = excluded.seq",
                [label, UNLISTED, node.last_seq],
            )


def _fold_refound(node: NodeRow, known: Registry, by_model: Mapping[str, Mapping[str, Noted]]) -> None:
    """What pointed at nothing, and points to rows that were born now, has changed with their birth."""
    born = {
        label: {pk: note.stamp for pk, note in by_model[label].items() if note.born}
        for label in known.dangling.keys() & by_model.keys()
    }
    for label, found in pointing(node.connection, known, born).items():
        already = by_model.get(label, {})
        noted = {
            pk: Noted(born=False, stamp=stamp, changes=[(stamp, json.dumps([column]))])
            for pk, (stamp, column) in found.items()
            if pk not in already
        }
        fold_model(node, known.models[label], noted)


def _give_places(node: NodeRow) -> int:
    """Number up to BITE states that have no place; writes the pass and its nonce. Returns how many."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {states.SELECT} FROM peersync_rowstate s WHERE s.seq IS NULL ORDER BY s.id LIMIT {BITE}"
        )
        waiting = [states.state_from(row) for row in cursor.fetchall()]
        if not waiting:
            cursor.execute("SELECT 1 FROM peersync_numberingpass LIMIT 1")
            if cursor.fetchone() is not None:
                return 0
    waiting += hanging_on(node, registry(), waiting)
    _make_pass(node, waiting)
    return len(waiting)


def _make_pass(node: NodeRow, waiting: Sequence[State]) -> None:
    first = max(node.last_seq + 1, clock.now_ms(node.alias))
    last = first + max(len(waiting), 1) - 1
    for seq, state in enumerate(waiting, first):
        state.seq = seq
        if state.changed:
            state.own, state.changed = seq, False
    changed: list[State] = []
    others: list[State] = []
    for state in waiting:
        noted = unnumbered_names(state.earlier) or marks.unplaced(state.fields)
        (changed if noted else others).append(state)
    for state in changed:
        state.earlier = number_names(state.earlier, state.seq or 0)
        state.fields = marks.placed(state.fields, state.seq or 0)
    states.place(node.connection, others)
    states.save(node.connection, changed)
    with node.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peersync_numberingpass (first, last, nonce, at) VALUES (%s, %s, %s, CURRENT_TIMESTAMP)",
            [first, last, mint(node)],
        )
        cursor.execute("UPDATE peersync_node SET last_seq = %s WHERE id = 1", [last])
    node.last_seq = last


def pass_missed(alias: str) -> None:
    """A comparison that makes a missed capture good starts behind the place where that was noted: make such a place."""
    with translated(alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT max(seq) FROM peersync_missedcapture")
        noted = cursor.fetchone()[0]
    if noted is None:
        return
    with writing(alias) as node:
        if noted >= node.last_seq:
            _make_pass(node, [])
