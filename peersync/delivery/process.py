"""The one background engine of this process: started lazily, forgotten after a fork, flushed at exit."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING

from peersync.delivery import gate, work
from peersync.delivery.targets import automatic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peersync.delivery.engine import Engine
    from peersync.delivery.rounds import Job

__all__ = ["EXIT_SECONDS", "flush", "prepare", "rest", "running", "start", "stop", "wake"]

EXIT_SECONDS = 5.0
"""How long the end of a process waits for what was changed in it to be sent."""


class _Process:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.engine: Engine | None = None
        self.resting = False


_process = _Process()
_prepared = False


def prepare() -> None:
    """Once per process, from ``AppConfig.ready``."""
    global _prepared  # noqa: PLW0603  # a process is prepared once, whatever is set up in it again
    if _prepared:
        return
    _prepared = True
    atexit.register(flush)
    gate.on_resume(_resumed)
    work.prepare()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)


def running() -> bool:
    engine = _process.engine
    return engine is not None and engine.pid == os.getpid()


def start(delay: float = 0.0) -> None:
    """Start the thread, unless this process has it. ``delay``: see :meth:`Engine.start`."""
    if running():
        return
    from peersync.delivery.engine import Engine

    with _process.lock:
        if running():
            return
        engine = Engine(_jobs, _allowed)
        engine.start(delay)
        _process.engine = engine


def wake() -> None:
    """Something was committed."""
    start()
    engine = _process.engine
    if engine is not None:
        engine.wake()


def rest(resting: bool) -> None:
    """Nothing is sent while this process migrates."""
    _process.resting = resting


def flush(seconds: float = EXIT_SECONDS) -> None:
    """Send what was changed in this process, for at most so many seconds."""
    engine = _process.engine
    if engine is not None and engine.pid == os.getpid():
        engine.flush(seconds)


def stop(seconds: float = EXIT_SECONDS) -> None:
    """End the thread (for tests): nothing more is begun, and what is running is waited for."""
    with _process.lock:
        engine, _process.engine = _process.engine, None
    if engine is not None and engine.pid == os.getpid():
        engine.stop(seconds)


def _jobs() -> Sequence[Job]:
    from peersync.delivery.rounds import Job

    return [Job(target, target.push, target.pull) for target in automatic()]


def _allowed() -> bool:
    return not _process.resting and gate.allowed()


def _resumed() -> None:
    if running() and gate.allowed():
        wake()
    inline = sys.modules.get("peersync.delivery.inline")  # where it was never imported, nothing was missed
    if inline is not None and gate.mode() == "inline":
        inline.resumed()


def _forked() -> None:
    """The parent's thread is not in the child, and its locks may be held for ever."""
    global _process  # noqa: PLW0603  # as above
    _process = _Process()
    gate.forked()
