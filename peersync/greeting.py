"""The handshake at a database: learning what the other has seen, taking a new id where that shows a rewound history."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import connections

from peersync import capture, memory, numbering, progress
from peersync.apply import waiting
from peersync.apply.packing import unpack
from peersync.apply.records import LOST, record_replaced, write_records
from peersync.conf import settings
from peersync.files import waits
from peersync.histories import given_up, rewound, take_new_id
from peersync.progress import Checkpoint
from peersync.records import Caller
from peersync.registry import SyncModel, registry
from peersync.snapshot import note_reader
from peersync.states import chunks
from peersync.transactions import NodeRow, translated, writing
from peersync.viewchanges import notice

POLL_SECONDS = 0.5


def greet(node: NodeRow, peer: str, caller: Caller) -> None:
    """Take a new id where my id was given up, or where the caller saw a point of mine that is not mine any more.

    Points that he saw under an id that I gave up say nothing new: of what was lost then I took leave with that id. Else
    each peer of a restored hub would have it take another id, and what it wrote in between would be nobody's any more.
    """
    if caller.node == node.node:
        return
    mark = given_up(node, caller.retired)
    if mark is not None:
        take_new_id(node, mark)
    elif caller.points and caller.about in ("", node.node):
        common = rewound(node, caller.points)
        if common is not None:
            take_new_id(node, common)
    _meet(node, peer, caller)


def _meet(node: NodeRow, peer: str, caller: Caller) -> None:
    """Note the peer; where it bears another id than last time, the former one's cursor goes and its points stay."""
    name = peer or caller.node
    former, install = _last(node, name)
    gone = {old["id"] for old in node.retired if old["install"] == caller.install and old["id"] != caller.node}
    if former and former != caller.node:
        gone.add(former)
    for old in gone:
        _drop(node, old, caller.node)
    with node.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peersync_peer (name, node, install, told, last_contact, last_error, failures, lease_holder)"
            " VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP, '', 0, '') ON CONFLICT (name) DO UPDATE SET"
            " node = excluded.node, install = excluded.install, told = excluded.told,"
            " last_contact = excluded.last_contact",
            [name, caller.node, caller.install, caller.told],
        )
    if former and former != caller.node and install == caller.install:
        memory.move(node, former, caller.node)
        if former in node.readers:
            note_reader(node, caller.node)
    notice(node, name, caller.node)


def _drop(node: NodeRow, former: str, now: str) -> None:
    checkpoint = progress.load(node, former)
    if checkpoint.id is None:
        return
    records: list[dict[str, Any]] = []
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT id, model, row FROM peersync_quarantine WHERE checkpoint_id = %s", [checkpoint.id])
        for number, label, text in cursor.fetchall():
            pending = unpack(label, text, former, number)
            holder = _Records(records)
            record_replaced(holder, pending.row, pending.names, former, LOST)  # type: ignore[arg-type]  # it only appends to the records
        cursor.execute("DELETE FROM peersync_quarantine WHERE checkpoint_id = %s", [checkpoint.id])
        # what is still contested comes again, in the new id's name; the record keeps what came in the old one's
        cursor.execute(
            "UPDATE peersync_conflict SET open = %s, settled = CURRENT_TIMESTAMP WHERE open AND source = %s",
            [False, former],
        )
    write_records(node.connection, records)
    if waits.some(node.connection, checkpoint.id):
        successor = progress.load(node, now)
        waits.hand_over(node.connection, checkpoint.id, progress.save(node, successor))
    checkpoint.progress = {}
    progress.save(node, checkpoint)


class _Records:
    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records


def last_id(node: NodeRow, peer: str) -> str:
    """The id under which the peer of that name was last met; empty where it never was."""
    return _last(node, peer)[0]


def _last(node: NodeRow, peer: str) -> tuple[str, str]:
    """Its id, and its install."""
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT node, install FROM peersync_peer WHERE name = %s", [peer])
        found = cursor.fetchone()
    return (found[0], found[1]) if found else ("", "")


def install_of(node: NodeRow, peer: str, caller: Caller | None) -> str:
    """The install of whoever asks, else of the peer of that name; empty where it was never met."""
    if caller is not None and caller.node:
        return caller.install
    return _last(node, peer)[1]


def told(node: NodeRow, checkpoint: Checkpoint, labels: Sequence[str]) -> int:
    """How far this node has read past in the other's feed, less what waits here."""
    cursors = [checkpoint.of(label).cursor for label in labels]
    if not cursors or any(cursor is None for cursor in cursors):
        return -1
    read = min(cursor.seq for cursor in cursors if cursor is not None)
    lowest = waiting.lowest(node.connection, checkpoint.source)
    return read if lowest is None else min(read, lowest - 1)


def limits() -> dict[str, int]:
    """What this node takes: bytes of a body (as it travels and unpacked) and of a row, rows of a batch, seconds of a poll."""
    bounds = settings().limits
    return {name: getattr(bounds, name) for name in ("body", "unpacked", "line", "batch", "wait", "file")}


def place_of(connection: Any) -> tuple[str, bool]:
    """A digest of cluster, database and schema (or of the file), and whether it can only be read."""
    if connection.vendor != "postgresql":
        name = str(connection.settings_dict["NAME"])
        try:
            found = Path(name).stat()
        except OSError:
            return "", False
        return _digest(f"{found.st_dev}:{found.st_ino}"), False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()), current_schema(),"
            " pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system())"
        )
        oid, schema, recovering, cluster = cursor.fetchone()
    return _digest(f"{cluster}:{oid}:{schema}"), bool(recovering)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def empty_tables(connection: Any, models: Sequence[SyncModel]) -> set[str]:
    """Labels of the models that have no row."""
    found: set[str] = set()
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for part in chunks(list(models), 100):
            parts = [f"SELECT {i} WHERE NOT EXISTS (SELECT 1 FROM {quote(m.table)})" for i, m in enumerate(part)]
            cursor.execute(" UNION ALL ".join(parts))
            found |= {part[i].label for (i,) in cursor.fetchall()}
    return found


def look_at_capture(alias: str) -> tuple[str, ...]:
    """Triggers that are missing or altered: one sentence each, and the models are marked for a comparison."""
    if settings().capture != "triggers":
        _look_at_listing(alias)
        return ()
    problems = capture.check(alias)
    if any(problem.lost for problem in problems):
        with translated(alias):
            capture.mark(alias, problems)
    return tuple(
        f"Changes of {problem.label} are not captured ({problem.reason}): run manage.py sync_peer install"
        f" --database={alias}; the model is compared in full meanwhile."
        for problem in problems
        if problem.lost
    )


def _look_at_listing(alias: str) -> None:
    """Signals leave no trace of a model that was not synchronised for a time: whoever is back owes a comparison."""
    with translated(alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT fingerprints FROM peersync_node WHERE id = 1")
        found = cursor.fetchone()
    before: dict[str, bool] = json.loads(found[0]) if found else {}
    listed = set(registry().models)
    now = dict.fromkeys(before, False) | dict.fromkeys(listed, True)
    if now == before:
        return
    with writing(alias) as node, node.connection.cursor() as cursor:
        cursor.execute("UPDATE peersync_node SET fingerprints = %s WHERE id = 1", [json.dumps(now)])
    back = [label for label in listed if before.get(label) is False]
    capture.mark(alias, [capture.Problem(label, numbering.UNLISTED, lost=True) for label in back])


def missed(node: NodeRow, labels: Sequence[str]) -> dict[str, int]:
    """Models whose changes were not captured for a time, and the place from which a comparison is good again."""
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT model, seq FROM peersync_missedcapture")
        return {label: seq for label, seq in cursor.fetchall() if label in labels}


def wait_for_change(alias: str, seq: int, seconds: float) -> bool:
    """Whether something was numbered behind ``seq`` within the time. Holds no transaction, and numbers itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if numbering.number(alias) > seq:
            return True
        connections[alias].close_if_unusable_or_obsolete()
        time.sleep(POLL_SECONDS)
    return False
