"""One round with one peer: take its lease, fetch, send, and write down how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache

from django.db import Error
from django.db.models import F

from peersync import syncing as sync
from peersync.conf import settings
from peersync.delivery import leases
from peersync.delivery.targets import Target, local_alias
from peersync.errors import FirstContactNeeded, PeersyncError
from peersync.models import Journal, Node, Peer
from peersync.replicas.base import Replica
from peersync.replicas.http import HttpReplica
from peersync.replicas.http_session import Retries
from peersync.syncing import Options, TransferReport

__all__ = ["LONGEST_PAUSE", "Job", "Result", "backoff", "behind", "client", "deliver", "say_once"]

LONGEST_PAUSE = 15.0
"""Seconds between two tries of a peer that fails."""

logger = logging.getLogger("peersync.delivery")


class Result(Enum):
    DONE = "done"
    HELD = "held"
    """Another process has the peer's lease, or the peer failed a moment ago."""
    FAILED = "failed"
    NEEDED = "needed"
    """Somebody has to make the first contact by hand; in the other direction the peer may be served."""


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

    def peer(self) -> str | Replica:
        """As :func:`peersync.push` takes it."""
        if self.replica is not None or self.target.alias or not self.options.automatic:
            return self.replica or self.name
        return client(self.target)


def client(target: Target, timeout: int | None = None, attempts: int = 2) -> Replica:
    """A client that gives up sooner than that of the commands: a round that failed is made again anyway."""
    peer, limits = settings().peers[target.name], settings().limits
    if timeout is not None:
        limits = replace(limits, timeout=timeout, answer_seconds=timeout, wait=0)
    retries = Retries(attempts=attempts)
    return HttpReplica(target.name, str(peer.url), peer.token, insecure=peer.insecure, limits=limits, retries=retries)


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
    steps = {"pull": job.pull if pull is None else pull, "push": job.push if push is None else push}
    try:
        with leases.held(alias, job.name, renew=renew) as lease:
            if lease is None:
                return Result.HELD
            for step in (name for name, wanted in steps.items() if wanted):
                error = _transfer(alias, job, step)
                if error is not None:
                    return _put_off(alias, job.target, error)
            return Result.DONE
    except (Error, PeersyncError) as error:
        # Our own database is away, busy, or not migrated yet: nothing can be written down there.
        logger.debug("No round with %s: %s", job.name, error)
        return Result.FAILED


def _transfer(alias: str, job: Job, step: str) -> PeersyncError | None:
    """Its error; the run stands in the tables then."""
    try:
        peer = job.peer()
        report = sync.pull(peer, job.options) if step == "pull" else sync.push(peer, job.options)
    except PeersyncError as error:  # no transfer came about
        Peer.objects.using(alias).filter(name=job.name).update(failures=F("failures") + 1)
        return error
    except Exception as error:  # a bug of ours must not end automatic sync for ever
        logger.exception("Automatic sync with %s failed", job.name)
        Peer.objects.using(alias).filter(name=job.name).update(failures=F("failures") + 1)
        return PeersyncError(f"{type(error).__name__} while synchronising; the log has the details.")
    if job.report:
        job.report(report)
    for text in report.warnings:
        say_once(job.name, text)
    for label, why in report.stopped.items():
        say_once(job.name, f"{label} was left as it is: {why}")
    return report.error


@lru_cache(maxsize=256)
def say_once(name: str, text: str) -> None:
    """What nobody watches stands in the log; a round is made every few seconds, and would say it each time."""
    logger.warning("Sync with %s: %s", name, text)


def _put_off(alias: str, target: Target, error: PeersyncError) -> Result:
    """Say in the peer's row what is wrong, and let nobody try it again at once."""
    row = Peer.objects.using(alias).filter(name=target.name)
    row.update(last_error=str(error))
    failures = row.values_list("failures", flat=True).first() or 1
    logger.log(logging.WARNING if failures == 1 else logging.DEBUG, "Sync with %s: %s", target.name, error)
    if isinstance(error, FirstContactNeeded):
        return Result.NEEDED
    leases.cool_down(alias, target.name, backoff(failures))
    return Result.FAILED
