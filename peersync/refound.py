"""Rows that pointed at nothing, and whose target has been made since: what they say has changed, though nobody wrote them.

Where rows are named by their numbers there is nothing to do: the number says the same before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peersync.local_keys import LocalKey
from peersync.registry import Registry
from peersync.rows import referenced, select_in


def pointing(
    connection: Any, known: Registry, born: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, tuple[int, str]]]:
    """What points to rows that were made: label → local primary key → stamp, and the column that points.

    ``born``: label → local primary key → stamp.
    """
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for label, stamps in born.items():
        for model, field in known.dangling.get(label, ()):
            values = referenced(connection, known.models[label], field.target_column, stamps)
            held = LocalKey((field.raw,))
            columns = f"{model.local.text(connection)}, {held.text(connection)}"
            select = f"SELECT {columns} FROM {connection.ops.quote_name(model.table)}"
            for pk, value in select_in(connection, select, held, values):
                found.setdefault(model.label, {})[pk] = (stamps[values[value]], field.column)
    return found
