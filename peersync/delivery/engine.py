"""The background of automatic sync: one daemon thread per process that watches over the peers.

It sleeps until somebody wakes it, looks around every few seconds, and gives each round with a peer to a
short-lived thread, so that a peer that hangs delays no other. Between rounds no connection of ours is open.
A save does nothing but set an event.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import Error

from peersync.delivery import leases
from peersync.delivery.polls import Poller
from peersync.delivery.rounds import LONGEST_PAUSE, Job, Result, backoff, behind, deliver
from peersync.delivery.targets import local_alias
from peersync.delivery.work import working
from peersync.errors import PeersyncError
from peersync.models import Journal
from peersync.numbering import number

__all__ = ["Engine"]

LOOK = 5.0
"""Seconds between two looks for peers whose holder is gone."""
PERIOD = 30.0
"""Seconds after which changes that no signal told of leave at the latest."""
GATHER = 0.05
"""Seconds that a wake waits for more of its kind."""
ROUNDS = 8
"""Rounds at a time, each with a connection to the database."""

logger = logging.getLogger("peersync.delivery")


@dataclass
class Line:
    """What this process knows about one peer. Times are of ``time.monotonic``."""

    job: Job
    pending: bool = False
    due: float = 0.0
    dirty: bool = False
    """Something was changed in this process since the last round began: worth a flush at the end."""
    running: bool = False
    held: int = 0
    failures: int = 0
    looked: float = float("-inf")


class Engine:
    """``jobs``: what is to be done, asked when the thread starts. ``allowed``: whether it may be done now.

    ``period``: seconds between two looks for what nobody woke us for.
    """

    def __init__(
        self, jobs: Callable[[], Sequence[Job]], allowed: Callable[[], bool], period: float | None = None
    ) -> None:
        self.pid = os.getpid()
        self.period = PERIOD if period is None else period
        self.look = min(LOOK, self.period)
        self._jobs, self._allowed = jobs, allowed
        self._event = threading.Event()
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._woken = False
        self._flushing = False
        self._look_at = float("-inf")
        self._numbered = time.monotonic()
        self._lines: list[Line] = []
        self._pollers: list[Poller] = []
        self._thread: threading.Thread | None = None

    def start(self, delay: float = 0.0) -> None:
        """``delay``: seconds before the first look, unless a wake comes earlier."""
        self._thread = threading.Thread(target=self._run, args=(delay,), name="peersync-delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something was changed. Costs the caller nothing."""
        self._woken = True
        self._event.set()

    def stop(self, seconds: float) -> None:
        """Begin nothing more, and wait so long for what is running."""
        self._stop.set()
        self._event.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def flush(self, seconds: float) -> None:
        """The process ends: send what was changed in it, for at most so many seconds. Starts no threads."""
        if self._thread is None or not self._thread.is_alive() or not self._allowed():
            return
        self._flushing = True
        self._event.set()
        self._quiet.wait(seconds)

    def _run(self, delay: float) -> None:
        if delay:
            self._event.wait(delay)
        try:
            self._lines = [Line(job) for job in self._jobs()]
        except PeersyncError as error:
            logger.error("Automatic sync does not run: %s", error)
            self._quiet.set()
            return
        self._pollers = [Poller(line.job, self._stop, self._allowed) for line in self._lines if line.job.pull]
        for poller in self._pollers:
            poller.start()
        while not self._stop.is_set():
            self._turn_safely()
            self._event.wait(self._pause())
            self._event.clear()
        self._finish()

    def _finish(self) -> None:
        """Rounds that are running come to their end; a poll that waits at its peer is left there."""
        while any(line.running for line in self._lines) or any(poller.busy for poller in self._pollers):
            time.sleep(0.02)

    def _pause(self) -> float:
        now = time.monotonic()
        due = [line.due for line in self._lines if line.pending and not line.running]
        return max(0.0, min([self._look_at, *due]) - now)

    def _turn_safely(self) -> None:
        try:
            with working():
                self._turn()
        except (Error, PeersyncError) as error:
            # The database is away, or not migrated yet: look again later.
            logger.debug("Automatic sync looks again later: %s", error)
        except Exception:
            logger.exception("Automatic sync looks again later")

    def _turn(self) -> None:
        if not self._allowed():
            self._look_at = time.monotonic() + 1.0
            return
        now = time.monotonic()
        if self._woken:
            self._woken = False
            for line in self._lines:
                if line.job.push:
                    line.dirty = True
                    self._ask(line, now + GATHER)
        if now >= self._look_at and not self._flushing:
            self._look_at = now + self.look
            self._look(now)
        self._begin()

    @staticmethod
    def _ask(line: Line, due: float) -> None:
        if not line.pending:
            line.pending, line.due, line.held = True, max(due, line.due), 0

    def _look(self, now: float) -> None:
        """For what nobody woke us for: a holder that is gone, and changes that no signal tells of."""
        orphans = set(leases.orphaned(local_alias()))
        for line in self._lines:
            if not line.job.push:
                continue
            if line.job.name in orphans:
                self._ask(line, now)
            elif now - line.looked >= self.period:
                line.looked = now
                if behind(line.job.name):
                    self._ask(line, now)
        if now - self._numbered >= PERIOD:
            self._numbered = now
            self._number()

    def _number(self) -> None:
        """The journal stays short also where nobody reads the feed."""
        alias = local_alias()
        if Journal.objects.using(alias).exists():
            self._spawn("peersync-numbering", lambda: number(alias))

    def _begin(self) -> None:
        now = time.monotonic()
        for line in self._lines:
            if not line.pending or line.running or (line.due > now and not self._flushing):
                continue
            if self._flushing:
                if line.dirty and not line.failures:
                    self._round(line)
            elif sum(one.running for one in self._lines) < ROUNDS:
                line.running = True
                try:
                    self._spawn(f"peersync-delivery:{line.job.name}", partial(self._round, line))
                except RuntimeError:  # no thread is to be had: the process ends, or has too many
                    line.running = False
                    raise
        if self._flushing and not any(line.running for line in self._lines):
            self._quiet.set()

    @staticmethod
    def _spawn(name: str, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                with working():
                    work()
            except (Error, PeersyncError) as error:
                logger.debug("%s: %s", name, error)

        threading.Thread(target=run, name=name, daemon=True).start()

    def _round(self, line: Line) -> None:
        line.running, line.pending, line.dirty = True, False, False
        result = Result.FAILED
        try:
            result = deliver(line.job, push=True, pull=False, renew=not self._flushing)
        finally:
            self._after(line, result)
            line.running = False
            self._event.set()

    @staticmethod
    def _after(line: Line, result: Result) -> None:
        """A round that was not to be had, or failed, is still owed."""
        now = time.monotonic()
        if result is Result.DONE:
            line.failures, line.looked = 0, now
            line.due = now + GATHER
            return
        line.pending = True
        if result is Result.HELD:
            line.held += 1
            line.due = now + min(2.0, 0.1 * 2 ** min(line.held, 5))
        elif result is Result.NEEDED:
            line.due = now + LONGEST_PAUSE
        else:
            line.failures += 1
            line.due = now + backoff(line.failures)
