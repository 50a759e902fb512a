"""Folding what the journal says into the row states: versions, tombstones with their keys, names of rows."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from peersync import marks, memory, origins, states
from peersync.journal import Noted
from peersync.marks import Mark
from peersync.registry import SyncModel
from peersync.registry import noted as noted_models
from peersync.rows import Reader, existing, key_from_json, key_json
from peersync.tombstones import earlier_keys, inherit, key_before, keys_of_gone, leave, one_grave_each, take_over
from peersync.transactions import NodeRow
from peersync.versions import State


def fold_model(node: NodeRow, model: SyncModel, noted: Mapping[str, Noted]) -> None:
    """Into the states in the database, of one model."""
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
