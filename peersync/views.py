"""Filters: which rows a peer may see (``merging``: section 9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import Error, connections
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from peersync import memory, standing, states, watching
from peersync.errors import ConfigurationError
from peersync.local_keys import LocalKey
from peersync.lookups import Said, worked_out
from peersync.queries import Beyond, among, texts
from peersync.registry import RawColumn, Registry, SyncModel, label_of, registry
from peersync.transactions import NodeRow
from peersync.versions import State

ELSEWHERE: dict[str, Any] = {"elsewhere": True}
"""What a nullable foreign key to a row out of view travels as: it leaves what the receiver has."""


class View:
    """What one peer may see of this database. ``peer``: its name here."""

    def __init__(self, alias: str, peer: str) -> None:
        self.alias, self.peer = alias, peer
        self._whole = registry(peer)

    @cached_property
    def missing(self) -> dict[str, str]:
        """Label → why nothing of it travels from or to this database; empty in most projects."""
        return standing.missing(self.alias, self.peer, self._whole)

    @cached_property
    def registry(self) -> Registry:
        """What is synchronised with the peer, and has a table here."""
        if not self.missing:
            return self._whole
        return Registry({label: model for label, model in self._whole.models.items() if label not in self.missing})

    def filtered(self, label: str) -> bool:
        """Whether there may be rows of the model, or deletions, of which the peer must not hear."""
        return label in self.registry.filtered or label in self.opened

    @cached_property
    def opened(self) -> frozenset[str]:
        """Models that were filtered for the peer, and are no more: what was deleted meanwhile stays untold."""
        return memory.opened(connections[self.alias], self.peer)

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
        return memory.hidden(node, peer_node, label, hidden)

    def refused(self, label: str, pks: Iterable[str]) -> set[str]:
        """Those of the rows that a push of the peer may not write as they stand (``ACCEPT``), or that do not stand."""
        pks = set(pks)
        if label not in self._whole.bounded:
            return set()
        key = self._whole.models[label].local
        return pks - set(texts(among(accepted(self._whole, label, self.alias, self.peer), key, pks), key))

    def _filtered(self, model: SyncModel) -> QuerySet[Any]:
        rows: QuerySet[Any] = model.model._base_manager.using(self.alias).all()
        return filtered_by(model.filter, rows, self.peer, f"FILTER of {model.label}")

    # ------------------------------------------------------------------ worked out anew

    def refresh(self, node: NodeRow, peer_node: str, told: int) -> None:
        """Work the views out anew that may change without an event: rows that entered or left are fed again.

        They get places at the end of the feed: to be done before a transfer fixes the head that it reads up to.
        ``told``: how far the peer has read; who has read nothing (-1) gets all in his first contact.
        """
        for model in self.registry.models.values():
            if not watching.unseen(model) or (told < 0 and not memory.any_of(node, peer_node, model.label)):
                continue
            for sql, parameters in self._moved(node, peer_node, model):
                last: str | None = None
                while moved := _page(node, model, sql, parameters, last):
                    feed_again(node, model.label, moved)
                    last = moved[-1]

    def _moved(self, node: NodeRow, peer_node: str, model: SyncModel) -> Iterator[tuple[str, list[Any]]]:
        """Conditions over the table ``t``: rows in view that the peer lacks, and rows out of view that it has.

        Without those that are to get a new place anyway.
        """
        text = model.local.text(node.connection, "t")
        held = (
            "EXISTS (SELECT 1 FROM peersync_filtermemory m"
            f" WHERE m.node = %s AND m.model = %s AND m.pk_text = {text} AND m.place = %s)"
        )
        left = (
            "NOT EXISTS (SELECT 1 FROM peersync_rowstate s"
            f" WHERE s.model = %s AND s.pk_text = {text} AND s.seq IS NULL)"
        )
        more = [peer_node, model.label, memory.IN_VIEW, model.label]
        columns = model.local.order(node.connection, "t")
        columns = columns if len(model.local.parts) == 1 else f"({columns})"
        shown = self.keys_in_view(model.label)
        if shown is None:
            yield f"{held} AND {left}", more
            return
        sql, parameters = shown
        yield f"{columns} IN ({sql}) AND NOT {held} AND {left}", [*parameters, *more]
        yield f"{columns} NOT IN ({sql}) AND {held} AND {left}", [*parameters, *more]

    def keys_in_view(self, label: str) -> tuple[str, list[Any]] | None:
        """SQL of the keys of the rows in view, and its parameters; None where there can be none."""
        key = self.registry.models[label].local
        try:
            query = self.in_view(label).order_by().values(*(part.field.attname for part in key.parts)).query
            sql, parameters = query.get_compiler(using=self.alias).as_sql()
        except EmptyResultSet:
            return None
        return sql, list(parameters)


def _page(node: NodeRow, model: SyncModel, where: str, parameters: Sequence[Any], last: str | None) -> list[str]:
    """The next keys behind ``last`` of the rows that a condition holds for."""
    connection, key = node.connection, model.local
    beyond, place = ("true", []) if last is None else key.beyond(connection, ">", last, "t")
    table, order = connection.ops.quote_name(model.table), key.order(connection, "t")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key.text(connection, 't')} FROM {table} t WHERE {beyond} AND {where}"
            f" ORDER BY {order} LIMIT {states.CHUNK}",
            [*place, *parameters],
        )
        return [pk for (pk,) in cursor.fetchall()]


def filtered_by(said: Said, rows: QuerySet[Any], peer: str, what: str) -> QuerySet[Any]:
    """The rows that a FILTER or an ACCEPT lets through. ConfigurationError where a function of the project's fails."""
    if isinstance(said, str):
        return _called(said, rows, peer, what)
    try:
        return rows.filter(**worked_out(said)) if said else rows
    except Error:
        raise
    except Exception as error:
        hint = "Its values are as in QuerySet.filter, or functions without arguments that give such."
        raise ConfigurationError(f"{what} failed: {type(error).__name__}: {error}", hint=hint) from error


def accepted(known: Registry, label: str, alias: str, peer: str) -> QuerySet[Any]:
    """The rows that a push may write: by the model's own ACCEPT, and by that of the rows whose part they are."""
    model = known.models[label]
    rows = filtered_by(model.accept, model.model._base_manager.using(alias).all(), peer, f"ACCEPT of {label}")
    for field in known.parts(label):
        key: Any = field.raw.field
        whole = accepted(known, str(field.target), alias, peer).order_by().values(key.target_field.attname)
        rows = rows.filter(**{f"{key.name}__in": whole})
    return rows


def _called(path: str, rows: QuerySet[Any], peer: str, what: str) -> QuerySet[Any]:
    hint = "It must be a function (queryset, name_of_the_peer) -> queryset."
    where = f"{what}, {path},"
    try:
        found = import_string(path)(rows, peer)
    except Error:
        raise
    except Exception as error:
        raise ConfigurationError(f"{where} failed: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(found, QuerySet) or found.model is not rows.model:
        raise ConfigurationError(f"{where} gave no queryset of {label_of(rows.model)}.", hint=hint)
    return found


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
