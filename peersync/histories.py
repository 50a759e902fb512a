"""Points of a node's history: minting and recognising nonces, and taking a new id where the history was rewound or copied.

Each numbering pass writes a nonce: random bytes and a MAC over the id and those bytes under the secret of the install, so
that nobody can invent a point of another's history, and a restored database still knows which points it once made. The
range stays out of the MAC: a point in the middle of a pass must be checkable where the pass itself is lost.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from peersync.errors import UnknownPoint
from peersync.records import START, Point, Retired
from peersync.transactions import NodeRow, writing

KEPT_POINTS = 16
SHOWN_PASSES = 4096


def mint(node: NodeRow) -> str:
    """A nonce for a pass of this node."""
    noise = secrets.token_hex(8)
    return f"{noise}.{_mac(node.secret, node.node, noise)}"


def _mac(secret: str, node: str, noise: str) -> str:
    return hmac.new(secret.encode(), f"{node}:{noise}".encode(), hashlib.sha256).hexdigest()[:24]


def minted_here(node: NodeRow, point: Point, ids: Iterable[str]) -> bool:
    """Whether this install made the point, under one of the ids that it bore."""
    noise, _, mac = point.nonce.partition(".")
    return any(hmac.compare_digest(mac, _mac(node.secret, one, noise)) for one in ids)


def known(cursor: Any, points: Sequence[Point]) -> list[bool]:
    """For each point whether it is in this database's own history."""
    nonces = [point.nonce for point in points if point.nonce]
    found: dict[str, tuple[int, int]] = {}
    if nonces:
        marks = ", ".join(["%s"] * len(nonces))
        cursor.execute(f"SELECT nonce, first, last FROM peersync_numberingpass WHERE nonce IN ({marks})", nonces)
        found = {nonce: (first, last) for nonce, first, last in cursor.fetchall()}

    def one(point: Point) -> bool:
        if not point.nonce:
            return point.seq == 0
        first, last = found.get(point.nonce, (1, 0))
        return first <= point.seq <= last

    return [one(point) for point in points]


def point_at(cursor: Any, seq: int) -> Point:
    """The point of the place ``seq``: its nonce is that of the pass that gave it, or of the next one."""
    cursor.execute("SELECT first, nonce FROM peersync_numberingpass WHERE last >= %s ORDER BY last LIMIT 1", [seq])
    found = cursor.fetchone()
    if found is None or not seq:
        return START
    return Point(max(seq, found[0]), found[1]) if found[0] > seq else Point(seq, found[1])


def newest_passes(cursor: Any, limit: int = SHOWN_PASSES) -> tuple[Point, ...]:
    """The ends of the newest passes, newest first."""
    cursor.execute("SELECT last, nonce FROM peersync_numberingpass ORDER BY last DESC LIMIT %s", [limit])
    return tuple(Point(last, nonce) for last, nonce in cursor.fetchall())


def ids_of(node: NodeRow) -> list[str]:
    """The id of this node, and those that this install gave up."""
    return [node.node, *(old["id"] for old in node.retired if old["install"] == node.install)]


def check_points(node: NodeRow, points: Sequence[Point]) -> None:
    """Refuse who has seen a point of my history that is not in it; raises UnknownPoint."""
    with node.connection.cursor() as cursor:
        if not all(known(cursor, points)):
            raise UnknownPoint(
                "The peer has seen a part of this node's history that this database does not hold "
                "(it was restored from a backup, or the peer is wrong).",
                hint="The next sync finds out by itself; after a restore run: manage.py sync_peer renew",
            )


def retired_of(node: NodeRow) -> tuple[Retired, ...]:
    return tuple(Retired(old["id"], old["seq"], old["nonce"], old["install"]) for old in node.retired)


def rewound(node: NodeRow, points: Sequence[Point]) -> Point | None:
    """The last common point where the peer has seen one that is not mine any more; None where all are mine.

    Raises UnknownPoint where such a point was never made by this install: the peer is wrong, or lies.
    """
    with node.connection.cursor() as cursor:
        mine = known(cursor, points)
    if all(mine):
        return None
    ids = ids_of(node)
    for point, is_mine in zip(points, mine, strict=True):
        if not is_mine and not minted_here(node, point, ids):
            raise UnknownPoint(
                "The peer shows a point of this node's history that this node never made; nothing was changed.",
                hint="Check that the peer's URL and token are those of the right node.",
            )
    common = [point for point, is_mine in zip(points, mine, strict=True) if is_mine and point.nonce]
    return max(common, default=START)


def given_up(node: NodeRow, retired: Sequence[Retired]) -> Point | None:
    """Learn the ids that the peer knows to be given up; the point up to which mine holds, if it is among them."""
    by_id = {old["id"]: old for old in node.retired}
    changed = False
    for other in retired:
        old = by_id.get(other.id)
        if old is None or other.seq < old["seq"]:
            if other.id == node.node and not _believable(node, other):
                continue
            by_id[other.id] = {
                "id": other.id,
                "seq": other.seq,
                "nonce": other.nonce,
                "install": other.install,
            }
            changed = True
    if changed:
        node.retired = list(by_id.values())
        _save_retired(node)
    mine = by_id.get(node.node)
    return Point(mine["seq"], mine["nonce"]) if mine else None


def _believable(node: NodeRow, other: Retired) -> bool:
    """Whether a copy of this install gave the id up: the mark is signed with the secret that both hold."""
    return other.install == node.install and other.nonce.endswith("|" + _retirement(node, other.id, other.seq))


def _retirement(node: NodeRow, old: str, seq: int) -> str:
    return hmac.new(node.secret.encode(), f"retired:{old}:{seq}".encode(), hashlib.sha256).hexdigest()[:24]


def _save_retired(node: NodeRow) -> None:
    with node.connection.cursor() as cursor:
        cursor.execute("UPDATE peersync_node SET retired = %s WHERE id = 1", [json.dumps(node.retired)])


def take_new_id(node: NodeRow, common: Point) -> str:
    """Give the id up at ``common``: what was numbered behind it counts under the new id. Returns the new id.

    Own entries up to the common point move to ``others`` under the old id; those behind it stay ``own``, which now
    counts under the new id. Nobody's ``sender`` is true any more, filter memories are void, and somebody may have read.
    """
    old, new = node.node, str(uuid.uuid4())
    seq = common.seq
    kept = [r for r in node.retired if r["id"] != old]
    earlier = next((r for r in node.retired if r["id"] == old), None)
    if earlier is not None and earlier["seq"] < seq:
        seq = earlier["seq"]
    nonce = common.nonce.partition("|")[0] + "|" + _retirement(node, old, seq)
    node.retired = [*kept, {"id": old, "seq": seq, "nonce": nonce, "install": node.install}]
    node.readers = sorted({*node.readers, "?"})
    with node.connection.cursor() as cursor:
        _move_own(node, cursor, old, seq)
        cursor.execute("UPDATE peersync_rowstate SET sender = '' WHERE sender <> ''")
        cursor.execute("DELETE FROM peersync_filtermemory")
        cursor.execute(
            "UPDATE peersync_node SET node = %s, retired = %s, readers = %s WHERE id = 1",
            [new, json.dumps(node.retired), json.dumps(node.readers)],
        )
    node.node = new
    return new


def _move_own(node: NodeRow, cursor: Any, old: str, seq: int) -> None:
    """Own entries up to ``seq``: into ``others`` under the old id. Behind it: any entry of the old id goes."""
    if node.connection.vendor == "postgresql":
        cursor.execute(
            "UPDATE peersync_rowstate SET others = (others::jsonb || jsonb_build_object(%s::text, own))::text,"
            " own = NULL WHERE own <= %s",
            [old, seq],
        )
        cursor.execute(
            "UPDATE peersync_rowstate SET others = (others::jsonb - %s::text)::text WHERE own > %s", [old, seq]
        )
        return
    path = f'$."{old}"'
    cursor.execute(
        "UPDATE peersync_rowstate SET others = json_set(others, %s, own), own = NULL WHERE own <= %s", [path, seq]
    )
    cursor.execute("UPDATE peersync_rowstate SET others = json_remove(others, %s) WHERE own > %s", [path, seq])


def renew(alias: str) -> tuple[str, str]:
    """``sync_peer renew``: this database was restored or copied; take a new id now. Returns the old and the new id.

    The last common point is the end of the history as it stands, so run it before anything is written here.
    """
    with writing(alias) as node:
        old = node.node
        with node.connection.cursor() as cursor:
            common = point_at(cursor, node.last_seq)
        return old, take_new_id(node, common)


def common_pass(mine: Sequence[Point], others: Sequence[Point]) -> Point:
    """Of two copies: the end of the newest pass that both know."""
    theirs = {point.nonce for point in others}
    return max((point for point in mine if point.nonce in theirs), default=START)
