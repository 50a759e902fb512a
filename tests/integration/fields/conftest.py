"""`between`: source and target, once for each pair of kinds of database."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from peersync import capture

KINDS = {
    "sqlite-sqlite": ("a", "b"),
    "pg-pg": ("pg_a", "pg_b"),
    "sqlite-pg": ("a", "pg_b"),
    "pg-sqlite": ("pg_b", "a"),
}


class Between(NamedTuple):
    source: str
    target: str
    settings: Any

    def configure(self, *models: str, **more: Any) -> None:
        base = {"MODELS": list(models), "AUTO_SYNC": "off", "MASTER": self.source, "SLAVE": self.target}
        self.settings.SYNC_CONFIG = {**base, **more}
        for alias in (self.source, self.target):
            capture.install(alias)

    @property
    def to_sqlite(self) -> bool:
        return not self.target.startswith("pg")

    @property
    def from_sqlite(self) -> bool:
        return not self.source.startswith("pg")


def _kinds(*names: str) -> list[Any]:
    return [pytest.param(kind, marks=[pytest.mark.postgres] if "pg" in kind else []) for kind in names or KINDS]


def _made(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Between:
    source, target = KINDS[request.param]
    make_nodes(source, target, "c")
    return Between(source, target, settings)


@pytest.fixture(params=_kinds())
def between(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Between:
    return _made(request, make_nodes, settings)


@pytest.fixture(params=_kinds("sqlite-sqlite", "pg-pg"))
def within(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Between:
    return _made(request, make_nodes, settings)


@pytest.fixture(params=_kinds("pg-pg", "pg-sqlite"))
def from_postgres(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Between:
    return _made(request, make_nodes, settings)


@pytest.fixture(params=_kinds("sqlite-sqlite", "sqlite-pg"))
def from_sqlite(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any) -> Between:
    return _made(request, make_nodes, settings)
