"""What ``sync_status`` knows: read from the tables, without asking a peer and without writing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, Min, OuterRef, QuerySet
from django.utils import timezone

from peersync.apply.blocks import named
from peersync.clock import now_ms
from peersync.conf import settings
from peersync.delivery import local_alias, reachable
from peersync.errors import NotInstalled
from peersync.file_models import FileWait
from peersync.models import Conflict, Journal, Node, Peer, Quarantine, RowState, Run
from peersync.rows import key_from_json
from peersync.telling import sentences_of
from peersync.transactions import translated

__all__ = ["SHOWN_RUNS", "PeerStatus", "Status", "read"]

SHOWN_RUNS = 10
LONG = timedelta(minutes=5)
"""Nobody has delivered for so long although something waits: worth a warning."""
SHOWN = 10
TIMES = 10**12
"""Stamps up to here are no times: what a data migration wrote has the row's former stamp plus one."""
LARGE = {"journal": 100_000, "conflicts": 10_000, "quarantine": 1_000}
"""Rows of a table of ours that are worth a warning."""


@dataclass(frozen=True)
class PeerStatus:
    name: str
    lag_rows: int
    """Changes in this node's feed that the peer has not read yet."""
    lag_seconds: float
    """Age of the oldest of them; 0 where there are none."""
    last_contact: datetime | None
    last_error: str
    delivered_by: str = ""
    """The process that delivers, or did last: machine:process."""
    left_out: tuple[str, ...] = ()
    """Sentences about what one side only synchronises."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "lag_rows": self.lag_rows,
            "lag_seconds": round(self.lag_seconds, 3),
            "last_contact": _iso(self.last_contact),
            "last_error": self.last_error or None,
        }


@dataclass(frozen=True)
class Status:
    node: str
    peers: list[PeerStatus]
    conflicts: int
    """Open ones."""
    records: int
    """All that are kept of conflicts, open or not."""
    unsettled: int
    """Of them, those that nobody has settled by hand."""
    quarantined: int
    runs: list[dict[str, Any]]
    warnings: list[str]
    waiting: list[tuple[str, str]]
    """The first rows in quarantine, and rows whose files are: which, and why."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "peers": [peer.as_dict() for peer in self.peers],
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "runs": self.runs,
        }


def read() -> Status:
    """Raises NotInstalled where the tables are missing."""
    alias = local_alias()
    with translated(alias):
        node = Node.objects.using(alias).first()
        if node is None:
            raise NotInstalled(f"The database {alias!r} has no node yet.", hint="Run: manage.py migrate")
        peers = [_peer(alias, name, row) for name, row in _rows(alias).items()]
        listed = Quarantine.objects.using(alias).filter(listed=True)
        files = FileWait.objects.using(alias).filter(listed=True)
        waiting = listed.count() + files.count()
        kept = Conflict.objects.using(alias)
        records = kept.count()
        return Status(
            node.node,
            peers,
            kept.filter(open=True).count(),
            records,
            kept.filter(settled=None).count(),
            waiting,
            _runs(alias),
            [*_silent(peers), *_sizes(alias, records, waiting)],
            [
                *((named((one.model, key_from_json(one.key))), one.detail) for one in listed.order_by("pk")[:SHOWN]),
                *((f"{one.model} {one.pk_text}", one.detail) for one in files.order_by("pk")[:SHOWN]),
            ][:SHOWN],
        )


def _rows(alias: str) -> dict[str, Peer | None]:
    """All that the settings name, and all that were ever met."""
    known = {peer.name: peer for peer in Peer.objects.using(alias).order_by("name")}
    names = [target.name for target in reachable()] + list(settings().peers) + list(known)
    return {name: known.get(name) for name in dict.fromkeys(names)}


def _peer(alias: str, name: str, row: Peer | None) -> PeerStatus:
    rows, oldest = _lag(alias, row)
    seconds = max(0.0, (now_ms(alias) - oldest) / 1000) if rows and oldest else 0.0
    if row is None:
        return PeerStatus(name, rows, seconds, None, "")
    by = row.lease_holder.rpartition(":")[0]
    return PeerStatus(name, rows, seconds, row.last_contact, row.last_error, by, tuple(sentences_of(row.left_out)))


def _lag(alias: str, row: Peer | None) -> tuple[int, int | None]:
    """How many changed rows the peer has not read, and when the oldest of them was changed (ms)."""
    told = row.told if row else -1
    unread: QuerySet[RowState] = RowState.objects.using(alias).filter(seq__gt=told)
    if row and row.node:
        unread = unread.exclude(sender=row.node)  # those came from it
    known = Exists(unread.filter(model=OuterRef("model"), pk_text=OuterRef("pk_text")))
    noted = Journal.objects.using(alias).filter(~known).values("model", "pk_text").distinct()
    oldest = [
        unread.filter(stamp__gt=TIMES).aggregate(at=Min("stamp"))["at"],
        unread.filter(stamp__range=(1, TIMES)).aggregate(at=Min("seq"))["at"],  # places are times, or a little later
        Journal.objects.using(alias).filter(stamp__gt=0).aggregate(at=Min("stamp"))["at"],
    ]
    return unread.count() + noted.count(), min((at for at in oldest if at), default=None)


def _runs(alias: str) -> list[dict[str, Any]]:
    newest = Run.objects.using(alias).order_by("-started", "-id")[:SHOWN_RUNS]
    return [
        {
            "peer": run.peer,
            "source": run.source,
            "target": run.target,
            "started": _iso(run.started),
            "seconds": run.seconds,
            "status": run.status,
            "models": json.loads(run.figures),
            "error": run.error or None,
        }
        for run in newest
    ]


def _silent(peers: list[PeerStatus]) -> list[str]:
    auto = {target.name for target in reachable() if target.push}
    if settings().auto_sync == "off":
        return []
    return [
        f"{peer.lag_rows:,} changes wait for {peer.name}, the oldest for "
        f"{timedelta(seconds=int(peer.lag_seconds))}: nobody delivers. Does a process of the site run?"
        " Else use sync_data --watch, or cron."
        for peer in peers
        if peer.name in auto and not peer.last_error and peer.lag_seconds > LONG.total_seconds() and not _met(peer)
    ]


def _met(peer: PeerStatus) -> bool:
    """Whether it was met a moment ago: what it has not read past then is in an open conflict there, or waits."""
    return peer.last_contact is not None and timezone.now() - peer.last_contact < LONG


def _sizes(alias: str, records: int, waiting: int) -> list[str]:
    counts = {
        "journal": Journal.objects.using(alias).count(),
        "conflicts": records,
        "quarantine": waiting,
    }
    return [
        f"The table of the {name} has grown to {count:,} rows."
        for name, count in counts.items()
        if count >= LARGE[name]
    ]


def _iso(at: datetime | None) -> str | None:
    if at is None:
        return None
    return (timezone.make_aware(at) if timezone.is_naive(at) else at).astimezone(UTC).isoformat()
