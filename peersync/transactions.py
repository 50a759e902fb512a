"""The two kinds of transactions that peersync opens: one that writes (numbering, applying), and one that reads.

Writing is serialised per node by a lock on the one row of the table Node. Writers of the project never take that lock,
so they never wait for it; on SQLite, where one connection writes at a time anyway, taking it makes the transaction a
writer from its first statement.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction
from django.db.utils import DatabaseError

from peersync.errors import Busy, NotInstalled, PeersyncError, ReadOnlyReplica

LOCK_TIMEOUT_MS = 500
"""Below PostgreSQL's deadlock_timeout (1 s): we give up before the server lays a deadlock at the writer's door."""

DEADLOCK_CHECK_MS = 900
"""A writer who waits for a row of ours has its deadlock check (1 s) no earlier than this after our transaction began."""

MUTEX_TIMEOUT_MS = 30_000

TEXTS = (
    "SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; SET LOCAL bytea_output = hex;"
    " SET LOCAL extra_float_digits = 1"
)
"""PostgreSQL: one text for one value, and all digits of it, whatever the database, the role or the project sets."""


@dataclass
class NodeRow:
    """The row of the table Node, read under its lock."""

    alias: str
    node: str
    install: str
    secret: str
    last_seq: int
    pruned_seq: int
    readers: list[str]
    retired: list[dict[str, Any]]
    place: str = ""
    baselines: dict[str, set[str]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    followed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Label and primary key of rows that are gone, whose name another one has taken over in this very pass → that name."""

    @property
    def connection(self) -> Any:
        return connections[self.alias]

    def baseline(self, model: str) -> set[str]:
        return self.baselines.get(model, set())


def bound_wait(node: NodeRow) -> None:
    """Whatever waits for a writer from here on gives up before that writer, who may wait for us, has its deadlock check.

    To be called before each statement that may wait: the later in the transaction, the shorter the wait.
    """
    if node.connection.vendor != "postgresql":
        return
    left = DEADLOCK_CHECK_MS - int((time.monotonic() - node.began) * 1000)
    if left < LOCK_TIMEOUT_MS:
        with node.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {max(left, 1)}")


COLUMNS = "node, install, secret, last_seq, pruned_seq, readers, retired, place"


def _node_row(alias: str, values: Any) -> NodeRow:
    node, install, secret, last_seq, pruned, readers, retired, place = values
    return NodeRow(alias, node, install, secret, last_seq, pruned, json.loads(readers), json.loads(retired), place)


@contextmanager
def _atomic(alias: str) -> Iterator[Any]:
    connection = connections[alias]
    outermost = not connection.in_atomic_block
    try:
        with transaction.atomic(using=alias, durable=True):
            yield connection, outermost
    except RuntimeError as error:
        if "durable" not in str(error):
            raise
        raise PeersyncError(
            "peersync opens its own transactions and cannot run inside another one.",
            hint="Call it outside of atomic().",
        ) from error


@contextmanager
def writing(alias: str) -> Iterator[NodeRow]:
    """A transaction that alone may write row states, passes and checkpoints of this node. READ COMMITTED.

    Raises NotInstalled where the tables are missing, Busy where the lock was not to be had within half a minute.
    """
    with translated(alias), _atomic(alias) as (connection, outermost):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                if outermost:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                cursor.execute(f"SET LOCAL lock_timeout = {MUTEX_TIMEOUT_MS}; {TEXTS}")
            else:
                cursor.execute("UPDATE peersync_node SET id = id")
            node = _locked_node(cursor, connection, alias)
            if connection.vendor == "postgresql":
                cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        yield node


def _locked_node(cursor: Any, connection: Any, alias: str) -> NodeRow:
    suffix = " FOR UPDATE" if connection.features.has_select_for_update else ""
    query = f"SELECT {COLUMNS} FROM peersync_node WHERE id = 1{suffix}"
    cursor.execute(query)
    values = cursor.fetchone()
    if values is None:
        make_install(cursor)
        cursor.execute(query)
        values = cursor.fetchone()
    node = _node_row(alias, values)
    node.baselines = _baselines(cursor)
    return node


def make_install(cursor: Any) -> None:
    """A new install: whoever finds no node row (first migrate, or a flush) knows nothing of any history."""
    for table in (
        "journal",
        "rowstate",
        "numberingpass",
        "quarantine",
        "filewait",
        "filescan",
        "checkpoint",
        "baseline",
        "filtermemory",
        "missedcapture",
        "origin",
        "originbase",
    ):
        cursor.execute(f"DELETE FROM peersync_{table}")
    cursor.execute(
        "INSERT INTO peersync_node (id, node, install, secret, last_seq, pruned_seq, readers, retired,"
        " fingerprints, place, created) VALUES (1, %s, %s, %s, 0, 0, '[]', '[]', '{}', '', CURRENT_TIMESTAMP)"
        " ON CONFLICT DO NOTHING",
        [str(uuid.uuid4()), str(uuid.uuid4()), secrets.token_hex(32)],
    )


def _baselines(cursor: Any) -> dict[str, set[str]]:
    cursor.execute("SELECT model, install FROM peersync_baseline")
    found: dict[str, set[str]] = {}
    for model, install in cursor.fetchall():
        found.setdefault(model, set()).add(install)
    return found


@contextmanager
def _as_reader(alias: str) -> Iterator[None]:
    """SQLite: who only reads waits for no writer, nor a writer for him, whatever the project's transaction_mode says."""
    connection: Any = connections[alias]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()  # connecting reads the mode from the settings
    mode, connection.transaction_mode = connection.transaction_mode, None
    try:
        yield
    finally:
        connection.transaction_mode = mode


@contextmanager
def reading(alias: str) -> Iterator[NodeRow]:
    """One snapshot of the database; writes nothing. The node row must be there: number first."""
    with translated(alias), _as_reader(alias), _atomic(alias) as (connection, outermost):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                isolation = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; " if outermost else ""
                cursor.execute(f"{isolation}{TEXTS}")
            cursor.execute(f"SELECT {COLUMNS} FROM peersync_node WHERE id = 1")
            values = cursor.fetchone()
            if values is None:
                raise NotInstalled(
                    f"The database {alias!r} has no node row.", hint=f"Run: manage.py migrate --database={alias}"
                )
            node = _node_row(alias, values)
            node.baselines = _baselines(cursor)
        yield node


@contextmanager
def translated(alias: str) -> Iterator[None]:
    """Errors of the database that mean something to the user, as errors of ours."""
    try:
        yield
    except DatabaseError as error:  # PostgreSQL calls a read-only transaction an InternalError
        ours = _translate(alias, error)
        if ours is None:
            raise
        raise ours from error


def _translate(alias: str, error: DatabaseError) -> PeersyncError | None:
    text = str(error)
    state = getattr(error.__cause__, "pgcode", None) or getattr(error.__cause__, "sqlstate", None)
    if "peersync_" in text and ("does not exist" in text or "no such table" in text):
        return NotInstalled(
            f"The database {alias!r} has no tables of peersync.", hint=f"Run: manage.py migrate --database={alias}"
        )
    if state == "25006" or "readonly database" in text or "read-only transaction" in text:
        return ReadOnlyReplica(
            f"The database {alias!r} cannot be written (a physical replica, or a file without rights).",
            hint="Name the primary database instead.",
        )
    if state in ("55P03", "40P01", "40001") or "database is locked" in text or "database table is locked" in text:
        return Busy(f"The database {alias!r} is busy.", hint="Try again; nothing was written.")
    return None
