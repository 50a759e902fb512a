"""Whether automatic sync may run in this process now: its mode, test processes, and pauses.

A test process (``setup_test_environment`` was called) never delivers, polls or flushes, unless a test says
so: nobody's test suite posts to a real peer. The verdict sticks, since what a suite left behind must not go
out after its teardown.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core import mail

from peersync.conf import settings

__all__ = [
    "allowed",
    "enable_for_tests",
    "forked",
    "in_test_process",
    "is_paused",
    "mode",
    "on_resume",
    "paused",
]


class _Gate:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.test_process = False
        self.enabled_for_tests = 0
        self.pauses = 0
        self.resumed: list[Callable[[], None]] = []


_gate = _Gate()


def in_test_process() -> bool:
    """True from the first look after ``setup_test_environment`` until the process ends."""
    if not _gate.test_process and _test_environment():
        _gate.test_process = True
    return _gate.test_process


def _test_environment() -> bool:
    # Not imported for this look: where nobody did, nobody called it either.
    utils = sys.modules.get("django.test.utils")
    if utils is None:
        return False
    state = getattr(utils, "_TestState", None)
    if state is None:  # a Django that keeps its notes elsewhere
        return hasattr(mail, "outbox")
    return hasattr(state, "saved_data")


def mode() -> str:
    """``background``, ``inline`` or ``off``: what the settings say, and ``off`` in a test process."""
    if in_test_process() and not _gate.enabled_for_tests:
        return "off"
    return settings().auto_sync


def allowed() -> bool:
    """Whether something may be sent in the background now."""
    return not is_paused() and mode() == "background"


def is_paused() -> bool:
    return bool(_gate.pauses)


@contextmanager
def paused() -> Iterator[None]:
    """Nothing is sent by itself from this process meanwhile; what was changed goes out at the end."""
    with _gate.lock:
        _gate.pauses += 1
    try:
        yield
    finally:
        with _gate.lock:
            _gate.pauses -= 1
            over = not _gate.pauses
        if over:
            for call in _gate.resumed:
                call()


def on_resume(call: Callable[[], None]) -> None:
    """``call`` when the last pause of the process is over."""
    _gate.resumed.append(call)


def forked() -> None:
    """In a child process: a lock that the parent held would stay held."""
    _gate.lock = threading.Lock()


@contextmanager
def enable_for_tests() -> Iterator[None]:
    """For a test that wants automatic sync: on in this process for as long as the block lasts."""
    with _gate.lock:
        _gate.enabled_for_tests += 1
    try:
        yield
    finally:
        with _gate.lock:
            _gate.enabled_for_tests -= 1
