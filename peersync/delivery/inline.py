"""AUTO_SYNC "inline": a round on commit, in the thread of whoever saved. A failure is logged, and the save stands."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from peersync.conf import settings
from peersync.delivery.rounds import Job, behind, deliver
from peersync.delivery.targets import Target, automatic, local_alias
from peersync.errors import PeersyncError
from peersync.replicas.base import Replica
from peersync.replicas.http import HttpReplica

__all__ = ["TIMEOUT", "deliver_now"]

TIMEOUT = 3
"""Seconds that a save waits for a sign of life of a peer, where it has to wait at all."""

logger = logging.getLogger("peersync.delivery")
_busy = threading.local()


def deliver_now(alias: str) -> None:
    """Send what the database ``alias`` has just committed. Raises nothing; a peer that failed a moment ago is left out."""
    if getattr(_busy, "on", False):
        return
    _busy.on = True
    try:
        own = alias == local_alias()
        for target in automatic():
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
    if target.alias:
        return None
    peer = settings().peers[target.name]
    limits = replace(settings().limits, timeout=TIMEOUT, answer_seconds=TIMEOUT, wait=0)
    return HttpReplica(target.name, str(peer.url), peer.token, insecure=peer.insecure, limits=limits)
