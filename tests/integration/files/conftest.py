import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.filed import stores
from tests.support.databases import NodeDatabase
from tests.support.filing import Filed
from tests.support.sites import free_port
from tests.support.subjects import Served

DISK = pytest.param(("a", "b", "disk"), id="sqlite-disk")
BARE = pytest.param(("a", "b", "bare"), id="sqlite-bare")
POSTGRES = pytest.param(("pg_a", "pg_b", "bare"), id="postgres-bare", marks=pytest.mark.postgres)
MEMORY = pytest.param(("a", "pg_b", "memory"), id="mixed-memory", marks=pytest.mark.postgres)
HTTP = pytest.param(("a", "b", "http"), id="http")
KINDS = {
    "test_contents": [DISK, POSTGRES, MEMORY, HTTP],
    "test_names": [DISK, POSTGRES, HTTP],
    "test_trouble": [BARE, HTTP],
    "test_p8_files": [DISK, HTTP],
    "test_histories": [DISK],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Over HTTP and on PostgreSQL what may differ there; each costs its time."""
    if "filed" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        metafunc.parametrize("filed", KINDS[name], indirect=True)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """A server process in front of a database, with a directory of its own for its files."""
    known: dict[str, Served] = {}

    def get(alias: str) -> Served:
        if alias not in known:
            media = tmp_path_factory.mktemp("media")
            os.environ |= {"PEERSYNC_TEST_MEDIA": str(media), "TMPDIR": str(tmp_path_factory.mktemp("parts"))}
            known[alias] = Served(alias, free_port(), {"MODELS": ["filed.*"], "AUTO_SYNC": "off"})
            known[alias].media = media  # type: ignore[attr-defined]
            del os.environ["PEERSYNC_TEST_MEDIA"], os.environ["TMPDIR"]
        return known[alias]

    yield get
    for one in known.values():
        one.close()


@pytest.fixture
def filed(
    request: pytest.FixtureRequest,
    _node_databases: Callable[[str], NodeDatabase],
    served: Callable[[str], Any],
    django_db_blocker: Any,
    settings: Any,
    tmp_path: Path,
) -> Iterator[Filed]:
    """Two nodes with a storage each."""
    a, b, kind = request.param
    nodes = [_node_databases(alias) for alias in (a, b)]
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    with django_db_blocker.unblock():
        for node in nodes:
            node.clear()
        server = served(b) if kind == "http" else None
        for path in sorted(server.media.rglob("*"), reverse=True) if server else ():
            path.rmdir() if path.is_dir() else path.unlink()
        yield Filed(settings, a, b, "bare" if server else kind, server)
        for node in nodes:
            node.close()
    stores.store.stores.clear()
