"""One round with one peer: take its lease, fetch, send, and write down how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from peersync import sync
from peersync.delivery import leases
from peersync.delivery.targets import Target, local_alias
from peersync.errors import FirstContactNeeded, PeersyncError
from peersync.models import Journal, Node, Peer
from peersync.replicas.base import Replica
from peersync.sync import Options, TransferReport

__all__ = ["LONGEST_PAUSE", "Job", "Result", "backoff", "behind", "deliver"]

LONGEST_PAUSE = 15.0
"""Seconds between two tries of a peer that fails."""

logger = logging.getLogger("peersync.delivery")


class Result(Enum):
    DONE = "done"
    HELD = "held"
    """Another process has the peer's lease, or the peer failed a moment ago."""
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """What is to be done with one peer, again and again."""

    target: Target
    push: bool
    pull: bool
    options: Options = field(default_factory=lambda: Options(automatic=True))
    replica: Replica | None = None
    """Else the one that the settings name."""
    report: Callable[[TransferReport], None] | None = None
    """Told of every transfer."""

    @property
    def name(self) -> str:
        return self.target.name


def backoff(failures: int) -> float:
    """1, 2, 4 … at most 15 seconds."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))


def behind(name: str) -> bool:
    """Whether this node's feed goes on where the peer has read to. Cheap, and writes nothing."""
    alias = local_alias()
    if Journal.objects.using(alias).exists():
        return True
    head = Node.objects.using(alias).values_list("last_seq", flat=True).first()
    told = Peer.objects.using(alias).filter(name=name).values_list("told", flat=True).first()
    return head is not None and (told is None or told < head)


def deliver(job: Job, *, push: bool | None = None, pull: bool | None = None, renew: bool = True) -> Result:
    """One round, fetching before sending. Raises nothing that a peer or a database could cause.

    ``push``, ``pull``: only these of what the job says. ``renew``: see :func:`leases.held`.
    """
    alias = local_alias()
    try:
        with leases.held(alias, job.name, renew=renew) as lease:
            if lease is None:
                return Result.HELD
            error = _transfers(job, job.push if push is None else push, job.pull if pull is None else pull)
            return _note(alias, job.target, error)
    except (DatabaseError, PeersyncError) as error:
        # Our own database is away, busy, or not migrated yet: nothing can be written down there.
        logger.debug("No round with %s: %s", job.name, error)
        return Result.FAILED


def _transfers(job: Job, push: bool, pull: bool) -> PeersyncError | None:
    """Do them in order until one fails; that one's error."""
    peer = job.replica or job.name
    for wanted, transfer in ((pull, sync.pull), (push, sync.push)):
        if not wanted:
            continue
        try:
            report = transfer(peer, job.options)
        except PeersyncError as error:
            return error
        except Exception as error:  # a bug of ours must not end automatic sync for ever
            logger.exception("Automatic sync with %s failed", job.name)
            return PeersyncError(f"{type(error).__name__} while synchronising; the log has the details.")
        if job.report:
            job.report(report)
        if report.error:
            return report.error
    return None


def _note(alias: str, target: Target, error: PeersyncError | None) -> Result:
    """Write into the peer's row how the round went; a failed one makes everybody wait before the next."""
    row = Peer.objects.using(alias).filter(name=target.name)
    if error is None:
        row.update(last_contact=timezone.now(), last_error="", failures=0)
        return Result.DONE
    text = _sentence(target, error)
    logger.warning("Automatic sync with %s: %s", target.name, text)
    row.update(last_error=text, failures=F("failures") + 1)
    failures = row.values_list("failures", flat=True).first() or 1
    leases.cool_down(
        alias, target.name, LONGEST_PAUSE if isinstance(error, FirstContactNeeded) else backoff(failures)
    )
    return Result.FAILED


def _sentence(target: Target, error: PeersyncError) -> str:
    text = str(error)
    if isinstance(error, FirstContactNeeded) and "sync_data" not in text:
        return f"{text} Run once: {target.command}"
    return text
