"""CAPTURE "signals": for owners who refuse triggers. Django's signals write the journal, by the writer's
connection.

A deletion is noted before it is made (afterwards nobody could say what the row's key text was), everything
else after it. What no signal tells of is listed in docs/capture.md; ``--verify`` finds it.
"""

from __future__ import annotations

import json
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import connections
from django.db.models.signals import ModelSignal, m2m_changed, post_save, pre_delete, pre_save

from peersync.capture.deploying import migrating
from peersync.capture.guard import tables_off
from peersync.capture.plans import journal_table, literal, tables_exist
from peersync.clock import now_ms
from peersync.conf import settings
from peersync.errors import ConfigurationError
from peersync.registry import RawColumn, SyncModel, noted, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.db.models import Model

_UID = "peersync.capture.signals"
_SEEN = "_peersync_seen"
"""Where an instance carries, between pre_save and post_save, what stood in its tables before."""

_connected: list[tuple[ModelSignal, type[Model]]] = []

Seen = dict[str, tuple[tuple[Any, ...], str | None]]
"""Label → values of the synchronised columns, and the JSON of the identity."""


def connect() -> None:
    """Listen where the settings ask for it; again after each change of the settings."""
    setting_changed.connect(_on_setting, dispatch_uid=_UID)
    _listen()


def _on_setting(setting: str, **_kwargs: Any) -> None:
    if setting == "SYNC_CONFIG":
        _listen()


def _listen() -> None:
    for signal, sender in _connected:
        signal.disconnect(sender=sender, dispatch_uid=_UID)
    _connected.clear()
    try:
        if settings().capture != "signals":
            return
        registry.cache_clear()  # whether we or the registry hear of changed settings first is chance
        known = registry().models
    except ConfigurationError:
        return  # the system checks speak of it
    for sender in apps.get_models(include_auto_created=True):
        # Listeners for all models would take Django's fast deletes from models that are not ours.
        if sender._meta.auto_created and _label(sender) in known:
            _hear(m2m_changed, sender, _on_m2m)
            continue
        if _tables(sender):
            _hear(pre_save, sender, _on_pre_save)
            _hear(post_save, sender, _on_post_save)
        if _tables(sender) or _throughs(sender):
            _hear(pre_delete, sender, _on_pre_delete)


def _hear(signal: ModelSignal, sender: type[Model], receiver: Callable[..., None]) -> None:
    signal.connect(receiver, sender=sender, dispatch_uid=_UID)
    _connected.append((signal, sender))


def _label(model: type[Model]) -> str:
    return str(model._meta.concrete_model._meta.label)  # type: ignore[union-attr]  # None for abstract models only


def _tables(sender: type[Model]) -> list[SyncModel]:
    """The synchronised tables that a save of ``sender`` writes: its own, and its parents'."""
    concrete = sender._meta.concrete_model
    assert concrete is not None  # noqa: S101  # None for abstract models only, which send no signals
    known = registry().models
    candidates = [concrete, *concrete._meta.all_parents]
    return [known[m._meta.label] for m in candidates if m._meta.label in known]


def _throughs(sender: type[Model]) -> list[tuple[SyncModel, RawColumn]]:
    """Automatic many-to-many tables whose rows go with a row of ``sender``, and their column that points to
    it.
    """
    concrete = sender._meta.concrete_model
    assert concrete is not None  # noqa: S101  # as above
    family = {m._meta.label for m in (concrete, *concrete._meta.all_parents)}
    return [
        (model, field.raw)
        for model in registry().models.values()
        if model.through
        for field in model.foreign_keys
        if field.target in family
    ]


def _on_pre_save(sender: type[Model], instance: Model, using: str, **_kwargs: Any) -> None:
    """Look at the row where the journal needs to know what stood there: its identity, its excluded fields."""
    seen: Seen = {}
    for model in _tables(sender):
        looked_at = model.excluded_columns or model.identity_columns or model.label in noted()
        if looked_at and not _off(using, model):
            found = _stored(using, model, _pk(model, instance))
            if found is not None:
                seen[model.label] = found
    setattr(instance, _SEEN, seen)


def _on_post_save(sender: type[Model], instance: Model, created: bool, using: str, **_kwargs: Any) -> None:
    seen: Seen = instance.__dict__.pop(_SEEN, {})
    for model in _tables(sender):
        pk, before, fields = _pk(model, instance), None, None
        old = seen.get(model.label)
        if old is not None:
            now = _stored(using, model, pk)
            if now is not None and now[0] == old[0]:
                continue
            before = old[1] if now is None or now[1] != old[1] else None
            fields = _changed(model, old, now)
        if created and model.origin:
            before = token_hex(8)
        _note(using, model, model.local.parts, [pk], "b" if created else "c", before=before, fields=fields)


def _changed(model: SyncModel, old: tuple[Any, ...], now: tuple[Any, ...] | None) -> str | None:
    """JSON of the columns that differ, where they are noted; None: not known."""
    if now is None or model.label not in noted():
        return None
    columns = (field.column for field in model.fields)
    return json.dumps([name for name, a, b in zip(columns, old[0], now[0], strict=True) if a != b])


def _on_pre_delete(sender: type[Model], instance: Model, using: str, **_kwargs: Any) -> None:
    for model in _tables(sender):
        _note(using, model, model.local.parts, [_pk(model, instance)], "g")
    for model, column in _throughs(sender):
        # Django sends no signal for the rows of automatic tables.
        _note(using, model, (column,), [(_pointed_at(column, instance),)], "g")


def _on_m2m(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: set[Any] | None,
    using: str,
    **_kwargs: Any,
) -> None:
    if action not in ("post_add", "pre_remove", "pre_clear"):
        return
    model = registry().models[sender._meta.label]
    near, far = _sides(sender, type(instance), reverse=reverse)
    value = _pointed_at(near, instance)
    what = "b" if action == "post_add" else "g"
    also = None if pk_set is None else ((far,), [(one,) for one in pk_set])
    _note(using, model, (near,), [(value,)], what, also=also)


def _sides(through: type[Model], near: type[Model], *, reverse: bool) -> tuple[RawColumn, RawColumn]:
    """The columns of an automatic table: the one that points to the instance, and the other one."""
    for model in apps.get_models():
        for field in model._meta.local_many_to_many:
            if field.remote_field.through is through:
                columns = {f.name: RawColumn(str(f.column), f) for f in through._meta.local_concrete_fields}
                pair = columns[field.m2m_field_name()], columns[field.m2m_reverse_field_name()]
                return (pair[1], pair[0]) if reverse else pair
    raise LookupError(f"{through._meta.label} belongs to no many-to-many field of {near._meta.label}")


def _pointed_at(column: RawColumn, instance: Model) -> Any:
    """The value by which a foreign key's column points to ``instance``."""
    return getattr(instance, column.field.target_field.attname)  # type: ignore[attr-defined]  # a foreign key's


def _pk(model: SyncModel, instance: Model) -> tuple[Any, ...]:
    """The values of the columns of its primary key."""
    return tuple(getattr(instance, part.field.attname) for part in model.local.parts)


def _off(alias: str, model: SyncModel) -> bool:
    connection = connections[alias]
    return model.table in tables_off(connection) or not _installed(connection)


def _installed(connection: Any) -> bool:
    """Whether peersync's tables are there; a project saves in its first migrations already.

    Asked until they are.
    """
    if not getattr(connection, "_peersync_installed", False):
        connection._peersync_installed = tables_exist(connection)
    return bool(connection._peersync_installed)


def _stored(alias: str, model: SyncModel, pk: tuple[Any, ...]) -> tuple[tuple[Any, ...], str | None] | None:
    """What stands in the row's synchronised columns, and its identity as JSON; None where there is no row."""
    if None in pk:
        return None
    connection = connections[alias]
    q = connection.ops.quote_name
    # on SQLite a cast makes text of bytes that may be none
    text = "quote({})" if connection.vendor == "sqlite" else "CAST({} AS text)"
    columns = [text.format(q(f.column)) for f in model.fields]
    where, parameters = _holds(connection, model.local.parts, [pk])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join([_identity(connection, model), *columns])} FROM {q(model.table)} WHERE {where}",
            parameters,
        )
        row = cursor.fetchone()
    return None if row is None else (tuple(row[1:]), row[0])


def _identity(connection: Any, model: SyncModel) -> str:
    """SQL of the identity's columns as a JSON object of key texts, or NULL."""
    local = {field.column for field in model.model._meta.local_concrete_fields}
    vendor = connection.vendor
    pairs = [
        f"{literal(c.name)}, {c.codec(vendor).key_sql(connection.ops.quote_name(c.name), vendor)}"
        for c in model.identity_columns
        if c.name in local
    ]
    if not pairs:
        return "NULL"
    function = "json_build_object" if vendor == "postgresql" else "json_object"
    return f"CAST({function}({', '.join(pairs)}) AS text)"


def _holds(connection: Any, columns: Sequence[RawColumn], rows: Iterable[Sequence[Any]]) -> tuple[str, list[Any]]:
    """The condition that the columns have the values of one of these rows, and its parameters."""
    q = connection.ops.quote_name
    given = [[_prepared(connection, *pair) for pair in zip(columns, row, strict=True)] for row in rows]
    if not given:
        return "1 = 0", []
    names = [q(one.name) for one in columns]
    one = f"({' AND '.join(f'{name} = %s' for name in names)})"
    where = f"{names[0]} IN ({', '.join(['%s'] * len(given))})" if len(names) == 1 else " OR ".join([one] * len(given))
    return f"({where})", [value for row in given for value in row]


def _prepared(connection: Any, column: RawColumn, value: Any) -> Any:
    return column.field.get_db_prep_value(value, connection, prepared=False)


def _note(
    alias: str,
    model: SyncModel,
    columns: Sequence[RawColumn],
    values: Iterable[Sequence[Any]],
    what: str,
    *,
    before: str | None = None,
    fields: str | None = None,
    also: tuple[Sequence[RawColumn], Iterable[Sequence[Any]]] | None = None,
) -> None:
    """Note the rows whose ``columns`` have one of the values (and those of ``also`` one of its), in one
    statement.
    """
    if _off(alias, model):
        return
    connection = connections[alias]
    q = connection.ops.quote_name
    key = model.local.text(connection)
    was = _identity(connection, model) if what == "g" else "%s"
    stamp = 0 if migrating(connection) else now_ms(alias)
    parameters: list[Any] = [model.label, what, stamp, *([] if what == "g" else [before])]
    more, mark = (", fields", ", %s") if fields is not None else ("", "")
    parameters += [] if fields is None else [fields]
    where = []
    for some, wanted in ((columns, values), *([also] if also else [])):
        condition, given = _holds(connection, some, wanted)
        where.append(condition)
        parameters += given
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {q(journal_table())} (model, pk_text, what, stamp, before{more})"
            f" SELECT %s, {key}, %s, %s, {was}{mark} FROM {q(model.table)} WHERE {' AND '.join(where)}",
            parameters,
        )
