"""Two rows here that are one row at the source: one was deleted there, or never stood there, and another got its name.

The one that stays is given what hangs on the other, which goes. For their keys nothing changes: whatever named the one
that goes names the one that stays from now on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db import DatabaseError, router, transaction

from peersync import capture, states
from peersync.apply.records import record
from peersync.apply.session import Pending, Session
from peersync.apply.write import Writer
from peersync.conflicts import to_cover
from peersync.registry import SyncModel
from peersync.transactions import bound_wait
from peersync.verdicts import Local, version_here
from peersync.versions import covers, join


class _Kept(Exception):
    """Rows hang on the one that would go, and can't hang on the other."""


def make_one(session: Session, model: SyncModel, pending: Pending, rows: Mapping[str, Local]) -> str:
    """Make one of these rows, the first of them where the source has seen them all; its local primary key.

    Nothing changes where something stands in the way: then the first one waits for its name.
    """
    own = next(iter(rows))
    facts = session.facts(pending)
    unseen = [pk for pk, row in rows.items() if not covers(pending.row.version, to_cover(pending.row, row, facts))]
    stays = next((pk for pk in unseen if pk != own), own)
    gone = [pk for pk in rows if pk != stays]
    bound_wait(session.node)
    try:
        with transaction.atomic(using=session.node.alias), capture.off(session.connection, _tables(session, model)):
            for pk in gone:
                _hang_on(session, model, stays, pk)
            Writer(session, model).delete(gone)
    except (DatabaseError, _Kept):
        return own
    for pk in gone:
        if pk in unseen:
            record(session, replace(pending, local=rows[pk]), "conflict", "incoming")
            version = join(pending.row.version, {n: v for n, v in version_here(rows[pk], facts).items() if v < 1 << 62})
            pending.row = replace(pending.row, version=version)
    states.delete(session.connection, model.label, gone)
    session.count(model.label).deleted += len(gone)
    session.written.setdefault(model.label, []).extend(gone)
    return stays


def _tables(session: Session, model: SyncModel) -> list[str]:
    return [model.table, *(field.model._meta.db_table for field in _links(session, model))]


def _links(session: Session, model: SyncModel) -> Iterator[Any]:
    """Foreign keys and one-to-ones to the model's own table, of whatever is synchronised and what stays home."""
    for relation in model.model._meta.get_fields(include_parents=False, include_hidden=True):
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one):
            field: Any = relation.field  # type: ignore[union-attr]  # relations have one
            if router.allow_migrate_model(session.node.alias, field.model):
                yield field


def _hang_on(session: Session, model: SyncModel, stays: str, gone: str) -> None:
    """What points to the row that goes points to the one that stays."""
    quote, table = session.connection.ops.quote_name, session.connection.ops.quote_name(model.table)
    (old, old_values), (new, new_values) = (model.local.among(session.connection, [pk]) for pk in (gone, stays))
    with session.connection.cursor() as cursor:
        for field in _links(session, model):
            child, column = quote(field.model._meta.db_table), quote(field.column)
            target = quote(field.target_field.column)
            at_old = f"{column} IN (SELECT {target} FROM {table} WHERE {old})"
            if field.model._meta.auto_created:
                _drop_pairs(session, field, at_old, f"SELECT {target} FROM {table} WHERE {new}", old_values, new_values)
            elif field.primary_key or field in field.model._meta.pk_fields:
                cursor.execute(f"SELECT 1 FROM {child} WHERE {at_old} LIMIT 1", old_values)
                if cursor.fetchone() is not None:
                    raise _Kept  # another primary key would make it another row
                continue
            cursor.execute(
                f"UPDATE {child} SET {column} = (SELECT {target} FROM {table} WHERE {new}) WHERE {at_old}",
                [*new_values, *old_values],
            )


def _drop_pairs(session: Session, field: Any, at_old: str, new: str, old_values: Any, new_values: Any) -> None:
    """Of a many-to-many field: pairs of the row that goes, where the one that stays is joined with the same already."""
    quote = session.connection.ops.quote_name
    table, column = quote(field.model._meta.db_table), quote(field.column)
    (other,) = (quote(f.column) for f in field.model._meta.local_concrete_fields if not f.primary_key and f != field)
    with session.connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE {at_old} AND {other} IN (SELECT {other} FROM {table} WHERE {column} IN ({new}))",
            [*old_values, *new_values],
        )
