"""Columns that a row created here has and that did not come: the field's default, else the empty value of its type."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import models
from django.db.models import Field, ForeignKey
from django.utils import timezone

from peersync.codec import Shape
from peersync.openings import Opening
from peersync.registry import RawColumn, SyncModel
from peersync.states import chunks

TEXTS = 200
"""Values that one statement turns into texts."""


@dataclass(frozen=True)
class Default:
    """Of one column. ``varies``: each row gets a value of its own."""

    connection: Any
    model: type[models.Model]
    field: Field[Any, Any]

    @cached_property
    def raw(self) -> RawColumn:
        return RawColumn(str(self.field.column), self.field)

    @cached_property
    def varies(self) -> bool:
        return varies(self.field)

    @cached_property
    def type(self) -> str:
        """The column's type, without its bounds: a cast to those would cut off in silence."""
        return Shape("", str(self.field.db_type(self.connection))).base

    def value(self) -> Any:
        """The driver's parameter; where it varies, another one each time."""
        return plain(self.field.get_db_prep_save(default_of(self.model, self.field), self.connection))

    def values(self, count: int) -> list[Any]:
        """For so many rows; where it varies, on PostgreSQL, as the database's texts."""
        if not self.varies:
            return [self.value()] * count
        found = [self.value() for _ in range(count)]
        return list(self._texts(found)) if self.connection.vendor == "postgresql" else found

    def _texts(self, values: Sequence[Any]) -> Iterator[str | None]:
        with self.connection.cursor() as cursor:
            for part in chunks(values, TEXTS):
                cursor.execute(f"SELECT {', '.join([f'CAST(%s AS {self.type})::text'] * len(part))}", list(part))
                yield from cursor.fetchone()


def defaults(connection: Any, model: SyncModel, columns: Collection[str]) -> list[Default]:
    """What each column gets that is none of these, and that the database does not fill in by itself."""
    found = []
    for field in model.model._meta.local_concrete_fields:
        if field.column in columns or isinstance(field, models.AutoField) or getattr(field, "generated", False):
            continue
        if field.db_default is not models.NOT_PROVIDED and not field.has_default():
            continue
        if field.primary_key and not field.has_default():
            continue
        found.append(Default(connection, model.model, field))
    return found


def opening(connection: Any, model: SyncModel, names: Collection[str]) -> Opening:
    """What rows have in these fields that nobody gave a value: their default, as a wire value."""
    blanks, passwords = {}, set()
    for field in model.fields:
        if field.name not in names or field.target is not None:
            continue
        default = Default(connection, model.model, field.raw.field)
        if field.name == "password" and hasattr(model.model, "USERNAME_FIELD"):
            passwords.add(field.name)
        elif not default.varies and not _of_the_moment(default.field):
            blanks[field.name] = _wire(connection, default)
    return Opening(frozenset(names), blanks, passwords)


def _of_the_moment(field: Field[Any, Any]) -> bool:
    """Whether its default is the time: no two rows have the same."""
    return isinstance(field, (models.DateField, models.TimeField)) and (callable(field.default) or not field.null)


def _wire(connection: Any, default: Default) -> Any:
    """The default as it would be read from a row."""
    codec = default.raw.on(connection)
    value = f"CAST(%s AS {default.type})" if connection.vendor == "postgresql" else "%s"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {codec.read_sql('d.v')} FROM (SELECT {value} AS v) d", [default.value()])
        found = cursor.fetchone()[0]
    return codec.decode(found) if codec.decode is not None and found is not None else found


def varies(field: Field[Any, Any]) -> bool:
    """Whether each row has a default of its own: a function gives it, and not the time."""
    if not (field.has_default() and callable(field.default)) or isinstance(field, (models.DateField, models.TimeField)):
        return False
    return bool(field.get_default() != field.get_default())


def default_of(model: type[models.Model], field: Field[Any, Any]) -> Any:
    """What a row created at the receiver has in a field that does not travel."""
    if field.name == "password" and hasattr(model, "USERNAME_FIELD"):
        return make_password(None)
    if field.has_default():
        return field.get_default()
    if field.null:
        return None
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return _now(field)
    if isinstance(field, ForeignKey):
        return None
    return empty_value(field)


def _now(field: Field[Any, Any]) -> Any:
    """What ``auto_now`` writes into a column of that class."""
    now = timezone.now()
    if isinstance(field, models.DateTimeField):
        return now
    local = timezone.localtime(now) if timezone.is_aware(now) else now
    return local.time() if isinstance(field, models.TimeField) else local.date()


def empty_value(field: Field[Any, Any]) -> Any:
    """The empty value of the field's type; None where it has none."""
    kinds: list[tuple[type[Field[Any, Any]], Any]] = [
        (models.BooleanField, False),
        (models.DecimalField, 0),
        (models.FloatField, 0.0),
        (models.IntegerField, 0),
        (models.JSONField, {}),
        (models.BinaryField, b""),
        (models.DurationField, timedelta(0)),
        (models.CharField, ""),
        (models.TextField, ""),
    ]
    if isinstance(field, models.DateField):
        return _now(field)
    return next((value for kind, value in kinds if isinstance(field, kind)), None)


def plain(value: Any) -> Any:
    """A parameter that fits into an array: what Django wraps for the driver, unwrapped."""
    adapted = getattr(value, "adapted", None) or getattr(value, "obj", None)
    return json.dumps(adapted) if isinstance(adapted, (dict, list)) else value
