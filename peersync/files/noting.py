"""That a file is still to come is noted: by the transaction that writes its row, or when rows are gone through later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peersync.localnames import travelled
from peersync.registry import SyncField, SyncModel
from peersync.states import chunks, list_parameter, text_list

SCANNED = 2000
"""Rows that are gone through at a time."""
_COLUMNS = "checkpoint_id, model, pk_text, field, name, fresh, digest, reason, detail, listed, since, tried"
_ANEW = "name = excluded.name, fresh = excluded.fresh, size = NULL, digest = '', reason = '', detail = '', listed = %s"
ANYBODY = "*"
"""A source that is not known: of some peer the name came, and none may have what stands here under it meanwhile."""
Place = tuple[str, str, str, str]
"""Model, local primary key, field, and the name as it travels."""


def note(connection: Any, source: str, places: Sequence[Place]) -> None:
    """Rows took these names from a peer: their files come from the source, whatever stands here under such a name."""
    if not places:
        return
    places = list({place[:3]: place for place in places}.values())  # a row may have come under two of its names
    with connection.cursor() as cursor:
        checkpoint = _latest(connection) if source == ANYBODY else checkpoint_of(connection, source)
        if checkpoint is None:
            return
        if connection.vendor == "postgresql":
            columns = [list(column) for column in zip(*places, strict=True)]
            cursor.execute(
                f"INSERT INTO peersync_filewait ({_COLUMNS}) SELECT %s, v.*, true, '', '', '', false,"
                " CURRENT_TIMESTAMP, 0 FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS v"
                f" ON CONFLICT (checkpoint_id, model, pk_text, field) DO UPDATE SET {_ANEW}",
                [checkpoint, *columns, False],
            )
            return
        values = "%s, %s, %s, %s, %s, true, '', '', '', false, CURRENT_TIMESTAMP, 0"
        cursor.executemany(
            f"INSERT INTO peersync_filewait ({_COLUMNS}) VALUES ({values})"
            f" ON CONFLICT (checkpoint_id, model, pk_text, field) DO UPDATE SET {_ANEW}",
            [[checkpoint, *place, False] for place in places],
        )


def _latest(connection: Any) -> int | None:
    """The checkpoint that was written last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM peersync_checkpoint ORDER BY updated DESC LIMIT 1")
        found = cursor.fetchone()
    return None if found is None else int(found[0])


def note_range(
    connection: Any, checkpoint: int | None, model: SyncModel, where: str, parameters: Sequence[Any]
) -> None:
    """The same for all rows of the table ``t`` that the condition names."""
    for field in model.file_fields:
        with connection.cursor() as cursor:
            cursor.execute(*_insertion(connection, checkpoint, model, field, where, parameters, fresh=True))


def _insertion(
    connection: Any,
    checkpoint: int | None,
    model: SyncModel,
    field: SyncField,
    where: str,
    parameters: Sequence[Any],
    *,
    fresh: bool,
) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    column = f"t.{quote(field.column)}"
    then = f"UPDATE SET {_ANEW}" if fresh else "NOTHING"
    statement = (
        f"INSERT INTO peersync_filewait ({_COLUMNS}) SELECT %s, %s, {model.local.text(connection, 't')}, %s,"
        f" {travelled(model.label, field.name, column)}, %s, '', '', '', %s, CURRENT_TIMESTAMP, 0"
        f" FROM {quote(model.table)} t WHERE {column} <> '' AND {where}"
        f" ON CONFLICT (checkpoint_id, model, pk_text, field) DO {then}"
    )
    more = [False] if fresh else []
    return statement, [checkpoint, model.label, field.name, fresh, False, *parameters, *more]


def look_again(connection: Any, checkpoint: int | None, label: str) -> None:
    """All rows of the model are gone through once more: a snapshot of it came by."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM peersync_filescan WHERE checkpoint_id = %s AND model = %s", [checkpoint, label])


def awaited(connection: Any, label: str, pks: Iterable[str]) -> set[tuple[str, str, str]]:
    """(local primary key, field, name): of these rows, what has not come from whoever gave the name."""
    found: set[tuple[str, str, str]] = set()
    with connection.cursor() as cursor:
        for part in chunks(list(pks)):
            cursor.execute(
                "SELECT pk_text, field, name FROM peersync_filewait WHERE fresh AND model = %s AND "
                + text_list(connection, "pk_text"),
                [label, list_parameter(connection, part)],
            )
            found.update(cursor.fetchall())
    return found


def checkpoint_of(connection: Any, source: str) -> int | None:
    """The record of what was read of this source."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM peersync_checkpoint WHERE source = %s", [source])
        found = cursor.fetchone()
    return None if found is None else int(found[0])


def scan(
    connection: Any, checkpoint: int, models: Mapping[str, SyncModel], wanted: Mapping[str, Sequence[str]]
) -> bool:
    """Note the files of the next rows that were not gone through yet; False where all were."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT model, field, after, done FROM peersync_filescan WHERE checkpoint_id = %s", [checkpoint])
        places = {(model, field): (after, done) for model, field, after, done in cursor.fetchall()}
    for label, names in wanted.items():
        for name in names:
            after, done = places.get((label, name), (None, False))
            if not done:
                _scan_rows(connection, checkpoint, models[label], name, after)
                return True
    return False


def _scan_rows(connection: Any, checkpoint: int, model: SyncModel, name: str, after: str | None) -> None:
    field = model.file_field(name)
    key, table = model.local, connection.ops.quote_name(model.table)
    low, lows = key.beyond(connection, ">", after, "t") if after is not None else ("1 = 1", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key.text(connection, 't')} FROM {table} t WHERE {low} ORDER BY {key.order(connection, 't')}"
            f" LIMIT 1 OFFSET {SCANNED - 1}",
            lows,
        )
        last = cursor.fetchone()
        high, highs = key.beyond(connection, "<=", last[0], "t") if last is not None else ("1 = 1", [])
        within = f"{low} AND {high}"
        cursor.execute(
            *_insertion(connection, checkpoint, model, field, within, [*lows, *highs], fresh=False),
        )
        cursor.execute(
            "INSERT INTO peersync_filescan (checkpoint_id, model, field, after, done) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (checkpoint_id, model, field) DO UPDATE SET after = excluded.after, done = excluded.done",
            [checkpoint, model.label, name, None if last is None else last[0], last is None],
        )
