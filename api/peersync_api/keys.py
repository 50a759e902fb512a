"""Keys that a peer asks for, held against the shape that keys of the model have: before they come near a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps

from peersync.errors import UnknownModel, WireError
from peersync.records import Key
from peersync.registry import SyncField, key_fields, registry


def check_keys(peer: str, label: str, keys: Iterable[Key]) -> None:
    """WireError where a key has not as many parts as keys of the model have, at any depth.

    UnknownModel where the model is not open to the peer. Whether a part has the right type, the engine judges.
    """
    model = registry(peer).models.get(label)
    if model is None:
        raise UnknownModel(f"The model {label!r} is not synchronised with this peer.")
    if not all(_fits(model.key, key) for key in keys):
        raise WireError(f"A key is not of the form that keys of {label} have.")


def _fits(fields: Sequence[SyncField], key: Any) -> bool:
    if not isinstance(key, tuple) or len(key) != len(fields):
        return False
    return all(_part_fits(field, part) for field, part in zip(fields, key, strict=True))


def _part_fits(field: SyncField, part: Any) -> bool:
    if part is None:
        return True
    if field.target is None:
        return not isinstance(part, tuple)
    parts = key_fields(apps.get_model(field.target))
    # The key of one part of a row that is pointed to stands for itself.
    return _fits(parts, part if isinstance(part, tuple) else (part,))
