"""Rows of models that are not synchronised with the peer and hang on a row that is to be deleted: their own on_delete.

They are counted and recorded whole; too many of them, or a PROTECT or RESTRICT, and the deletion waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core import serializers
from django.db import models

from peersync.apply.session import Session
from peersync.conf import settings
from peersync.registry import SyncModel, label_of
from peersync.views import pk_text


@dataclass(slots=True)
class Dependents:
    """Of one row: what goes with it (``records``: as readable JSON), what is set, and why it can't be, if so."""

    deletes: list[tuple[type[models.Model], list[Any]]] = field(default_factory=list)
    updates: list[tuple[type[models.Model], models.Field[Any, Any], Any, list[Any]]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""


def dependents(session: Session, model: SyncModel, pks: Sequence[str]) -> dict[str, Dependents]:
    """For each local primary key that has any: what its deletion would do to rows of models that stay home."""
    outside = list(_relations(session, model.model))
    if not outside:
        return {}
    found: dict[str, Dependents] = {}
    touched: set[str] = set()
    for relation in outside:
        rows = _rows(session, relation, pks)
        touched.update(pk_text(value) for value in rows.values_list(relation.field.attname, flat=True).distinct())
    for pk in touched:
        collected = Dependents()
        _collect(session, model.model, [pk], collected)
        found[pk] = collected
    return found


def _relations(session: Session, model: type[models.Model]) -> Iterator[Any]:
    """Foreign keys and one-to-ones to ``model`` from tables that are not synchronised with the peer."""
    known = session.view.registry.models
    for relation in model._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or not (relation.one_to_many or relation.one_to_one):
            continue
        related: Any = relation.related_model
        if label_of(related._meta.concrete_model) in known:
            continue
        if related._meta.managed or related._meta.auto_created:
            yield relation


def _rows(session: Session, relation: Any, pks: Sequence[Any]) -> models.QuerySet[Any]:
    manager = relation.related_model._base_manager.using(session.node.alias)
    rows: models.QuerySet[Any] = manager.filter(**{f"{relation.field.name}__in": list(pks)})
    return rows


def _collect(session: Session, model: type[models.Model], pks: Sequence[Any], found: Dependents) -> None:
    for relation in _relations(session, model):
        rows = _rows(session, relation, pks)
        limit = settings().max_cascade
        hit = list(rows.values_list("pk", flat=True)[: limit + 1])
        if not hit:
            continue
        name, related = relation.on_delete.__name__, relation.related_model
        if name in ("PROTECT", "RESTRICT"):
            found.refused = f"{label_of(related)} protects it ({name})"
        elif name == "CASCADE":
            _cascade(session, related, hit, found, limit)
        elif name == "SET_NULL":
            found.updates.append((related, relation.field, None, hit))
        elif name in ("set_on_delete", "SET_DEFAULT"):
            value = relation.field.get_default() if name == "SET_DEFAULT" else _set_value(relation)
            found.updates.append((related, relation.field, value, hit))


def _set_value(relation: Any) -> Any:
    _, arguments, _ = relation.on_delete.deconstruct()
    value = arguments[0]
    return value() if callable(value) else value


def _cascade(session: Session, related: type[models.Model], hit: list[Any], found: Dependents, limit: int) -> None:
    if len(found.records) + len(hit) > limit:
        found.refused = f"more than MAX_CASCADE ({limit}) rows would go with it"
        return
    rows = related._base_manager.using(session.node.alias).filter(pk__in=hit)
    found.records += serializers.serialize("python", rows)
    _collect(session, related, hit, found)
    found.deletes.append((related, hit))


def carry_out(session: Session, found: Dependents) -> None:
    """Do it: capture stays on, for these tables may be synchronised with somebody else."""
    for model, relation, value, pks in found.updates:
        model._base_manager.using(session.node.alias).filter(pk__in=pks).update(**{relation.name: value})
    for model, pks in found.deletes:
        rows = model._base_manager.using(session.node.alias).filter(pk__in=pks)
        rows._raw_delete(session.node.alias)
