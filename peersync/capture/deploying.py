"""What ``migrate`` writes on its way bears no time of its own: each node writes it for itself, and a user's edit beats it.

The journal's lines of a data migration have the stamp 0, so that numbering gives the row its own stamp plus one. That holds
for the connection that migrates, statement by statement: what others write meanwhile is stamped as ever.
"""

from __future__ import annotations

import re
import sys
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, transaction
from django.db.models.signals import post_migrate, pre_migrate

from peersync.models import Applying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = "@migrate"
"""What stands in SQLite's table Applying while a statement of a migration runs. No table is called so."""
SETTING = "peersync.unstamped"
_ATTRIBUTE = "_peersync_migrating"
_TABLES = "_peersync_tables"
"""Where a connection keeps what the tables of all models were called before."""
_RENAMES = "_peersync_renames"
_SPACE = r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*"
_WRITES = re.compile(
    rf"{_SPACE}(?:INSERT|UPDATE|DELETE|REPLACE|WITH|MERGE|COPY|CALL|DO|TRUNCATE)\b", re.IGNORECASE | re.DOTALL
)


def connect() -> None:
    pre_migrate.connect(_on_pre_migrate, dispatch_uid="peersync.deploying")
    post_migrate.connect(_on_post_migrate, dispatch_uid="peersync.deploying")


def _on_pre_migrate(using: str, stdout: Any = None, **kwargs: Any) -> None:
    """Sent before the first migration, once per app. A ``migrate`` that fails sends nothing more: its own output then is no
    more.
    """
    connection = connections[using]
    if connection.vendor not in ("postgresql", "sqlite"):
        return
    if not migrating(connection):
        setattr(connection, _TABLES, _tables_of(kwargs.get("apps")) if kwargs.get("plan") else {})
        setattr(connection, _RENAMES, [])
    setattr(connection, _ATTRIBUTE, weakref.ref(stdout or sys.stdout))


def _tables_of(state: Any) -> dict[str, str]:
    """Label → table, of all models of this state of the migrations."""
    models = state.get_models(include_auto_created=True) if state is not None else ()
    return {model._meta.label: model._meta.db_table for model in models}


def note_rename(connection: Any, before: str, after: str) -> None:
    """A table got another name."""
    if migrating(connection):
        getattr(connection, _RENAMES).append((before, after))


def moved(connection: Any, state: Any) -> dict[str, str]:
    """Former label → present label, of the models that this ``migrate`` renamed, or moved to another app: the table tells.

    ``state``: the apps as they are afterwards.
    """
    before, after = getattr(connection, _TABLES, {}), _tables_of(state)
    by_table = {table: label for label, table in after.items() if label not in before}
    found = {}
    for label, was in before.items():
        table = was
        for old, new in getattr(connection, _RENAMES, ()):
            if table == old:
                table = new
        if label not in after and table in by_table:
            found[label] = by_table[table]
    return found


def _on_post_migrate(sender: Any, using: str, **_kwargs: Any) -> None:
    """Sent once per app: the last one ends it. Until then, contenttypes and permissions are made."""
    if sender is [config for config in apps.get_app_configs() if config.models_module is not None][-1]:
        connection = connections[using]
        if migrating(connection) and connection.vendor == "postgresql" and connection.in_atomic_block:
            _switch(connection, "")
        setattr(connection, _ATTRIBUTE, None)


def migrating(connection: Any) -> bool:
    """Whether ``migrate`` is at work on this very connection."""
    found = getattr(connection, _ATTRIBUTE, None)
    return found is not None and found() is not None


def run(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A statement of a migration: one that writes is noted without a time."""
    connection = context["connection"]
    if not _writes(connection, sql):
        return execute(sql, params, many, context)
    with _unstamped(connection):
        return execute(sql, params, many, context)


def _writes(connection: Any, sql: str) -> bool:
    if _WRITES.match(sql):
        # what SQLite returns must be fetched before a transaction of ours could end
        return bool(connection.in_atomic_block or connection.vendor != "sqlite" or " RETURNING " not in sql)
    # a script of several statements, which PostgreSQL takes as one
    return bool(connection.vendor == "postgresql" and connection.in_atomic_block and ";" in sql.rstrip("; \n\t"))


@contextmanager
def _unstamped(connection: Any) -> Iterator[None]:
    """On PostgreSQL until the transaction ends, which is the migration's own; on SQLite for this statement."""
    held = getattr(connection, _ATTRIBUTE)
    setattr(connection, _ATTRIBUTE, None)  # our own statements are none of the migration's
    try:
        with _transaction(connection):
            if connection.vendor == "postgresql":
                _switch(connection, "1")
                yield
            else:
                with _guard(connection):
                    yield
    finally:
        setattr(connection, _ATTRIBUTE, held)


@contextmanager
def _transaction(connection: Any) -> Iterator[None]:
    if connection.in_atomic_block:
        yield
    else:
        with transaction.atomic(using=connection.alias):
            yield


def _switch(connection: Any, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, value])


@contextmanager
def _guard(connection: Any) -> Iterator[None]:
    """Nobody else sees the row: who writes is alone, and it is gone before he commits."""
    name = connection.ops.quote_name(Applying._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = %s", [Applying._meta.db_table])
        if cursor.fetchone() is None:
            yield
            return
        cursor.execute(f'INSERT INTO {name} ("table") VALUES (%s)', [MARK])
        try:
            yield
        finally:
            cursor.execute(f'DELETE FROM {name} WHERE "table" = %s', [MARK])
