"""Real databases for the tests: they commit, other threads and processes see them, and they can be put back.

A `NodeDatabase` is migrated once per pytest process, each alias by itself (two nodes that were copied from
one template would be one node twice). After that a reset is a copy.
"""

import itertools
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.db import connections

from peersync.transactions import writing
from tests.support import postgres, workspace

_tokens = itertools.count(1)
_migrated: dict[str, str] = {}
_lock = threading.Lock()


class NodeDatabase:
    """One alias of the settings, as a database of its own."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._store = _Postgres(alias) if alias.startswith("pg_") else _SQLite(alias)
        self._cleared = False

    def __repr__(self) -> str:
        return f"NodeDatabase({self.alias!r})"

    @property
    def vendor(self) -> str:
        return self._store.vendor

    @property
    def connection(self) -> Any:
        """Django's connection of this thread."""
        return connections[self.alias]

    def close(self) -> None:
        """Close this thread's connection, in the middle of whatever it does."""
        connection = connections[self.alias]
        connection.close()
        # A test that failed inside an atomic block must not spoil the next one.
        connection.in_atomic_block = False
        connection.savepoint_ids = []
        connection.atomic_blocks = []
        connection.needs_rollback = False
        connection.run_on_commit = []
        connection.closed_in_transaction = False
        connection.connection = None

    def reset(self) -> None:
        """Back to the freshly migrated state, with empty tables."""
        with _lock:
            if self.alias not in _migrated:
                self.close()
                self._store.create()
                migrate(self.alias)
                _migrated[self.alias] = self.backup()
                return
        self.restore(_migrated[self.alias])

    def clear(self) -> None:
        """As `reset`, in a tenth of its time on PostgreSQL: for tests that leave all tables and triggers as they are.

        It is a new install then, as a database is that was migrated just now.
        """
        if self.vendor != "postgresql":
            self.reset()
        elif self._cleared:
            self.close()
            postgres.delete_rows(
                str(connections.databases[self.alias]["NAME"]), "zoo_", "shapes_", "filed_", "peersync_"
            )
            with writing(self.alias):
                pass  # whoever finds no node row makes one
        else:
            self.reset()
            self._cleared = True

    def create_empty(self) -> None:
        """A database without a single table, as `migrate` finds it; `reset` brings the tables back."""
        self._cleared = False
        self.close()
        self._store.create()

    def backup(self) -> str:
        """A copy of the database as it stands; give the token to `restore`, as often as you like."""
        self.close()
        return self._store.backup(f"copy{next(_tokens)}")

    def restore(self, token: str) -> None:
        """Put the database back to that copy. Others' connections are cut (PostgreSQL) or see it (SQLite)."""
        self._cleared = False
        self.close()
        self._store.restore(token)

    def clone_to(self, other: "NodeDatabase") -> None:
        """Make `other` a byte for byte copy of this one, node id and all."""
        if other.vendor != self.vendor:
            raise ValueError(f"{self} cannot be cloned to {other}: another kind of database")
        other.restore(self.backup())

    def forget(self) -> None:
        """Take the database away for good."""
        self.close()
        self._store.drop()
        _migrated.pop(self.alias, None)


def migrate(alias: str) -> None:
    call_command("migrate", database=alias, verbosity=0, interactive=False)


def contents(alias: str, *labels: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of these models (default: the whole zoo, through tables too), with no code of peersync."""
    models = [apps.get_model(label) for label in labels] or apps.get_app_config("zoo").get_models(
        include_auto_created=True
    )
    return {model._meta.label: list(model._base_manager.using(alias).order_by("pk").values_list()) for model in models}


class _SQLite:
    vendor = "sqlite"

    def __init__(self, alias: str) -> None:
        self._name = str(connections.databases[alias]["NAME"])

    def create(self) -> None:
        self.drop()
        Path(self._name).parent.mkdir(parents=True, exist_ok=True)

    def backup(self, token: str) -> str:
        copy = str(workspace.directory() / f"{workspace.worker()}-{token}.sqlite3")
        self._copy(self._name, copy)
        return copy

    def restore(self, token: str) -> None:
        self._copy(token, self._name)

    def drop(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(self._name + suffix).unlink(missing_ok=True)

    @staticmethod
    def _copy(source: str, target: str) -> None:
        # SQLite's own backup: it is right while others hold the file open, and the file stays the same inode.
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target, timeout=20)) as new:
            new.execute("PRAGMA synchronous=OFF")
            old.backup(new)


class _Postgres:
    vendor = "postgresql"

    def __init__(self, alias: str) -> None:
        postgres.start()
        settings = connections.databases[alias]
        settings.update(workspace.server())
        connections[alias].settings_dict.update(workspace.server())
        self._name = str(settings["NAME"])

    def create(self) -> None:
        postgres.create(self._name)

    def backup(self, token: str) -> str:
        copy = f"{workspace.database_name(token)}"
        postgres.create(copy, template=self._name)
        return copy

    def restore(self, token: str) -> None:
        postgres.create(self._name, template=token)

    def drop(self) -> None:
        postgres.drop(self._name)
