"""Waiting at the source for changes, for peers that we fetch from (AUTO "pull" and "both")."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.db import Error

from peersync.conf import settings
from peersync.delivery import leases
from peersync.delivery.rounds import LONGEST_PAUSE, Job, Result, backoff, deliver, say_once
from peersync.delivery.targets import local_alias
from peersync.delivery.work import working
from peersync.errors import PeersyncError
from peersync.handshake import Agreement, shake_hands
from peersync.records import Caller, Point, Progress
from peersync.replicas.base import Replica
from peersync.syncing import own_replica, replica_for

__all__ = ["Poller", "news"]

TRY_AGAIN = 4.0
"""Seconds between two looks whether the poll of a peer is free."""

GLANCE = 1.0
"""Seconds between two looks at a database that is polled."""

logger = logging.getLogger("peersync.delivery")


class News(NamedTuple):
    new: bool
    place: tuple[Point | None, ...]
    """How far we had read when we asked: one place twice, and the round in between moved nothing."""


@dataclass(frozen=True)
class _Question:
    """What is asked at the source: whether its feed goes on behind ``cursor``."""

    remote: Replica
    caller: Caller
    labels: list[str]
    cursor: Point

    def ask(self, wait: float) -> bool:
        batch = self.remote.changes(self.caller, self.labels, self.cursor, None, 1, wait=wait)
        return bool(batch.rows) or list(batch.end.get("cursor") or self.cursor) != list(self.cursor)


def _prepare(job: Job) -> tuple[News, _Question | None]:
    """What is new already, or what there is to ask."""
    peer = job.peer()
    local, remote = own_replica(peer), replica_for(peer)
    agreement: Agreement | None = None
    for found in shake_hands(remote, local, local="target", models=job.options.models):
        agreement = found
    for text in agreement.warnings if agreement else ():
        say_once(job.name, text)  # a round that follows meets a peer that is greeted already
    if agreement is None or not agreement.names:
        return News(False, ()), None
    known = local.checkpoint(agreement.as_source())
    progress = [known.get(label, Progress()) for label in agreement.names]
    place = tuple(one.cursor for one in progress)
    cursors = [one.cursor for one in progress if one.cursor is not None]
    if len(cursors) < len(progress) or any(one.owed is not None for one in progress):
        return News(True, place), None
    return News(False, place), _Question(remote, agreement.as_target(), list(agreement.names), min(cursors))


def news(job: Job, wait: float, stop: threading.Event) -> News:
    """Whether the peer has something for us; waits for it at the peer, up to ``wait`` seconds.

    No transaction is open here meanwhile, nor there. What is still owed (a first contact, a comparison) is news too.
    """
    with working():
        found, question = _prepare(job)
    if question is None:
        if not found.new:
            stop.wait(wait)  # nothing travels
        return found
    if not job.target.alias:
        return found._replace(new=question.ask(wait))
    # A database cannot be asked to wait without a connection: it is looked at now and then.
    until = time.monotonic() + wait
    while not found.new and time.monotonic() < until and not stop.wait(GLANCE):
        with working():
            found = found._replace(new=question.ask(0))
    return found


class Poller(threading.Thread):
    """Polls one peer for as long as this process lives; of all processes of a site, one at a time does."""

    def __init__(self, job: Job, stop: threading.Event, allowed: Callable[[], bool]) -> None:
        super().__init__(name=f"peersync-poll:{job.name}", daemon=True)
        self.job, self.stop, self.allowed = job, stop, allowed
        self.busy = False
        """In a round, not waiting for news."""
        self._failures = 0
        self._idle = 0
        self._place: tuple[Point | None, ...] = ()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with working():
                    lease = leases.take(local_alias(), self.job.name, "poll") if self.allowed() else None
                if lease is not None:
                    try:
                        self._poll(lease)
                    finally:
                        with working():
                            lease.end()
            except (Error, PeersyncError) as error:
                logger.debug("No poll of %s: %s", self.job.name, error)
            except Exception:  # a bug of ours must not end it for ever
                logger.exception("The poll of %s failed", self.job.name)
            self.stop.wait(TRY_AGAIN)

    def _poll(self, lease: leases.Lease) -> None:
        self._round()  # whatever was owed when this process took over
        while not self.stop.is_set() and not lease.lost.is_set() and self.allowed():
            try:
                found = news(self.job, settings().limits.wait, self.stop)
            except (Error, PeersyncError) as error:
                # The round that follows meets the same, and writes it down where the status finds it.
                logger.debug("The poll of %s failed: %s", self.job.name, error)
                self._round(failed=True)
                continue
            self._idle = self._idle + 1 if found.place == self._place else 0
            self._place = found.place
            if found.new:
                # A round that leaves the news where they were must not run in circles.
                self.stop.wait(min(LONGEST_PAUSE, 0.05 * 2**self._idle) if self._idle else 0)
                self._round()

    def _round(self, failed: bool = False) -> None:
        self.busy = True
        try:
            if self.stop.is_set():
                return
            with working():
                result = deliver(self.job, push=False, pull=True)
        finally:
            self.busy = False
        if result is Result.FAILED or (failed and result is Result.HELD):
            self._failures += 1
            self.stop.wait(backoff(self._failures))
            return
        self._failures = 0
        if result is not Result.DONE:
            self.stop.wait(LONGEST_PAUSE if result is Result.NEEDED else 0.5)
