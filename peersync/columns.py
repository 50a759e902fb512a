"""Columns and keys: how a field of a model is held here and travels, and which fields name a row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db import models, router
from django.db.models import Field, ForeignKey, Model

from peersync import codec as codecs
from peersync.conf import settings
from peersync.naturals import NATURAL, natural_fields

ORIGIN = "@origin"
"""Stands for an identity that is no field: a mark given at birth, and the primary key there. No field is called so."""


@dataclass(frozen=True)
class RawColumn:
    """A column as the local database holds it: a foreign key's column holds the local key of its target."""

    name: str
    field: Field[Any, Any]

    @cached_property
    def wire(self) -> str:
        """By Django's internal type; what a column of another type is on one database, :meth:`codec` knows."""
        return codecs.wire_type(self._end.get_internal_type())

    @cached_property
    def _end(self) -> Field[Any, Any]:
        field: Field[Any, Any] = self.field
        while isinstance(field, ForeignKey):
            field = field.target_field
        return field

    def codec(self, vendor: str) -> codecs.Codec:
        """How keys are read and written there."""
        return _codec(self._end, vendor, _zone(vendor, django_settings.TIME_ZONE if not django_settings.USE_TZ else ""))

    def on(self, connection: Any) -> codecs.Codec:
        """How contents are read and written there: on SQLite by the time zone of that very database."""
        return _codec(self._end, connection.vendor, _zone(connection.vendor, connection.timezone_name))

    @property
    def automatic(self) -> bool:
        """Whether the database numbers it."""
        return isinstance(self.field, models.AutoField)


def _zone(vendor: str, name: str) -> str:
    """In which datetimes are stored; empty for UTC, and where the database knows instants."""
    return "" if vendor != "sqlite" or name == "UTC" else name


@lru_cache(maxsize=4096)
def _codec(field: Field[Any, Any], vendor: str, zone: str) -> codecs.Codec:
    wire, db_type = _kind(field, _connection(vendor))
    digits, places = getattr(field, "max_digits", None), getattr(field, "decimal_places", None)
    if wire == "decimal" and digits is None and (found := re.search(r"\((\d+)\s*,\s*(\d+)\)", db_type)):
        digits, places = int(found[1]), int(found[2])
    return codecs.codec_for(codecs.Shape(wire, db_type, digits, places, zone if wire == "datetime" else ""), vendor)


def _kind(field: Field[Any, Any], connection: Any) -> tuple[str, str]:
    """Wire type and the database's own: a field class that has another column than its internal type counts by that."""
    db_type = field.db_type(connection) or ""
    wire = codecs.wire_type(field.get_internal_type())
    if wire != "native" and Field.db_type(field, connection) == db_type:
        return wire, db_type
    return codecs.wire_of_type(db_type, connection.vendor) or "native", db_type


def _connection(vendor: str) -> Any:
    from django.db import connections

    return next(connections[alias] for alias in connections if connections[alias].vendor == vendor)


@dataclass(frozen=True)
class SyncField:
    """One column that travels. ``target``: the label of the model that a foreign key points to."""

    name: str
    raw: RawColumn
    target: str | None = None
    target_column: str = ""
    """The column of the target that the foreign key holds (its primary key, unless ``to_field`` says otherwise)."""

    @property
    def column(self) -> str:
        return self.raw.name

    @property
    def null(self) -> bool:
        return bool(self.raw.field.null)

    @property
    def wire(self) -> str:
        return f"key:{self.target}" if self.target else self.raw.wire

    @property
    def loose(self) -> bool:
        """A foreign key that no constraint of the database guards: its row may point at nothing."""
        return self.target is not None and not getattr(self.raw.field, "db_constraint", True)

    @property
    def left_alone(self) -> bool:
        """A loose one that nobody looks after when its target goes, Django neither."""
        link: Any = self.raw.field.remote_field
        return self.loose and link.on_delete is models.DO_NOTHING

    def declared(self, connection: Any) -> str:
        """The type as that database's description names it: with what narrows it in parentheses."""
        return f"key:{self.target}" if self.target else self.raw.on(connection).declared


@dataclass(frozen=True)
class NamePart(SyncField):
    """A part of the key of a row that is named by its origin: its value stands in a table of ours, not in the row's.

    ``name`` is ``@origin`` (a text) or ``@there`` (the primary key where the row was born); ``raw`` is the column of
    the primary key here; ``owner`` the label of the model.
    """

    owner: str = ""

    @property
    def wire(self) -> str:
        return "text" if self.name == ORIGIN else self.raw.wire


def label_of(model: type[Model]) -> str:
    return model._meta.label


def sync_field(field: Field[Any, Any]) -> SyncField:
    raw = RawColumn(str(field.column), field)
    if isinstance(field, ForeignKey):
        related: Any = field.related_model
        target = label_of(related._meta.concrete_model)
        return SyncField(field.name, raw, target, str(field.target_field.column))
    return SyncField(field.name, raw)


def key_fields(model: type[Model], identity: tuple[str, ...] | None = None) -> tuple[SyncField, ...]:
    """The fields whose wire values name a row of ``model``, whether it is synchronised or not."""
    names = identity_of(model) if identity is None else identity
    meta = model._meta
    if not names:
        return tuple(sync_field(field) for field in meta.pk_fields)
    if names == (ORIGIN,):
        pk = RawColumn(str(meta.pk.column), meta.pk)
        return tuple(NamePart(name, pk, owner=label_of(model)) for name in (ORIGIN, "@there"))
    return tuple(sync_field(meta.get_field(name)) for name in names)  # type: ignore[arg-type]  # checks.py refuses relations without a column


def elsewhere(model: type[Model]) -> bool:
    """Whether a database router keeps its table out of both databases that this project synchronises."""
    conf = settings()
    aliases = [alias for alias in dict.fromkeys((conf.master, conf.slave)) if alias in django_settings.DATABASES]
    return bool(aliases) and not any(router.allow_migrate_model(alias, model) for alias in aliases)


def plain_reference(field: SyncField) -> bool:
    """Whether what a foreign key's column holds is the wire key of its target: no row has to be looked up, or can be."""
    target = apps.get_model(str(field.target))
    if field.loose and elsewhere(target):
        return True
    parts = key_fields(target)
    return len(parts) == 1 and parts[0].target is None and parts[0].column == field.target_column


def identity_of(model: type[Model]) -> tuple[str, ...]:
    """The field names of IDENTITY for ``model``; empty for its primary key, :data:`ORIGIN` alone for its origin."""
    chosen = _identity_setting(model)
    if chosen == "pk":
        return ()
    if isinstance(chosen, tuple):
        return chosen
    if chosen == "natural":
        return natural_fields(model) or ()
    if model._meta.auto_created:
        return ()
    if chosen == "origin" and numbered(model) and label_of(model) in settings().identity:
        return (ORIGIN,)
    usual = NATURAL.get(label_of(model)) or _user_identity(model)
    return usual or ((ORIGIN,) if chosen == "origin" and numbered(model) else ())


def numbered(model: type[Model]) -> bool:
    """Whether the database numbers its rows: two databases would give one number to two of them."""
    return isinstance(model._meta.pk, models.AutoField)


def _identity_setting(model: type[Model]) -> str | tuple[str, ...] | None:
    chosen = settings().identity
    return chosen.get(label_of(model), chosen.get("*"))


def _user_identity(model: type[Model]) -> tuple[str, ...]:
    if label_of(model) != django_settings.AUTH_USER_MODEL:
        return ()
    name = getattr(model, "USERNAME_FIELD", None)
    return (str(name),) if name else ()


def forget() -> None:
    """Forget the codecs: a setting that they depend on has changed (in tests)."""
    _codec.cache_clear()
