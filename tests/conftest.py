"""Fixtures that every test may use.

`nodes` gives a, b, c as real databases, once per kind (sqlite, postgres, mixed); `sqlite_nodes` and
`pg_nodes` give one kind. They are fresh for each test, and what a test writes there is committed. For a test
that needs one ordinary database, `@pytest.mark.django_db` works as always, on `default`. `pair` (each kind), `lite`,
`pg` and `mixed` are two such nodes under one SYNC_CONFIG, between which whole transfers are made.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.db import connections

from tests.support import postgres, workspace
from tests.support.databases import NodeDatabase
from tests.support.janitor import Janitor
from tests.support.pairs import Pair


class Nodes(NamedTuple):
    a: NodeDatabase
    b: NodeDatabase
    c: NodeDatabase


KINDS = {
    "sqlite": ("a", "b", "c"),
    "postgres": ("pg_a", "pg_b", "pg_c"),
    "mixed": ("a", "pg_b", "c"),
}
_janitor = pytest.StashKey[Janitor]()


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: the tests wait for servers and databases half of their time."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        directory = workspace.directory()
        directory.mkdir(parents=True, exist_ok=True)
        config.stash[_janitor] = Janitor(directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    if janitor := config.stash.get(_janitor, None):
        connections.close_all()
        janitor.finish()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, so that `-m "not postgres"` is the quick half."""
    for item in items:
        names = getattr(item, "fixturenames", [])
        kind = getattr(item, "callspec", None) and item.callspec.params.get("node_kind")  # type: ignore[attr-defined]
        if "pg_nodes" in names or kind in ("postgres", "mixed"):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> None:
    """For `@pytest.mark.django_db`: `default` is migrated; the other aliases belong to the fixtures below."""
    with django_db_blocker.unblock():
        NodeDatabase("default").reset()


@pytest.fixture(scope="session")
def _node_databases(django_db_blocker: Any) -> Iterator[Callable[[str], NodeDatabase]]:
    known: dict[str, NodeDatabase] = {}

    def get(alias: str) -> NodeDatabase:
        if alias not in known:
            known[alias] = NodeDatabase(alias)
        return known[alias]

    yield get
    with django_db_blocker.unblock():
        connections.close_all()
        if any(node.vendor == "postgresql" for node in known.values()):
            postgres.drop_all()  # a foreign server (PEERSYNC_TEST_POSTGRES) outlives this session


@pytest.fixture
def make_nodes(
    _node_databases: Callable[[str], NodeDatabase], django_db_blocker: Any
) -> Iterator[Callable[..., Nodes]]:
    """`make_nodes("a", "pg_b", "c")`: these aliases, fresh, with database access for the rest of the test."""
    used: list[NodeDatabase] = []

    def make(*aliases: str) -> Nodes:
        nodes = Nodes(*(_node_databases(alias) for alias in aliases))
        for node in nodes:
            node.reset()
            used.append(node)
        return nodes

    with django_db_blocker.unblock():
        yield make
        for node in used:
            node.close()


@pytest.fixture
def sqlite_nodes(make_nodes: Callable[..., Nodes]) -> Nodes:
    return make_nodes(*KINDS["sqlite"])


@pytest.fixture
def pg_nodes(make_nodes: Callable[..., Nodes]) -> Nodes:
    return make_nodes(*KINDS["postgres"])


@pytest.fixture(params=KINDS)
def node_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def nodes(node_kind: str, make_nodes: Callable[..., Nodes]) -> Nodes:
    return make_nodes(*KINDS[node_kind])


# ---------------------------------------------------------------------- two nodes, and transfers between them


@pytest.fixture
def pair(nodes: Any, settings: Any) -> Pair:
    """Once per kind of database."""
    return Pair(settings, nodes.a.alias, nodes.b.alias)


@pytest.fixture
def lite(sqlite_nodes: Any, settings: Any) -> Pair:
    """On SQLite only, where the database makes no difference."""
    return Pair(settings, "a", "b")


@pytest.fixture
def mixed(make_nodes: Callable[..., Nodes], settings: Any) -> Pair:
    """From SQLite to PostgreSQL."""
    make_nodes(*KINDS["mixed"])
    return Pair(settings, "a", "pg_b")


@pytest.fixture
def pg(make_nodes: Callable[..., Nodes], settings: Any) -> Pair:
    """On PostgreSQL only."""
    make_nodes(*KINDS["postgres"])
    return Pair(settings, "pg_a", "pg_b")
