"""What is known of one table that is synchronised, and of all that are.

A :class:`SyncModel` describes one table: multi-table inheritance and automatic many-to-many tables are tables like any
other here. Keys are described by :class:`SyncField` too: the key of a row is the tuple of its key fields' wire values,
where a foreign key counts as the key of the row that it points to (a key of one part stands for itself).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Model

from peersync.columns import (
    ORIGIN,
    RawColumn,
    SyncField,
    identity_of,
    key_fields,
    label_of,
    plain_reference,
    sync_field,
)
from peersync.filenames import is_file
from peersync.gaps import sealed
from peersync.generics import GenericId
from peersync.local_keys import LocalKey
from peersync.lookups import Said, worded
from peersync.loose import dangles
from peersync.ordering import parents_first
from peersync.policies import looks_at_fields
from peersync.queries import key_of

KEPT_TYPES = ("int", "text", "uuid", "date", "datetime", "decimal")
"""Types of primary keys that a row made at the receiver keeps where they are free (see ``SyncModel.brings_pk``)."""


@dataclass(frozen=True)
class SyncModel:
    """One synchronised table. ``fields`` travel as content (key fields among them); ``key`` names a row."""

    label: str
    model: type[Model]
    fields: tuple[SyncField, ...]
    identity: tuple[str, ...]
    """Field names; empty where the primary key is the identity."""
    policy: str
    direction: str
    filter: Said
    through: bool
    exit: str = "remove"
    """What becomes, at the peer, of rows that leave its view: ``remove`` or ``keep``."""
    accept: Said = None
    """What a push may create or leave behind."""
    files: tuple[str, ...] = ()
    """Names of the fields whose files travel (``FILES``)."""

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @cached_property
    def local(self) -> LocalKey:
        """What the row states and the journal know a row by."""
        return key_of(self.model)

    @cached_property
    def pk(self) -> RawColumn:
        field = self.model._meta.pk
        return RawColumn(str(field.column), field)

    @cached_property
    def key(self) -> tuple[SyncField, ...]:
        return key_fields(self.model, self.identity)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @cached_property
    def plain_key(self) -> bool:
        """The key is the local primary key itself: the same values name the row on every node."""
        return not self.identity and all(part.target is None or plain_reference(part) for part in self.key)

    @cached_property
    def brings_pk(self) -> bool:
        """Whether rows bring their primary key along: where nothing that names them or travels with them says it."""
        field = self.model._meta.pk
        return bool(
            self.identity
            and not self.origin
            and not self.through
            and field.name not in (*self.identity, *self.names)
            and self.pk.wire in KEPT_TYPES
        )

    @cached_property
    def origin(self) -> bool:
        """Rows are named by where they were born (:mod:`peersync.origins`)."""
        return self.identity == (ORIGIN,)

    @cached_property
    def identity_columns(self) -> tuple[RawColumn, ...]:
        return tuple(field.raw for field in self.key) if self.identity and not self.origin else ()

    @cached_property
    def excluded_columns(self) -> tuple[str, ...]:
        kept = {field.column for field in self.fields} | set(self.local.names)
        return tuple(str(f.column) for f in self.model._meta.local_concrete_fields if f.column not in kept)

    @cached_property
    def own_names(self) -> frozenset[str]:
        """Of all its fields, those that are left out too."""
        return frozenset(f.name for f in self.model._meta.local_concrete_fields)

    @cached_property
    def left_out(self) -> frozenset[str]:
        """Those of its fields that do not travel, nor name its rows."""
        return self.own_names - set(self.names) - {field.name for field in self.key}

    @cached_property
    def closed(self) -> tuple[str, ...]:
        """Fields that are left out, sealed: not even their names leave this node."""
        return tuple(sorted(sealed(self.label, name) for name in self.left_out))

    @cached_property
    def foreign_keys(self) -> tuple[SyncField, ...]:
        return tuple(field for field in self.fields if field.target)

    @cached_property
    def file_fields(self) -> tuple[SyncField, ...]:
        """The columns that name files, whether those travel or not; what names the row itself stays as it is."""
        keys = {field.name for field in self.key}
        return tuple(field for field in self.fields if names_file(field) and field.name not in keys)

    def file_field(self, name: str) -> SyncField:
        """That one of them."""
        return next(field for field in self.file_fields if field.name == name)

    @cached_property
    def generic_ids(self) -> tuple[GenericId, ...]:
        """The object ids that may point to rows which every node numbers for itself."""
        return tuple(field for field in self.fields if isinstance(field, GenericId))

    @cached_property
    def generic_targets(self) -> frozenset[str]:
        """Labels of the models of those rows."""
        return frozenset(label for field in self.generic_ids for label in field.labels)

    @cached_property
    def uniques(self) -> tuple[tuple[str, ...], ...]:
        """Columns of each unique constraint that can be looked at beforehand, the primary key left out."""
        meta = self.model._meta
        found: list[tuple[str, ...]] = [
            (str(f.column),) for f in meta.local_concrete_fields if f.unique and not f.primary_key
        ]
        names = [tuple(group) for group in meta.unique_together]
        names += [
            tuple(c.fields)
            for c in meta.constraints
            if isinstance(c, models.UniqueConstraint) and c.fields and c.condition is None and not c.expressions
        ]
        local = {f.name: str(f.column) for f in meta.local_concrete_fields}
        found += [tuple(local[n] for n in group) for group in names if all(n in local for n in group)]
        return tuple(dict.fromkeys(found))

    @property
    def looks_at_fields(self) -> bool:
        """Whether its policy is told which fields were changed: they travel then."""
        return looks_at_fields(self.policy)

    def types(self, connection: Any) -> dict[str, str]:
        """What travels, and as what, from and to that database."""
        return {field.name: field.declared(connection) for field in self.fields}

    @cached_property
    def _shapes(self) -> list[tuple[Any, ...]]:
        """Field by field: name, wire type, and what bounds its values."""
        bounds = ("max_length", "max_digits", "decimal_places")
        return [(f.name, f.wire, *(getattr(f.raw.field, name, None) for name in bounds)) for f in self.fields]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what is synchronised of the model: its fields, their types and its identity."""
        # the same foreign keys say something else where the rows that they point to are named otherwise
        named: list[Any] = [list(identity_of(apps.get_model(str(field.target)))) for field in self.foreign_keys]
        named += [[label, *identity_of(apps.get_model(label))] for label in sorted(self.generic_targets)]
        said = [self.label, sorted(self._shapes), list(self.identity), self.direction, named]
        return _digest(json.dumps(said))


def names_file(field: SyncField) -> bool:
    """Whether the column names a file of a storage, by a text."""
    return is_file(field.raw.field) and field.raw.wire == "text" and not field.raw.field.primary_key


class Registry:
    """All that is synchronised with one peer. ``models``: by label, parents first."""

    def __init__(self, found: Mapping[str, SyncModel]) -> None:
        edges: dict[str, set[str | None]] = {
            label: {f.target for f in model.foreign_keys if f.target in found and f.target != label}
            for label, model in found.items()
        }
        for label, model in found.items():
            if model.generic_ids:
                edges[label] |= model.generic_targets & found.keys() - _reaching(edges, label)
        self.models: dict[str, SyncModel] = {label: found[label] for label in parents_first(edges)}

    @cached_property
    def rank(self) -> dict[str, int]:
        """Place of a model among the others, parents first."""
        return {label: index for index, label in enumerate(self.models)}

    @cached_property
    def children(self) -> dict[str, list[tuple[SyncModel, SyncField]]]:
        """For each label the synchronised foreign keys that point to it."""
        found: dict[str, list[tuple[SyncModel, SyncField]]] = {}
        for model in self.models.values():
            for field in model.foreign_keys:
                found.setdefault(str(field.target), []).append((model, field))
        return found

    @cached_property
    def dangling(self) -> dict[str, list[tuple[SyncModel, SyncField]]]:
        """Of :attr:`children` those that may point at nothing, and that say something else once they do not."""
        found = {
            label: [(m, f) for m, f in links if dangles(f, m.key) and not plain_reference(f)]
            for label, links in self.children.items()
        }
        return {label: links for label, links in found.items() if links}

    @cached_property
    def filtered(self) -> frozenset[str]:
        """Labels whose rows may be out of the peer's view: those with a FILTER, and all that hang on them."""
        found = {label for label, model in self.models.items() if model.filter}
        for label, model in self.models.items():
            if any(not f.null and f.target in found for f in model.foreign_keys):
                found.add(label)
        return frozenset(found)

    @cached_property
    def bounded(self) -> frozenset[str]:
        """Labels of which a push may not write all rows: those with an ACCEPT, and what is part of their rows."""
        found: set[str] = set()
        for label, model in self.models.items():
            if model.accept or any(str(f.target) in found for f in _wholes(model)):
                found.add(label)
        return frozenset(found)

    def parts(self, label: str) -> tuple[SyncField, ...]:
        """The foreign keys to rows with an ACCEPT whose part the model's rows are."""
        return tuple(f for f in _wholes(self.models[label]) if f.target in self.bounded)

    def view(self, label: str) -> int:
        """Digest of the filters that say which of the rows are in view, and of what becomes of others; 0: there are none."""
        return int(_digest(self._view(label), 15), 16) | 2 if label in self.filtered else 0

    def _view(self, label: str, above: tuple[str, ...] = ()) -> str:
        model = self.models[label]
        targets = {str(f.target) for f in model.foreign_keys} | model.generic_targets
        others = [self._view(one, (*above, label)) for one in sorted(targets & self.filtered - {*above, label})]
        return json.dumps([worded(model.filter), model.exit if label in self.filtered else "", others])

    def fingerprint(self, label: str) -> str:
        """Digest of what is synchronised of the model, with the filters of its rows and of those that they name."""
        return _digest(f"{self.models[label].fingerprint} {self._view(label)}")


def _wholes(model: SyncModel) -> tuple[SyncField, ...]:
    """Of an automatic many-to-many table both ends, of a child table its parent's row."""
    fields = model.foreign_keys
    return (
        fields if model.through else tuple(f for f in fields if getattr(f.raw.field.remote_field, "parent_link", False))
    )


def _digest(text: str, length: int = 16) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _reaching(edges: Mapping[str, set[str | None]], label: str) -> set[str]:
    """Those from which the edges lead to ``label``, itself among them: it may not be put behind them."""
    found, left = {label}, [label]
    while left:
        node = left.pop()
        new = {other for other, ends in edges.items() if node in ends} - found
        found |= new
        left += new
    return found


def stand_in(model: type[Model]) -> SyncModel:
    """A table with all its columns, named by its primary key, whether it is synchronised or not."""
    concrete: Any = model._meta.concrete_model
    columns = [f for f in concrete._meta.local_concrete_fields if f.column is not None]
    fields = tuple(sync_field(f) for f in columns if not getattr(f, "generated", False))
    return SyncModel(label_of(concrete), concrete, fields, (), "latest", "both", None, through=False)
