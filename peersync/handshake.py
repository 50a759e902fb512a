"""The start of a transfer: who is who, what both sides synchronise, and whether they may exchange anything at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from peersync.conf import settings
from peersync.errors import (
    ClockSkew,
    PeersyncError,
    ProtocolDiffers,
    ReadOnlyReplica,
    Refused,
    RoleConflict,
    SameDatabase,
)
from peersync.fitting import fit
from peersync.gaps import sealed
from peersync.histories import common_pass
from peersync.records import PROTOCOL, Caller, Description, ModelInfo
from peersync.replicas.base import Replica

ROUNDS = 6
RENEW = "Next time run manage.py sync_peer renew there first, before anything is written."


@dataclass
class Agreement:
    """What a handshake found: both descriptions, and the models and fields that travel, parents first."""

    source: Description
    target: Description
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bulk: dict[str, tuple[str, ...]] = field(default_factory=dict)
    filtered: frozenset[str] = frozenset()
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Per model the fields whose files travel: both sides said so."""
    own_numbers: set[str] = field(default_factory=set)
    """Models whose primary keys are of another type at the other side: rows do not bring theirs along."""
    warnings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Sentences about what one side only synchronises: no error, and said once."""
    stopped: dict[str, PeersyncError] = field(default_factory=dict)
    """Models of which nothing can travel as the two sides are now, and why."""
    carried: dict[str, frozenset[str]] = field(default_factory=dict)
    """Fields that the target's release lacks: it keeps their values beside the rows, for others and for later."""
    closed: dict[str, frozenset[str]] = field(default_factory=dict)
    """Seals of fields that the target leaves out: nothing of them is sent."""
    converted: dict[str, frozenset[str]] = field(default_factory=dict)
    """Fields that are of another type at the other side, where values of the one can be of the other."""

    def both_empty(self, label: str) -> bool:
        """Whether neither side has a row of the model."""
        return all(info is not None and info.empty for info in (self.source.model(label), self.target.model(label)))

    def as_target(self) -> Caller:
        """The target, as it calls the source."""
        return caller_of(self.target)

    def as_source(self) -> Caller:
        return caller_of(self.source)


def caller_of(asker: Description) -> Caller:
    """The asker, as the other side is told of it."""
    return Caller(
        node=asker.node,
        install=asker.install,
        points=asker.points,
        about=asker.about,
        told=asker.told,
        retired=asker.retired,
        clock=asker.clock,
    )


def shake_hands(
    source: Replica, target: Replica, *, local: str, models: Sequence[str] | None
) -> Iterator[Agreement | None]:
    """Yields None after each call to a replica, and the agreement at last.

    Each side shows what it has seen of the other's history; whose own history was rewound, copied or given up takes a
    new id, and it starts over.
    """
    near, far = (source, target) if local == "source" else (target, source)
    renewed: list[str] = []
    for _ in range(ROUNDS):
        mine = near.describe(None)
        yield None
        theirs = far.describe(caller_of(mine))
        yield None
        _same_place(mine, theirs)
        if mine.node == theirs.node:
            _part(near, near.describe(caller_of(theirs)), theirs)
            renewed.append(f"{near.name} was a copy of {far.name}: it bears a node id of its own now. {RENEW}")
            yield None
            continue
        if mine.about in {old.id for old in theirs.retired}:
            renewed.append(_rewound(far.name))
        again = near.describe(caller_of(theirs))
        if again.node != mine.node:
            renewed.append(_rewound(near.name))
        yield None
        if again.node == mine.node and again.points == mine.points:
            pair = (again, theirs) if local == "source" else (theirs, again)
            agreement = Agreement(*pair)
            agreement.warnings += dict.fromkeys(renewed)
            _agree(agreement, models)
            yield agreement
            return
    raise Refused("The two nodes could not agree on who they are.", hint="Run: manage.py sync_peer renew")


def _rewound(name: str) -> str:
    return (
        f"{name} was restored from a backup, or copied: it bears a new node id now, and gets back what the other side"
        f" has from it. {RENEW}"
    )


def _same_place(mine: Description, theirs: Description) -> None:
    if mine.protocol != PROTOCOL or theirs.protocol != PROTOCOL:
        raise ProtocolDiffers(f"The peer speaks protocol {theirs.protocol}, this node {PROTOCOL}.")
    if mine.place and mine.place == theirs.place:
        raise SameDatabase(
            "Both sides are the same database (two aliases of one, a test mirror, or a physical replica of it).",
            hint="Name two different databases in DATABASES, or the URL of another instance.",
        )
    if mine.read_only or theirs.read_only:
        raise ReadOnlyReplica("One side is a physical replica, which cannot be written and has no history of its own.")


def _part(near: Replica, mine: Description, theirs: Description) -> None:
    """Two copies of one database: the one that began the transfer takes a new id."""
    renew: Callable[[Any], str] | None = getattr(near, "renew", None)
    if renew is None:
        raise Refused("Both sides bear the same node id: one is a copy.", hint="Run there: manage.py sync_peer renew")
    renew(common_pass(mine.passes, theirs.passes))


def _agree(agreement: Agreement, models: Sequence[str] | None) -> None:
    source, target = agreement.source, agreement.target
    agreement.warnings += [*source.warnings, *target.warnings]
    skew = abs(source.clock - target.clock) // 1000
    if skew > settings().max_clock_skew:
        raise ClockSkew(
            f"The clocks of the two nodes are {skew} seconds apart (MAX_CLOCK_SKEW is {settings().max_clock_skew}).",
            hint="Set the clock that is wrong; no row was taken.",
        )
    known = {model.label for model in target.models}
    for model in source.models:
        if models is not None and model.label.lower() not in {m.lower() for m in models}:
            continue
        other = target.model(model.label)
        if other is None:
            agreement.left_out.append(_alone(model.label))
        elif _travels(model, source.role, target.role) and _travels(other, source.role, target.role):
            _match(agreement, model, other)
    _roles(agreement, source, target)
    here = {m.label for m in source.models}
    agreement.left_out += [_alone(label) for label in sorted(known - here) if models is None]
    agreement.filtered = frozenset(m.label for m in source.models if m.filtered)


def _alone(label: str) -> str:
    return (
        f"{label} is synchronised at one side only: left out. (Where it was renamed or moved to another app, it travels on"
        " when the other side is migrated too.)"
    )


def _match(agreement: Agreement, model: ModelInfo, other: ModelInfo) -> None:
    """What travels of a model; one that cannot is stopped, and the others go on without it."""
    label = model.label
    try:
        found = fit(model, other)
    except Refused as error:
        agreement.stopped[label] = error
        return
    agreement.names[label] = found.names
    agreement.closed[label] = frozenset(other.closed)
    unknown = frozenset(model.fields) - set(other.fields)
    agreement.carried[label] = frozenset(name for name in unknown if sealed(label, name) not in agreement.closed[label])
    agreement.bulk[label] = _bulk(model, other)
    both = set(model.files) & set(other.files)
    if files := tuple(name for name in found.names if name in both):
        agreement.files[label] = files
    if found.converted:
        agreement.converted[label] = found.converted
    if found.alone:
        agreement.left_out.append(
            f"{label}: {', '.join(found.alone)} travel at one side only: left out until both sides have them."
        )
    if model.pk != other.pk:
        agreement.own_numbers.add(label)


def _travels(model: ModelInfo, source_role: str, target_role: str) -> bool:
    if model.direction == "both":
        return True
    sender = "master" if model.direction == "master-to-slave" else "slave"
    if not source_role and not target_role:
        raise RoleConflict(
            f"DIRECTION of {model.label} speaks of master and slave, but neither side says which it is.",
            hint='Set SYNC_CONFIG["ROLE"] to "master" or "slave" on each side.',
        )
    return source_role == sender or (not source_role and target_role != sender)


def _bulk(model: ModelInfo, other: ModelInfo) -> tuple[str, ...]:
    if list(model.fields.items()) != list(other.fields.items()) or model.filtered or other.filtered:
        return ()
    return tuple(encoding for encoding in model.bulk if encoding in other.bulk)


def _roles(agreement: Agreement, source: Description, target: Description) -> None:
    """Where a policy speaks of master and slave, exactly one side must be each."""
    needy = [
        m.label
        for m in source.models
        if m.label in agreement.names and (m.policy in ("master", "slave") or m.direction != "both")
    ]
    if needy and {source.role, target.role} != {"master", "slave"}:
        raise RoleConflict(
            f"{needy[0]} needs one master and one slave, but the sides say"
            f" {source.role or 'nothing'} (source) and {target.role or 'nothing'} (target).",
            hint='Set SYNC_CONFIG["ROLE"] to "master" on one side and to "slave" on the other.',
        )
