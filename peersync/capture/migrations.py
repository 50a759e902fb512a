"""Triggers through migrations.

An execute wrapper on every connection looks for ALTER TABLE. SQLite loses a table's triggers when Django
remakes the table, and refuses to drop a column that a trigger names; on PostgreSQL a function would name a
key column that was renamed. So after each such statement the table gets, in the same transaction, triggers
that fit the columns that it has now: a data migration that follows is captured. When ``migrate`` is over,
the final text is installed.

It is there outside of ``migrate`` too: tests of migrations run them without its signals.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db import connections, transaction
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from peersync.capture import deploying, postgres, sqlite
from peersync.capture.installing import by_triggers, check, install, record
from peersync.capture.plans import models_on, plan, tables_exist
from peersync.errors import ConfigurationError, PeersyncError
from peersync.models import InstalledTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peersync.registry import SyncModel

_NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
_ALTER = re.compile(
    rf"\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{_NAME}\s*\.\s*)?(?P<table>{_NAME})\s+(?P<what>.*)",
    re.IGNORECASE | re.DOTALL,
)
_RENAME_TABLE = re.compile(rf"RENAME\s+TO\s+(?P<name>{_NAME})", re.IGNORECASE)
_DROP_COLUMN = re.compile(r"DROP\s+(?!CONSTRAINT)", re.IGNORECASE)


def connect() -> None:
    """Watch migrations on all connections, those that are open already too."""
    deploying.connect()
    connection_created.connect(_on_connection, dispatch_uid="peersync.capture")
    post_migrate.connect(_on_post_migrate, dispatch_uid="peersync.capture")
    for connection in connections.all(initialized_only=True):
        _on_connection(connection=connection)


def _on_connection(connection: Any, **_kwargs: Any) -> None:
    if connection.vendor in ("sqlite", "postgresql") and watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(watch)


def watch(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """The execute wrapper: all but ALTER TABLE, and what a migration writes, passes straight through."""
    connection = context["connection"]
    if not isinstance(sql, str) or sql[:20].lstrip()[:5].upper() != "ALTER":
        writes = isinstance(sql, str) and deploying.migrating(connection)
        return deploying.run(execute, sql, params, many, context) if writes else execute(sql, params, many, context)
    found = _ALTER.match(sql)
    if found is None:
        return execute(sql, params, many, context)
    before = _unquoted(found["table"])
    renamed = _RENAME_TABLE.match(found["what"])
    after = _unquoted(renamed["name"]) if renamed else before
    model = _captured(connection, before, after)
    with _without_names(connection, before, found["what"]):
        result = execute(sql, params, many, context)
        if model is not None:
            _fit(connection, model)
    if renamed:
        deploying.note_rename(connection, before, after)
    return result


@contextmanager
def _without_names(connection: Any, table: str, what: str) -> Iterator[None]:
    """SQLite drops no column that a trigger names, in tables that we have no model for any more too."""
    if connection.vendor != "sqlite" or not _DROP_COLUMN.match(what):
        yield
        return
    with transaction.atomic(using=connection.alias):
        sqlite.drop(connection, table)
        yield


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[0] in '"`[' else name


def _captured(connection: Any, before: str, after: str) -> SyncModel | None:
    """The model whose table is being altered, if it has, or should have, triggers here."""
    try:
        if not by_triggers(connection):
            return None
        # Django quotes what it writes; a statement by hand may have another case.
        model = next((m for m in models_on(connection.alias).values() if m.table.lower() == after.lower()), None)
    except ConfigurationError:
        return None
    if model is None or not tables_exist(connection):
        return None
    if InstalledTrigger.objects.using(connection.alias).filter(model=model.label).exclude(digest="").exists():
        return model
    return model if _has_triggers(connection, before) else None


def _has_triggers(connection: Any, table: str) -> bool:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                r"SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(%s)"
                r" AND name LIKE 'peersync\_%%' ESCAPE '\' LIMIT 1",
                [table],
            )
        else:
            cursor.execute(
                "SELECT 1 FROM pg_trigger WHERE tgname = %s AND tgrelid = to_regclass(%s)",
                [postgres.ROW, connection.ops.quote_name(table)],
            )
        return cursor.fetchone() is not None


def _fit(connection: Any, model: SyncModel) -> None:
    """Give the table triggers that fit the columns that it has at this moment."""
    backend: Any = postgres if connection.vendor == "postgresql" else sqlite
    standing = backend.look(connection, [model]).get(model.label)
    planned = plan(model, standing) if standing is not None else None
    if planned is None:
        return
    if connection.vendor == "postgresql":
        postgres.refresh(connection, planned, postgres.own_schema(connection))
        return
    made = sqlite.make(connection, planned, stand_in=True)
    if standing.digest == made.digest:
        return
    sqlite.drop(connection, planned.table)
    with connection.cursor() as cursor:
        for statement in made.statements:
            cursor.execute(statement)
    record(connection.alias, model.label, made.digest)


def _on_post_migrate(sender: Any, using: str, verbosity: int = 1, **kwargs: Any) -> None:
    """Sent once per app; the last one finds all tables as they are to be."""
    configs = list(apps.get_app_configs())
    last = [config for config in configs if config.models_module is not None][-1]
    if sender is not last or len(configs) < len(django_settings.INSTALLED_APPS):
        return  # fewer: a test case has hidden some apps for a while; nothing may be concluded from that
    out = kwargs.get("stdout") or sys.stdout
    try:
        made = install(using)
        left = check(using)
    except PeersyncError as error:
        out.write(f"peersync: no triggers were made. {error}\n")
        return
    if made and verbosity >= 2:
        out.write(f"peersync: triggers made in {using!r} for {', '.join(made)}.\n")
    for problem in left:
        out.write(f"peersync: {problem}. Run: manage.py sync_peer install\n")
