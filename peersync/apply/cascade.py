"""Rows of models that are not synchronised with the peer and hang on a row that is to be deleted: their own on_delete.

They are counted and recorded whole, those that only lose their link too; too many of them, or a PROTECT or RESTRICT,
and the deletion waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.db.models import QuerySet

from peersync.apply.session import Session
from peersync.columns import elsewhere
from peersync.conf import settings
from peersync.local_keys import LocalKey
from peersync.queries import among, key_of, texts
from peersync.registry import SyncModel, label_of, stand_in, sync_field
from peersync.rows import Reader, referenced, select_in

RULES = ("PROTECT", "RESTRICT", "CASCADE", "SET_NULL", "SET_DEFAULT", "set_on_delete")
"""Names of Django's on_delete that do anything; the last is that of ``models.SET(…)``."""


@dataclass(slots=True)
class Dependents:
    """Of one row: what goes with it, what is set, and why it can't be, if so.

    ``records``: the rows as readable JSON. ``{"model": label, "pk": text, "fields": {field: wire value}}``; a row that
    stays and only points elsewhere afterwards has ``"link"`` too, the field's name.
    """

    deletes: list[tuple[type[models.Model], list[str]]] = field(default_factory=list)
    updates: list[tuple[type[models.Model], models.Field[Any, Any], Any, list[str]]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""
    gone: set[tuple[type[models.Model], str]] = field(default_factory=set)
    """Model and primary key of the rows in ``deletes``: rows that point at each other are met more than once."""


def dependents(session: Session, model: SyncModel, pks: Sequence[str]) -> dict[str, Dependents]:
    """For each local primary key that has any: what its deletion would do to rows of models that stay home."""
    outside = list(_relations(session, model.model))
    if not outside:
        return {}
    found: dict[str, Dependents] = {}
    touched: set[str] = set()
    for relation in outside:
        touched.update(texts(_rows(session, relation, pks), model.local, relation.field.name).distinct())
    for pk in touched:
        collected = Dependents()
        _collect(session, stand_in(model.model), [pk], collected)
        found[pk] = collected
    return found


def _relations(session: Session, model: type[models.Model]) -> Iterator[Any]:
    """Foreign keys and one-to-ones to ``model``'s own table from tables that are not synchronised with the peer."""
    known = session.view.registry.models
    for relation in model._meta.get_fields(include_parents=False, include_hidden=True):
        if not relation.auto_created or relation.concrete or not (relation.one_to_many or relation.one_to_one):
            continue
        related: Any = relation.related_model
        if label_of(related._meta.concrete_model) in known:
            continue
        if (related._meta.managed or related._meta.auto_created) and not elsewhere(related):
            yield relation


def _rows(session: Session, relation: Any, pks: Sequence[str]) -> QuerySet[Any]:
    """All of them: a manager of the project's may hide some."""
    rows: QuerySet[Any] = QuerySet(relation.related_model, using=session.node.alias)
    return among(rows, key_of(relation.model), pks, relation.field.name)


def _collect(session: Session, model: SyncModel, pks: Sequence[str], found: Dependents) -> None:
    limit = settings().max_cascade
    for relation in _relations(session, model.model):
        name, related = relation.on_delete.__name__, relation.related_model
        hit = list(texts(_rows(session, relation, pks), key_of(related))[: limit + 1])
        hit = [pk for pk in hit if (related, pk) not in found.gone]
        if not hit or name not in RULES:
            continue  # the database has its say
        if name in ("PROTECT", "RESTRICT"):
            found.refused = f"{label_of(related)} protects it ({name})"
        elif len(found.records) + len(hit) > limit:
            found.refused = f"more than MAX_CASCADE ({limit}) rows would go with it, or be changed"
        elif name == "CASCADE":
            found.gone.update((related, pk) for pk in hit)
            _keep(session, relation, model, pks, found)
            _collect(session, stand_in(related), hit, found)
            found.deletes.append((related, hit))
        else:
            _keep(session, relation, model, pks, found, link=relation.field.name)
            found.updates.append((related, relation.field, _set_value(relation), hit))
        if found.refused:
            return


def _keep(
    session: Session, relation: Any, model: SyncModel, pks: Sequence[str], found: Dependents, link: str = ""
) -> None:
    """Record the rows that point by this relation to those of ``model``."""
    field = sync_field(relation.field)
    hanging = stand_in(relation.related_model)
    reader = Reader(session.connection, hanging)
    values = referenced(session.connection, model, field.target_column, pks)
    for row in reader.rows(select_in(session.connection, reader.select(), LocalKey((field.raw,)), values, "t")):
        entry: dict[str, Any] = {"model": hanging.label, "pk": row.pk}
        entry["fields"] = dict(zip(hanging.names, row.content, strict=True))
        found.records.append({**entry, "link": link} if link else entry)


def _set_value(relation: Any) -> Any:
    """What the link of a row that stays is given."""
    if relation.on_delete.__name__ == "SET_NULL":
        return None
    if relation.on_delete.__name__ == "SET_DEFAULT":
        return relation.field.get_default()
    _, arguments, _ = relation.on_delete.deconstruct()
    value = arguments[0]
    return value() if callable(value) else value


def carry_out(session: Session, found: Dependents) -> None:
    """Do it: capture stays on, for these tables may be synchronised with somebody else."""
    for model, relation, value, pks in found.updates:
        _these(session, model, pks).update(**{relation.name: value})
    for model, pks in found.deletes:
        _these(session, model, pks)._raw_delete(session.node.alias)


def _these(session: Session, model: type[models.Model], pks: Sequence[str]) -> QuerySet[Any]:
    rows: QuerySet[Any] = QuerySet(model, using=session.node.alias)
    return among(rows, key_of(model), pks)
