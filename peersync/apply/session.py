"""What one application of a batch knows and collects; and the rows that it is about, with what stands here for each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peersync.apply.defaults import opening
from peersync.apply.own_policies import PolicyFailed, rule_of
from peersync.conf import settings
from peersync.errors import UnknownField, UnknownModel, WireError
from peersync.files.noting import Place
from peersync.openings import Opening, decide_opened
from peersync.progress import Checkpoint
from peersync.records import Batch, Figures, Key, Row
from peersync.registry import SyncModel, noted
from peersync.transactions import NodeRow
from peersync.verdicts import Decision, Facts, Local
from peersync.views import View


@dataclass(slots=True)
class Pending:
    """An incoming row on its way into the database."""

    row: Row
    source: str
    source_install: str
    names: tuple[str, ...]
    waiting: int | None = None
    """Its record in quarantine, where it waited before."""
    pushed: str | None = None
    """The peer that pushed it, by its name here; None where it was fetched."""
    local: Local = field(default_factory=Local)
    decision: Decision | None = None
    former: Key | None = None
    """The key under which the row stands here."""
    joins: bool = False
    """Its source does not know yet that the row which has this name here was called otherwise, and means another one."""
    unfit: str = ""
    """Why no row with this key, or these values, can stand here; empty where one can."""
    odd: bool = False
    """It has values that only SQLite takes (:mod:`peersync.codec.odd`), and this is one."""
    failed: str = ""
    """What is wrong with the function that was to decide about it."""
    untold: bool = False
    """It waits, and its peer was answered that it had come in (:mod:`peersync.apply.untold`)."""
    wide: frozenset[str] = frozenset()
    """Of ``names``: fields that the sender lacks and carried for others, of whatever type they are at those."""
    supposed: Row | None = None
    """What its peer takes to be here, where that waits in this way."""

    @property
    def content(self) -> tuple[Any, ...] | None:
        """What is to be written: the incoming content, or what a policy made of both."""
        made = self.decision.content if self.decision is not None else None
        return self.row.content if made is None else made

    @property
    def writes(self) -> bool:
        return self.decision is not None and self.decision.write

    @property
    def inserts(self) -> bool:
        return self.writes and self.content is not None and self.local.content is None

    @property
    def deletes(self) -> bool:
        return self.writes and self.content is None and self.local.content is not None

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
    opened: list[dict[str, Any]] = field(default_factory=list)
    """Records of conflicts that are open, found or met again with another version; they are written already."""
    written: dict[str, list[str]] = field(default_factory=dict)
    """Local primary keys that were written, per model (for the signal)."""
    warnings: list[str] = field(default_factory=list)
    files: dict[str, list[Place]] = field(default_factory=dict)
    """Source → files whose names rows were given, to be noted as waiting (:mod:`peersync.files.waits`)."""
    names_from: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """Of what is put back: label, field and name of a file that a peer named → that peer."""
    _facts: dict[tuple[str, str, tuple[str, ...]], Facts] = field(default_factory=dict)
    _openings: dict[str, Opening] = field(default_factory=dict)
    answered: Mapping[tuple[str, Key], tuple[tuple[str, ...], tuple[Any, ...] | None]] = field(default_factory=dict)
    """Rows that the source was asked for by key: names of fields, and values; None for one that it does not have."""
    needed: set[tuple[str, Key]] = field(default_factory=set)
    """Rows that the source has to be asked for besides those that wait, and what these wait for."""
    told: int = -1
    """How far the peer has read this node's feed, less what waits there."""
    renamed: Mapping[str, Mapping[Key, tuple[str, Key]]] | None = None
    """Rows that were renamed here, which the source may not know (:mod:`peersync.apply.naming`)."""
    called: Mapping[str, Mapping[Key, Key]] = field(default_factory=dict)
    """Keys of incoming rows → those under which they stand here, where they differ."""
    ended: Mapping[str, Collection[Key]] = field(default_factory=dict)
    """Names that incoming rows took over from others, which ended: in a deletion they may mean those."""
    formerly: Mapping[str, Mapping[str, Collection[Key]]] = field(default_factory=dict)
    """Label → local primary key → former names that come with the rows of this set."""
    becoming: Mapping[str, Mapping[Key, str]] = field(default_factory=dict)
    """Label → key → local primary key of rows that get this key in the set which is being written."""
    consumed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Label → source → how far its feed was consumed here."""
    drawn: dict[str, set[int]] = field(default_factory=dict)
    """Per model, numbers for new rows that its sequence gave to this session, or never gives (:mod:`peersync.apply.numbers`)."""
    coming: Mapping[str, Mapping[Key, str]] = field(default_factory=dict)
    """Label → key → local primary key of rows that the set which is being written makes, where others need it before."""
    alone: bool = False
    """Nobody but this source has read this node, and no first contact from another has begun here."""
    overheard: bool = False
    """A peer sent the batch by itself, and hears what becomes of it; some rows are hidden from it."""
    served: bool = False
    """A peer sent the batch by itself, over HTTP."""
    tried: bool = False
    """What is written is taken back at once."""
    pushed: str | None = None
    """The peer's name here, where it pushes; None where this node fetches."""
    captured: bool = False
    """What is written is this node's own doing: capture stays on."""
    broken_before: frozenset[tuple[Any, ...]] | None = None
    """SQLite refused this batch at the commit: the references that were broken before it; None where all goes well."""

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
        if not travels_to(found.direction, self.role):
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
            rule=rule_of(node.alias, model),
            noted=label in noted(),
            fields=model.names,
            identity=tuple(f.name for f in model.key if f.name in pending.names),
            references=frozenset(f.name for f in model.foreign_keys if f.null),
            local_is_master=self.local_is_master,
            snapshot=self.batch.kind == "snapshot",
            filtered=self.batch.filtered or self.view.filtered(label),
            stateless=self.alone and not node.baseline(label) - {pending.source_install},
            past=progress.past if progress and pending.source == self.batch.source else None,
            pruned=node.pruned_seq > 0,
            consumed=self.consumed.get(label, {}),
            mirror=bool(self.batch.options.get("mirror")),
            repair=bool(self.batch.options.get("repair")),
        )

    def opening(self, label: str) -> Opening:
        """The fields of a model that this comparison is made for, since they did not travel before."""
        before = self.checkpoint.of(label).fields
        if self.batch.kind != "snapshot" or not before:
            return Opening()
        if label not in self._openings:
            names = frozenset(self.batch.fields.get(label, ())) - set(before)
            self._openings[label] = opening(self.connection, self.model(label), names)
        return self._openings[label]

    def pend(self, row: Row) -> Pending:
        """An incoming row of this session's batch."""
        batch = self.batch
        names = tuple(batch.fields.get(row.model, ()))
        return Pending(row, batch.source, batch.source_install, names, pushed=self.pushed)


def check_fields(session: Session) -> None:
    """The batch's models and fields must be open to the peer; raises UnknownModel, UnknownField, WireError."""
    for label, names in session.batch.fields.items():
        model = session.model(label)
        unknown = [name for name in names if name not in model.names]
        if unknown:
            raise UnknownField(f"The field {label}.{unknown[0]} is not synchronised with this peer.")
        missing = [f.name for f in model.key if f.name not in names and f.name in model.names]
        if missing:
            raise WireError(f"The batch lacks the field {label}.{missing[0]}, which names its rows.")
    for row in session.batch.rows:
        if row.model not in session.batch.fields or row.model not in session.batch.models:
            raise WireError(f"The batch has a row of {row.model!r}, which its header does not name.")
        if row.pk is not None:
            _check_pk(session, row)


def _check_pk(session: Session, row: Row) -> None:
    model = session.model(row.model)
    if not model.brings_pk:
        raise WireError(f"A row of {row.model} brings a primary key along that its key or its fields say already.")
    if not model.pk.codec(session.connection.vendor).valid(row.pk):
        raise WireError(f"A row of {row.model} brings a primary key along that is not of the type {model.pk.wire}.")


def decide_all(session: Session, pendings: Iterable[Pending], forced: frozenset[tuple[str, Key]]) -> None:
    for pending in pendings:
        if pending.row.kind != "row" or pending.local.busy:
            continue
        try:
            pending.decision = decide_opened(
                pending.row,
                pending.local,
                session.facts(pending),
                session.opening(pending.row.model),
                force=pending.place in forced,
            )
        except PolicyFailed as failed:
            pending.decision, pending.failed = None, str(failed)


def travels_to(direction: str, role: str | None) -> bool:
    """Whether rows of a model with that DIRECTION are taken in by a node of that role."""
    towards = {"master-to-slave": "slave", "slave-to-master": "master"}.get(direction)
    return towards is None or role == towards


def own_role(alias: str, peer: str) -> str | None:
    """``master`` or ``slave``: what this node is towards the peer; None where nobody said so."""
    conf = settings()
    known = conf.peers.get(peer)
    if known is not None and known.role:
        return known.role
    if peer in (conf.master, conf.slave):
        return "master" if alias == conf.master else "slave" if alias == conf.slave else conf.role
    return conf.role


__all__ = ["Pending", "Session", "check_fields", "decide_all", "own_role", "travels_to"]
