"""Which of the synchronised models have a table in a database: others do not travel from or to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import DatabaseError, connections, router, transaction

from peersync.registry import Registry, SyncModel, on_change
from peersync.transactions import translated

VIEW = "v"


_complete: set[tuple[str, str]] = set()
"""Alias and peer, where every model was seen to have a table."""
on_change(_complete.clear)


def missing(alias: str, peer: str, known: Registry) -> dict[str, str]:
    """:func:`absent`, looked up until all is there."""
    if (alias, peer) in _complete:
        return {}
    with translated(alias):
        found = absent(connections[alias], known.models.values())
    if not found:
        _complete.add((alias, peer))
    return found


def absent(connection: Any, models: Iterable[SyncModel]) -> dict[str, str]:
    """Label → why nothing of it can be read or written here, of the models for which that is so."""
    with connection.cursor() as cursor:
        kinds = {found.name: found.type for found in connection.introspection.get_table_list(cursor)}
    found = {model.label: _why(connection, model, kinds) for model in models}
    return {label: why for label, why in found.items() if why}


def _why(connection: Any, model: SyncModel, kinds: Mapping[str, str]) -> str:
    if not router.allow_migrate_model(connection.alias, model.model):
        return "a database router keeps it elsewhere"
    kind = kinds.get(model.table)
    if kind == VIEW:
        return f"{model.table} is a view, of which no change can be captured"
    if kind is None and not _readable(connection, model):
        return f"there is no table {model.table}"
    return ""


def _readable(connection: Any, model: SyncModel) -> bool:
    """A name with a schema in it is in no list."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(model.table)} WHERE 1 = 0")
    except DatabaseError:
        return False
    return True


def sentences(alias: str, found: Mapping[str, str], most: int = 5) -> Sequence[str]:
    """One for each reason, naming the first models."""
    by_reason: dict[str, list[str]] = {}
    for label, why in found.items():
        by_reason.setdefault(why, []).append(label)
    return [
        f"{', '.join(labels[:most])}{f' and {len(labels) - most} more' if len(labels) > most else ''}: left out, for in the"
        f" database {alias!r} {why}."
        for why, labels in by_reason.items()
    ]
