"""P4: a change is delivered however late its transaction commits, and no writer notices that somebody numbers."""

import random
import time
from typing import Any

import psycopg2
import pytest
from django.db import connections

from peersync import numbering
from peersync.transactions import writing
from tests.support.crowd import Crowd, Reader, held, put, session
from tests.zoo.models import Parent

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.mark.parametrize("level", LEVELS)
def test_who_began_first_and_commits_last_is_read(pg_nodes: Any, level: str) -> None:
    alias = pg_nodes.a.alias
    reader, early, late = Reader(alias), session(alias, level), session(alias, level)
    put(early, 1, "early")
    put(late, 2, "late")
    late.commit()
    assert reader.texts() == ["late"], "a long transaction delays nobody else"
    put(late, 3, "later")
    late.commit()
    assert reader.texts() == ["later"]
    early.commit()
    assert reader.texts() == ["early"]
    assert reader.texts() == []


def test_every_order_of_two_transactions(pg_nodes: Any) -> None:
    """All interleavings of begin-and-write, commit and read, of three transactions."""
    alias = pg_nodes.a.alias
    reader = Reader(alias)
    steps = random.Random(4)
    for number in range(25):
        order = [("write", i) for i in range(3)] + [("commit", i) for i in range(3)] + [("read", 0)] * 3
        steps.shuffle(order)
        open_, committed, read = {i: session(alias) for i in range(3)}, set(), []
        for what, i in order:
            name = f"{number}-{i}"
            if what == "write":
                put(open_[i], number * 10 + i, name)
                committed -= {name}
            elif what == "commit":
                open_[i].commit()
                if order.index(("write", i)) < order.index(("commit", i)):
                    committed.add(name)
            else:
                read += reader.texts()
                assert sorted(read) == sorted(committed)
        for i, connection in open_.items():
            connection.commit()
            committed.add(f"{number}-{i}")
            connection.close()
        read += reader.texts()
        assert sorted(read) == sorted(committed)


class Writer:
    """Transactions of one to four rows on one connection; some are rolled back, some stay open for a while.

    Every row that it makes is its own, and some of them it changes or deletes later.
    """

    def __init__(self, alias: str, number: int, level: str) -> None:
        self.connection = session(alias, level)
        self.random = random.Random(number)
        self.base = number * 1_000_000
        self.kept: dict[int, str] = {}
        """What was committed."""
        self.changes: dict[int, int] = {}
        self.given_up: list[str] = []
        self.count = 0

    def work(self) -> None:
        done: dict[int, str] = {}
        try:
            for _ in range(self.random.randint(1, 4)):
                self._write(done)
                if self.random.random() < 0.2:
                    time.sleep(self.random.random() * 0.02)
            if self.random.random() < 0.2:
                self.connection.rollback()
                return
            self.connection.commit()
        except psycopg2.Error as error:
            self.given_up.append(str(error.pgcode))
            self.connection.rollback()
            return
        self.kept |= done
        for number in done:
            self.changes[number] = self.changes.get(number, 0) + 1

    def _write(self, done: dict[int, str]) -> None:
        old = [n for n, text in self.kept.items() if text and n not in done]
        self.count += 1
        if old and self.random.random() < 0.4:
            number = self.random.choice(old[-20:])
            if self.random.random() < 0.3:
                with self.connection.cursor() as cursor:
                    cursor.execute("DELETE FROM zoo_parent WHERE id = %s", [number])
                done[number] = ""
                return
        else:
            number = self.base + self.count
        done[number] = f"{number} {self.count}"
        put(self.connection, number, done[number])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", [1, 2])
def test_many_writers_passes_and_readers(pg_nodes: Any, level: str, seed: int) -> None:
    alias = pg_nodes.a.alias
    writers = [Writer(alias, seed * 10 + i, level) for i in range(4)]
    readers = [Reader(alias, limit=limit) for limit in (1, 7, 100)]
    with Crowd() as crowd:
        for writer in writers:
            crowd.repeat(writer.work)
        for _ in range(2):
            crowd.repeat(lambda: numbering.number(alias), pause=0.005)
        for reader in readers:
            crowd.repeat(reader.read, pause=0.003)
        time.sleep(2.5)
    kept: dict[int, str] = {}
    changes: dict[int, int] = {}
    for writer in writers:
        kept |= writer.kept
        changes |= writer.changes
        # Writers of disjoint rows: below SERIALIZABLE nothing may stop one; there only what stops it without us.
        assert set(writer.given_up) <= ({"40001"} if level == "SERIALIZABLE" else set())
    assert len(kept) > 100
    for reader in readers:
        reader.read()
        seen: dict[int, str] = {}
        times: dict[int, int] = {}
        for row in reader.seen:
            number = row.key[0]
            seen[number] = str(row.content[1]) if row.content else ""
            times[number] = times.get(number, 0) + 1
        # What was made and deleted again between two passes is a tombstone, so every key is there.
        assert seen == kept
        assert all(times[number] <= changes[number] for number in times), "a change was read twice"
        assert all(times[number] == 1 for number in changes if changes[number] == 1)


def test_who_only_inserts_at_serializable_never_fails(pg_nodes: Any) -> None:
    """Without us such writers never fail, so with us neither."""
    alias, failed = pg_nodes.a.alias, []

    def insert(base: int) -> None:
        connection = session(alias, "SERIALIZABLE")
        for number in range(base, base + 300):
            try:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO zoo_parent (id, x, y, u, b, e) VALUES (%s, '', '', NULL, 'n', '')", [number]
                    )
                connection.commit()
            except psycopg2.Error as error:
                failed.append(error)
                connection.rollback()

    with Crowd() as crowd:
        writers = [crowd.start(lambda base=base: insert(base)) for base in (1000, 2000, 3000)]
        crowd.repeat(lambda: numbering.number(alias))
        for writer in writers:
            writer.join()
    assert not failed
    assert len(Reader(alias).read()) == 900


def test_a_writer_that_is_killed_in_the_middle(pg_nodes: Any) -> None:
    alias = pg_nodes.a.alias
    reader, writer, other = Reader(alias), session(alias), session(alias)
    put(other, 1, "before")
    other.commit()
    put(writer, 1, "lost")
    put(writer, 2, "lost")
    assert reader.texts() == ["before"]
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [writer.info.backend_pid])
    other.commit()
    with pytest.raises(psycopg2.Error):
        writer.commit()
    put(other, 2, "after")
    other.commit()
    assert reader.texts() == ["after"]
    assert Parent.objects.using(alias).get(id=1).x == "before"


def test_a_pass_that_is_killed_in_the_middle(pg_nodes: Any) -> None:
    """Nothing of it stands, and the next one numbers all of it."""
    alias = pg_nodes.a.alias
    Parent.objects.using(alias).create(id=1, x="one")
    with pytest.raises(ZeroDivisionError), writing(alias) as node:  # noqa: PT012
        numbering.take_journal(node)
        numbering._give_places(node)
        raise ZeroDivisionError
    reader = Reader(alias)
    assert reader.texts() == ["one"]


class _Pass:
    """A numbering pass that has done its work and does not commit."""

    def __init__(self, alias: str) -> None:
        self._block = writing(alias)

    def __enter__(self) -> None:
        node = self._block.__enter__()
        numbering.take_journal(node)
        assert numbering._give_places(node)

    def __exit__(self, *error: Any) -> None:
        self._block.__exit__(*error)


@pytest.mark.parametrize("level", LEVELS)
def test_a_save_never_waits_for_an_open_pass(pg_nodes: Any, level: str) -> None:
    alias = pg_nodes.a.alias
    Parent.objects.using(alias).bulk_create(Parent(id=i, x="old") for i in range(1, 50))
    connections[alias].close()
    writer = session(alias, level, statement_timeout="400ms")
    with held(_Pass(alias)):
        for number in range(1, 60):
            put(writer, number, "new")
            writer.commit()
        with writer.cursor() as cursor:
            cursor.execute("DELETE FROM zoo_parent WHERE id > 55")
        writer.commit()
    read = {row.key[0]: row.content[1] for row in Reader(alias).read() if row.content}
    assert read == dict.fromkeys(range(1, 56), "new")


def test_a_writer_in_the_middle_of_its_transaction_meets_whole_passes(pg_nodes: Any) -> None:
    """REPEATABLE READ and SERIALIZABLE: what was numbered and read behind its snapshot never fails its later writes."""
    alias = pg_nodes.a.alias
    Parent.objects.using(alias).bulk_create(Parent(id=i, x="old") for i in range(1, 10))
    reader = Reader(alias)
    for level in LEVELS:
        writer = session(alias, level)
        put(writer, 1, f"{level} 1")
        reader.read()
        put(writer, 2, f"{level} 2")
        reader.read()
        put(writer, 1, f"{level} 3")
        writer.commit()
        assert sorted(reader.texts()) == [f"{level} 2", f"{level} 3"]
