"""Pruning: tombstones that every known peer has read past, or that are older than KEEP_TOMBSTONES (``merging``: section 7)."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from peersync import clock, memory, origins
from peersync.conf import settings
from peersync.registry import registry
from peersync.rows import NO_ROW
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow

DAY_MS = 86_400_000


def prune(node: NodeRow) -> int:
    """Forget what may be forgotten; the node keeps the highest place. Returns how many tombstones went.

    One that waits or is in an open conflict here stays.
    """
    upto = max(_read_by_all(node), clock.now_ms(node.alias) - settings().keep_tombstones * DAY_MS)
    return forget(node, upto)


def forget(node: NodeRow, upto: int) -> int:
    """Delete the tombstones up to this place, whoever has read them."""
    where = (
        "deleted AND seq <= %s AND NOT EXISTS (SELECT 1 FROM peersync_quarantine q"
        " WHERE q.model = peersync_rowstate.model AND q.key = peersync_rowstate.key)"
        " AND NOT EXISTS (SELECT 1 FROM peersync_conflict c"
        " WHERE c.open AND c.model = peersync_rowstate.model AND c.key = peersync_rowstate.key)"
    )
    with node.connection.cursor() as cursor:
        cursor.execute(f"SELECT max(seq), count(*) FROM peersync_rowstate WHERE {where}", [upto])
        highest, count = cursor.fetchone()
        if not count:
            return 0
        _forget_names(node, where, upto)
        cursor.execute(f"DELETE FROM peersync_rowstate WHERE {where}", [upto])
        node.pruned_seq = max(node.pruned_seq, highest)
        cursor.execute("UPDATE peersync_node SET pruned_seq = %s WHERE id = 1", [node.pruned_seq])
    memory.forget_deleted(node)
    return int(count)


def _forget_names(node: NodeRow, where: str, upto: int) -> None:
    """Rows that are named by their origin lose their names with their tombstones."""
    labels = [label for label, model in registry().models.items() if model.origin]
    if not labels:
        return
    doomed: dict[str, list[int]] = {}
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT model, pk_text FROM peersync_rowstate WHERE {where} AND " + text_list(node.connection, "model"),
            [upto, list_parameter(node.connection, labels)],
        )
        for label, pk in cursor.fetchall():
            if not pk.startswith(NO_ROW):
                doomed.setdefault(label, []).append(int(pk))
    for label, locals_ in doomed.items():
        origins.forget(node.connection, label, locals_)


def forget_records(node: NodeRow) -> None:
    """Delete records and runs older than RETENTION says. A conflict counts from when it was settled; an open one stays."""
    kept = settings().retention
    for table, age, more in (
        ("conflict", "COALESCE(settled, at)", " AND NOT open"),
        ("run", "started", ""),
    ):
        oldest = timezone.now() - timedelta(days=kept[f"{table}s"])
        with node.connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM peersync_{table} WHERE {age} < %s{more}",
                [node.connection.ops.adapt_datetimefield_value(oldest)],
            )


def _read_by_all(node: NodeRow) -> int:
    """The place that every known peer has read past: configured ones, also one who never read, and all readers."""
    conf = settings()
    names = set(conf.peers)
    others = {alias for alias in (conf.master, conf.slave) if alias in _aliases() and alias != node.alias}
    if conf.slave in _aliases():
        names |= others
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT name, node, told FROM peersync_peer")
        rows = cursor.fetchall()
    told = {name: place for name, _, place in rows}
    by_node = {other: place for _, other, place in rows if other}
    places = [told.get(name, -1) for name in names] + [by_node.get(reader, -1) for reader in node.readers]
    return min(places, default=-1)


def _aliases() -> set[str]:
    from django.db import connections

    return set(connections)
