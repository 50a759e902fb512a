"""What is synchronised, compiled once per peer from the settings and Django's model registry.

A :class:`SyncModel` describes one table: multi-table inheritance and automatic many-to-many tables are tables like any
other here. Keys are described by :class:`SyncField` too: the key of a row is the tuple of its key fields' wire values,
where a foreign key counts as the key of the row that it points to (a key of one part stands for itself).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import models
from django.db.models import ForeignKey, Model

from peersync.columns import (
    ORIGIN,
    NamePart,
    RawColumn,
    SyncField,
    forget,
    identity_of,
    key_fields,
    label_of,
    numbered,
    plain_reference,
    sync_field,
)
from peersync.conf import PeerSettings, Settings, settings
from peersync.filenames import is_file
from peersync.gaps import sealed
from peersync.generics import GenericId, generic_ids, targets_of
from peersync.local_keys import LocalKey
from peersync.lookups import Said, worded
from peersync.loose import dangles
from peersync.naturals import NATURAL, natural_fields
from peersync.ordering import parents_first
from peersync.patterns import expand
from peersync.policies import looks_at_fields
from peersync.queries import key_of

__all__ = [
    "NATURAL",
    "ORIGIN",
    "NamePart",
    "RawColumn",
    "Registry",
    "SyncField",
    "SyncModel",
    "expand",
    "identity_of",
    "key_fields",
    "label_of",
    "natural_fields",
    "noted",
    "numbered",
    "on_change",
    "registry",
    "stand_in",
    "sync_field",
]


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
    def closed(self) -> tuple[str, ...]:
        """Fields that are left out, sealed: not even their names leave this node."""
        out = self.own_names - set(self.names) - {field.name for field in self.key}
        return tuple(sorted(sealed(self.label, name) for name in out))

    @cached_property
    def foreign_keys(self) -> tuple[SyncField, ...]:
        return tuple(field for field in self.fields if field.target)

    @cached_property
    def file_fields(self) -> tuple[SyncField, ...]:
        """The columns that name files, whether those travel or not; what names the row itself stays as it is."""
        keys = {field.name for field in self.key}
        return tuple(field for field in self.fields if names_file(field) and field.name not in keys)

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


def _of(mapping: Mapping[str, Any], label: str, default: Any = None) -> Any:
    for name, value in mapping.items():
        if name.lower() == label.lower():
            return value
    return default


class _Compiler:
    """Settings of all, narrowed by what PEERS says of one peer."""

    def __init__(self, conf: Settings, peer: PeerSettings | None) -> None:
        self.conf, self.peer = conf, peer
        self.targets: tuple[tuple[str, str], ...] = ()

    def compile(self) -> Registry:
        chosen = expand(self.conf.models)
        if self.peer is not None and self.peer.models is not None:
            allowed = set(expand(self.peer.models))
            chosen = [model for model in chosen if model in allowed]
        tables = [*chosen, *self._through_tables(chosen)]
        self.targets = targets_of(tables)
        return Registry({label_of(model): self._model(model) for model in tables})

    def _model(self, model: type[Model]) -> SyncModel:
        label = label_of(model)
        through = bool(model._meta.auto_created)
        identity = self._through_identity(model) if through else identity_of(model)
        fields = self._with_generic_ids(model, identity, tuple(self._fields(model, label, identity)))
        return SyncModel(
            label,
            model,
            fields,
            identity,
            self._setting("conflict", label, "latest"),
            self._setting("direction", label, "both"),
            self._said("filter", label),
            through,
            self._setting("filter_exit", label, "remove"),
            self._said("accept", label),
            tuple(one.name for one in fields if one.name not in identity and self._with_files(label, one)),
        )

    def _with_files(self, label: str, field: SyncField) -> bool:
        """Whether the contents of the field's files travel."""
        app = label.partition(".")[0]
        meant = {text.lower() for text in ("*.*", f"{app}.*", label, f"{label}.{field.name}")}
        return any(said.lower() in meant for said in self.conf.files) and names_file(field)

    def _through_tables(self, chosen: list[type[Model]]) -> Iterable[type[Model]]:
        """Automatic tables of many-to-many fields that travel: both ends are listed, and the field is not left out."""
        listed = set(chosen)
        for model in chosen:
            for field in model._meta.local_many_to_many:
                through: Any = field.remote_field.through
                target: Any = field.related_model
                if not through._meta.auto_created or self._left_out(model, field.name):
                    continue
                if target._meta.concrete_model in listed:
                    yield through

    def _left_out(self, model: type[Model], name: str) -> bool:
        include = _of(self.conf.include, label_of(model))
        if include is not None and name not in include:
            return True
        return any(
            name in _of(source.exclude, label_of(model), ()) for source in (self.conf, self.peer) if source is not None
        )

    @staticmethod
    def _through_identity(model: type[Model]) -> tuple[str, ...]:
        return tuple(f.name for f in model._meta.local_concrete_fields if isinstance(f, ForeignKey))

    def _fields(self, model: type[Model], label: str, identity: tuple[str, ...]) -> Iterable[SyncField]:
        include = _of(self.conf.include, label)
        exclude = set(_of(self.conf.exclude, label, ()))
        if self.peer is not None:
            exclude |= set(_of(self.peer.exclude, label, ()))
        for field in model._meta.local_concrete_fields:
            if field.primary_key and identity and not isinstance(field, ForeignKey):
                continue
            if getattr(field, "generated", False) or field.column is None:
                continue
            if not field.primary_key and field.name not in identity:
                if include is not None and field.name not in include:
                    continue
                if field.name in exclude:
                    continue
            yield sync_field(field)

    def _with_generic_ids(
        self, model: type[Model], identity: tuple[str, ...], fields: tuple[SyncField, ...]
    ) -> tuple[SyncField, ...]:
        """A part of a key stays what it is: keys are made of columns."""
        kinds = generic_ids(model) if self.targets else {}
        names = {field.name for field in fields}
        return tuple(
            GenericId(field.name, field.raw, kind=kinds[field.name], targets=self.targets)
            if kinds.get(field.name) in names and field.name not in identity and not field.raw.field.primary_key
            else field
            for field in fields
        )

    def _setting(self, name: str, label: str, default: str) -> str:
        for source in (self.peer, self.conf):
            mapping: Mapping[str, str] = getattr(source, name, None) or {}
            value = _of(mapping, label, mapping.get("*"))
            if value is not None:
                return str(value)
        return default

    def _said(self, name: str, label: str) -> Said:
        """FILTER or ACCEPT: the peer's own, else that for all."""
        for source in (self.peer, self.conf):
            found: Said = _of(getattr(source, name, None) or {}, label)
            if found is not None:
                return found
        return None


@lru_cache(maxsize=256)
def registry(peer: str = "") -> Registry:
    """What is synchronised with the peer of that name (settings of all where PEERS does not know it)."""
    conf = settings()
    return _Compiler(conf, conf.peers.get(peer)).compile()


@lru_cache(maxsize=1)
def noted() -> frozenset[str]:
    """Labels of the models of which it is noted which fields are changed: some peer's policy looks at them."""
    known = [registry(name) for name in ("", *settings().peers)]
    return frozenset(label for one in known for label, model in one.models.items() if model.looks_at_fields)


_caches: list[Callable[[], None]] = [registry.cache_clear, forget, noted.cache_clear]


def on_change(clear: Callable[[], None]) -> None:
    """Call ``clear`` when a setting changes that the registry depends on (in tests)."""
    _caches.append(clear)


def _forget(**kwargs: Any) -> None:
    if kwargs.get("setting") in ("SYNC_CONFIG", "INSTALLED_APPS", "AUTH_USER_MODEL", "USE_TZ", "TIME_ZONE"):
        for clear in _caches:
            clear()


setting_changed.connect(_forget, dispatch_uid="peersync.registry")
