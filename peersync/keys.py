"""Keys of rows: as tuples, as wire values, as texts, and whether they fit a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.apps import apps

from peersync import generics
from peersync.errors import WireError
from peersync.records import Key
from peersync.registry import SyncField, SyncModel, key_fields


def as_key(value: Any) -> Key:
    """The key that a foreign key's wire value names: one that is a single plain value stands for itself."""
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else (value,)


def as_part(key: Key) -> Any:
    """What stands for this key in another one."""
    return key[0] if len(key) == 1 and not isinstance(key[0], tuple) else key


def as_value(key: Key) -> Any:
    """The wire value of a foreign key to the row of this key."""
    return _thawed(as_part(key))


def _thawed(value: Any) -> Any:
    return [_thawed(part) for part in value] if isinstance(value, tuple) else value


def as_list(key: Key) -> list[Any]:
    """The key as JSON has it."""
    return list(map(_thawed, key))


def frozen(value: Any) -> Any:
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def key_json(key: Key) -> str:
    """One text for one key."""
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False)


def key_from_json(text: str) -> Key:
    return as_key(json.loads(text))


def pk_value(model: SyncModel, pk: str) -> Any:
    """The wire value of a local primary key that is given as text."""
    return model.local.key(pk)[0]


def check_keys(model: SyncModel, keys: Iterable[Key]) -> None:
    """WireError where a key has not as many parts as keys of the model have, at any depth. Types are judged later."""
    if not all(_fits(model.key, key) for key in keys):
        raise WireError(f"A key is not of the form that keys of {model.label} have.")


def fits(model: SyncModel, names: Sequence[str], key: Key, content: Sequence[Any] | None) -> bool:
    """Whether a row's key, and what its foreign keys say, have the form that they have under the present settings."""
    if not all(_pointer_fits(value) for value in content or () if generics.has_key(value)):
        return False
    fields = {field.name: field for field in model.fields if field.target}
    said = [(fields[name], frozen(value)) for name, value in zip(names, content or (), strict=False) if name in fields]
    return _fits(model.key, key) and all(isinstance(value, dict) or _part_fits(one, value) for one, value in said)


def _pointer_fits(value: Mapping[str, Any]) -> bool:
    try:
        return _fits(key_fields(apps.get_model(value["of"])), as_key(value["key"]))
    except LookupError:
        return False


def _fits(fields: Sequence[SyncField], key: Any) -> bool:
    if not isinstance(key, tuple) or len(key) != len(fields):
        return False
    return all(_part_fits(field, part) for field, part in zip(fields, key, strict=True))


def _part_fits(field: SyncField, part: Any) -> bool:
    if part is None:
        return True
    if field.target is None:
        return not isinstance(part, tuple)
    # the key of one part of a row that is pointed to stands for itself
    return _fits(key_fields(apps.get_model(field.target)), part if isinstance(part, tuple) else (part,))
