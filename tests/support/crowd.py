"""Writers and readers that work at the same time: real connections in real threads."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import connections

from peersync.records import START, Caller, Row
from peersync.replicas.database import DatabaseReplica
from tests.support import postgres

GIVEN_UP = ("40001", "40P01")
"""What PostgreSQL says to a transaction that it gives up for another one's sake."""


def session(alias: str, isolation: str | None = None, **settings: str) -> Any:
    """A connection of psycopg2 to the alias's database, which Django knows nothing of."""
    connection = postgres.connect(str(connections[alias].settings_dict["NAME"]))
    if isolation:
        connection.set_session(isolation_level=isolation)
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(f"SET {name} = %s", [value])
    connection.commit()
    return connection


def put(connection: Any, number: int, text: str) -> None:
    """Insert a parent, or change it; nothing is committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO zoo_parent (id, x, y, u, b, e) VALUES (%s, %s, '', NULL, 'n', 'dflt')"
            " ON CONFLICT (id) DO UPDATE SET x = excluded.x",
            [number, text],
        )


class Reader:
    """A peer that follows the feed by cursor, a few rows at a time."""

    def __init__(self, alias: str, *labels: str, limit: int = 7) -> None:
        self.labels = labels or ("zoo.Parent",)
        self.replica = DatabaseReplica(alias)
        self.caller = Caller(node=str(uuid.uuid4()), install=str(uuid.uuid4()))
        self.cursor = START
        self.limit = limit
        self.seen: list[Row] = []

    def read(self) -> list[Row]:
        """What is new since the last time."""
        found: list[Row] = []
        while True:
            batch = self.replica.changes(self.caller, self.labels, self.cursor, None, self.limit)
            assert batch.end["cursor"] >= self.cursor
            self.cursor = batch.end["cursor"]
            found += batch.rows
            if batch.done:
                self.seen += found
                return found

    def texts(self) -> list[str]:
        """The contents of ``x`` that are new since the last time, tombstones as an empty text."""
        return [str(row.content[1]) if row.content else "" for row in self.read()]


class Crowd:
    """Threads that repeat what they do until the crowd is stopped; the first error of any of them is raised."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def repeat(self, work: Callable[[], object], *, pause: float = 0) -> None:
        def loop() -> None:
            while not self._stop.is_set():
                work()
                if pause:
                    time.sleep(pause)

        self.start(loop)

    def start(self, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"
        if self._errors:
            raise self._errors[0]

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def code(error: psycopg2.Error) -> str:
    return str(error.pgcode)


@contextmanager
def held(block: Any) -> Iterator[Callable[[], None]]:
    """Another thread enters the context manager and stays in it until what is given is called, or the block ends."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with block:
            inside.set()
            leave.wait(60)

    with Crowd() as crowd:
        crowd.start(hold)
        assert inside.wait(30)
        try:
            yield leave.set
        finally:
            leave.set()


def writer_waits(alias: str) -> bool:
    """Whether any session of the alias's database waits for a lock."""
    with session(alias) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND pid <> pg_backend_pid() LIMIT 1"
        )
        return cursor.fetchone() is not None
