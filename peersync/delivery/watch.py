"""The background in the foreground: ``sync_data --watch``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from peersync.delivery.engine import Engine
from peersync.delivery.rounds import Job

__all__ = ["watch"]

PERIOD = 1.0
"""Seconds between two looks: no signal of another process reaches this one."""
ENDING = 10.0
"""Seconds that a round which is running gets to end."""


def watch(jobs: Sequence[Job], stop: threading.Event | None = None) -> None:
    """Do these jobs until SIGINT or SIGTERM comes, or ``stop`` is set."""
    over = stop or threading.Event()
    with _signals(over):
        engine = Engine(lambda: jobs, lambda: not over.is_set(), PERIOD)
        engine.start()
        engine.wake()
        while not over.wait(0.5):
            pass
        engine.stop(ENDING)


@contextmanager
def _signals(over: threading.Event) -> Iterator[None]:
    """In the main thread, the two signals that end a process end the watch in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        over.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
