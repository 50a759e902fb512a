"""Where a test session keeps its databases: names only, nothing is made on import.

One directory per session, named after the process that began it; xdist workers and started servers inherit it
through the environment.
"""

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_SESSION = "PEERSYNC_TEST_DIR"
POSTGRES_URL = "PEERSYNC_TEST_POSTGRES"

# Short, since a Unix socket's path may have no more than 107 characters.
os.environ.setdefault(_SESSION, str(Path(tempfile.gettempdir()) / f"peersync-tests-{os.getpid()}"))


def directory() -> Path:
    return Path(os.environ[_SESSION])


def worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def database_name(name: str) -> str:
    """The name of a PostgreSQL database that no other session and no other worker uses."""
    return f"{directory().name}_{worker()}_{name}".replace("-", "_")


def sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory() / f"{worker()}-{name}.sqlite3"),
        "OPTIONS": {
            # A killed process is tested, a power cut is not: so no fsync.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


def postgres(name: str) -> dict[str, Any]:
    """A database of the server that PEERSYNC_TEST_POSTGRES names, else of the one that the session starts."""
    return {"ENGINE": "django.db.backends.postgresql", "NAME": database_name(name), **server()}


def server() -> dict[str, Any]:
    url = urlsplit(os.environ.get(POSTGRES_URL, f"postgresql://postgres@/postgres?host={directory() / 'pg'}"))
    hosts = parse_qs(url.query).get("host", [])
    return {
        "HOST": hosts[0] if hosts else url.hostname or "",
        "PORT": str(url.port or ""),
        "USER": unquote(url.username or "postgres"),
        "PASSWORD": unquote(url.password or ""),
    }
