"""The numbering pass: what capture noted is folded into the row states, and those get their places in the feed.

Numbers are given out after the writers committed, by one pass at a time, so a reader's cursor never passes by a change
that becomes visible later. A writer touches nothing that a pass touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from peersync import clock, states
from peersync.histories import mint
from peersync.registry import SyncModel, registry
from peersync.rows import Reader, existing, key_from_json, key_json, pk_value
from peersync.states import list_parameter, text_list
from peersync.tombstones import earlier_keys, key_before, keys_of_gone, number_names, take_over, unnumbered_names
from peersync.transactions import NodeRow, translated, writing
from peersync.versions import State
from peersync.views import hanging_on

BITE = 10_000
"""Journal entries, and states, that one transaction takes at most."""


@dataclass(slots=True)
class Noted:
    """What the journal says about one row: folded entries."""

    born: bool
    stamp: int = 0
    befores: list[str] = field(default_factory=list)


def number(alias: str) -> int:
    """Number everything that is visible, in bites. Returns the node's last place. A first pass is made in any case."""
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
            "SELECT id, model, pk_text, what, stamp, before FROM peersync_journal ORDER BY id LIMIT %s", [BITE]
        )
        entries = cursor.fetchall()
        if not entries:
            return 0
        cursor.execute(
            "DELETE FROM peersync_journal WHERE " + text_list(node.connection, "id"),
            [list_parameter(node.connection, [entry[0] for entry in entries])],
        )
    known = registry()
    by_model = _by_model(entries)
    # parents first: what names their children by them finds the tombstones of those that went together
    for model in [known.models[label] for label in known.models if label in by_model]:
        _fold(node, model, by_model[model.label])
    return len(entries)


def _by_model(entries: Iterable[Sequence[Any]]) -> dict[str, dict[str, Noted]]:
    """Journal rows, without their order, as label → pk → what was noted."""
    found: dict[str, dict[str, Noted]] = {}
    for _, label, pk, what, stamp, before in entries:
        rows = found.setdefault(label, {})
        noted = rows.get(pk)
        if noted is None:
            noted = rows[pk] = Noted(born=what == "b")
        noted.stamp = max(noted.stamp, stamp)
        if before:
            noted.befores.append(before)
    return found


def journal_of(node: NodeRow, label: str, pks: Iterable[str], *, take: bool) -> dict[str, Noted]:
    """What the journal holds about these rows. ``take``: the entries are removed, the caller folds them."""
    connection = node.connection
    entries: list[Sequence[Any]] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_journal LIMIT 1")
        if cursor.fetchone() is None:
            return {}
        for part in states.chunks(list(pks)):
            where = "model = %s AND " + text_list(connection, "pk_text")
            cursor.execute(
                f"SELECT id, model, pk_text, what, stamp, before FROM peersync_journal WHERE {where} ORDER BY id",
                [label, list_parameter(connection, part)],
            )
            entries += cursor.fetchall()
        if take and entries:
            cursor.execute(
                "DELETE FROM peersync_journal WHERE " + text_list(connection, "id"),
                [list_parameter(connection, [entry[0] for entry in entries])],
            )
    return _by_model(entries).get(label, {})


def _fold(node: NodeRow, model: SyncModel, noted: Mapping[str, Noted]) -> None:
    connection = node.connection
    found = states.load(connection, model.label, noted)
    standing = existing(connection, model, noted)
    changed = fold(node, model, noted, found, standing)
    states.save(connection, changed.values())


def fold(
    node: NodeRow,
    model: SyncModel,
    noted: Mapping[str, Noted],
    found: Mapping[str, State],
    standing: set[str],
) -> dict[str, State]:
    """The states that the noted changes leave: ``changed``, without a place. Whether a row stands there decides."""
    changed: dict[str, State] = {}
    for pk, note in noted.items():
        state = found.get(pk)
        if state is None:
            state = State(model.label, pk, pre=not note.born)
            if note.born and node.pruned_seq:
                # it may be born again after its tombstone was pruned: it has seen all that stood here untracked
                state.others = dict.fromkeys([node.install, *node.baseline(model.label)], 0)
        state.touch(node.node, note.stamp)
        state.deleted = pk not in standing
        changed[pk] = state
    if model.plain_key:
        for state in changed.values():
            state.key = plain_key_json(model, state.pk) if state.deleted else None
        return changed
    _name(node, model, noted, changed)
    return changed


def plain_key_json(model: SyncModel, pk: str) -> str:
    """The wire key of a row whose key is its local primary key."""
    return key_json((pk_value(model, pk),))


def _name(node: NodeRow, model: SyncModel, noted: Mapping[str, Noted], changed: dict[str, State]) -> None:
    """Wire keys of rows that are named by an identity: tombstones keep theirs, renamed rows remember the earlier ones."""
    standing = Reader(node.connection, model).by_pk([pk for pk, s in changed.items() if not s.deleted])
    if model.identity:
        befores = key_before(node, model, {pk: note.befores for pk, note in noted.items() if note.befores})
    else:
        gone = keys_of_gone(node, model, [pk for pk, state in changed.items() if state.deleted])
        befores = {pk: [key] for pk, key in gone.items()}
    for pk, state in changed.items():
        earlier = befores.get(pk, [])
        if state.deleted:
            if earlier:
                state.key = key_json(earlier[-1])
                state.earlier = earlier_keys(state.earlier, [key for key in earlier if key != earlier[-1]])
        else:
            # a local key that a deleted row had is used again: for others, that row was renamed
            earlier = [key_from_json(state.key), *earlier] if state.key else earlier
            state.key = None
            now = standing[pk].key if pk in standing else None
            state.earlier = earlier_keys(state.earlier, [key for key in earlier if key != now])
    born = {key_json(row.key): pk for pk, row in standing.items()}
    take_over(node, model, born, changed)


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
    renamed: list[State] = []
    others: list[State] = []
    for state in waiting:
        (renamed if unnumbered_names(state.earlier) else others).append(state)
    for state in renamed:
        state.earlier = number_names(state.earlier, state.seq or 0)
    states.place(node.connection, others)
    states.save(node.connection, renamed)
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
