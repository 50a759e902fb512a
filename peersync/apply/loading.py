"""What stands here for incoming rows: locked and read, in the order that keeps writers from waiting in circles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from peersync import memory, origins, states
from peersync.apply.aliases import gather
from peersync.apply.carrying import widen
from peersync.apply.joining import make_one
from peersync.apply.naming import doubles, local_keys, note_names
from peersync.apply.session import Pending, Session
from peersync.apply.translating import translate
from peersync.apply.values import Values
from peersync.errors import WireError
from peersync.folding import fold
from peersync.journal import journal_of
from peersync.records import Key
from peersync.registry import SyncField, SyncModel, registry
from peersync.rows import Reader, Stored, as_key, find_model, key_json
from peersync.verdicts import Local
from peersync.versions import State


def load(session: Session, pendings: Sequence[Pending]) -> None:
    """Lock and read what stands here for each row: rows in the order of their keys, then journal, then states."""
    session.called, session.ended, session.formerly = {}, {}, {}
    gather(session, pendings)
    translate(session, pendings)
    by_model: dict[str, list[Pending]] = {}
    for pending in pendings:
        pending.unfit, pending.odd = "", False
        by_model.setdefault(pending.row.model, []).append(pending)
    rank = session.view.registry.rank
    models = session.view.registry.models
    for label in sorted(by_model.keys() | _named_by(models, by_model), key=lambda name: rank[name]):
        if label in by_model:
            _Loader(session, session.model(label)).load(by_model[label])
        if models[label].identity and not models[label].origin:
            note_names(session, models[label], by_model.get(label, ()))


def _named_by(models: Mapping[str, SyncModel], labels: Iterable[str]) -> set[str]:
    """Labels of the models whose rows are part of the keys of these, at any depth."""
    found: set[str] = set()
    left = list(labels)
    while left:
        new = {str(part.target) for part in models[left.pop()].key if part.target in models} - found
        found |= new
        left += new
    return found


def complete(session: Session, pendings: Sequence[Pending]) -> None:
    """Of rows that were loaded: check the types of their contents; raises WireError.

    What is "elsewhere" for the source stays what it is here.
    """
    by_model: dict[str, list[Pending]] = {}
    for pending in pendings:
        by_model.setdefault(pending.row.model, []).append(pending)
    for label, rows in by_model.items():
        values = Values(session.connection, session.model(label), session.view, convert=_converts(session))
        for pending in rows:
            values.complete(pending)


def _converts(session: Session) -> bool:
    return bool(session.batch.options.get("converted"))


class _Loader:
    """Of one model."""

    def __init__(self, session: Session, model: SyncModel) -> None:
        self.session, self.model = session, model
        self.connection = session.connection
        self.reader = Reader(self.connection, model)
        self.values = Values(self.connection, model, session.view, convert=_converts(session))

    def load(self, pendings: list[Pending]) -> None:
        pks = self._local_keys(pendings)
        for key, others in doubles(self.session, self.model, pendings, pks).items() if self.model.identity else ():
            pks[key] = self._made_one(next(p for p in pendings if p.row.key == key), pks[key], others)
        locked = self._lock(sorted(set(pks.values())))
        standing = self.reader.by_pk(set(pks.values()))
        found = self._states(pendings, pks, standing)
        hidden = self._hidden(pks, standing)
        for pending in pendings:
            pk = pks.get(pending.row.key)
            state = found.get(pending.row.key)
            local = Local(pk if pk is not None else state.pk if state else None, state)
            stored = standing.get(pk) if pk is not None else None
            widen(self.session, self.model, pending, state, standing=stored is not None)
            if stored is not None:
                local.whole = stored.content
                pending.former = stored.key
                local.content = self._subset(pending, stored)
                local.busy = locked is not None and pk not in locked
                local.hidden = pk in hidden
            pending.local = local
            self.values.complete(pending)
        if self.session.view.filtered(self.model.label):
            self._look_at_deletions([p for p in pendings if p.local.content is None and p.local.state is not None])
        for field in self.model.foreign_keys:
            if field.null and self.session.view.filtered(str(field.target)):
                self._keep_hidden(field, pendings)
        self._widen([p for p in pendings if p.row.deleted and p.local.whole is not None])

    def _made_one(self, pending: Pending, own: str, others: Sequence[str]) -> str:
        """Of rows here that are one at the source, one stays: where the source has not seen what one of the others says now,
        that one, so that they meet as a conflict. Returns its local primary key; ``own`` where that can't be done now."""
        pks = [own, *others]
        locked = self._lock(sorted(pks))
        if locked is not None and not locked >= set(pks):
            return own
        standing = self.reader.by_pk(pks)
        known = self._known(pks, set(standing))
        rows = {
            pk: Local(pk, known.get(pk), standing[pk].content, standing[pk].content) for pk in pks if pk in standing
        }
        return make_one(self.session, self.model, pending, rows)

    def _keep_hidden(self, field: SyncField, pendings: Sequence[Pending]) -> None:
        """A key to a row that the peer does not have says nothing there, and still says here what it said."""
        held: dict[Key, list[tuple[Pending, int]]] = {}
        for pending in pendings:
            new, old = pending.row.content, pending.local.content
            place = pending.names.index(field.name) if field.name in pending.names else -1
            if place >= 0 and new is not None and old is not None and new[place] is None and old[place] is not None:
                held.setdefault(as_key(old[place]), []).append((pending, place))
        if not held:
            return
        target = self.session.view.registry.models[str(field.target)]
        found = find_model(self.connection, target, held)
        lacking = memory.hidden(self.session.node, self.session.batch.source, target.label, set(found.values()))
        for key in [key for key, pk in found.items() if pk in lacking]:
            for pending, place in held[key]:
                content = list(pending.row.content or ())
                content[place] = (pending.local.content or ())[place]
                pending.row = replace(pending.row, content=tuple(content))

    def _widen(self, pendings: Sequence[Pending]) -> None:
        """A deletion takes along what does not travel to this peer, but to others: a record is to have that too."""
        model = registry().models.get(self.model.label)
        if not pendings or model is None or set(model.names) <= set(self.model.names):
            return
        rows = Reader(self.connection, model).by_pk({str(p.local.pk) for p in pendings})
        for pending in pendings:
            pending.local.whole, pending.local.names = rows[str(pending.local.pk)].content, model.names

    def _local_keys(self, pendings: list[Pending]) -> dict[Key, str]:
        """Wire key → local primary key. Under a plain key the one is the other; else the row is looked for."""
        if self.model.plain_key:
            for pending in pendings:
                self.values.check_key(pending)
            return {p.row.key: self.model.local.key_text(p.row.key) for p in pendings if not p.unfit}
        for pending in pendings:
            if len(pending.row.key) != len(self.model.key):
                raise WireError(f"A row of {self.model.label} has a key of another length than its identity.")
            if self.model.origin and not origins.valid(pending.row.key):
                raise WireError(
                    f"A row of {self.model.label} has a key that is no origin: {key_json(pending.row.key)[:80]}"
                )
        return local_keys(self.session, self.model, pendings)

    def _lock(self, pks: list[str]) -> set[str] | None:
        """Lock the rows in the order of their keys; those that a writer holds are left out. None: nothing can be held."""
        if self.connection.vendor != "postgresql" or not pks:
            return None
        locked: set[str] = set()
        with self.connection.cursor() as cursor:
            for part in states.chunks(pks):
                where, parameters = self.model.local.among(self.connection, part, "t")
                cursor.execute(
                    f"SELECT {self.reader.pk_sql} FROM {self.reader.table} t WHERE {where}"
                    f" ORDER BY {self.reader.pk_order} FOR NO KEY UPDATE OF t SKIP LOCKED",
                    parameters,
                )
                locked.update(row[0] for row in cursor.fetchall())
        return locked

    def _states(self, pendings: list[Pending], pks: dict[Key, str], standing: dict[str, Stored]) -> dict[Key, State]:
        """States by wire key; journal entries met here become ``changed`` in the state, without a place."""
        label = self.model.label
        by_pk = self._known(pks.values(), set(standing))
        found = {key: by_pk[pk] for key, pk in pks.items() if pk in by_pk}
        if not self.model.plain_key:
            missing = {key_json(p.row.key): p.row.key for p in pendings if p.row.key not in found}
            graves = states.load_tombstones(self.connection, label, missing)
            found.update({missing[text]: state for text, state in graves.items()})
        return found

    def _known(self, pks: Collection[str], standing: set[str]) -> dict[str, State]:
        """States by local primary key, with what the journal has of these rows."""
        label = self.model.label
        by_pk = states.load(self.connection, label, pks)
        noted = journal_of(self.session.node, label, pks, take=True)
        if noted:
            changed = fold(self.session.node, self.model, noted, by_pk, standing)
            states.save(self.connection, changed.values())
            by_pk.update(changed)
        return by_pk

    def _hidden(self, pks: dict[Key, str], standing: dict[str, Stored]) -> set[str]:
        """Rows of a model that is filtered for the peer, which it was never shown and which did not come from it."""
        view, label = self.session.view, self.model.label
        if not view.filtered(label):
            return set()
        return memory.hidden(self.session.node, self.session.batch.source, label, standing)

    def _look_at_deletions(self, pendings: Sequence[Pending]) -> None:
        """Of rows that are gone here: which the peer keeps, or was never shown."""
        graves = {p.local.state.pk: p for p in pendings if p.local.state is not None and p.local.state.deleted}
        known = memory.remembered(self.session.node, self.session.batch.source, self.model.label, graves)
        for pk, pending in graves.items():
            pending.local.hidden = known.get(pk) == memory.KEPT
            pending.local.unheard = pk not in known

    def _subset(self, pending: Pending, stored: Stored) -> tuple[Any, ...]:
        if pending.names == self.model.names:
            return stored.content
        return tuple(stored.content[self.model.names.index(name)] for name in pending.names)
