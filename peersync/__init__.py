"""Keep the models of two running Django instances equal, over HTTP or into a second database.

``pull(peer)``, ``push(peer)``, ``sync(peer)``, ``compare(peer)`` and ``paused()``; ``peer`` is a name in PEERS, a database
alias or a Replica. ``put_back(record, side)`` writes a version that lost. The signals ``rows_applied`` and
``conflict_found`` tell what came.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peersync.apply.batch import conflict_found, rows_applied
    from peersync.delivery.gate import paused
    from peersync.settling import put_back
    from peersync.syncing import compare, pull, push, sync

__version__ = "0.1.0"

_PLACES = {
    "compare": "peersync.syncing",
    "conflict_found": "peersync.apply.batch",
    "paused": "peersync.delivery.gate",
    "pull": "peersync.syncing",
    "push": "peersync.syncing",
    "put_back": "peersync.settling",
    "rows_applied": "peersync.apply.batch",
    "sync": "peersync.syncing",
}

__all__ = ["compare", "conflict_found", "paused", "pull", "push", "put_back", "rows_applied", "sync"]


def __getattr__(name: str) -> Any:
    """Public names are found when they are asked for: the app can be imported before Django's apps are ready."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
