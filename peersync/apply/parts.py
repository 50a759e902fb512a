"""Names of rows as parts of others: of keys, and of what foreign keys and object ids say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps

from peersync.generics import GenericId, has_key
from peersync.records import Key
from peersync.registry import SyncField, key_fields
from peersync.rows import as_key, as_list, as_part, as_value, plain_reference

Names = Mapping[str, Mapping[Key, Key]]
"""Label → one key of a row → another one."""


def in_parts(fields: Sequence[SyncField], values: Sequence[Any], names: Names) -> tuple[Any, ...]:
    """The values with other names for what the foreign keys among them point to, at any depth."""
    if len(fields) != len(values):
        return tuple(values)
    found = []
    for field, value in zip(fields, values, strict=True):
        if isinstance(field, GenericId) and has_key(value) and value["of"] in field.labels:
            found.append(_repointed(value, names))
            continue
        if field.target is None or value is None or isinstance(value, dict) or plain_reference(field):
            found.append(value)
            continue
        key = as_key(value)
        inner = names.get(field.target, {}).get(key) or in_parts(key_fields(apps.get_model(field.target)), key, names)
        found.append(value if inner == key else as_part(inner) if isinstance(value, tuple) else as_value(inner))
    return tuple(found)


def _repointed(value: dict[str, Any], names: Names) -> dict[str, Any]:
    """An object id with another name for the row that it points to."""
    label, key = value["of"], as_key(value["key"])
    inner = names.get(label, {}).get(key) or in_parts(key_fields(apps.get_model(label)), key, names)
    return value if inner == key else {**value, "key": as_list(inner)}
