"""Stretches of work of our own threads: their connections are closed at the end, and no fork falls in between.

A child that inherits an open SQLite file believes in locks that it does not hold, and can spoil the database. A server
that forks workers while our thread lives (gunicorn with preload) would do that: so a fork waits for us, for a moment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

__all__ = ["prepare", "working"]

PATIENCE = 3.0
"""Seconds that a fork waits at most: a first synchronisation takes longer than anybody can wait."""


class _State:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.busy = 0
        self.forking = False
        self.local = threading.local()


_state = _State()


def prepare() -> None:
    """Once per process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_forget)


@contextmanager
def working() -> Iterator[None]:
    """Work of a thread of ours with a database."""
    state = _state
    if getattr(state.local, "depth", 0):
        yield
        return
    with state.changed:
        state.changed.wait_for(lambda: not state.forking)
        state.busy += 1
    state.local.depth = 1
    try:
        yield
    finally:
        connections.close_all()
        state.local.depth = 0
        with state.changed:
            state.busy -= 1
            state.changed.notify_all()


def _before() -> None:
    if getattr(_state.local, "depth", 0):  # a fork in our own thread (a signal handler of the project's)
        return
    with _state.changed:
        _state.forking = True
        _state.changed.wait_for(lambda: not _state.busy, PATIENCE)


def _after() -> None:
    with _state.changed:
        _state.forking = False
        _state.changed.notify_all()


def _forget() -> None:
    """The child has none of our threads, and a lock may have been held."""
    global _state  # noqa: PLW0603  # a new process, a new state
    _state = _State()
