"""A model was renamed, or moved to another app: what is known of its rows follows it to its new label.

So does what is known of the files of a field that was renamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.migrations.operations import RenameField

from peersync.memory import VIEWS
from peersync.transactions import NodeRow, writing

_KEYS = {
    "rowstate": ("pk_text",),
    "filtermemory": ("node", "pk_text"),
    "baseline": ("install",),
    "origin": ("origin", "there"),
    "originbase": (),
    "missedcapture": (),
    "installedtrigger": (),
    "quarantine": ("checkpoint_id", "key"),
    "filewait": ("checkpoint_id", "pk_text", "field"),
    "filescan": ("checkpoint_id", "field"),
    "filename": ("field", "local"),
}
"""Tables where a label stands once together with these columns."""
_LISTS = ("journal", "conflict")

Renamed = tuple[str, str, str]
"""Label of a model in small letters, former and present name of one of its fields."""


def relabel(alias: str, labels: Mapping[str, str]) -> None:
    """Former label → present one, everywhere in our tables. Where something stands under the present one already, that stays."""
    if not labels:
        return
    with writing(alias) as node:
        for old, new in labels.items():
            _rename(node, old, new)
        _checkpoints(node, labels)
        _texts(node, "quarantine", "needs", labels, _in_needs)
        _texts(node, "conflict", "cascade", labels, _in_cascade)
        _fingerprints(node, labels)
        _views(node, labels)


def renamed_fields(plan: Sequence[Any]) -> list[Renamed]:
    """What these migrations (each with whether it was undone) renamed, in their order."""
    found: list[Renamed] = []
    for migration, backwards in plan:
        for operation in reversed(migration.operations) if backwards else migration.operations:
            if isinstance(operation, RenameField):
                old, new = operation.old_name, operation.new_name
                label = f"{migration.app_label}.{operation.model_name}".lower()
                found.append((label, new, old) if backwards else (label, old, new))
    return found


def refield(alias: str, renamed: Iterable[Renamed]) -> None:
    """What is known of the files of fields follows them to their new names: which are still to come, and what they are called."""
    for label, old, new in renamed:
        with writing(alias) as node, node.connection.cursor() as cursor:
            for table in ("filewait", "filescan", "filename"):
                cursor.execute(  # of a field that had this name once
                    f"DELETE FROM peersync_{table} WHERE field = %s AND lower(model) = %s AND EXISTS"
                    f" (SELECT 1 FROM peersync_{table} o WHERE o.field = %s AND lower(o.model) = %s)",
                    [new, label, old, label],
                )
                cursor.execute(
                    f"UPDATE peersync_{table} SET field = %s WHERE field = %s AND lower(model) = %s", [new, old, label]
                )


def _rename(node: NodeRow, old: str, new: str) -> None:
    with node.connection.cursor() as cursor:
        for table in _LISTS:
            cursor.execute(f"UPDATE peersync_{table} SET model = %s WHERE model = %s", [new, old])
        for table, columns in _KEYS.items():
            same = "".join(f' AND o."{column}" = peersync_{table}."{column}"' for column in columns)
            cursor.execute(
                f"UPDATE peersync_{table} SET model = %s WHERE model = %s"
                f" AND NOT EXISTS (SELECT 1 FROM peersync_{table} o WHERE o.model = %s{same})",
                [new, old, new],
            )
            cursor.execute(f"DELETE FROM peersync_{table} WHERE model = %s", [old])


def _checkpoints(node: NodeRow, labels: Mapping[str, str]) -> None:
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT id, progress FROM peersync_checkpoint")
        for number, text in cursor.fetchall():
            progress = json.loads(text)
            moved = {label: progress.pop(label) for label in labels if label in progress}
            if moved:
                now = {labels[label]: place for label, place in moved.items()} | progress
                cursor.execute("UPDATE peersync_checkpoint SET progress = %s WHERE id = %s", [json.dumps(now), number])


def _fingerprints(node: NodeRow, labels: Mapping[str, str]) -> None:
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT fingerprints FROM peersync_node WHERE id = 1")
        found = json.loads(cursor.fetchone()[0])
        now = {labels.get(label, label): value for label, value in found.items()}
        if now != found:
            cursor.execute("UPDATE peersync_node SET fingerprints = %s WHERE id = 1", [json.dumps(now)])


def _views(node: NodeRow, labels: Mapping[str, str]) -> None:
    """By which filters peers last saw the model: what was deleted out of a view stays untold under its new label too."""
    with node.connection.cursor() as cursor:
        for old, new in labels.items():
            cursor.execute(
                "UPDATE peersync_filtermemory SET pk_text = %s WHERE model = %s AND pk_text = %s AND NOT EXISTS"
                " (SELECT 1 FROM peersync_filtermemory o WHERE o.node = peersync_filtermemory.node"
                " AND o.model = peersync_filtermemory.model AND o.pk_text = %s)",
                [new, VIEWS, old, new],
            )
            cursor.execute("DELETE FROM peersync_filtermemory WHERE model = %s AND pk_text = %s", [VIEWS, old])


def _texts(node: NodeRow, table: str, column: str, labels: Mapping[str, str], change: Any) -> None:
    """Rows of a table of ours that speak of other rows, by label."""
    with node.connection.cursor() as cursor:
        for old in labels:
            cursor.execute(f"SELECT id, {column} FROM peersync_{table} WHERE {column} LIKE %s", [f'%"{old}"%'])
            for number, text in cursor.fetchall():
                now = json.dumps(change(json.loads(text), labels), ensure_ascii=False)
                cursor.execute(f"UPDATE peersync_{table} SET {column} = %s WHERE id = %s", [now, number])


def _in_needs(needs: Any, labels: Mapping[str, str]) -> Any:
    return [[labels.get(label, label), key] for label, key in needs]


def _in_cascade(rows: Any, labels: Mapping[str, str]) -> Any:
    return [{**row, "model": labels.get(row["model"], row["model"])} if "model" in row else row for row in rows]
