"""Finding rows by their wire keys, and what points to them by what it holds: sets in, sets out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps

from peersync import origins, states
from peersync.codec import key_text
from peersync.keys import as_key, key_from_json, key_json
from peersync.local_keys import NO_ROW, LocalKey, select_in
from peersync.records import Key
from peersync.registry import RawColumn, SyncField, SyncModel, key_fields


def referenced(connection: Any, model: SyncModel, column: str, pks: Iterable[str]) -> dict[str, str]:
    """What foreign keys that point to this column of ``model`` hold for these rows: text → local primary key."""
    if (column,) == model.local.names:
        return {pk: pk for pk in pks}
    quote = connection.ops.quote_name
    raw = next(RawColumn(column, f) for f in model.model._meta.local_concrete_fields if f.column == column)
    text = raw.codec(connection.vendor).key_sql(quote(column), connection.vendor)
    select = f"SELECT {text}, {model.local.text(connection)} FROM {quote(model.table)}"
    return {value: found for value, found in select_in(connection, select, model.local, pks) if value is not None}


def holding(connection: Any, model: SyncModel, column: str, texts: Iterable[str]) -> dict[str, str]:
    """The rows that have one of these texts in a column of which no value stands twice: text → local primary key."""
    if (column,) == model.local.names:
        return {text: text for text in texts}
    raw = next(RawColumn(column, f) for f in model.model._meta.local_concrete_fields if f.column == column)
    held = LocalKey((raw,))
    table = connection.ops.quote_name(model.table)
    select = f"SELECT {held.text(connection)}, {model.local.text(connection)} FROM {table}"
    return dict(select_in(connection, select, held, texts))


def existing(connection: Any, model: SyncModel, pks: Iterable[str]) -> set[str]:
    """Those of the local primary keys under which a row stands."""
    select = f"SELECT {model.local.text(connection)} FROM {connection.ops.quote_name(model.table)}"
    return {row[0] for row in select_in(connection, select, model.local, pks)}


def find(connection: Any, label: str, keys: Iterable[Key], wanted: str | None = None) -> dict[Key, str]:
    """The rows of the model (synchronised or not) that have these wire keys: key to the text of the column ``wanted``.

    ``wanted``: a column of the model; its primary key where it is None.
    """
    model = apps.get_model(label)
    parts = key_fields(model)
    keys = list(dict.fromkeys(keys))
    return _find(connection, model, parts, keys, wanted)


def find_model(connection: Any, model: SyncModel, keys: Iterable[Key]) -> dict[Key, str]:
    """Like :func:`find`, by the identity of a synchronised model (a through table is named by its pair)."""
    return _find(connection, model.model, model.key, list(dict.fromkeys(keys)), None)


def _find(
    connection: Any, model: Any, parts: Sequence[SyncField], keys: list[Key], wanted: str | None
) -> dict[Key, str]:
    if origins.by_origin(parts):
        return _find_named(connection, model, keys, wanted)
    keys = [key for key in keys if len(key) == len(parts) and None not in key]
    local = [_local_parts(connection, part, [key[i] for key in keys]) for i, part in enumerate(parts)]
    texts = {
        tuple(found[key[i]] for i, found in enumerate(local)): key
        for key in keys
        if all(key[i] in found for i, found in enumerate(local))
    }
    fields = model._meta.pk_fields
    if wanted is not None:
        fields = [next(f for f in model._meta.local_concrete_fields if f.column == wanted)]
    pk = LocalKey(tuple(RawColumn(f.column, f) for f in fields))
    texts_of = [pk, *(LocalKey((p.raw,)) for p in parts)]
    table = connection.ops.quote_name(model._meta.db_table)
    select = f"SELECT {', '.join(key.text(connection) for key in texts_of)} FROM {table}"
    found: dict[Key, str] = {}
    lead = parts[0] if len(parts) == 1 else max(parts, key=lambda p: len({t[parts.index(p)] for t in texts}))
    place = parts.index(lead)
    for values in select_in(connection, select, LocalKey((lead.raw,)), {t[place] for t in texts}):
        key = texts.get(tuple(values[1:]))
        if key is not None:
            found[key] = values[0]
    return found


def _find_named(connection: Any, model: Any, keys: list[Key], wanted: str | None) -> dict[Key, str]:
    """:func:`_find` for rows that are named by their origin."""
    found = {key: str(local) for key, local in origins.find(connection, model, keys).items()}
    pk = RawColumn(str(model._meta.pk.column), model._meta.pk)
    if wanted is None or wanted == pk.name:
        return found
    raw = RawColumn(wanted, next(f for f in model._meta.concrete_fields if f.column == wanted))
    texts = ", ".join(LocalKey((one,)).text(connection) for one in (pk, raw))
    select = f"SELECT {texts} FROM {connection.ops.quote_name(model._meta.db_table)}"
    by_pk = dict(select_in(connection, select, LocalKey((pk,)), found.values()))
    return {key: by_pk[local] for key, local in found.items() if by_pk.get(local) is not None}


def buried(connection: Any, field: SyncField, keys: Iterable[Key]) -> dict[Key, str]:
    """Rows that stood here and were deleted, of these keys: what a foreign key to them held."""
    if not keys or field.target_column != apps.get_model(str(field.target))._meta.pk.column:
        return {}
    graves = states.load_tombstones(connection, str(field.target), map(key_json, keys))
    return {key_from_json(key): state.pk for key, state in graves.items() if not state.pk.startswith(NO_ROW)}


def _local_parts(connection: Any, part: SyncField, values: list[Any]) -> dict[Any, str]:
    """Wire value of a key's part to the text of the local column."""
    if part.target is None:
        return {value: key_text(value) for value in values if _valid(connection, part, value)}
    by_key = {as_key(value): value for value in values}
    found = find(connection, part.target, by_key, part.target_column)
    return {by_key[key]: text for key, text in found.items()}


def _valid(connection: Any, part: SyncField, value: Any) -> bool:
    return part.raw.codec(connection.vendor).valid(value)
