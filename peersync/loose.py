"""Foreign keys without a constraint in the database: rows that point at nothing are whole, and travel.

Where the key of the target is the number in the column (and Django does nothing when the target goes), that number
travels as it is. Everywhere else a reference to no row travels as ``{"of": label, "key": key of a tombstone or null,
"gone": what the column holds}``, as an object id of a generic foreign key does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps

from peersync.codec import key_text
from peersync.columns import SyncField, elsewhere, plain_reference
from peersync.generics import KeysOf, is_gone, ordered

Slot = tuple[int, SyncField]
"""Place in a row's content, and the field."""


def is_number(field: SyncField) -> bool:
    """Whether what the column holds travels as it is, and asks for no row."""
    return field.loose and plain_reference(field) and (field.left_alone or elsewhere(apps.get_model(str(field.target))))


def dangles(field: SyncField, key: Sequence[SyncField]) -> bool:
    """Whether a reference to no row travels as such. ``key``: what names the rows; a part of it is what it is."""
    return field.loose and not is_number(field) and all(part.name != field.name for part in key)


def nothing(field: SyncField, held: Any) -> dict[str, Any]:
    """The wire value of a reference to no row."""
    return {"of": str(field.target), "key": None, "gone": held}


def with_keys(contents: Sequence[tuple[Any, ...]], where: Sequence[Slot], keys_of: KeysOf) -> list[tuple[Any, ...]]:
    """The contents, in which references to rows that were deleted bear their keys: one look-up for each field."""
    found = list(contents)
    for place, field in where:
        if field.target_column != apps.get_model(str(field.target))._meta.pk.column:
            continue  # tombstones know primary keys alone
        gone = {at: key_text(c[place]["gone"]) for at, c in enumerate(found) if is_gone(c[place])}
        if not gone:
            continue
        _, stood = keys_of(str(field.target), set(gone.values()))
        for at, text in gone.items():
            if text in stood:
                content = found[at]
                value = {**content[place], "key": stood[text]}
                found[at] = (*content[:place], value, *content[place + 1 :])
    return found


def taken(field: SyncField, value: Mapping[str, Any], here: Any) -> Any:
    """The value to take of an incoming reference to no row: what stands here, where that says the same."""
    if is_gone(here) or (here is not None and here == value["gone"] and plain_reference(field)):
        return here
    if value["key"] is not None and here is not None and _key(here) == value["key"]:
        return here  # its target was deleted at the source, and still stands here
    return ordered(value)


def _key(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def settled(field: SyncField, value: Any, here: Any) -> Any:
    """The same with what the column is to hold. Where rows are numbered otherwise here: no number that ever names one.

    ``here``: what the row says that stands here; its number stays.
    """
    if not isinstance(value, dict) or value == here or plain_reference(field) or not isinstance(value["gone"], int):
        return value
    return {**value, "gone": -abs(value["gone"]) - (value["gone"] == 0)}
