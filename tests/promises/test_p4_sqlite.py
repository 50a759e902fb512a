"""P4 on SQLite: one writer at a time. Ours are bounded, so that a user's transaction that begins IMMEDIATE has its turn."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import connections

from peersync import numbering
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options
from peersync.transactions import reading
from peersync.transfer import Transfer
from tests.support.crowd import Crowd, Reader
from tests.support.databases import contents
from tests.zoo.models import Parent

TIMEOUT = 5
"""Seconds that sqlite3 and Django wait for the lock where nobody says anything."""

_WRITER = """
import json, random, sqlite3, sys, time

path, base, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
done, failed, longest, number = {}, [], 0.0, base
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[4])
while time.monotonic() < until:
    number += 1
    began = time.monotonic()
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO zoo_parent (id, x, y, u, b, e) VALUES (?, ?, '', NULL, 'n', '')", [number, f"new {number}"]
        )
        changed = random.choice(sorted(done)) if done else None
        if changed is not None:
            connection.execute("UPDATE zoo_parent SET x = ? WHERE id = ?", [f"changed {number}", changed])
        connection.execute("COMMIT")
        done[number] = f"new {number}"
        if changed is not None:
            done[changed] = f"changed {number}"
    except sqlite3.Error as error:
        failed.append(str(error))
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    longest = max(longest, time.monotonic() - began)
    time.sleep(0.002)
print(json.dumps({"done": done, "failed": failed, "longest": longest}))
"""


class Process:
    """A writer in a process of its own, which knows nothing of Django; its last line says what it did."""

    def __init__(self, alias: str, base: int, seconds: float) -> None:
        path = str(connections[alias].settings_dict["NAME"])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, path, str(base), str(TIMEOUT), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def result(self) -> dict[str, Any]:
        out, _ = self._process.communicate(timeout=120)
        found: dict[str, Any] = json.loads(out)
        found["done"] = {int(number): text for number, text in found["done"].items()}
        return found


@contextmanager
def writers(alias: str, count: int, seconds: float) -> Iterator[list[dict[str, Any]]]:
    """What the writers did, known when the block is over."""
    results: list[dict[str, Any]] = []
    processes = [Process(alias, (i + 1) * 1_000_000, seconds) for i in range(count)]
    yield results
    results += [process.result() for process in processes]


def test_no_change_is_lost_and_no_writer_is_locked_out_by_passes(sqlite_nodes: Any) -> None:
    alias = sqlite_nodes.a.alias
    readers = [Reader(alias, limit=limit) for limit in (5, 200)]
    with Crowd() as crowd, writers(alias, 3, 4) as results:
        crowd.repeat(lambda: numbering.number(alias))
        for reader in readers:
            crowd.repeat(reader.read, pause=0.01)
    done = {number: text for result in results for number, text in result["done"].items()}
    assert [result["failed"] for result in results] == [[], [], []]
    assert len(done) > 100
    for reader in readers:
        reader.read()
        assert {row.key[0]: row.content[1] for row in reader.seen if row.content} == done
        times = [row.key[0] for row in reader.seen]
        untouched = [number for number, text in done.items() if text.startswith("new")]
        assert all(times.count(number) == 1 for number in untouched[:100])


def test_who_reads_and_who_writes_do_not_wait_for_each_other(sqlite_nodes: Any) -> None:
    """A page that is being read keeps no save waiting, and an open transaction no reader: BEGIN IMMEDIATE or not."""
    alias = sqlite_nodes.a.alias
    Parent.objects.using(alias).create(id=1)
    reader = Reader(alias)
    reader.read()
    path = str(connections[alias].settings_dict["NAME"])
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as writer:
        insert = "INSERT INTO zoo_parent (id, x, y, u, b, e) VALUES (?, 'new', '', NULL, 'n', '')"
        with reading(alias):
            writer.execute("BEGIN IMMEDIATE")
            writer.execute(insert, [2])
            writer.execute("COMMIT")
            assert not Parent.objects.using(alias).filter(id=2).exists(), "one snapshot of the database"
        assert reader.texts() == ["new"]
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(insert, [3])
        began = time.monotonic()
        assert reader.texts() == []
        assert time.monotonic() - began < TIMEOUT
        writer.execute("COMMIT")
    assert [row.key for row in reader.read()] == [(3,)]
    assert connections[alias].transaction_mode == "IMMEDIATE"


@pytest.mark.slow
def test_a_first_sync_and_its_feed_leave_every_writer_its_turn(sqlite_nodes: Any) -> None:
    a, b = sqlite_nodes.a.alias, sqlite_nodes.b.alias
    rows = 40_000
    Parent.objects.using(a).bulk_create((Parent(id=i, x=f"row {i}") for i in range(1, rows + 1)), batch_size=5000)
    with writers(b, 2, 10) as results:
        began = time.monotonic()
        while time.monotonic() - began < 9:
            assert push(a, b).status == "ok"
            Parent.objects.using(a).filter(id__lte=20_000).update(x=str(time.monotonic()))
    assert [result["failed"] for result in results] == [[], []]
    assert max(result["longest"] for result in results) < TIMEOUT
    assert push(b, a).status == "ok"
    assert push(a, b).status == "ok"
    assert contents(a, "zoo.Parent")["zoo.Parent"][0][:2] == contents(b, "zoo.Parent")["zoo.Parent"][0][:2]
    assert {r[:5] for r in contents(a, "zoo.Parent")["zoo.Parent"]} == {
        r[:5] for r in contents(b, "zoo.Parent")["zoo.Parent"]
    }
    done = {number: text for result in results for number, text in result["done"].items()}
    assert dict(Parent.objects.using(a).filter(id__in=list(done)[:500]).values_list("id", "x")).items() <= done.items()


def push(source: str, target: str) -> Any:
    transfer = Transfer(
        DatabaseReplica(source, peer=target),
        DatabaseReplica(target, peer=source),
        options=Options(models=("zoo.Parent",)),
        local="source",
    )
    return transfer.run()
