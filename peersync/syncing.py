"""Pull, push, sync, compare: whole transfers by name, with a record of each run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from peersync.comparing import Comparison, Differences, Side
from peersync.conf import settings
from peersync.errors import ConfigurationError
from peersync.handshake import Agreement, shake_hands
from peersync.replicas.base import Replica
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from peersync.reports import Options, TransferReport
from peersync.telling import news
from peersync.transactions import translated
from peersync.transfer import Transfer


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
        report.warnings += report.left_out
        if transfer.options.mirror and report.error is None:
            _count_deletions(report, peer, transfer.options, here=transfer.local == "target")
    else:
        name = peer if isinstance(peer, str) else peer.name
        _note(report, name, started)
        if transfer.agreement is not None:
            _tell(report, name, transfer)
    return report


def _tell(report: TransferReport, peer: str, transfer: Transfer) -> None:
    """Say what is left out, where it was not said before."""
    alias = settings().master
    way = "push" if transfer.local == "source" else "pull"
    with translated(alias), transaction.atomic(using=alias):
        new = news(connections[alias], peer, way, report.left_out, whole=transfer.options.models is None)
    report.warnings += tuple(new)


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
    stopped = " ".join(str(one) for one in report.stopped.values())
    figures = {label: f.as_dict() for label, f in report.models.items() if any(f.as_dict().values())}
    with translated(alias):
        found = Peer.objects.using(alias).filter(name=peer)
        failures = 0 if not error else (found.values_list("failures", flat=True).first() or 0) + 1
        changes: dict[str, Any] = {"last_error": error or stopped, "failures": failures}
        if not error:
            changes["last_contact"] = timezone.now()
        if report.read is not None and report.source == alias:
            changes["told"] = report.read
        if not found.update(**changes):
            Peer.objects.using(alias).create(name=peer, **changes)
        if transfer_is_idle(report) and Run.objects.using(alias).filter(peer=peer).exists():
            return
        if (error or (stopped and not _moved(report))) and _failed_again(report, peer, started, error or stopped):
            return
        Run.objects.using(alias).create(
            peer=peer,
            source=report.source,
            target=report.target,
            started=started,
            seconds=report.seconds,
            status=report.status,
            figures=json.dumps(figures),
            error=error or stopped,
        )


def _failed_again(report: TransferReport, peer: str, started: Any, error: str) -> bool:
    """A peer that is away is tried every few seconds: the same failure again is the same row, with a new time."""
    from peersync.models import Run

    runs = Run.objects.using(settings().master).filter(peer=peer, source=report.source, target=report.target)
    last = runs.order_by("-id").first()
    if last is None or last.error != error:
        return False
    return bool(runs.filter(pk=last.pk).update(started=started, seconds=report.seconds))


def transfer_is_idle(report: TransferReport) -> bool:
    """Whether it went well and changed nothing."""
    return report.status == "ok" and not _moved(report)


def _moved(report: TransferReport) -> bool:
    return any(f.created or f.updated or f.deleted or f.conflicts for f in report.models.values())


def compare(
    peer: str | Replica, options: Options | None = None, *, warn: Callable[[str], None] | None = None
) -> dict[str, Differences]:
    """What differs between this node and the peer, per model, by digests. Writes nothing of the project's.

    ``warn``: told of what the handshake found, such as that a copied database took a new node id. Raises any PeersyncError.
    """
    options = options or Options()
    near, far = own_replica(peer), replica_for(peer)
    agreement: Agreement | None = None
    for found in shake_hands(near, far, local="source", models=options.models):
        agreement = found
    assert agreement is not None  # noqa: S101  # shake_hands ends with an agreement, or raises
    for text in dict.fromkeys(agreement.warnings):
        if warn is not None:
            warn(text)
    for why in agreement.stopped.values():
        raise why  # nobody is to take it for equal
    found_differences = {}
    for label, common in agreement.names.items():
        if agreement.both_empty(label):
            found_differences[label] = Differences()
            continue
        # values of two types say the same in two ways
        names = tuple(name for name in common if name not in agreement.converted.get(label, ()))
        sides = Side(near, agreement.as_target()), Side(far, agreement.as_source())
        found_differences[label] = Comparison(*sides, label, names).run()
    return found_differences


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
