"""AUTO_SYNC "inline": a round on commit, in the thread of whoever saved. The save stands, whatever comes."""

from __future__ import annotations

import logging
import threading

from peersync.delivery import gate
from peersync.delivery.rounds import Job, behind, client, deliver
from peersync.delivery.targets import Target, automatic, local_alias
from peersync.errors import PeersyncError
from peersync.replicas.base import Replica

__all__ = ["TIMEOUT", "deliver_now"]

TIMEOUT = 3
"""Seconds that a save waits for a sign of life of a peer, where it has to wait at all."""

logger = logging.getLogger("peersync.delivery")
_busy = threading.local()
_missed: set[str] = set()
"""Aliases of what was committed while paused."""


def resumed() -> None:
    """A pause is over."""
    while _missed and not gate.is_paused():
        deliver_now(_missed.pop())


def deliver_now(alias: str, sender: str = "") -> None:
    """Send what ``alias`` has just committed, but not to ``sender``, from whom it came. Raises nothing."""
    if gate.is_paused():
        _missed.add(alias)
        return
    if getattr(_busy, "on", False):
        return
    _busy.on = True
    try:
        own = alias == local_alias()
        for target in automatic():
            if target.name == sender:
                continue
            push, pull = target.push and own, target.alias and target.pull and alias == target.name
            if (push and behind(target.name)) or pull:
                deliver(Job(target, push, pull, replica=_short(target)), renew=False)
    except PeersyncError as error:
        logger.warning("Automatic sync: %s", error)
    except Exception:
        logger.exception("Automatic sync")
    finally:
        _busy.on = False


def _short(target: Target) -> Replica | None:
    """A client of few seconds and no second try."""
    return None if target.alias else client(target, TIMEOUT, attempts=1)
