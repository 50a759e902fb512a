"""The value objects that travel between replicas. Frozen, with nothing of a database or of HTTP in them.

Wire values are what JSON can hold without loss (see :mod:`peersync.codec`). A *key* is a tuple of wire values,
nested where an identity contains a foreign key: ``(7,)``, ``("north", ("de",))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from peersync.gaps import Gap
from peersync.marks import Marks
from peersync.versions import Version

PROTOCOL = 1

Key = tuple[Any, ...]
Kind = Literal["row", "busy", "exit", "none"]


class Point(NamedTuple):
    """A place in a node's history: the seq, and the nonce of the numbering pass that gave it."""

    seq: int
    nonce: str


START = Point(0, "")
"""Before everything."""


class Match(NamedTuple):
    """``how`` rows that stood at both sides before are one row: ``pk``, ``content``, ``never``, or empty: nobody said.

    ``base``: what the side that says so calls its own such rows; None where nothing is agreed, or none stands there.
    """

    how: str
    base: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands at the source. ``content`` has the values of the page's fields, None for a tombstone.

    kind ``row``: contents or tombstone; ``busy``: a writer holds it, no content; ``exit``: it left the receiver's
    view; ``none``: the source has neither row nor state.
    """

    model: str
    key: Key
    version: Version
    content: tuple[Any, ...] | None
    stamp: int = 0
    author: str = ""
    base: bool = False
    """Untracked, or ``pre``: its untracked base is part of its version."""
    seq: int = 0
    kind: Kind = "row"
    earlier: tuple[Key, ...] = ()
    pk: Any = None
    """The source's primary key as a wire value, where the key does not name it: a row that is made from it keeps that
    where it is free."""
    fields: Marks | None = None
    """When each field was last changed, where the policy looks at that."""
    more: tuple[Gap, ...] = ()
    """What is known of the row in fields that the receiver, or the sender, lacks."""

    @property
    def deleted(self) -> bool:
        return self.content is None


@dataclass(frozen=True, slots=True)
class Bulk:
    """A run of untracked rows in key order, in a form that two databases of one kind move without looking at it.

    ``encoding`` is ``pgcopy`` (``data``: lines of COPY's text format, one row each, as bytes) or ``tuples``
    (``data``: a list of tuples as the driver gave them, for an alias only). All rows have the version of an untracked row.
    """

    model: str
    encoding: Literal["pgcopy", "tuples"]
    count: int
    first: Key
    last: Key
    data: Any


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a transfer stands with one model of a source: the checkpoint's part for that model.

    ``cursor``: the place in the feed that was read to, None before the first contact is complete.
    ``head``/``after``: of an unfinished first contact. ``after`` is ``None`` at its start, else a token of the source.
    """

    cursor: Point | None = None
    head: Point | None = None
    after: str | None = None
    last: Key | None = None
    """The last key of an unfinished first contact."""
    past: Key | None = None
    """Untracked rows up to this key count as taken: an earlier first contact, overtaken by pruning, had come so far."""
    owed: str | None = None
    """The certain deletions of a full comparison are due, from this local key on."""
    baseline: bool = False
    conflicts: int = 0
    """Found so far by an unfinished first contact."""
    seen: int = 0
    """Rows that an unfinished first contact has shown so far, and that stand here."""
    compared: int = 0
    """The place in the feed from which the last completed snapshot was read."""
    fingerprint: str = ""
    """What the source synchronised of the model at that time."""
    fields: tuple[str, ...] = ()
    """The fields that travelled then; those that were not among them are no part of what versions speak of."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a replica says about one synchronised model. ``fields``: name to wire type, in order."""

    label: str
    fields: Mapping[str, str]
    identity: tuple[str, ...]
    fingerprint: str
    policy: str = "latest"
    direction: str = "both"
    filtered: bool = False
    bulk: tuple[str, ...] = ()
    """Bulk encodings that this replica could send or take for the model."""
    empty: bool = False
    pk: str = ""
    """Type of the primary key that rows bring along beside their keys; empty where they bring none."""
    match: str = ""
    """How rows that stood before are matched with the asker's: as was agreed, else as the settings say, if they do."""
    met: bool = False
    """That was agreed with the asker's install."""
    base: str | None = None
    """What such rows are called here, once that is agreed with somebody (``IDENTITY`` ``"origin"``)."""
    key: tuple[str, ...] = ()
    """Names of the fields that name a row, the primary key's where there is no identity."""
    closed: tuple[str, ...] = ()
    """Seals (``gaps.sealed``) of fields that the model has, and that are left out: nothing in them is wanted, nor carried."""
    files: tuple[str, ...] = ()
    """Names of the fields whose files travel, to and from here."""


@dataclass(frozen=True, slots=True)
class Retired:
    """An id that was given up: it holds up to ``seq``; ``nonce`` names the pass."""

    id: str
    seq: int
    nonce: str
    install: str


@dataclass(frozen=True, slots=True)
class Description:
    """The answer to ``describe``: who the replica is, and what it has seen of the asker."""

    node: str
    install: str
    protocol: int
    clock: int
    """ms since the epoch"""
    models: tuple[ModelInfo, ...]
    head: Point
    points: tuple[Point, ...]
    """Of the asker's history, oldest first, at most sixteen."""
    about: str
    """The asker's id whose history that is."""
    retired: tuple[Retired, ...]
    pruned: int
    role: str
    use_tz: bool
    time_zone: str
    vendor: str
    limits: Mapping[str, int] = field(default_factory=dict)
    passes: tuple[Point, ...] = ()
    """The newest passes (end, nonce): where two copies of one database look for their last common point."""
    place: str = ""
    """Cluster and database, hashed: two aliases of one database say the same."""
    read_only: bool = False
    told: int = -1
    """How far this replica has read past in the asker's feed, less what waits; -1: not at all."""
    missed: Mapping[str, int] = field(default_factory=dict)
    """Models whose changes were not captured for a time: compare, unless that was done from this place on."""
    warnings: tuple[str, ...] = ()

    def model(self, label: str) -> ModelInfo | None:
        return next((m for m in self.models if m.label == label), None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: sent with every call, so that the other side can refuse what it must."""

    node: str
    install: str
    points: tuple[Point, ...] = ()
    """Of the answering side's history that the asker has seen."""
    about: str = ""
    """The id under which the answering side bore that history; empty: its id as it answers."""
    told: int = -1
    """How far the asker has read past in the answering side's feed; -1 says nothing."""
    name: str = ""
    """The answering side's name for the asker (its token or alias); narrows what it sees."""
    retired: tuple[Retired, ...] = ()
    """Ids that the asker knows to be given up (for the handshake)."""
    pushed: bool = False
    """Whoever drives the transfer sends: never told over HTTP, where whoever sends a batch pushes."""
    clock: int = 0
    """The asker's clock, ms since the epoch; 0 says nothing."""
    bulk: tuple[str, ...] = ()
    """Encodings of :class:`Bulk` that the asker takes for the model in question (header ``Peersync-Bulk``)."""
    match: Match | None = None
    """For the first page of a snapshot of the model in question (header ``Peersync-Match``)."""
    dry: bool = False
    """Nothing of what is read is taken in: nothing is to be remembered of it (header ``Peersync-Dry-Run``)."""
    blind: bool = False
    """It may send, and read nothing (a token without the scope ``pull``): it is told of its own rows alone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one ``apply`` takes in: a page of a snapshot, of the feed, answers by key, or the end of a transfer."""

    kind: Literal["snapshot", "feed", "rows", "end"]
    source: str
    source_install: str
    target: str
    models: tuple[str, ...]
    """The models that it covers (for a snapshot: the one)."""
    fields: Mapping[str, tuple[str, ...]]
    """Names of the values in ``content``, per model."""
    baselines: Mapping[str, tuple[str, ...]]
    """Per model, the installs whose baselines the source has."""
    start: Mapping[str, Any]
    """The place that the checkpoint must be at: ``{"cursor": [seq, nonce] | None}`` or ``{"head": …, "after": …}``."""
    end: Mapping[str, Any]
    """The place that it leads to, in the same form."""
    head: Point
    points: tuple[Point, ...]
    """Of the target's history that the source has seen."""
    rows: Sequence[Row] = ()
    bulk: Bulk | None = None
    done: bool = False
    filtered: bool = False
    """The model is filtered for the target: no baseline, and every row gets a state."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """``mirror``, ``accept_conflicts``, ``dry_run``, ``proof`` (certain deletions follow), ``consumed`` and ``baseline``
    (what the source had taken from the target), ``pruned`` (the source's), ``fingerprint`` (of both), ``match`` and
    ``base`` (of :class:`Match`, the base being the source's), ``converted`` (fields come that are of another type there)."""


@dataclass(slots=True)
class Figures:
    """What a transfer did to the contents of one model."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    conflicts: int = 0
    quarantined: int = 0
    kept_at_target: int = 0

    def add(self, other: Figures) -> None:
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in FIGURES}


FIGURES = ("created", "updated", "deleted", "unchanged", "conflicts", "quarantined", "kept_at_target")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to ``apply``."""

    figures: Mapping[str, Figures]
    wanted: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    """What waits, and what it waits for: whoever drives the transfer asks the source for these by key."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    busy: int = 0
    """Rows that wait for nothing but a writer who holds them: worth trying again in a moment."""


@dataclass(frozen=True, slots=True)
class Range:
    """Keys in ``(after, upto]``; None is open."""

    after: Key | None
    upto: Key | None


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the rows in one range: how many, and the hex digest of their keys and contents."""

    range: Range
    count: int
    digest: str
