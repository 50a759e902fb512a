"""Filters: which rows a peer may see, and what is remembered of what it has (``merging``: section 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import Error, connections
from django.db.models import ForeignKey, Model, QuerySet
from django.utils.module_loading import import_string

from peersync import states
from peersync.conf import settings
from peersync.errors import ConfigurationError
from peersync.local_keys import LocalKey
from peersync.queries import Beyond, among, texts
from peersync.registry import RawColumn, Registry, SyncModel, label_of, on_change, registry
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow
from peersync.versions import State

IN_VIEW = -1
OUT_OF_VIEW = -2
ITS_OWN = -3
ELSEWHERE: dict[str, Any] = {"elsewhere": True}
"""What a nullable foreign key to a row out of view travels as: it leaves what the receiver has."""
DEPTH = 6


class View:
    """What one peer may see of this database. ``peer``: its name here."""

    def __init__(self, alias: str, peer: str) -> None:
        self.alias, self.peer = alias, peer
        self.registry = registry(peer)

    def filtered(self, label: str) -> bool:
        return label in self.registry.filtered

    def in_view(self, label: str) -> QuerySet[Any]:
        """The rows that stand and are in view: by their own filter, and with their non-null parents."""
        model = self.registry.models[label]
        rows = self._filtered(model)
        for field in model.foreign_keys:
            target = str(field.target)
            if not field.null and target != label and self.filtered(target):
                name = self._column(target, field.target_column).field.attname
                rows = rows.filter(**{f"{field.raw.field.name}__in": self.in_view(target).order_by().values(name)})
        return rows

    def page(self, label: str, place: str | None, limit: int) -> list[str]:
        """The local keys of the next rows in view behind ``place``, in their order. A ValueError where that is no key."""
        key = self.registry.models[label].local
        rows = self.in_view(label).order_by("pk")
        if place is not None:
            key.values(connections[self.alias], place)
            rows = rows.filter(Beyond(key, place))
        return list(texts(rows, key).distinct()[:limit])

    def visible(self, label: str, pks: Iterable[str]) -> set[str]:
        """Those of the rows that stand and are in view."""
        key = self.registry.models[label].local
        return set(texts(among(self.in_view(label), key, pks), key))

    def _column(self, label: str, column: str) -> RawColumn:
        """That column of the model behind ``label``."""
        fields = self.registry.models[label].model._meta.concrete_fields
        return next(RawColumn(column, f) for f in fields if f.column == column)

    def _visible_targets(self, label: str, column: str, values: set[str]) -> set[str]:
        key = LocalKey((self._column(label, column),))
        return set(texts(among(self.in_view(label), key, values), key))

    def hidden_targets(self, label: str, column: str, values: set[str]) -> set[str]:
        """Local values of a foreign key that point to rows out of view."""
        return values - self._visible_targets(label, column, values) if self.filtered(label) else set()

    def kept_from(self, node: NodeRow, peer_node: str, label: str, pks: Iterable[str]) -> set[str]:
        """Those of the rows that are out of view and that the peer never had: it must not hear of them."""
        hidden = set(pks) - self.visible(label, pks) if self.filtered(label) else set()
        known = remembered(node, peer_node, label, hidden)
        return {pk for pk in hidden if known.get(pk, OUT_OF_VIEW) == OUT_OF_VIEW}

    def _filtered(self, model: SyncModel) -> QuerySet[Any]:
        rows: QuerySet[Any] = model.model._base_manager.using(self.alias).all()
        if isinstance(model.filter, str):
            rows = _called(model, rows, self.peer)
        elif model.filter:
            rows = rows.filter(**model.filter)
        return rows

    def refresh(self, node: NodeRow, peer_node: str, told: int) -> None:
        """Work the view of models with a function as filter out anew: rows that entered or left are fed again.

        They get places at the end of the feed: to be done before a transfer fixes the head that it reads up to.
        ``told``: how far the peer has read; who has read nothing (-1) gets all in his first contact.
        """
        for model in self.registry.models.values():
            if not isinstance(model.filter, str):
                continue
            memory = remembered(node, peer_node, model.label)
            if told < 0 and not memory:
                continue
            now = set(texts(self._filtered(model), model.local).iterator())
            had = {pk for pk, place in memory.items() if place == IN_VIEW}
            moved = had - now
            for part in states.chunks(list(now - had)):
                moved |= self.visible(model.label, part)
            feed_again(node, model.label, moved)


def _called(model: SyncModel, rows: QuerySet[Any], peer: str) -> QuerySet[Any]:
    """What the project's own function makes of the rows. ConfigurationError where it fails."""
    hint = "It must be a function (queryset, name_of_the_peer) -> queryset."
    where = f"FILTER of {model.label}, {model.filter},"
    try:
        found = import_string(str(model.filter))(rows, peer)
    except Error:
        raise
    except Exception as error:
        raise ConfigurationError(f"{where} failed: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(found, QuerySet) or found.model is not model.model:
        raise ConfigurationError(f"{where} gave no queryset of {model.label}.", hint=hint)
    return found


def remembered(node: NodeRow, peer_node: str, label: str, pks: Iterable[str] | None = None) -> dict[str, int]:
    """What the peer has of the model: local primary key → place."""
    where, parameters = "node = %s AND model = %s", [peer_node, label]
    found: dict[str, int] = {}
    with node.connection.cursor() as cursor:
        if pks is None:
            cursor.execute(f"SELECT pk_text, place FROM peersync_filtermemory WHERE {where}", parameters)
            return dict(cursor.fetchall())
        where += " AND " + text_list(node.connection, "pk_text")
        for part in states.chunks(list(pks)):
            cursor.execute(
                f"SELECT pk_text, place FROM peersync_filtermemory WHERE {where}",
                [*parameters, list_parameter(node.connection, part)],
            )
            found.update(cursor.fetchall())
    return found


def remember(node: NodeRow, peer_node: str, label: str, places: Mapping[str, int | None]) -> None:
    """Note the places; None forgets."""
    forgotten = [pk for pk, place in places.items() if place is None]
    kept = [(peer_node, label, pk, place) for pk, place in places.items() if place is not None]
    with node.connection.cursor() as cursor:
        if forgotten:
            cursor.execute(
                "DELETE FROM peersync_filtermemory WHERE node = %s AND model = %s AND "
                + text_list(node.connection, "pk_text"),
                [peer_node, label, list_parameter(node.connection, forgotten)],
            )
        if kept:
            cursor.executemany(
                "INSERT INTO peersync_filtermemory (node, model, pk_text, place) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (node, model, pk_text) DO UPDATE SET place = excluded.place",
                kept,
            )


def settle_memory(node: NodeRow, peer_node: str, label: str, upto: int) -> None:
    """*Leaving* becomes *out of view*, or is forgotten if deleted, when the peer has read so far."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM peersync_filtermemory WHERE node = %s AND model = %s AND place BETWEEN 0 AND %s"
            " AND EXISTS (SELECT 1 FROM peersync_rowstate s WHERE s.model = peersync_filtermemory.model"
            " AND s.pk_text = peersync_filtermemory.pk_text AND s.deleted)",
            [peer_node, label, upto],
        )
        cursor.execute(
            "UPDATE peersync_filtermemory SET place = %s WHERE node = %s AND model = %s AND place BETWEEN 0 AND %s",
            [OUT_OF_VIEW, peer_node, label, upto],
        )


def feed_again(node: NodeRow, label: str, pks: Iterable[str]) -> None:
    """Give the rows a new place in the feed at the next pass, without an event."""
    pks = set(pks)
    found = states.load(node.connection, label, pks)
    changed = []
    for pk in pks:
        state = found.get(pk) or State(label, pk, pre=True, author=node.install)
        state.seq = None
        changed.append(state)
    states.save(node.connection, changed)


def hanging_on(node: NodeRow, known: Registry, changed: Sequence[State]) -> list[State]:
    """A change of a row that a filter looks at through a relation puts the rows that hang on it into the feed again.

    Their states, for the same pass: without an event of their own.
    """
    by_model: dict[str, set[str]] = {}
    for state in changed:
        if not state.deleted and not state.gone:
            by_model.setdefault(state.model, set()).add(state.pk)
    counted = {(state.model, state.pk) for state in changed}
    found: dict[tuple[str, str], State] = {}
    for label, pks in by_model.items():
        for other, path in depending(label):
            hanging = known.models.get(other)
            if hanging is None:
                continue
            everything = hanging.model._base_manager.using(node.alias).all()
            hit = set(texts(among(everything, known.models[label].local, pks, path), hanging.local))
            standing = states.load(node.connection, other, hit)
            for pk in hit:
                if (other, pk) not in counted:
                    found[other, pk] = standing.get(pk) or State(other, pk, pre=True, author=node.install)
    return list(found.values())


@lru_cache(maxsize=1024)
def depending(label: str) -> frozenset[tuple[str, str]]:
    """(label, path): the models whose view depends on rows of ``label``, and the relation that leads there."""
    found: set[tuple[str, str]] = set()
    for name in ("", *settings().peers):
        known = registry(name)
        for model in (known.models[m] for m in known.filtered):
            for target, path in _paths(known, model, DEPTH):
                if target == label:
                    found.add((model.label, path))
    return frozenset(found)


def _paths(known: Registry, model: SyncModel, depth: int) -> Iterable[tuple[str, str]]:
    if isinstance(model.filter, Mapping):
        for lookup in model.filter:
            yield from _relations(model.model, lookup)
    for field in model.foreign_keys:
        target = str(field.target)
        if not field.null and target in known.filtered and depth:
            yield target, field.name
            if target != model.label:
                for label, path in _paths(known, known.models[target], depth - 1):
                    yield label, f"{field.name}__{path}"


def _relations(model: type[Model], lookup: str) -> Iterable[tuple[str, str]]:
    path: list[str] = []
    current: Any = model
    for part in lookup.split("__"):
        try:
            field = current._meta.get_field(part)
        except Exception:  # a transform or a lookup: the path of relations ends here
            return
        if not field.is_relation or field.related_model is None:
            return
        path.append(part)
        current = field.related_model
        if isinstance(field, ForeignKey) or field.many_to_many or field.one_to_many or field.one_to_one:
            yield label_of(current), "__".join(path)


on_change(depending.cache_clear)
