"""What capture does for one table: which columns it names, and the digest by which an installed text is
known again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import router

from peersync.local_keys import LocalKey
from peersync.models import Journal
from peersync.registry import RawColumn, SyncModel, noted, registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Plan:
    """One table to capture.

    ``columns``: those that the table really has, which in the middle of a migrate are not those of the
    model. ``schema``: the table's own, on PostgreSQL.
    """

    label: str
    table: str
    pk: LocalKey
    pk_columns: tuple[str, ...]
    identity: tuple[RawColumn, ...]
    compared: tuple[str, ...]
    excluded: tuple[str, ...]
    schema: str = ""
    marked: bool = False
    """Each row that is born gets a mark by which it is known on every node (:mod:`peersync.origins`)."""
    columns: frozenset[str] = frozenset()
    noted: bool = False
    """The names of the changed columns are noted too."""


@dataclass(frozen=True)
class Made:
    """SQL that captures one table, in the order in which it is run, and its digest."""

    statements: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Standing:
    """What stands in the database for one table. ``digest``: of the installed text, empty where there is
    none.

    ``reason``: why the table is not captured as it should be (missing, disabled, altered), empty where it
    is.
    """

    columns: frozenset[str]
    primary: tuple[str, ...] = ()
    schema: str = ""
    digest: str = ""
    reason: str = ""
    always: bool = False
    """PostgreSQL: the owner set the trigger to fire for replicated changes too (ENABLE ALWAYS)."""
    noting: bool = False
    """The journal has the column for names: in the middle of an upgrade it may not have it yet."""


def plan(model: SyncModel, standing: Standing) -> Plan | None:
    """What to capture of a table as it stands; None where its primary key cannot be made out."""
    pk = _primary(model, standing)
    if pk is None:
        return None
    local = {field.column for field in model.model._meta.local_concrete_fields}
    identity = tuple(column for column in model.identity_columns if column.name in local)
    if not {column.name for column in identity} <= standing.columns:
        identity = ()
    compared = dict.fromkeys([*pk, *(f.column for f in model.fields), *(c.name for c in identity)])
    return Plan(
        model.label,
        model.table,
        model.local,
        pk,
        identity,
        tuple(column for column in compared if column in standing.columns),
        tuple(column for column in _excluded(model) if column in standing.columns),
        standing.schema,
        model.origin,
        standing.columns,
        standing.noting and model.label in noted(),
    )


def _primary(model: SyncModel, standing: Standing) -> tuple[str, ...] | None:
    """The columns of the primary key; in the middle of a migrate one may be called otherwise still."""
    missing = [name for name in model.local.names if name not in standing.columns]
    others = [name for name in standing.primary if name not in model.local.names]
    if not missing:
        return model.local.names
    if len(missing) > 1 or len(others) != 1:
        return None
    return tuple(others[0] if name in missing else name for name in model.local.names)


def _excluded(model: SyncModel) -> Iterator[str]:
    """Without generated columns: those change with others only, and are not worth the slower comparison."""
    generated = {str(f.column) for f in model.model._meta.local_concrete_fields if getattr(f, "generated", False)}
    excluded = [column for column in model.excluded_columns if column not in generated]
    if excluded:
        yield from excluded
        yield from sorted(generated)


def models_on(alias: str) -> dict[str, SyncModel]:
    """Label → model, of those that live in this database."""
    return {
        label: model for label, model in registry().models.items() if router.allow_migrate_model(alias, model.model)
    }


def mark(plan: Plan, vendor: str) -> str:
    """SQL of the mark of a row that is born, else NULL: random, so that copies of one database agree on none."""
    if not plan.marked:
        return "NULL"
    return (
        "left(replace(gen_random_uuid()::text, '-', ''), 16)" if vendor == "postgresql" else "lower(hex(randomblob(8)))"
    )


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def literal(text: str) -> str:
    """SQL's text constant; both databases read it alike (standard_conforming_strings is PostgreSQL's
    default).
    """
    return "'" + text.replace("'", "''") + "'"


def journal_table() -> str:
    return Journal._meta.db_table


def tables_exist(connection: Any) -> bool:
    """Whether peersync's own tables that capture needs stand in this database."""
    from peersync.models import Applying, InstalledTrigger, MissedCapture

    names = [m._meta.db_table for m in (Journal, Applying, InstalledTrigger, MissedCapture)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT count(to_regclass(n)) FROM unnest(%s::text[]) n", [names])
        elif connection.vendor == "sqlite":
            marks = ", ".join(["%s"] * len(names))
            cursor.execute(f"SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ({marks})", names)
        else:
            return set(names) <= set(connection.introspection.table_names(cursor))
        return bool(cursor.fetchone()[0] == len(names))
