"""Wire keys of rows that are named by an identity: what they were called before, and what a tombstone was called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.apps import apps

from peersync import origins, states
from peersync.codec import key_value
from peersync.records import Key, Row
from peersync.registry import SyncField, SyncModel, identity_of, key_fields
from peersync.rows import NO_ROW, Reader, as_key, as_part, holding, key_from_json, key_json
from peersync.transactions import NodeRow
from peersync.versions import State, join

KEPT_EARLIER = 16


def key_before(node: NodeRow, model: SyncModel, befores: Mapping[str, Sequence[str]]) -> dict[str, list[Key]]:
    """The wire keys that rows had before their changes, oldest first, from what the journal kept of their identity.

    ``befores``: pk → JSON objects of the identity's local columns, as key texts. A foreign key in it is resolved as it
    stands now, by its target's tombstone where that is gone; a row whose target is unknown has no earlier key.
    """
    parsed = {pk: [json.loads(text) for text in texts] for pk, texts in befores.items()}
    columns: list[dict[Any, Any]] = []
    for part in model.key:
        values = {row.get(part.column) for rows in parsed.values() for row in rows}
        columns.append(_part_keys(node, part, values - {None}))
    found: dict[str, list[Key]] = {}
    for pk, rows in parsed.items():
        for row in rows:
            parts = [named.get(row.get(p.column)) for p, named in zip(model.key, columns, strict=True)]
            if None not in parts:
                found.setdefault(pk, []).append(tuple(parts))
    return found


def keys_of_gone(node: NodeRow, model: SyncModel, pks: Iterable[str]) -> dict[str, Key]:
    """The wire keys of rows that are gone, where the primary key points at other rows (inheritance, one to one).

    The local primary key alone says whose they were; a row whose target is unknown has none.
    """
    texts = {pk: model.local.texts(pk) for pk in pks}
    parts = [_part_keys(node, part, {found[place] for found in texts.values()}) for place, part in enumerate(model.key)]
    named = {pk: [part.get(text) for part, text in zip(parts, found, strict=True)] for pk, found in texts.items()}
    return {pk: tuple(key) for pk, key in named.items() if None not in key}


def _part_keys(node: NodeRow, part: SyncField, values: set[Any]) -> dict[Any, Any]:
    """Local value of a key's part → its wire value."""
    if part.target is None:
        return {value: key_value(part.raw.wire, str(value)) for value in values}
    return {value: as_part(key) for value, key in target_keys(node, part, values).items()}


def target_keys(node: NodeRow, field: SyncField, values: set[Any]) -> dict[Any, Key]:
    """Local value of a foreign key's column → wire key of the row that it points to, or pointed to."""
    target = apps.get_model(str(field.target))
    parts = key_fields(target)
    if len(parts) == 1 and parts[0].target is None and parts[0].column == field.target_column:
        return {value: (key_value(parts[0].raw.wire, str(value)),) for value in values}
    if len(parts) == 1 and parts[0].target is not None and parts[0].column == field.target_column:
        # its key is what its own primary key points at, whether the row between still stands or not
        return {value: (part,) for value, part in _part_keys(node, parts[0], values).items()}
    texts = {str(value): value for value in values}
    stand_in = SyncModel(str(field.target), target, parts, identity_of(target), "latest", "both", None, through=False)
    holders = holding(node.connection, stand_in, field.target_column, texts)
    standing = Reader(node.connection, stand_in, ()).by_pk(holders.values())
    found: dict[Any, Key] = {texts[text]: standing[pk].key for text, pk in holders.items() if pk in standing}
    if field.target_column != stand_in.local.names[0]:
        return found  # of a row that is gone only its primary key is known, not what else pointed to it
    gone = states.load(node.connection, str(field.target), [t for t, v in texts.items() if v not in found])
    for pk, state in gone.items():
        if state.key:
            found[texts[pk]] = key_from_json(state.key)
    followed = {text: node.followed[stand_in.label, text] for text in texts if (stand_in.label, text) in node.followed}
    found.update({texts[text]: key_from_json(key) for text, key in followed.items() if texts[text] not in found})
    left = {text: value for text, value in texts.items() if value not in found}
    found.update(_named_keys(node, stand_in, left) if stand_in.origin else _noted_keys(node, stand_in, left))
    return found


def _named_keys(node: NodeRow, model: SyncModel, texts: Mapping[str, Any]) -> dict[Any, Key]:
    """The names of rows that are gone, which they keep as long as they are known."""
    locals_ = {int(text) for text in texts}
    locals_ -= origins.unnamed(node.connection, model.label, locals_)
    return {texts[str(local)]: key for local, key in origins.keys_of(node.connection, model.label, locals_).items()}


def just_left(node: NodeRow, model: SyncModel, keys: Sequence[Key]) -> set[Key]:
    """Those of the keys whose row a writer has just deleted or renamed: no pass has taken that from the journal yet."""
    if not keys:
        return set()
    if model.plain_key:
        texts = {model.local.key_text(key): key for key in keys if model.local.valid(node.connection, key)}
        where = "SELECT pk_text FROM peersync_journal WHERE model = %s AND "
        with node.connection.cursor() as cursor:
            cursor.execute(
                where + states.text_list(node.connection, "pk_text"),
                [model.label, states.list_parameter(node.connection, list(texts))],
            )
            return {texts[pk] for (pk,) in cursor.fetchall()}
    if model.origin:
        return _origins_left(node, model, keys)
    befores = _befores(node, "model = %s", [model.label])
    return {key for found in key_before(node, model, befores).values() for key in found} & set(keys)


def _origins_left(node: NodeRow, model: SyncModel, keys: Sequence[Key]) -> set[Key]:
    """:func:`just_left` for rows that are named by their origin: they keep their names until a pass takes the deletion."""
    connection = node.connection
    named = origins.named(connection, model.label, [key for key in keys if origins.valid(key)])
    base = origins.base_name(connection, model.label)
    named |= {key: key[1] for key in keys if origins.valid(key) and key[0] == base and key not in named}
    gone = {str(local) for local in named.values()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pk_text FROM peersync_journal WHERE model = %s AND what = 'g' AND "
            + states.text_list(connection, "pk_text"),
            [model.label, states.list_parameter(connection, gone)],
        )
        noted = {pk for (pk,) in cursor.fetchall()}
    return {key for key, local in named.items() if str(local) in noted}


def _noted_keys(node: NodeRow, model: SyncModel, texts: Mapping[str, Any]) -> dict[Any, Key]:
    """Wire keys of rows that are gone, and of which no pass has taken the journal entry yet."""
    if not texts:
        return {}
    where = "model = %s AND " + states.text_list(node.connection, "pk_text")
    befores = _befores(node, where, [model.label, states.list_parameter(node.connection, list(texts))])
    return {texts[pk]: keys[-1] for pk, keys in key_before(node, model, befores).items()} if befores else {}


def _befores(node: NodeRow, where: str, parameters: Sequence[Any]) -> dict[str, list[str]]:
    """pk → what the journal kept of the row's identity, oldest first."""
    found: dict[str, list[str]] = {}
    with node.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pk_text, before FROM peersync_journal WHERE {where} AND before IS NOT NULL ORDER BY id", parameters
        )
        for pk, before in cursor.fetchall():
            found.setdefault(pk, []).append(before)
    return found


def earlier_keys(text: str | None, more: Sequence[Key], source: str = "", *, ended: Sequence[Key] = ()) -> str | None:
    """The JSON of a state's earlier keys with some more, the oldest dropped beyond sixteen.

    An entry is ``[key, place in this node's feed where that became known, the peer that told it]``; the place is null
    until a pass gives one, the peer is empty for a row that was renamed here. ``ended``: keys under which another row
    ended that this one has replaced since; their entries have a fourth member, true.
    """
    entries = {(key_json(as_key(e[0])), len(e) > 3): e for e in (json.loads(text) if text else ())}
    for key, is_ended in (*((key, False) for key in more), *((key, True) for key in ended)):
        entries.pop((key_json(key), is_ended), None)
        entries[key_json(key), is_ended] = [key, None, source, True] if is_ended else [key, None, source]
    return json.dumps(list(entries.values())[-KEPT_EARLIER:], ensure_ascii=False) if entries else None


def unnumbered_names(text: str | None) -> bool:
    """Whether some of the earlier keys have no place yet."""
    return bool(text) and any(entry[1] is None for entry in json.loads(text or "[]"))


def number_names(text: str | None, seq: int) -> str | None:
    """The same where the state got this place in the feed."""
    if not text:
        return text
    entries = [[key, seq if place is None else place, *rest] for key, place, *rest in json.loads(text)]
    return json.dumps(entries, ensure_ascii=False)


def unread_names(text: str | None, reader: str, upto: int) -> tuple[Key, ...]:
    """The earlier keys that a peer may still use who has read the feed up to that place; twice those of rows that ended."""
    if not text:
        return ()
    return tuple(
        as_key(key)
        for key, place, source, *ended in json.loads(text)
        if (not source or source != reader) and (place is None or place > upto)
        for _ in range(2 if ended else 1)
    )


def ended_in(row: Row) -> tuple[Key, ...]:
    """Keys under which another row ended that this one has replaced since: they stand twice among its earlier ones."""
    return tuple(key for key, count in Counter(row.earlier).items() if count > 1)


def take_over(node: NodeRow, model: SyncModel, born: Mapping[str, str], changed: dict[str, State]) -> None:
    """A row born again under the key of a tombstone takes over what that knew; the tombstone's own state goes.

    ``born``: wire key → local primary key of rows that stand.
    """
    graves = states.load_tombstones(node.connection, model.label, born)
    for key, grave in graves.items():
        pk = born[key]
        state = changed.get(pk)
        if state is None or grave.pk == pk or (grave.pk in changed and not changed[grave.pk].deleted):
            continue
        _follow(node, state, grave, key)
        changed.pop(grave.pk, None)
        states.delete(node.connection, model.label, [grave.pk])
    buried = {s.key: s for s in changed.values() if s.deleted and s.key}
    for key, pk in born.items():
        grave_now = buried.get(key)
        if grave_now is not None and grave_now.pk != pk and pk in changed:
            _follow(node, changed[pk], grave_now, key)
            del changed[grave_now.pk]
            states.delete(node.connection, model.label, [grave_now.pk])


def _follow(node: NodeRow, state: State, grave: State, key: str) -> None:
    """A row stands under the key of a tombstone. One that was renamed tells that: others have two rows to make one of."""
    inherit(state, grave, node.node)
    node.followed[grave.model, grave.pk] = key
    if state.earlier:
        state.earlier = earlier_keys(state.earlier, (), ended=[key_from_json(key)])


def one_grave_each(node: NodeRow, model: SyncModel, changed: dict[str, State]) -> None:
    """Of several rows that died under one key the last one's tombstone stays, and takes over what the others' knew."""
    buried: dict[str, list[State]] = {}
    for state in changed.values():
        if state.deleted and state.key:
            buried.setdefault(state.key, []).append(state)
    for key, grave in states.load_tombstones(node.connection, model.label, buried).items():
        if grave.pk not in changed:
            buried[key].append(grave)
    dug: list[str] = []
    for graves in buried.values():
        *others, last = sorted(graves, key=lambda grave: (grave.pk in changed, grave.stamp))
        for grave in others:
            inherit(last, grave, node.node)
            changed.pop(grave.pk, None)
            dug.append(grave.pk)
    if dug:
        states.delete(node.connection, model.label, dug)


def leave(state: State, keys: Sequence[Key]) -> list[State]:
    """A row of an automatic many-to-many table says nothing but its pair: one that moved is another pair, the former ones ended.

    Returns their tombstones. Rows of other models go by another name, and are known by the former ones.
    """
    graves = [
        replace(state, pk=f"{NO_ROW}{key_json(key)}", key=key_json(key), others=dict(state.others), deleted=True)
        for key in keys
    ]
    for grave in graves:
        grave.earlier = grave.gaps = grave.fields = None
        grave.stored = False
    state.others, state.own, state.pre, state.earlier = {}, None, False, None
    return graves


def inherit(state: State, grave: State, node: str) -> None:
    """``state`` has seen all that ``grave`` had."""
    state.others = join(state.others, grave.others)
    if grave.own is not None:
        state.own = max(state.own or 0, grave.own)
    state.stamp = max(state.stamp, grave.stamp + 1)
    state.changed = state.changed or grave.changed
