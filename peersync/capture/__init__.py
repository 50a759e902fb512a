"""Capture: noting in the journal, in the writer's own transaction, that a row changed. One plain insert, no
more.

Triggers (the default) are made by ``migrate`` and ``sync_peer install`` and kept through migrations; with
``CAPTURE = "signals"`` Django's signals do it. What our own applying writes is not captured (:func:`off`).
"""

from __future__ import annotations

from peersync.capture.guard import off
from peersync.capture.installing import Problem, check, install, mark, remove

__all__ = ["Problem", "check", "connect", "install", "mark", "off", "remove"]


def connect() -> None:
    """Connect all signal handlers. Called once, when the apps are ready."""
    from peersync.capture import migrations, signals

    migrations.connect()
    signals.connect()
