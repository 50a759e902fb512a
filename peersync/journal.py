"""What the journal says of rows, folded by row; read, or taken out to be folded into their states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from peersync import states
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow

ENTRY = "id, model, pk_text, what, stamp, before, fields"


@dataclass(slots=True)
class Noted:
    """What the journal says about one row: folded entries."""

    born: bool
    stamp: int = 0
    befores: list[str] = field(default_factory=list)
    changes: list[tuple[int, str | None]] = field(default_factory=list)
    """Of births and changes, in their order: the stamp, and the columns as JSON; None: all, or nobody knows which."""
    mark: str = ""
    """What the row's birth was marked with, where rows are named by their origin."""


def noted_by_model(entries: Iterable[Sequence[Any]]) -> dict[str, dict[str, Noted]]:
    """Journal rows, without their order, as label → pk → what was noted."""
    found: dict[str, dict[str, Noted]] = {}
    for entry, label, pk, what, stamp, before, columns in entries:
        rows = found.setdefault(label, {})
        noted = rows.get(pk)
        if noted is None:
            noted = rows[pk] = Noted(born=what == "b")
            noted.mark = before or f"{entry}:{stamp}"
        noted.stamp = max(noted.stamp, stamp)
        if before and what != "b":
            noted.befores.append(before)
        if what != "g":
            noted.changes.append((stamp, columns if what == "c" else None))
    return found


def journal_of(node: NodeRow, label: str, pks: Iterable[str], *, take: bool) -> dict[str, Noted]:
    """What the journal holds about these rows. ``take``: the entries are removed, the caller folds them."""
    connection = node.connection
    entries: list[Sequence[Any]] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_journal LIMIT 1")
        if cursor.fetchone() is None:
            return {}
        for part in states.chunks(list(pks)):
            where = "model = %s AND " + text_list(connection, "pk_text")
            cursor.execute(
                f"SELECT {ENTRY} FROM peersync_journal WHERE {where} ORDER BY id",
                [label, list_parameter(connection, part)],
            )
            entries += cursor.fetchall()
        if take and entries:
            cursor.execute(
                "DELETE FROM peersync_journal WHERE " + text_list(connection, "id"),
                [list_parameter(connection, [entry[0] for entry in entries])],
            )
    return noted_by_model(entries).get(label, {})
