"""Automatic sync: what is changed here goes to the peers, and what is changed there comes, by itself.

``gate``: whether it may run in this process. ``targets``: whom it serves. ``leases``: one process per peer.
``receivers``: Django's signals, which wake it. ``process`` and ``engine``: the thread. ``rounds``: one
transfer. ``polls``: waiting at a source. ``inline`` and ``watch``: the same on commit, and in the
foreground.

Nothing here is imported by a process in which nothing is to be sent, but the receivers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from peersync.delivery.gate import enable_for_tests, paused
from peersync.delivery.process import flush, stop, wake
from peersync.delivery.receivers import connect
from peersync.delivery.targets import Target, local_alias, reachable, slave_alias

__all__ = [
    "Target",
    "connect",
    "enable_for_tests",
    "exclusive",
    "flush",
    "local_alias",
    "paused",
    "reachable",
    "slave_alias",
    "stop",
    "wake",
]


@contextmanager
def exclusive(peer: str, patience: float = 10.0) -> Iterator[bool]:
    """A sync by hand: no process delivers to the peer meanwhile. Yields whether that could be had in time.

    Where it could not, the sync goes on all the same: two transfers at once do no harm, one of them may be
    refused.
    """
    from peersync.delivery import leases

    until = time.monotonic() + patience
    while True:
        with leases.held(local_alias(), peer, cooling=True) as lease:
            if lease is not None or time.monotonic() >= until:
                yield lease is not None
                return
        time.sleep(0.2)
