"""What is remembered of what a peer has of a filtered model: the table FilterMemory, read and written in sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from peersync import states
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow

IN_VIEW = -1
OUT_OF_VIEW = -2
ITS_OWN = -3
KEPT = -4
"""It left the view and stays at the peer (``FILTER_EXIT`` ``"keep"``): the peer hears no more of it."""
TOLD_GONE = -5
"""The peer was told of its deletion, and has read past that: forgotten, unless the peer is put back."""
UNTOLD = (OUT_OF_VIEW, KEPT, TOLD_GONE)
"""Places of rows that, standing, are hidden from the peer, as those are that nothing is remembered of."""
VIEWS = "*"
"""Where a model's label stands, in the rows that say by which filters the peer last saw the model ``pk_text``."""
UNFILTERED = 0
OPENED = 1
"""What these rows say instead of a digest of filters: there are none; there were some, and deletions behind them."""
_UPSERT = " ON CONFLICT (node, model, pk_text) DO UPDATE SET place = excluded.place"
_INSERT = "INSERT INTO peersync_filtermemory (node, model, pk_text, place)"


def remembered(node: NodeRow, peer_node: str, label: str, pks: Iterable[str]) -> dict[str, int]:
    """What the peer has of these rows: local primary key → place."""
    found: dict[str, int] = {}
    with node.connection.cursor() as cursor:
        for part in states.chunks(list(pks)):
            cursor.execute(
                "SELECT pk_text, place FROM peersync_filtermemory WHERE node = %s AND model = %s AND "
                + text_list(node.connection, "pk_text"),
                [peer_node, label, list_parameter(node.connection, part)],
            )
            found.update(cursor.fetchall())
    return found


def any_of(node: NodeRow, peer_node: str, label: str) -> bool:
    """Whether anything of the model is remembered for the peer."""
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_filtermemory WHERE node = %s AND model = %s LIMIT 1", [peer_node, label])
        return cursor.fetchone() is not None


def hidden(node: NodeRow, peer_node: str, label: str, pks: Iterable[str]) -> set[str]:
    """Of rows that stand and are filtered for the peer: those that it was never shown, nor sent, or has no more."""
    pks = list(pks)
    known = remembered(node, peer_node, label, pks)
    return {pk for pk in pks if known.get(pk, OUT_OF_VIEW) in UNTOLD}


def remember(node: NodeRow, peer_node: str, label: str, places: Mapping[str, int | None]) -> None:
    """Note the places; None forgets."""
    forgotten = [pk for pk, place in places.items() if place is None]
    kept = [(peer_node, label, pk, place) for pk, place in places.items() if place is not None]
    with node.connection.cursor() as cursor:
        if forgotten:
            cursor.execute(
                "DELETE FROM peersync_filtermemory WHERE node = %s AND model = %s AND "
                + text_list(node.connection, "pk_text"),
                [peer_node, label, list_parameter(node.connection, forgotten)],
            )
        if kept:
            cursor.executemany(f"{_INSERT} VALUES (%s, %s, %s, %s){_UPSERT}", kept)


def settle(node: NodeRow, peer_node: str, label: str, upto: int) -> None:
    """*Leaving* becomes *out of view*, or *told gone* if deleted, when the peer has read so far."""
    deleted = (
        "EXISTS (SELECT 1 FROM peersync_rowstate s WHERE s.model = peersync_filtermemory.model"
        " AND s.pk_text = peersync_filtermemory.pk_text AND s.deleted)"
    )
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE peersync_filtermemory SET place = CASE WHEN {deleted} THEN %s ELSE %s END"
            " WHERE node = %s AND model = %s AND place BETWEEN 0 AND %s",
            [TOLD_GONE, OUT_OF_VIEW, peer_node, label, upto],
        )


def follow(node: NodeRow, label: str, ended: Mapping[str, str]) -> None:
    """Rows under these local primary keys ended, and others took them over: what peers have is remembered of the tombstones.

    ``ended``: former local primary key → the one that the tombstone bears.
    """
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_filtermemory WHERE model = %s LIMIT 1", [label])
        if cursor.fetchone() is None:
            return
        cursor.execute(
            "DELETE FROM peersync_filtermemory WHERE model = %s AND " + text_list(node.connection, "pk_text"),
            [label, list_parameter(node.connection, list(ended.values()))],
        )
        cursor.executemany(
            "UPDATE peersync_filtermemory SET pk_text = %s WHERE model = %s AND pk_text = %s",
            [(grave, label, pk) for pk, grave in ended.items()],
        )


def move(node: NodeRow, former: str, now: str) -> None:
    """The peer comes under a new id: put back from a backup, it may have again what it had let go since then."""
    with node.connection.cursor() as cursor:
        cursor.execute("DELETE FROM peersync_filtermemory WHERE node = %s", [now])
        cursor.execute(
            f"{_INSERT} SELECT %s, model, pk_text, CASE WHEN model <> %s AND (place >= 0 OR place IN (%s, %s))"
            " THEN %s ELSE place END FROM peersync_filtermemory WHERE node = %s",
            [now, VIEWS, OUT_OF_VIEW, TOLD_GONE, IN_VIEW, former],
        )
        cursor.execute("SELECT 1 FROM peersync_peer WHERE node = %s LIMIT 1", [former])
        if cursor.fetchone() is None:
            cursor.execute("DELETE FROM peersync_filtermemory WHERE node = %s", [former])


def forget_deleted(node: NodeRow) -> None:
    """What is remembered of deletions whose tombstones are pruned."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM peersync_filtermemory WHERE place = %s AND NOT EXISTS (SELECT 1 FROM peersync_rowstate s"
            " WHERE s.model = peersync_filtermemory.model AND s.pk_text = peersync_filtermemory.pk_text)",
            [TOLD_GONE],
        )


def views_of(node: NodeRow, peer_node: str) -> dict[str, int]:
    """Label → by which filters the peer last saw the model (see :mod:`peersync.viewchanges`)."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            "SELECT pk_text, place FROM peersync_filtermemory WHERE node = %s AND model = %s", [peer_node, VIEWS]
        )
        return dict(cursor.fetchall())


def opened(connection: Any, peer: str) -> frozenset[str]:
    """Labels of models that no filter keeps from the peer of that name any more, and that have deletions it must not hear of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.pk_text FROM peersync_filtermemory m JOIN peersync_peer p ON p.node = m.node"
            " WHERE p.name = %s AND m.model = %s AND m.place = %s",
            [peer, VIEWS, OPENED],
        )
        return frozenset(label for (label,) in cursor.fetchall())
