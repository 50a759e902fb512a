"""`ends`: two nodes, by alias and over HTTP, on SQLite and on PostgreSQL; `wired`: over HTTP alone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.ends import Ends, Servers

KINDS = {"sqlite": ("a", "b", "c"), "postgres": ("pg_a", "pg_b", "pg_c")}


def _kinds(*ways: str) -> list[Any]:
    marks = {"sqlite": (), "postgres": (pytest.mark.postgres,)}
    return [pytest.param((way, kind), id=f"{way}-{kind}", marks=marks[kind]) for way in ways for kind in KINDS]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One process per node that is served, for all tests of this worker."""
    found = Servers()
    yield found
    found.close()


@pytest.fixture
def _ends(make_nodes: Callable[..., Any], settings: Any, servers: Servers) -> Iterator[Callable[[Any], Ends]]:
    made: list[Ends] = []

    def make(param: tuple[str, str]) -> Ends:
        way, kind = param
        a, b, _ = make_nodes(*KINDS[kind])
        made.append(Ends(settings, a, b, servers if way == "http" else None))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=_kinds("alias", "http"))
def ends(request: pytest.FixtureRequest, _ends: Callable[[Any], Ends]) -> Ends:
    return _ends(request.param)


@pytest.fixture(params=_kinds("http"))
def wired(request: pytest.FixtureRequest, _ends: Callable[[Any], Ends]) -> Ends:
    return _ends(request.param)
