"""Rows that have several names: matched by content at a first contact, each was known by its own name at its side.

Whoever sends such a row tells all its names. What arrives is given the name that the row is sent under from here, and so
is what its foreign keys say; the two sides come to the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

from django.apps import apps

from peersync import memory, origins, states, views
from peersync.apply.matching import matched
from peersync.apply.parts import in_parts
from peersync.apply.session import Pending, Session
from peersync.generics import GenericId, has_key
from peersync.records import Key
from peersync.registry import NamePart, SyncField, SyncModel, key_fields
from peersync.rows import NO_ROW, as_key, key_json
from peersync.versions import State


def gather(session: Session, pendings: Sequence[Pending]) -> None:
    """Learn what the rows are called elsewhere, and call them, and what they point to, by the names that count here."""
    origin = {label for label, model in session.view.registry.models.items() if model.origin}
    if not origin:
        return
    _rename(session, pendings, origin & origins.several(session.connection), own=False)
    by_model: dict[str, list[Pending]] = {}
    for pending in pendings:
        if pending.row.model in origin:
            by_model.setdefault(pending.row.model, []).append(pending)
    same = matched(session, by_model)
    for label, rows in by_model.items():
        found = same.get(label, {})
        told = [p for p in rows if p.row.earlier or p.row.key in found]
        if told:
            _Learner(session, session.model(label), told, found).learn()
    _rename(session, pendings, origin & origins.several(session.connection), own=True)


class _Learner:
    """Of one model: ``same`` are rows that were matched just now, by the incoming key."""

    def __init__(
        self, session: Session, model: SyncModel, pendings: Sequence[Pending], same: Mapping[Key, int]
    ) -> None:
        self.session, self.model, self.pendings = session, model, pendings
        self.connection = session.connection
        offered = [key for p in pendings for key in (p.row.key, *p.row.earlier) if origins.valid(key)]
        self.located = {**self._standing_or_not(offered), **same}
        locals_ = set(self.located.values())
        self.hidden = self._hidden(locals_)
        self.names = {local: [key] for local, key in origins.keys_of(self.connection, model.label, locals_).items()}
        for local, others in origins.names(self.connection, model.label, locals_, main=False).items():
            self.names[local] += sorted(others)
        self.changed: dict[int, None] = {}
        self.fed: set[int] = set()
        """Rows that others know by another name, and hear of this one."""
        self.crossed: set[int] = set()
        """Of those, rows that the peer itself has to hear of."""
        self.split: list[int] = []

    def _standing_or_not(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Where rows of these names stand here, or stood: a tombstone keeps the names that its row had."""
        found = origins.find(self.connection, self.model.model, keys)
        found.update(origins.named(self.connection, self.model.label, [key for key in keys if key not in found]))
        left = {key_json(key): key for key in keys if key not in found}
        graves = states.load_tombstones(self.connection, self.model.label, left)
        found.update({left[text]: int(s.pk) for text, s in graves.items() if not s.pk.startswith(NO_ROW)})
        return found

    def _hidden(self, locals_: Iterable[int]) -> set[int]:
        """Rows that the peer was never shown: it has no say in what they are called."""
        if not self.session.view.filtered(self.model.label):
            return set()
        pks = [str(local) for local in locals_]
        return set(map(int, memory.hidden(self.session.node, self.session.batch.source, self.model.label, pks)))

    def learn(self) -> None:
        for pending in self.pendings:
            self._one([key for key in (pending.row.key, *pending.row.earlier) if origins.valid(key)])
        if not (self.changed or self.fed):
            return
        label = self.model.label
        origins.forget(self.connection, label, self.changed)
        origins.save(self.connection, label, {local: self.names[local] for local in self.changed})
        self._name_tombstones()
        self._feed()
        self._born_again()

    def _one(self, offered: Sequence[Key]) -> None:
        locals_ = list(dict.fromkeys(self.located[key] for key in offered if key in self.located))
        if not locals_ or not self.hidden.isdisjoint(locals_):
            return
        local, main = locals_[0], offered[0]
        for other in locals_[1:]:
            self._part(other, offered)
        known = self.names[local]
        if main != known[0] and main in known and set(offered) <= set(known):
            # each side had heard of the other's name, and both had taken that: the smaller one stays
            main = min(main, known[0])
            self.fed.add(local)
            self.crossed.add(local)
        names = [main, *sorted({*known, *offered} - {main})]
        if names == known:
            return
        if main != known[0] and {*self.session.node.readers} - {self.session.batch.source}:
            self.fed.add(local)
        self.names[local] = names
        self.changed[local] = None
        self.located.update(dict.fromkeys(names, local))

    def _part(self, local: int, lost: Sequence[Key]) -> None:
        """Another row here has one of the names, since both were met before anybody knew that they are one.

        It stays, and goes by another name: nobody can say which of two contents is meant.
        """
        left = [key for key in self.names[local] if key not in lost]
        if not left:
            left = [(token_hex(8), local)]
            self.split.append(local)
        self.names[local] = left
        self.changed[local] = None

    def _name_tombstones(self) -> None:
        found = states.load(self.connection, self.model.label, [str(local) for local in self.changed])
        renamed = [state for state in found.values() if state.deleted]
        for state in renamed:
            state.key = key_json(self.names[int(state.pk)][0])
        states.save(self.connection, renamed)

    def _feed(self) -> None:
        """Give the rows a new place in the feed, without an event."""
        views.feed_again(self.session.node, self.model.label, [str(local) for local in self.fed])
        found = states.load(self.connection, self.model.label, [str(local) for local in self.crossed])
        for state in found.values():
            state.sender = ""
        states.save(self.connection, found.values())

    def _born_again(self) -> None:
        """Rows that lost their only name: for everybody else they are new."""
        pks = [str(local) for local in self.split]
        found = states.load(self.connection, self.model.label, pks)
        changed = []
        for pk in pks:
            state = found.get(pk) or State(self.model.label, pk)
            state.touch(self.session.node.node, state.stamp + 1)
            changed.append(state)
        states.save(self.connection, changed)


# ---------------------------------------------------------------------- calling rows by the names that count here


def _rename(session: Session, pendings: Sequence[Pending], labels: Iterable[str], *, own: bool) -> None:
    """``own``: the names of the rows themselves too, beside those of what they point to."""
    used: dict[str, set[Key]] = {label: set() for label in labels}
    for pending in pendings:
        model = session.model(pending.row.model)
        if own or not model.origin:
            _collect(model.key, pending.row.key, used)
        _collect(_fields(model, pending), pending.row.content or (), used)
    names = {
        label: found for label, keys in used.items() if keys and (found := _mains(session.connection, label, keys))
    }
    if not names:
        return
    for pending in pendings:
        model, row = session.model(pending.row.model), pending.row
        key = in_parts(model.key, row.key, names)
        if own:
            key = names.get(model.label, {}).get(key, key)
        content = None if row.content is None else in_parts(_fields(model, pending), row.content, names)
        if key != row.key or content != row.content:
            pending.row = replace(row, key=key, content=content)


def _fields(model: SyncModel, pending: Pending) -> list[SyncField]:
    fields = {field.name: field for field in model.fields}
    return [fields[name] for name in pending.names] if pending.row.content is not None else []


def _mains(connection: Any, label: str, keys: Iterable[Key]) -> dict[Key, Key]:
    """Those of the names that a row is not sent under → the one that it is."""
    located = origins.named(connection, label, [key for key in keys if origins.valid(key)])
    mains = origins.names(connection, label, set(located.values()))
    return {key: mains[local][0] for key, local in located.items() if local in mains and mains[local][0] != key}


def _collect(fields: Sequence[SyncField], values: Sequence[Any], used: dict[str, set[Key]]) -> None:
    """The names of rows of these models in a key or in contents, at any depth."""
    if len(fields) != len(values):
        return
    if fields and isinstance(fields[0], NamePart):
        if fields[0].owner in used:
            used[fields[0].owner].add(tuple(values))
        return
    for field, value in zip(fields, values, strict=True):
        if isinstance(field, GenericId) and has_key(value) and value["of"] in field.labels:
            _collect(key_fields(apps.get_model(value["of"])), as_key(value["key"]), used)
        if field.target is not None and isinstance(value, (list, tuple)):
            _collect(key_fields(apps.get_model(field.target)), as_key(value), used)
