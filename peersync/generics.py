"""Generic foreign keys: what an object id says of a row that every node numbers for itself.

An object id that points to such a row travels as ``{"of": label, "key": key of the row}``; one under whose number no
row of the model stands as ``{"of": label, "key": key of a tombstone or null, "gone": the id as it stands}``. All others
(empty, or of a model that is not synchronised, or whose primary keys are the same everywhere) travel as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import ForeignKey, Model

from peersync.codec import key_text
from peersync.columns import RawColumn, SyncField, identity_of, key_fields, label_of

CONTENT_TYPES = "contenttypes.ContentType"
_NUMBER = re.compile(r"-?[0-9]{1,19}").fullmatch
KeysOf = Callable[[str, set[str]], tuple[Mapping[str, list[Any]], Mapping[str, list[Any]]]]
"""Of a model and primary keys as text: the keys of the rows that stand, and of those that stood, by primary key."""
Slot = tuple[int, int, "GenericId"]
"""Places in a row's content: of an object id, and of its content type."""


@dataclass(frozen=True)
class GenericId(SyncField):
    """The object id of a generic foreign key. ``kind``: the name of the field that has the content type."""

    kind: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    """Content type (``app_label.model``) and label of each model whose rows every node numbers for itself."""

    @cached_property
    def _labels(self) -> dict[str, str]:
        return dict(self.targets)

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(self._labels.values())

    def label(self, content_type: Any) -> str | None:
        """The model that a content type's wire value names, if its rows are numbered otherwise elsewhere."""
        if not isinstance(content_type, (list, tuple)) or len(content_type) != 2:
            return None
        return self._labels.get(f"{content_type[0]}.{content_type[1]}")

    @cached_property
    def empty(self) -> Any:
        """The wire value that stands for no row, where an id that points to none can't stay."""
        if self.null:
            return None
        return {"text": "", "int": 0, "uuid": str(UUID(int=0))}.get(self.raw.wire)


def generic_ids(model: type[Model]) -> dict[str, str]:
    """Names of the fields with object ids → of those with their content types, of this very table."""
    own = {field.name: field for field in model._meta.local_concrete_fields}
    found: dict[str, str] = {}
    for one in model._meta.private_fields:
        kind, name = getattr(one, "ct_field", None), getattr(one, "fk_field", None)
        if kind in own and name in own and isinstance(own[kind], ForeignKey) and not isinstance(own[name], ForeignKey):
            found.setdefault(str(name), str(kind))
    return found


def targets_of(models: Iterable[type[Model]]) -> tuple[tuple[str, str], ...]:
    """What :class:`GenericId` has as ``targets`` where these models are synchronised."""
    if not apps.is_installed("django.contrib.contenttypes") or len(key_fields(apps.get_model(CONTENT_TYPES))) != 2:
        return ()  # where content types are known by their numbers, nobody could say what one points to
    moved = {model for model in models if not model._meta.auto_created and _numbered_otherwise(model)}
    every = [model for model in apps.get_models() if model._meta.concrete_model in moved]
    return tuple((model._meta.label_lower, label_of(model._meta.concrete_model)) for model in every)  # type: ignore[arg-type]  # a table has its model


def _numbered_otherwise(model: type[Model]) -> bool:
    if identity_of(model):
        return True
    pk: Any = model._meta.pk
    return isinstance(pk, ForeignKey) and _numbered_otherwise(pk.related_model._meta.concrete_model)  # type: ignore[arg-type]  # a resolved relation


# ---------------------------------------------------------------------- values


def is_pointer(value: Any) -> bool:
    """Whether it names a row that stood at the source when it was read."""
    return isinstance(value, dict) and "gone" not in value and _formed(value)


def is_gone(value: Any) -> bool:
    """Whether it points to no row of its model."""
    return isinstance(value, dict) and "gone" in value and _formed(value)


def formed(value: dict[str, Any]) -> bool:
    """Whether it has the form of either."""
    return is_pointer(value) or is_gone(value)


def of_model(value: Any, label: str) -> bool:
    """Whether it speaks of a row of this model."""
    return isinstance(value, dict) and value.get("of") == label


def has_key(value: Any) -> bool:
    """Whether it has the key of a row, standing or not."""
    return isinstance(value, dict) and _formed(value) and value["key"] is not None


def _formed(value: Mapping[str, Any]) -> bool:
    if not isinstance(value.get("of"), str) or not set(value) <= {"of", "key", "gone"} or "key" not in value:
        return False
    key, id_ = value["key"], value.get("gone")
    plain = id_ is None or (isinstance(id_, (str, int)) and not isinstance(id_, bool))
    return plain and (_key(key, 8) or (key is None and "gone" in value))


def _key(value: Any, depth: int) -> bool:
    return isinstance(value, list) and bool(value) and all(_part(part, depth) for part in value)


def _part(value: Any, depth: int) -> bool:
    return isinstance(value, (str, int)) or (depth > 0 and _key(value, depth - 1))


def ordered(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same, its members in their one order."""
    return {name: value[name] for name in ("of", "key", "gone") if name in value}


def alike(value: Any) -> Any:
    """What is compared: an id that points to no row says nothing by its number."""
    return {"gone": True} if isinstance(value, dict) and "gone" in value else value


def pk_text(label: str, value: Any) -> str | None:
    """The text of the primary key that an object id is of that model; None where it can be none."""
    if value is None or value == "":
        return None
    text = key_text(value)
    pk: Any = apps.get_model(label)._meta.pk
    wire = RawColumn(str(pk.column), pk).wire
    if wire == "int":
        return str(int(text)) if _NUMBER(text) and -(1 << 63) <= int(text) < 1 << 63 else None
    if wire == "uuid":
        try:
            return str(UUID(text))
        except ValueError:
            return None
    return text


# ---------------------------------------------------------------------- reading


def slots(fields: Sequence[SyncField]) -> list[Slot]:
    """Where the object ids stand in contents of these fields, and their content types."""
    places = {field.name: place for place, field in enumerate(fields)}
    return [
        (place, places[field.kind], field)
        for place, field in enumerate(fields)
        if isinstance(field, GenericId) and field.kind in places
    ]


def named(contents: Sequence[tuple[Any, ...]], where: Sequence[Slot], keys_of: KeysOf) -> list[tuple[Any, ...]]:
    """The contents with keys in place of object ids: one look-up for each model that any of them points to."""
    texts: dict[str, set[str]] = {}
    for content in contents:
        for place, kind, field in where:
            label = field.label(content[kind])
            if label is not None and (text := pk_text(label, content[place])) is not None:
                texts.setdefault(label, set()).add(text)
    found = {label: keys_of(label, pks) for label, pks in texts.items()}
    return [_with_keys(content, where, found) for content in contents]


def _with_keys(content: tuple[Any, ...], where: Sequence[Slot], found: Mapping[str, Any]) -> tuple[Any, ...]:
    values = list(content)
    for place, kind, field in where:
        label = field.label(content[kind])
        if label is not None:
            values[place] = _named(label, content[place], *found.get(label, ({}, {})))
    return tuple(values)


def _named(label: str, value: Any, standing: Mapping[str, list[Any]], stood: Mapping[str, list[Any]]) -> dict[str, Any]:
    text = pk_text(label, value)
    key = None if text is None else standing.get(text)
    if key is not None:
        return {"of": label, "key": key}
    return {"of": label, "key": None if text is None else stood.get(text), "gone": value}
