"""What one application of a batch knows and collects; and the rows that it is about, with what stands here for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from peersync import states, views
from peersync.codec import key_text
from peersync.conf import settings
from peersync.conflicts import Decision, Facts, Local, decide
from peersync.errors import UnknownField, UnknownModel, WireError
from peersync.numbering import fold, journal_of
from peersync.progress import Checkpoint
from peersync.records import Batch, Figures, Key, Row
from peersync.registry import SyncModel
from peersync.rows import Reader, Stored, find_model, key_json, pk_list, pk_parameter
from peersync.transactions import NodeRow
from peersync.versions import State
from peersync.views import ELSEWHERE, View


@dataclass(slots=True)
class Pending:
    """An incoming row on its way into the database."""

    row: Row
    source: str
    source_install: str
    names: tuple[str, ...]
    waiting: int | None = None
    """Its record in quarantine, where it waited before."""
    local: Local = field(default_factory=Local)
    decision: Decision | None = None

    @property
    def writes(self) -> bool:
        return self.decision is not None and self.decision.write

    @property
    def inserts(self) -> bool:
        return self.writes and not self.row.deleted and self.local.content is None

    @property
    def deletes(self) -> bool:
        return self.writes and self.row.deleted and self.local.content is not None

    @property
    def place(self) -> tuple[str, Key]:
        return self.row.model, self.row.key


@dataclass
class Session:
    """One application: its node, its peer, and what it collects."""

    node: NodeRow
    view: View
    batch: Batch
    checkpoint: Checkpoint
    local_is_master: bool | None = None
    role: str | None = None
    figures: dict[str, Figures] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    written: dict[str, list[str]] = field(default_factory=dict)
    """Local primary keys that were written, per model (for the signal)."""
    warnings: list[str] = field(default_factory=list)
    _facts: dict[tuple[str, str, tuple[str, ...]], Facts] = field(default_factory=dict)
    consumed: dict[str, int] = field(default_factory=dict)
    alone: bool = False
    """Nobody but this source has read this node, and no first contact from another has begun here."""

    @property
    def connection(self) -> Any:
        return self.node.connection

    def count(self, label: str) -> Figures:
        return self.figures.setdefault(label, Figures())

    def model(self, label: str) -> SyncModel:
        """The model, if it is open to the peer; raises UnknownModel."""
        found = self.view.registry.models.get(label)
        if found is None:
            raise UnknownModel(f"The model {label!r} is not synchronised with this peer.")
        towards = {"master-to-slave": "slave", "slave-to-master": "master"}.get(found.direction)
        if towards is not None and self.role != towards:
            raise UnknownModel(f"The model {label!r} does not travel in this direction.")
        return found

    def facts(self, pending: Pending) -> Facts:
        place = (pending.row.model, pending.source, pending.names)
        if place not in self._facts:
            self._facts[place] = self._make_facts(pending)
        return self._facts[place]

    def _make_facts(self, pending: Pending) -> Facts:
        label, node = pending.row.model, self.node
        model = self.model(label)
        progress = self.checkpoint.progress.get(label)
        return Facts(
            node=node.node,
            install=node.install,
            baselines=frozenset(node.baseline(label)),
            source=pending.source,
            source_install=pending.source_install,
            names=pending.names,
            policy=model.policy,
            local_is_master=self.local_is_master,
            snapshot=self.batch.kind == "snapshot",
            filtered=self.batch.filtered or self.view.filtered(label),
            stateless=self.alone and not node.baseline(label) - {pending.source_install},
            past=progress.past if progress and pending.source == self.batch.source else None,
            pruned=node.pruned_seq > 0,
            consumed=self.consumed,
            mirror=bool(self.batch.options.get("mirror")),
        )

    def pend(self, row: Row) -> Pending:
        """An incoming row of this session's batch."""
        batch = self.batch
        return Pending(row, batch.source, batch.source_install, tuple(batch.fields.get(row.model, ())))


def check_fields(session: Session) -> None:
    """The batch's models and fields must be open to the peer; raises UnknownModel, UnknownField."""
    for label, names in session.batch.fields.items():
        model = session.model(label)
        unknown = [name for name in names if name not in model.names]
        if unknown:
            raise UnknownField(f"The field {label}.{unknown[0]} is not synchronised with this peer.")
        missing = [f.name for f in model.key if f.name not in names and f.name in model.names]
        if missing:
            raise WireError(f"The batch lacks the field {label}.{missing[0]}, which names its rows.")
    for row in session.batch.rows:
        if row.model not in session.batch.fields:
            raise UnknownModel(f"The batch has a row of {row.model!r}, which its header does not name.")


def load(session: Session, pendings: Sequence[Pending]) -> None:
    """Lock and read what stands here for each row: rows in the order of their keys, then journal, then states."""
    by_model: dict[str, list[Pending]] = {}
    for pending in pendings:
        by_model.setdefault(pending.row.model, []).append(pending)
    rank = session.view.registry.rank
    for label in sorted(by_model, key=lambda name: rank[name]):
        _Loader(session, session.model(label)).load(by_model[label])


class _Loader:
    """Of one model."""

    def __init__(self, session: Session, model: SyncModel) -> None:
        self.session, self.model = session, model
        self.connection = session.connection
        self.reader = Reader(self.connection, model)
        self.pk_codec = model.pk.codec(self.connection.vendor)

    def load(self, pendings: list[Pending]) -> None:
        pks = self._local_keys(pendings)
        locked = self._lock(sorted(set(pks.values())))
        standing = self.reader.by_pk(set(pks.values()))
        found = self._states(pendings, pks, standing)
        hidden = self._hidden(pks, standing)
        for pending in pendings:
            pk = pks.get(pending.row.key)
            state = found.get(pending.row.key)
            local = Local(pk if pk is not None else state.pk if state else None, state)
            stored = standing.get(pk) if pk is not None else None
            if stored is not None:
                local.whole = stored.content
                local.content = self._subset(pending, stored)
                local.busy = locked is not None and pk not in locked
                local.hidden = pk in hidden
            pending.local = local
            self._complete(pending)

    def _local_keys(self, pendings: list[Pending]) -> dict[Key, str]:
        """Wire key → local primary key. Under a plain key the one is the other; else the row is looked for."""
        if self.model.plain_key:
            for pending in pendings:
                self._check_key(pending.row.key)
            return {p.row.key: key_text(p.row.key[0]) for p in pendings}
        for pending in pendings:
            if len(pending.row.key) != len(self.model.key):
                raise WireError(f"A row of {self.model.label} has a key of another length than its identity.")
        found = find_model(self.connection, self.model, [p.row.key for p in pendings])
        for pending in pendings:
            if pending.row.key not in found and pending.row.earlier:
                before = find_model(self.connection, self.model, pending.row.earlier)
                pk = next((before[key] for key in pending.row.earlier if key in before), None)
                if pk is not None:
                    found[pending.row.key] = pk
        return found

    def _check_key(self, key: Key) -> None:
        if len(key) != 1 or not self.pk_codec.valid(key[0]):
            raise WireError(f"A row of {self.model.label} has a key that is not of its type: {key_json(key)[:80]}")

    def _lock(self, pks: list[str]) -> set[str] | None:
        """Lock the rows in the order of their keys; those that a writer holds are left out. None: nothing can be held."""
        if self.connection.vendor != "postgresql" or not pks:
            return None
        quote = self.connection.ops.quote_name
        column = f"t.{quote(self.model.pk.name)}"
        locked: set[str] = set()
        with self.connection.cursor() as cursor:
            for part in states.chunks(pks):
                cursor.execute(
                    f"SELECT {self.reader.pk_sql} FROM {self.reader.table} t"
                    f" WHERE {pk_list(self.connection, column, self.model.pk)}"
                    f" ORDER BY {column} FOR NO KEY UPDATE OF t SKIP LOCKED",
                    [pk_parameter(self.connection, self.model.pk, part)],
                )
                locked.update(row[0] for row in cursor.fetchall())
        return locked

    def _states(self, pendings: list[Pending], pks: dict[Key, str], standing: dict[str, Stored]) -> dict[Key, State]:
        """States by wire key; journal entries met here become ``changed`` in the state, without a place."""
        label = self.model.label
        by_pk = states.load(self.connection, label, pks.values())
        noted = journal_of(self.session.node, label, pks.values(), take=True)
        if noted:
            changed = fold(self.session.node, self.model, noted, by_pk, set(standing))
            states.save(self.connection, changed.values())
            by_pk.update(changed)
        found = {key: by_pk[pk] for key, pk in pks.items() if pk in by_pk}
        if not self.model.plain_key:
            missing = {key_json(p.row.key): p.row.key for p in pendings if p.row.key not in found}
            graves = states.load_tombstones(self.connection, label, missing)
            found.update({missing[text]: state for text, state in graves.items()})
        return found

    def _hidden(self, pks: dict[Key, str], standing: dict[str, Stored]) -> set[str]:
        """Rows of a model that is filtered for the peer, which it was never shown and which did not come from it."""
        view, label = self.session.view, self.model.label
        if not view.filtered(label):
            return set()
        known = views.remembered(self.session.node, self.session.batch.source, label, standing)
        return {pk for pk in standing if known.get(pk, views.OUT_OF_VIEW) == views.OUT_OF_VIEW}

    def _subset(self, pending: Pending, stored: Stored) -> tuple[Any, ...]:
        if pending.names == self.model.names:
            return stored.content
        return tuple(stored.content[self.model.names.index(name)] for name in pending.names)

    def _complete(self, pending: Pending) -> None:
        """Check the types of the content; what is "elsewhere" for the source stays what it is here."""
        content = pending.row.content
        if content is None:
            return
        fields = {f.name: f for f in self.model.fields}
        self._check_content(pending, content)
        values: list[Any] | None = None
        for place, (name, value) in enumerate(zip(pending.names, content, strict=True)):
            if value is None:
                continue
            field = fields[name]
            if field.target is not None:
                if value == ELSEWHERE:
                    values = values or list(content)
                    values[place] = pending.local.content[place] if pending.local.content else None
                continue
            if not field.raw.codec(self.connection.vendor).valid(value):
                raise WireError(f"A value of {self.model.label}.{name} is not of the type {field.wire}.")
        if values is not None:
            pending.row = replace(pending.row, content=tuple(values))

    def _check_content(self, pending: Pending, content: tuple[Any, ...]) -> None:
        """As many values as fields, and those that name the row as its key says; raises WireError."""
        if len(content) != len(pending.names):
            raise WireError(f"A row of {self.model.label} has {len(content)} values for {len(pending.names)} fields.")
        for part, one in zip(pending.row.key, self.model.key, strict=True):
            if one.name in pending.names and _frozen(content[pending.names.index(one.name)]) != part:
                raise WireError(f"A row of {self.model.label} has another {one.name} than its key says.")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def decide_all(session: Session, pendings: Iterable[Pending], forced: frozenset[tuple[str, Key]]) -> None:
    for pending in pendings:
        if pending.row.kind == "row" and not pending.local.busy:
            pending.decision = decide(pending.row, pending.local, session.facts(pending), force=pending.place in forced)


def own_role(alias: str, peer: str) -> str | None:
    """``master`` or ``slave``: what this node is towards the peer; None where nobody said so."""
    conf = settings()
    known = conf.peers.get(peer)
    if known is not None and known.role:
        return known.role
    if peer in (conf.master, conf.slave):
        return "master" if alias == conf.master else "slave" if alias == conf.slave else conf.role
    return conf.role


__all__ = ["Pending", "Session", "check_fields", "decide_all", "load", "own_role"]
