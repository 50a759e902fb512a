"""P5: a process that is killed in the middle, by kill -9: the next one goes on where it stopped, and the result is right."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from peersync import tokens
from tests.support.databases import NodeDatabase, contents
from tests.support.live import Server
from tests.support.sites import ROOT, environment

ROWS = 60_000
PARENTS = 2_000
LABELS = ["zoo.Parent", "zoo.Wide"]

pytestmark = pytest.mark.slow


class Command:
    """`manage.py sync_data` as a process of the site whose database is ``alias``."""

    def __init__(self, alias: str, peer: str, *arguments: str, **sync: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "django", "sync_data", "--direction=push", f"--peer={peer}", "--json", *arguments],
            cwd=ROOT,
            env=environment(alias, {"MODELS": LABELS, "AUTO_SYNC": "off", **sync}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL, "it was over before it could be killed"

    def result(self) -> dict[str, Any]:
        out, errors = self._process.communicate(timeout=180)
        found: dict[str, Any] = json.loads(out or "{}")
        assert found, errors
        return found


def fill(node: NodeDatabase) -> None:
    """Rows that stood there before peersync came: nothing noted them."""
    with node.connection.cursor() as cursor:
        numbers = (
            "SELECT generate_series(1, {}) AS n"
            if node.vendor == "postgresql"
            else "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n FROM s"
        )
        token = "md5(n::text)::uuid" if node.vendor == "postgresql" else "printf('%032x', n)"
        true = "true" if node.vendor == "postgresql" else "1"
        cursor.execute(
            "INSERT INTO zoo_parent (id, x, y, u, b, e) SELECT n, 'parent ' || n, '', NULL, 'n', ''"
            f" FROM ({numbers.format(PARENTS)}) AS numbers"
        )
        cursor.execute(
            "INSERT INTO zoo_wide (id, parent_id, number, token, amount, placed, active, text, day, ratio, data)"
            f" SELECT n, 1 + n % {PARENTS}, 'number ' || n, {token}, n, '2026-01-02 03:04:05', {true},"
            f" 'a text of some length, so that a row weighs what rows weigh ' || n, NULL, 0.5, '{{}}'"
            f" FROM ({numbers.format(ROWS)}) AS numbers"
        )
        cursor.execute("DELETE FROM peersync_journal")
    node.close()


def place(alias: str, label: str = "zoo.Wide") -> dict[str, Any]:
    """How far the checkpoint of the one source is with the model; empty before its first batch."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT progress FROM peersync_checkpoint")
        found = cursor.fetchone()
    return dict(json.loads(found[0]).get(label, {})) if found else {}


def count(alias: str, where: str = "1 = 1") -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM zoo_wide WHERE {where}")
        return int(cursor.fetchone()[0])


def until(command: Command, look: Callable[[], Any]) -> Any:
    """What ``look`` gives as soon as that is true, while the command runs."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        assert not command.over, command.result()
        time.sleep(0.005)
    raise AssertionError("not within 90 s")


def settle(target: NodeDatabase) -> None:
    """A server goes on with the batch that it has, whoever sent it: until that is over."""
    seen: list[Any] = []
    while len(seen) < 4 or len(set(seen[-4:])) > 1:
        seen.append(json.dumps(place(target.alias)))
        time.sleep(0.2)


def equal(a: NodeDatabase, b: NodeDatabase) -> bool:
    return contents(a.alias, *LABELS) == contents(b.alias, *LABELS)


def first_sync(source: NodeDatabase, target: NodeDatabase, start: Callable[..., Command]) -> None:
    """Killed in the middle of the pages; what the second one makes is what the first one had not made."""
    command = start("--batch-size=1000")
    until(command, lambda: place(target.alias).get("after"))
    command.kill()
    settle(target)
    before, stood = place(target.alias), count(target.alias)
    assert 0 < stood < ROWS
    assert before["seen"] == stood, "rows and checkpoint commit together"
    found = start().result()
    assert found["status"] == "ok"
    assert found["transfers"][0]["models"]["zoo.Wide"]["created"] == ROWS - stood
    assert found["transfers"][0]["models"]["zoo.Parent"]["created"] == 0
    assert place(target.alias)["cursor"]
    assert equal(source, target)


def later_sync(source: NodeDatabase, target: NodeDatabase, start: Callable[..., Command]) -> None:
    """The same with the feed: changes, deletions and new rows, killed several times."""
    with source.connection.cursor() as cursor:
        cursor.execute("UPDATE zoo_wide SET text = 'changed ' || id WHERE id <= 20000")
        cursor.execute("DELETE FROM zoo_wide WHERE id > 20000 AND id <= 21000")
        cursor.execute("UPDATE zoo_parent SET x = 'changed' WHERE id <= 500")
    source.close()
    moments = random.Random(5)
    changed = 0
    for _ in range(3):
        cursor_before = place(target.alias)["cursor"]
        command = start("--batch-size=500")
        until(command, lambda was=cursor_before: place(target.alias)["cursor"] != was)
        time.sleep(moments.random() * 0.2)
        command.kill()
        settle(target)
        now = count(target.alias, "text LIKE 'changed%%'")
        assert place(target.alias)["cursor"][0] > cursor_before[0]
        assert changed <= now < 20_000
        changed = now
    found = start().result()
    assert found["status"] == "ok"
    assert found["transfers"][0]["models"]["zoo.Wide"]["updated"] == 20_000 - changed
    assert found["transfers"][0]["models"]["zoo.Wide"]["conflicts"] == 0
    assert equal(source, target)
    found = start().result()
    assert [found["transfers"][0]["models"]["zoo.Wide"][name] for name in ("created", "updated", "deleted")] == [0] * 3


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_over_an_alias(kind: str, make_nodes: Any) -> None:
    source, target, _ = make_nodes(*(("a", "b", "c") if kind == "sqlite" else ("pg_a", "pg_b", "pg_c")))
    fill(source)

    def start(*arguments: str) -> Command:
        return Command(source.alias, target.alias, *arguments, SLAVE=target.alias)

    first_sync(source, target, start)
    later_sync(source, target, start)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_over_http(kind: str, make_nodes: Any) -> None:
    """The sender is killed, in the middle of the pages and of the feed."""
    source, target, _ = make_nodes(*(("a", "b", "c") if kind == "sqlite" else ("pg_a", "pg_b", "pg_c")))
    fill(source)
    token = tokens.create("hq", using=target.alias)
    env = environment(target.alias, {"MODELS": LABELS, "AUTO_SYNC": "off"})
    with Server(env, settings="tests.support.site_settings", path=Path(ROOT)) as server:

        def start(*arguments: str) -> Command:
            peer = {"URL": server.url, "TOKEN": token}
            return Command(source.alias, "branch", *arguments, PEERS={"branch": peer})

        first_sync(source, target, start)
        later_sync(source, target, start)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_server_that_is_killed(kind: str, make_nodes: Any) -> None:
    source, target, _ = make_nodes(*(("a", "b", "c") if kind == "sqlite" else ("pg_a", "pg_b", "pg_c")))
    fill(source)
    token = tokens.create("hq", using=target.alias)
    env = environment(target.alias, {"MODELS": LABELS, "AUTO_SYNC": "off"})
    server = Server(env, settings="tests.support.site_settings", path=Path(ROOT))
    server.start()
    try:
        peer = {"URL": server.url, "TOKEN": token}
        command = Command(source.alias, "branch", "--batch-size=1000", PEERS={"branch": peer})
        until(command, lambda: place(target.alias).get("after"))
        server.kill()
        found = command.result()
        assert found["status"] == "failed"
        assert found["error"]["code"] == "unreachable"
        stood = count(target.alias)
        assert 0 < stood < ROWS
        server.start()
        found = Command(source.alias, "branch", PEERS={"branch": peer}).result()
        assert found["status"] == "ok"
        assert found["transfers"][0]["models"]["zoo.Wide"]["created"] == ROWS - stood
        assert equal(source, target)
    finally:
        server.stop()
