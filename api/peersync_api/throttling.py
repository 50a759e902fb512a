"""What one process does at most: refused tokens per address and minute, and long polls at a time.

Counted in memory: a project's cache may be a dummy, and a limit kept in the database would cost a write for
every refused call. With n processes the limits are up to n times as high.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peersync.conf import settings
from peersync_api.problems import Throttled, Unavailable

WINDOW = 60.0
"""Seconds."""
ADDRESSES = 10_000
"""So many are remembered; then the one that was quiet for longest is forgotten."""


class RefusedTokens:
    """How many tokens of an address were refused in the last minute. Valid ones are never counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[float]] = {}

    def note(self, address: str) -> None:
        """Count one; raises Throttled where that is more than LIMITS["RATE"] in a minute."""
        most = settings().limits.rate
        now = self._clock()
        with self._lock:
            moments = self._seen.pop(address, None) or deque()
            self._seen[address] = moments  # now the newest
            while moments and moments[0] <= now - WINDOW:
                moments.popleft()
            if len(moments) >= most:
                wait = math.ceil(moments[0] + WINDOW - now)
                raise Throttled(f"Too many wrong tokens; try again in {wait} seconds.", after=wait)
            moments.append(now)
            while len(self._seen) > ADDRESSES:
                self._seen.pop(next(iter(self._seen)))

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._seen.clear()


class Polls:
    """How many calls of this process wait for changes now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait in here; raises Unavailable where LIMITS["POLLS"] do so already."""
        with self._lock:
            if self.waiting >= settings().limits.polls:
                raise Unavailable("Too many calls wait for changes here; try again, or without wait.", after=5)
            self.waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self.waiting -= 1


refused_tokens = RefusedTokens()
polls = Polls()
