"""Waiting at the source for changes, for peers that we fetch from (AUTO "pull" and "both")."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from django.db import DatabaseError, connections

from peersync.conf import settings
from peersync.delivery import leases
from peersync.delivery.rounds import LONGEST_PAUSE, Job, Result, backoff, deliver
from peersync.delivery.targets import local_alias
from peersync.errors import PeersyncError
from peersync.handshake import Agreement, shake_hands
from peersync.records import Point, Progress
from peersync.syncing import own_replica, replica_for

__all__ = ["Poller", "news"]

TRY_AGAIN = 4.0
"""Seconds between two looks whether the poll of a peer is free."""

logger = logging.getLogger("peersync.delivery")


class News(NamedTuple):
    new: bool
    place: tuple[Point | None, ...]
    """How far we had read when we asked: one place twice, and the round in between moved nothing."""


def news(job: Job, wait: float) -> News:
    """Whether the peer has something for us; waits for it at the peer, up to ``wait`` seconds.

    No transaction is open here meanwhile, nor there. What is still owed (a first contact, a comparison) is
    news too.
    """
    peer = job.peer()
    local, remote = own_replica(peer), replica_for(peer)
    agreement: Agreement | None = None
    for found in shake_hands(remote, local, local="target", models=job.options.models):
        agreement = found
    if agreement is None or not agreement.names:
        return News(False, ())
    known = local.checkpoint(agreement.as_source())
    progress = [known.get(label, Progress()) for label in agreement.names]
    place = tuple(one.cursor for one in progress)
    cursors = [one.cursor for one in progress if one.cursor is not None]
    if len(cursors) < len(progress) or any(one.owed is not None for one in progress):
        return News(True, place)
    cursor = min(cursors)
    connections.close_all()
    batch = remote.changes(agreement.as_target(), list(agreement.names), cursor, None, 1, wait=wait)
    moved = list(batch.end.get("cursor") or cursor) != list(cursor)
    return News(bool(batch.rows) or moved, place)


class Poller(threading.Thread):
    """Polls one peer for as long as this process lives; of all processes of a site, one at a time does."""

    def __init__(self, job: Job, stop: threading.Event, allowed: Callable[[], bool]) -> None:
        super().__init__(name=f"peersync-poll:{job.name}", daemon=True)
        self.job, self.stop, self.allowed = job, stop, allowed
        self._failures = 0
        self._idle = 0
        self._place: tuple[Point | None, ...] = ()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with leases.held(local_alias(), self.job.name, "poll") as lease:
                    if lease is not None:
                        self._poll(lease)
            except (DatabaseError, PeersyncError) as error:
                logger.debug("No poll of %s: %s", self.job.name, error)
            finally:
                connections.close_all()
            self.stop.wait(TRY_AGAIN)

    def _poll(self, lease: leases.Lease) -> None:
        self._round()  # whatever was owed when this process took over
        while not self.stop.is_set() and not lease.lost.is_set() and self.allowed():
            try:
                found = news(self.job, settings().limits.wait)
            except (DatabaseError, PeersyncError) as error:
                # The round that follows meets the same, and writes it down where the status finds it.
                logger.debug("The poll of %s failed: %s", self.job.name, error)
                self._round(failed=True)
                continue
            finally:
                connections.close_all()
            self._idle = self._idle + 1 if found.place == self._place else 0
            self._place = found.place
            if found.new:
                # A round that leaves the news where they were must not run in circles.
                self.stop.wait(min(LONGEST_PAUSE, 0.05 * 2**self._idle) if self._idle else 0)
                self._round()

    def _round(self, failed: bool = False) -> None:
        try:
            result = deliver(self.job, push=False, pull=True)
        finally:
            connections.close_all()
        if result is Result.FAILED or (failed and result is Result.HELD):
            self._failures += 1
            self.stop.wait(backoff(self._failures))
            return
        self._failures = 0
        if result is not Result.DONE:
            self.stop.wait(LONGEST_PAUSE if result is Result.NEEDED else 0.5)
