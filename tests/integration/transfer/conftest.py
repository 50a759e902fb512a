"""`pair`: two nodes, once per kind of database; `lite`: on SQLite only, where the database makes no difference."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.pairs import Pair


@pytest.fixture
def pair(nodes: Any, settings: Any) -> Pair:
    return Pair(settings, nodes.a.alias, nodes.b.alias)


@pytest.fixture
def lite(sqlite_nodes: Any, settings: Any) -> Pair:
    return Pair(settings, "a", "b")


@pytest.fixture
def mixed(make_nodes: Callable[..., Any], settings: Any) -> Pair:
    make_nodes("a", "pg_b", "c")
    return Pair(settings, "a", "pg_b")


@pytest.fixture
def pg(make_nodes: Callable[..., Any], settings: Any) -> Pair:
    make_nodes("pg_a", "pg_b", "pg_c")
    return Pair(settings, "pg_a", "pg_b")
