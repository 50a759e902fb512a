"""The helper that serves a project as a process of its own, and the API behind a real socket."""

import json
import urllib.request
from typing import Any

import pytest

from peersync.records import START
from peersync.replicas.http import HttpReplica
from tests.support.api import caller_of, made_token
from tests.support.live import EXAMPLE, Server
from tests.zoo.models import Parent


def test_a_node_of_the_test_is_served(sqlite_nodes: Any) -> None:
    key = made_token("a", "b")
    Parent.objects.using("a").create(id=1, x="seen over http")
    with Server({"PEERSYNC_TEST_DEFAULT": "a"}) as server:
        replica = HttpReplica("a", server.url, key)
        assert replica.describe(caller_of("b")).node == caller_of("a").node
        batch = replica.changes(caller_of("b"), ["zoo.Parent"], START, None, 10)
        assert [row.content[1] for row in batch.rows if row.content] == ["seen over http"]
        pid = server.process.pid if server.process else 0
    assert pid
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server.url + "v1/health/")


def test_the_example_project_is_served(tmp_path: Any) -> None:
    env = {"EXAMPLE_DB": str(tmp_path / "one.sqlite3"), "EXAMPLE_AUTO_SYNC": "off"}
    server = Server(env, settings="config.settings", path=EXAMPLE)
    server.manage("migrate", "--verbosity=0")
    with server:
        with urllib.request.urlopen(server.url + "v1/health/") as answer:
            assert json.load(answer) == {"status": "ok"}
        server.kill()
        server.start()
