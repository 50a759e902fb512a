"""Pull, push, sync, compare: whole transfers by name, with a record of each run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connections
from django.utils import timezone

from peersync.conf import settings
from peersync.errors import ConfigurationError
from peersync.handshake import Agreement, shake_hands
from peersync.records import Caller, Digest, Range
from peersync.replicas.base import Replica
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from peersync.reports import Options, TransferReport
from peersync.transactions import translated
from peersync.transfer import Transfer

PARTS = 64
RANGES = 64
"""Ranges that one call compares."""
SHOWN_KEYS = 20


@dataclass
class Differences:
    """Of one model: how many rows differ (or stand at one side only), and the keys of the first ones."""

    count: int = 0
    keys: list[Any] = field(default_factory=list)
    here: int = 0
    """Of them, rows that stand at this node only."""
    there: int = 0
    """Of them, rows that stand at the peer only."""


def replica_for(peer: str | Replica) -> Replica:
    """The replica of that name: a peer in PEERS with a URL, or the other database alias.

    Raises ConfigurationError where there is none.
    """
    if not isinstance(peer, str):
        return peer
    conf = settings()
    known = conf.peers.get(peer)
    if known is not None and known.url:
        return HttpReplica(peer, known.url, known.token or "", insecure=known.insecure, limits=conf.limits)
    if peer in connections:
        if peer == conf.master:
            raise ConfigurationError(f"{peer!r} is this node's own database.", hint="Name the other side.")
        return DatabaseReplica(peer, peer=conf.master)
    names = [name for name, one in conf.peers.items() if one.url]
    raise ConfigurationError(
        f"There is no peer {peer!r}.",
        hint=f"Known are: {', '.join(sorted([*names, *(a for a in connections if a != conf.master)])) or 'none'}.",
    )


def own_replica(peer: str | Replica) -> DatabaseReplica:
    """This node, as the peer may see it."""
    return DatabaseReplica(settings().master, peer=peer if isinstance(peer, str) else peer.name)


def push(peer: str | Replica, options: Options | None = None) -> TransferReport:
    """From this node to the peer. A PeersyncError ends it and stands in the report."""
    return _run(Transfer(own_replica(peer), replica_for(peer), options=options, local="source"), peer)


def pull(peer: str | Replica, options: Options | None = None) -> TransferReport:
    """From the peer to this node. A PeersyncError ends it and stands in the report."""
    return _run(Transfer(replica_for(peer), own_replica(peer), options=options, local="target"), peer)


def sync(peer: str | Replica, options: Options | None = None) -> list[TransferReport]:
    """Pull, then push; a pull that failed is not followed by a push."""
    options = replace(options or Options(), both=True)
    first = pull(peer, options)
    return [first] if first.error is not None else [first, push(peer, options)]


def _run(transfer: Transfer, peer: str | Replica) -> TransferReport:
    started = timezone.now()
    report = transfer.run()
    if transfer.options.dry_run:
        if transfer.options.mirror and report.error is None:
            _count_deletions(report, peer, transfer.options, here=transfer.local == "target")
    else:
        _note(report, peer if isinstance(peer, str) else peer.name, started)
    return report


def _count_deletions(report: TransferReport, peer: str | Replica, options: Options, *, here: bool) -> None:
    """What ``--mirror`` would delete: the rows that stand at the target only."""
    for label, differences in compare(peer, options).items():
        only = differences.here if here else differences.there
        report.models[label].deleted += only
        report.models[label].conflicts += only  # each leaves a record


def _note(report: TransferReport, peer: str, started: Any) -> None:
    """Write the run into the table Run; a run that moved nothing and followed one like it is not worth a row."""
    from peersync.models import Peer, Run

    alias = settings().master
    error = str(report.error) if report.error else ""
    figures = {label: f.as_dict() for label, f in report.models.items() if any(f.as_dict().values())}
    with translated(alias):
        found = Peer.objects.using(alias).filter(name=peer)
        failures = 0 if not error else (found.values_list("failures", flat=True).first() or 0) + 1
        changes: dict[str, Any] = {"last_error": error, "failures": failures}
        if not error:
            changes["last_contact"] = timezone.now()
        if report.read is not None and report.source == alias:
            changes["told"] = report.read
        if not found.update(**changes):
            Peer.objects.using(alias).create(name=peer, **changes)
        if transfer_is_idle(report) and Run.objects.using(alias).filter(peer=peer).exists():
            return
        if error and _failed_again(report, peer, started, error):
            return
        Run.objects.using(alias).create(
            peer=peer,
            source=report.source,
            target=report.target,
            started=started,
            seconds=report.seconds,
            status=report.status,
            figures=json.dumps(figures),
            error=error,
        )


def _failed_again(report: TransferReport, peer: str, started: Any, error: str) -> bool:
    """A peer that is away is tried every few seconds: the same failure again is the same row, with a new time."""
    from peersync.models import Run

    runs = Run.objects.using(settings().master).filter(peer=peer)
    last = runs.order_by("-id").first()
    if last is None or (last.source, last.target, last.error) != (report.source, report.target, error):
        return False
    return bool(runs.filter(pk=last.pk).update(started=started, seconds=report.seconds))


def transfer_is_idle(report: TransferReport) -> bool:
    """Whether it went well and changed nothing."""
    moved = any(f.created or f.updated or f.deleted or f.conflicts for f in report.models.values())
    return report.status == "ok" and not moved


def compare(peer: str | Replica, options: Options | None = None) -> dict[str, Differences]:
    """What differs between this node and the peer, per model, by digests. Writes nothing.

    Raises any PeersyncError.
    """
    options = options or Options()
    near, far = own_replica(peer), replica_for(peer)
    agreement: Agreement | None = None
    for found in shake_hands(near, far, local="source", models=options.models):
        agreement = found
    assert agreement is not None  # noqa: S101  # shake_hands ends with an agreement, or raises
    found_differences = {}
    for label, names in agreement.names.items():
        comparison = _Comparison(near, far, agreement, label, names)
        comparison.look(Range(None, None))
        found_differences[label] = comparison.found
    return found_differences


class _Comparison:
    """Of one model: ranges whose digests differ are cut smaller, down to single rows."""

    def __init__(
        self, near: DatabaseReplica, far: Replica, agreement: Agreement, label: str, names: tuple[str, ...]
    ) -> None:
        self.near, self.far, self.label, self.names = near, far, label, names
        self.far_caller = agreement.as_target()
        self.near_caller = agreement.as_source()
        self.found = Differences()

    def look(self, whole: Range) -> None:
        ranges = [whole]
        while ranges:
            now, ranges = ranges[:RANGES], ranges[RANGES:]
            mine = self._digests(self.near, self.far_caller, now, PARTS)
            bounds = [one.range for one in mine]
            theirs = self._digests(self.far, self.near_caller, bounds, 1)
            for one, other in zip(mine, theirs, strict=True):
                if (one.count, one.digest) == (other.count, other.digest):
                    continue
                if max(one.count, other.count) <= PARTS:
                    self._rows(one.range)
                else:
                    ranges.append(one.range)

    def _rows(self, bounds: Range) -> None:
        """The keys that differ in a short range: both sides give a digest per row."""
        sides = []
        for replica, caller in ((self.near, self.far_caller), (self.far, self.near_caller)):
            found = self._digests(replica, caller, [bounds], PARTS * 2)
            sides.append({one.range.upto: one.digest for one in self._single(replica, caller, found)})
        for key in {**sides[0], **sides[1]}:
            if sides[0].get(key) != sides[1].get(key):
                self.found.count += 1
                self.found.here += key not in sides[1]
                self.found.there += key not in sides[0]
                if len(self.found.keys) < SHOWN_KEYS and key is not None:
                    self.found.keys.append(key[0] if len(key) == 1 else list(key))

    def _single(self, replica: Any, caller: Caller, found: list[Digest]) -> list[Digest]:
        return [one for one in found if one.count]

    def _digests(self, replica: Any, caller: Caller, ranges: list[Range], parts: int) -> list[Digest]:
        found: list[Digest] = replica.digests(caller, self.label, ranges, parts, self.names)
        return found


__all__ = [
    "Differences",
    "Options",
    "Transfer",
    "TransferReport",
    "compare",
    "own_replica",
    "pull",
    "push",
    "replica_for",
    "sync",
]
