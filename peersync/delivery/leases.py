"""Leases in the table Peer: of all processes of a site, one at a time delivers to a peer, and one polls it.

All times are the database's own, since processes on several machines may share it. A lease is short and is
renewed while its holder lives, so that another process takes over soon after one was killed.

============  ====================  =========================================
holder        until                 meaning
============  ====================  =========================================
a process     ahead                 held
a process     past                  its holder is gone: the work may be half done
a process     null                  free; who held it last
empty         ahead                 the peer failed: nobody tries before that
============  ====================  =========================================
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

from django.db import Error
from django.db.models import DateTimeField, ExpressionWrapper, Q
from django.db.models.functions import Now

from peersync.delivery.work import working
from peersync.models import Peer
from peersync.transactions import translated

__all__ = ["LEASE", "Lease", "cool_down", "held", "holder_name", "orphaned", "take"]

LEASE = 8.0
"""Seconds: with the look that each process takes every five, a dead holder is replaced within 15."""
RENEWAL = 2.5

Kind = Literal["lease", "poll"]

logger = logging.getLogger("peersync.delivery")


def holder_name() -> str:
    """A name for this holding: machine and process for the reader, and something that nobody else has."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _from_now(seconds: float) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def _free(kind: Kind) -> Q:
    return Q(**{f"{kind}_until__isnull": True}) | Q(**{f"{kind}_until__lte": Now()})


def _take(alias: str, peer: str, kind: Kind, holder: str, *, cooling: bool) -> bool:
    """``cooling``: a peer that failed a moment ago may be tried all the same."""
    with translated(alias):
        peers = Peer.objects.using(alias)
        peers.get_or_create(name=peer)
        free = _free(kind) | Q(**{f"{kind}_holder": ""}) if cooling else _free(kind)
        mine = peers.filter(free, name=peer)
        if not mine.exists():  # looked at first: an update that hits nothing is a writer all the same
            return False
        return bool(mine.update(**{f"{kind}_holder": holder, f"{kind}_until": _from_now(LEASE)}))


def _renew(alias: str, peer: str, kind: Kind, holder: str) -> bool:
    mine = Peer.objects.using(alias).filter(**{"name": peer, f"{kind}_holder": holder})
    return bool(mine.update(**{f"{kind}_until": _from_now(LEASE)}))


def _release(alias: str, peer: str, kind: Kind, holder: str) -> None:
    mine = Peer.objects.using(alias).filter(**{"name": peer, f"{kind}_holder": holder})
    mine.update(**{f"{kind}_until": None})


def cool_down(alias: str, peer: str, seconds: float) -> None:
    """Nobody tries the peer before so many seconds have passed. For whoever holds its lease, at the end."""
    Peer.objects.using(alias).filter(name=peer).update(lease_holder="", lease_until=_from_now(seconds))


def orphaned(alias: str) -> list[str]:
    """Peers whose holder went away without a word: what it had to do may be half done."""
    gone = Peer.objects.using(alias).filter(lease_until__lte=Now()).exclude(lease_holder="")
    return list(gone.values_list("name", flat=True))


class Lease:
    """A lease that was had. ``lost`` is set when another process took it, this one having been too slow."""

    def __init__(self, alias: str, peer: str, kind: Kind, holder: str) -> None:
        self.alias, self.peer, self.kind, self.holder = alias, peer, kind, holder
        self.lost = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._keep, name=f"peersync-lease:{self.peer}", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._over.wait(RENEWAL):
            try:
                with working():
                    renewed = _renew(self.alias, self.peer, self.kind, self.holder)
            except Error as error:  # busy: the next renewal is soon
                logger.debug("The lease of %s was not renewed: %s", self.peer, error)
                continue
            if not renewed:
                self.lost.set()
                return

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(1)
        try:
            _release(self.alias, self.peer, self.kind, self.holder)
        except Error as error:  # it runs out by itself
            logger.debug("The lease of %s was not given back: %s", self.peer, error)


@contextmanager
def held(
    alias: str, peer: str, kind: Kind = "lease", *, renew: bool = True, cooling: bool = False
) -> Iterator[Lease | None]:
    """The peer's lease for the length of the block, or None where another process has it.

    ``renew``: kept for as long as the block lasts (by a thread), not for LEASE seconds only. ``cooling``: a
    peer that failed a moment ago is tried all the same.
    """
    lease = take(alias, peer, kind, renew=renew, cooling=cooling)
    try:
        yield lease
    finally:
        if lease is not None:
            lease.end()


def take(alias: str, peer: str, kind: Kind = "lease", *, renew: bool = True, cooling: bool = False) -> Lease | None:
    """As :func:`held`; whoever gets it ends it."""
    holder = holder_name()
    if not _take(alias, peer, kind, holder, cooling=cooling):
        return None
    lease = Lease(alias, peer, kind, holder)
    if renew:
        lease.start()
    return lease
