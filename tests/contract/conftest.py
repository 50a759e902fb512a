"""`subject`: each kind of replica there is. What a test here says holds for all of them, or it is no contract."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peersync import tokens
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from tests.support.databases import NodeDatabase
from tests.support.sites import free_port
from tests.support.subjects import FAR, NEAR, NEAR_ALIAS, THIRD_ALIAS, Served, Subject

CONFIG: dict[str, Any] = {
    "MODELS": ["zoo.*"],
    "IDENTITY": {"zoo.Sku": ["sku"], "zoo.SkuNote": ["sku", "text"]},
    "EXCLUDE": {"zoo.Parent": ["e"], "zoo.Secret": ["password"]},
    "AUTO_SYNC": "off",
}
KINDS = [
    pytest.param(("b", False), id="sqlite"),
    pytest.param(("b", True), id="http-sqlite"),
    pytest.param(("pg_b", False), id="postgres", marks=pytest.mark.postgres),
    pytest.param(("pg_b", True), id="http-postgres", marks=pytest.mark.postgres),
]


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[str], Served]]:
    """The server in front of a database: one process per alias for the whole session."""
    known: dict[str, Served] = {}

    def get(alias: str) -> Served:
        if alias not in known:
            known[alias] = Served(alias, free_port(), CONFIG)
        return known[alias]

    yield get
    for one in known.values():
        one.close()


@pytest.fixture(params=KINDS)
def subject(
    request: pytest.FixtureRequest,
    _node_databases: Callable[[str], NodeDatabase],
    django_db_blocker: Any,
    serve: Callable[[str], Served],
    settings: Any,
) -> Iterator[Subject]:
    alias, over_http = request.param
    used = [_node_databases(one) for one in (NEAR_ALIAS, alias, THIRD_ALIAS)]
    with django_db_blocker.unblock():
        for node in used:
            node.clear()
        settings.SYNC_CONFIG = {**CONFIG, "MASTER": NEAR_ALIAS}
        served = serve(alias) if over_http else None
        replica: Any = DatabaseReplica(alias, peer=NEAR)
        if served is not None:
            replica = HttpReplica(FAR, served.url, tokens.create(NEAR, using=alias))
        found = Subject(settings, used[1], replica, DatabaseReplica(NEAR_ALIAS, peer=FAR), served)
        found.configure(CONFIG)
        yield found
        for node in used:
            node.close()
