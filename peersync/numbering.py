"""The numbering pass: what capture noted is folded into the row states, and those get their places in the feed.

Numbers are given out after the writers committed, by one pass at a time, so a reader's cursor never passes by a change
that becomes visible later. A writer touches nothing that a pass touches.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from peersync import clock, marks, memory, origins, states
from peersync.histories import mint
from peersync.marks import Mark
from peersync.refound import pointing
from peersync.registry import Registry, SyncModel, registry
from peersync.registry import noted as noted_models
from peersync.rows import Reader, existing, key_from_json, key_json
from peersync.states import list_parameter, text_list
from peersync.tombstones import (
    earlier_keys,
    inherit,
    key_before,
    keys_of_gone,
    leave,
    number_names,
    one_grave_each,
    take_over,
    unnumbered_names,
)
from peersync.transactions import NodeRow, translated, writing
from peersync.versions import State
from peersync.viewchanges import look
from peersync.watching import hanging_on

BITE = 10_000
"""Journal entries, and states, that one transaction takes at most."""
UNLISTED = "it was not synchronised for a time"
"""Why a model owes a comparison."""
ENTRY = "id, model, pk_text, what, stamp, before, fields"


@dataclass(slots=True)
class Noted:
    """What the journal says about one row: folded entries."""

    born: bool
    stamp: int = 0
    befores: list[str] = field(default_factory=list)
    changes: list[tuple[int, str | None]] = field(default_factory=list)
    """Of births and changes, in their order: the stamp, and the columns as JSON; None: all, or nobody knows which."""
    mark: str = ""
    """What the row's birth was marked with, where rows are named by their origin."""


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
    by_model = _by_model(entries)
    _owe(node, set(by_model) - set(known.models))
    # parents first: what names their children by them finds the tombstones of those that went together
    for model in [known.models[label] for label in known.models if label in by_model]:
        _fold(node, model, by_model[model.label])
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
        _fold(node, known.models[label], noted)


def _by_model(entries: Iterable[Sequence[Any]]) -> dict[str, dict[str, Noted]]:
    """Journal rows, without their order, as label → pk → what was noted."""
    found: dict[str, dict[str, Noted]] = {}
    for entry, label, pk, what, stamp, before, columns in entries:
        rows = found.setdefault(label, {})
        noted = rows.get(pk)
        if noted is None:
            noted = rows[pk] = Noted(born=what == "b")
            noted.mark = before or f"{entry}:{stamp}"
        noted.stamp = max(noted.stamp, stamp)
        if before and what != "b":
            noted.befores.append(before)
        if what != "g":
            noted.changes.append((stamp, columns if what == "c" else None))
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
                f"SELECT {ENTRY} FROM peersync_journal WHERE {where} ORDER BY id",
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
    connection = node.connection
    changed: dict[str, State] = {}
    noting = _Noting(node, model)
    for pk, note in noted.items():
        state = found.get(pk)
        if state is None:
            state = State(model.label, pk, pre=not note.born)
            if note.born and node.pruned_seq:
                # it may be born again after its tombstone was pruned: it has seen all that stood here untracked
                state.others = dict.fromkeys([node.install, *node.baseline(model.label)], 0)
        noting.touch(state, note)
        state.deleted = pk not in standing
        state.gaps = None if state.deleted else state.gaps
        changed[pk] = state
    if model.plain_key:
        for state in changed.values():
            state.key = plain_key_json(model, state.pk) if state.deleted else None
    elif model.origin:
        _name_births(node, model, {pk: noted[pk] for pk in changed if pk not in found and noted[pk].born})
        keys = origins.keys_of(connection, model.label, [int(pk) for pk, s in changed.items() if s.deleted])
        for state in changed.values():
            state.key = key_json(keys[int(state.pk)]) if state.deleted else None
    else:
        _name(node, model, noted, changed)
    return changed


class _Noting:
    """The local events of one model, with the fields that they changed where a policy looks at that."""

    def __init__(self, node: NodeRow, model: SyncModel) -> None:
        self.node, self.noted = node.node, model.label in noted_models()
        self.fields = {field.column: field.name for field in model.fields}
        self.others = {str(f.column) for f in model.model._meta.local_concrete_fields} - set(self.fields)

    def touch(self, state: State, note: Noted) -> None:
        if not self.noted:
            state.touch(self.node, note.stamp)
            state.fields = None
            return
        found, seen = marks.of_state(state, self.node), state.stamp
        for stamp, columns in note.changes:
            found = marks.changed(found, Mark(max(stamp, seen + 1), self.node), self._names(columns))
        state.touch(self.node, note.stamp)
        state.fields = marks.stored(found, state.stamp, self.node)

    def _names(self, columns: str | None) -> list[str] | None:
        """The fields of these columns; None where one of them is not the model's any more: it may have been renamed."""
        if columns is None:
            return None
        known = [name for name in json.loads(columns) if name not in self.others]
        return [self.fields[name] for name in known] if all(name in self.fields for name in known) else None


def _name_births(node: NodeRow, model: SyncModel, born: Mapping[str, Noted]) -> None:
    """Give a name to each row that was born, and that has none: the mark of its birth, and its primary key."""
    known = origins.names(node.connection, model.label, [int(pk) for pk in born])
    new = {pk: note for pk, note in born.items() if int(pk) not in known}
    origins.save(
        node.connection, model.label, {int(pk): [(_mark(node, model, pk, note), int(pk))] for pk, note in new.items()}
    )


def _mark(node: NodeRow, model: SyncModel, pk: str, note: Noted) -> str:
    """The mark of a birth; one that was noted without gets one that a copy of this database would give it too."""
    if ":" not in note.mark:
        return note.mark
    text = f"born:{model.label}:{pk}:{note.mark}"
    return hmac.new(node.secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def plain_key_json(model: SyncModel, pk: str) -> str:
    """The wire key of a row whose key is its local primary key."""
    return key_json(model.local.key(pk))


def _name(node: NodeRow, model: SyncModel, noted: Mapping[str, Noted], changed: dict[str, State]) -> None:
    """Wire keys of rows that are named by an identity: tombstones keep theirs, renamed rows remember the earlier ones."""
    standing = Reader(node.connection, model).by_pk([pk for pk, s in changed.items() if not s.deleted])
    if model.identity:
        befores = key_before(node, model, {pk: note.befores for pk, note in noted.items() if note.befores})
    else:
        gone = keys_of_gone(node, model, [pk for pk, state in changed.items() if state.deleted])
        befores = {pk: [key] for pk, key in gone.items()}
    left, ended = list[State](), dict[str, str]()
    for pk, state in changed.items():
        earlier = befores.get(pk, [])
        now = standing[pk].key if pk in standing else None
        if state.deleted:
            now, earlier = (earlier[-1], earlier[:-1]) if earlier else (None, [])
            state.key = key_json(now) if now is not None else state.key
        else:
            # a local key that a deleted row had is used again: for others, that row was renamed
            earlier = [key_from_json(state.key), *earlier] if state.key else earlier
            state.key = None
        former = [key for key in dict.fromkeys(earlier) if key != now]
        if former and model.through:
            graves = leave(state, former)
            ended[pk] = graves[0].pk
            left += graves
        elif former or not state.deleted:
            state.earlier = earlier_keys(state.earlier, former)
    if ended:
        memory.follow(node, model.label, ended)
    for grave in left:
        if grave.pk in changed:
            inherit(changed[grave.pk], grave, node.node)
        else:
            changed[grave.pk] = grave
    born = {key_json(row.key): pk for pk, row in standing.items()}
    take_over(node, model, born, changed)
    one_grave_each(node, model, changed)


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
