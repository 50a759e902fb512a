from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres, workspace
from tests.support.pairs import Pair
from tests.support.releases import Release, Running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """``node("a", release)``: a node that runs that release, on SQLite; ``pg=True``: on PostgreSQL."""
    made: list[Running] = []

    def make(name: str, release: Release, *, pg: bool = False, **sync: Any) -> Running:
        database = workspace.sqlite("x") | {"NAME": str(tmp_path / f"{name}.sqlite3")}
        if pg:
            postgres.start()
            database = workspace.postgres(f"drift_{name}")
            postgres.create(str(database["NAME"]))
        made.append(Running(tmp_path / name, database, release, **{"MODELS": ["store.*"], **sync}))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(params=["sqlite", pytest.param("mixed", marks=pytest.mark.postgres)])
def mixed_or_lite(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Pair:
    aliases = ("a", "b") if request.param == "sqlite" else ("a", "pg_b")
    make_nodes(*aliases, "c")
    return Pair(settings, *aliases)


@pytest.fixture
def pair(make_nodes: Callable[..., Any], settings: Any) -> Pair:
    make_nodes("a", "b", "c")
    return Pair(settings, "a", "b")
