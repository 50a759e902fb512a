"""What is synchronised, compiled once per peer from the settings and Django's model registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.core.signals import setting_changed
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
    sync_field,
)
from peersync.conf import PeerSettings, Settings, settings
from peersync.generics import GenericId, generic_ids, targets_of
from peersync.lookups import Said
from peersync.naturals import NATURAL, natural_fields
from peersync.patterns import expand
from peersync.synchronised import Registry, SyncModel, names_file, stand_in

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
