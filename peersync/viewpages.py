"""What a peer that a filter keeps rows from is given: pages that nothing cuts which it may not see, no key of such a row.

A page that is filled with rows and then filtered tells of those that are not on it: by the key that its token names, by
how short it is, by how many pages there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peersync.generics import has_key, of_model
from peersync.memory import IN_VIEW, KEPT, TOLD_GONE
from peersync.registry import SyncModel
from peersync.rows import Reader, Stored, as_key, find_model
from peersync.transactions import NodeRow
from peersync.views import ELSEWHERE, View

Where = tuple[str, list[Any]]
"""A condition of SQL over the table ``t``, and its parameters."""

_REMEMBERED = "EXISTS (SELECT 1 FROM peersync_filtermemory m WHERE m.node = %s AND m.model = %s AND m.pk_text = {}{})"


def rows_in_view(view: View, reader: Reader, place: str | None, limit: int) -> Where:
    """The next rows in view behind the local key ``place``, in its order."""
    pks = view.page(reader.model.label, place, limit)
    return reader.model.local.among(reader.connection, pks, "t")


def rows_that_left(view: View, node: NodeRow, peer: str, reader: Reader) -> Where:
    """Rows that stand, that the peer has, and that are in its view no longer."""
    label = reader.model.label
    # those that the setting keeps there go through here too: it is noted that they left
    kept = IN_VIEW if reader.model.exit == "keep" else KEPT
    held = _REMEMBERED.format(reader.pk_sql, " AND (m.place >= 0 OR m.place IN (%s, %s))")
    parameters: list[Any] = [peer, label, IN_VIEW, kept]
    shown = view.keys_in_view(label)
    if shown is None:
        return held, parameters
    columns = reader.pk_order if len(reader.model.local.parts) == 1 else f"({reader.pk_order})"
    return f"{held} AND {columns} NOT IN ({shown[0]})", [*parameters, *shown[1]]


def tombstones_told(peer: str, label: str) -> Where:
    """Tombstones (states ``s``) of rows that the peer has or had."""
    return _REMEMBERED.format("s.pk_text", " AND m.place NOT IN (%s, %s)"), [peer, label, KEPT, TOLD_GONE]


def with_elsewhere(view: View, connection: Any, model: SyncModel, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The rows, in which a nullable foreign key to a row out of the peer's view says "elsewhere"."""
    found = dict(stored)
    for field in model.foreign_keys:
        if not field.null or not view.filtered(str(field.target)):
            continue
        place = model.names.index(field.name)
        said = {pk: value for pk, row in found.items() if (value := row.content[place]) is not None}
        keys = {pk: as_key(value) for pk, value in said.items() if not isinstance(value, dict)}
        target = view.registry.models[str(field.target)]
        local = find_model(connection, target, keys.values())
        seen = view.visible(target.label, local.values())
        for pk in said:
            if local.get(keys.get(pk, ())) not in seen:
                content = list(found[pk].content)
                content[place] = ELSEWHERE
                found[pk] = found[pk]._replace(content=tuple(content))
    _hide_pointers(view, connection, model, found)
    return found


def _hide_pointers(view: View, connection: Any, model: SyncModel, found: dict[str, Stored]) -> None:
    """The same for object ids of generic foreign keys, nullable or not: no row is hidden for what it points to so."""
    for field in model.generic_ids:
        place = model.names.index(field.name)
        for label in field.labels:
            if not view.filtered(label):
                continue
            said = {pk: value for pk, row in found.items() if of_model(value := row.content[place], label)}
            keys = {pk: as_key(value["key"]) for pk, value in said.items() if has_key(value)}
            local = find_model(connection, view.registry.models[label], keys.values())
            seen = view.visible(label, local.values())
            shown = {pk for pk, key in keys.items() if local.get(key) in seen}
            for pk in said.keys() - shown:
                content = list(found[pk].content)
                content[place] = ELSEWHERE
                found[pk] = found[pk]._replace(content=tuple(content))
