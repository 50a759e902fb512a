"""Files that bear another name here than the one under which they travel: two different files had one name.

The table FileName says of a file in this node's storage under which name it travels. What is read for a peer has that
name, and what a peer sends under it leaves the local one in the column: nothing looks changed on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from peersync.local_keys import select_in
from peersync.registry import SyncField, SyncModel
from peersync.states import chunks, list_parameter, text_list


def travelled(label: str, field: str, column: str) -> str:
    """SQL of the name under which the file travels that ``column`` names."""
    # labels and names of fields are words: nothing in them needs to be quoted
    return (
        f"COALESCE((SELECT fn.name FROM peersync_filename fn WHERE fn.model = '{label}' AND fn.field = '{field}'"
        f" AND fn.local = {column}), {column})"
    )


def any_of(connection: Any, label: str) -> bool:
    """Whether any file of the model bears another name here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_filename WHERE model = %s LIMIT 1", [label])
        return cursor.fetchone() is not None


def to_write(
    connection: Any, model: SyncModel, field: SyncField, wires: Sequence[Any], pks: Sequence[str | None]
) -> list[Any]:
    """What the column is to hold for names as they travel; ``pks``: of the rows that stand here already."""
    known = [pk for pk in pks if pk is not None]
    if not known or not any_of(connection, model.label):
        return list(wires)
    names = _known(connection, model, field, known)
    return [wire if pk is None else names.get((pk, wire), wire) for pk, wire in zip(pks, wires, strict=True)]


def _known(connection: Any, model: SyncModel, field: SyncField, pks: list[str]) -> dict[tuple[str, Any], str]:
    """(local primary key, name as it travels) → the name here: of files that rows had, then of those that they have."""
    found: dict[tuple[str, Any], str] = {}
    quote = connection.ops.quote_name
    had = "SELECT pk_text, name, local FROM peersync_filename WHERE model = %s AND field = %s AND "
    has = (
        f"SELECT {model.local.text(connection, 't')}, fn.name, fn.local FROM {quote(model.table)} t"
        f" JOIN peersync_filename fn ON fn.model = %s AND fn.field = %s AND fn.local = t.{quote(field.column)} WHERE "
    )
    with connection.cursor() as cursor:
        for part in chunks(pks):
            cursor.execute(
                had + text_list(connection, "pk_text") + " ORDER BY id",
                [model.label, field.name, list_parameter(connection, part)],
            )
            found.update({(pk, name): local for pk, name, local in cursor.fetchall()})
            where, parameters = model.local.among(connection, part, "t")
            cursor.execute(has + where, [model.label, field.name, *parameters])
            found.update({(pk, name): local for pk, name, local in cursor.fetchall()})
    return found


def note(connection: Any, label: str, field: str, pk: str, name: str, local: str) -> None:
    """The file ``local`` of this node's storage travels as ``name``; it was taken in for the row ``pk``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peersync_filename (model, field, pk_text, name, local) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (model, field, local) DO UPDATE SET name = excluded.name, pk_text = excluded.pk_text",
            [label, field, pk, name, local],
        )


def columns_of(
    connection: Any, model: SyncModel, fields: Iterable[SyncField], pks: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What the columns of these fields hold, as the storage knows the files: local primary key → {field: name}."""
    fields = list(fields)
    quote = connection.ops.quote_name
    columns = ", ".join(f"t.{quote(field.column)}" for field in fields)
    select = f"SELECT {model.local.text(connection, 't')}, {columns} FROM {quote(model.table)} t"
    names = [field.name for field in fields]
    return {
        row[0]: dict(zip(names, row[1:], strict=True)) for row in select_in(connection, select, model.local, pks, "t")
    }
