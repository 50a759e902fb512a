"""Reading rows of the project's tables as wire values, and finding rows by their wire keys: sets in, sets out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.apps import apps

from peersync import generics, localnames, loose, origins, states
from peersync.codec import Convert, key_text
from peersync.columns import plain_reference
from peersync.errors import WireError
from peersync.local_keys import NO_ROW, LocalKey, local_value, select_in
from peersync.records import Key
from peersync.registry import ORIGIN, NamePart, RawColumn, SyncField, SyncModel, identity_of, key_fields

__all__ = [
    "NO_ROW",
    "Reader",
    "Stored",
    "as_key",
    "buried",
    "check_keys",
    "existing",
    "find",
    "find_model",
    "holding",
    "key_from_json",
    "key_json",
    "local_value",
    "pk_value",
    "plain_reference",
    "referenced",
    "select_in",
]
Node = int | list["Node"] | tuple["Node", int, SyncField]
"""Where a value stands among what was read: at one place, at several, or at one of two: that of a key, or that of what a
loose foreign key holds where it points at nothing."""


class Stored(NamedTuple):
    """A row of the project as it stands in the database. ``raw``: the local values of the foreign keys' columns."""

    pk: str
    key: Key
    content: tuple[Any, ...]


def as_key(value: Any) -> Key:
    """The key that a foreign key's wire value names: one that is a single plain value stands for itself."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else (value,)


def as_part(key: Key) -> Any:
    """What stands for this key in another one."""
    return key[0] if len(key) == 1 and not isinstance(key[0], tuple) else key


def as_value(key: Key) -> Any:
    """The wire value of a foreign key to the row of this key."""
    return _thawed(as_part(key))


def _thawed(value: Any) -> Any:
    return [_thawed(part) for part in value] if isinstance(value, tuple) else value


def as_list(key: Key) -> list[Any]:
    """The key as JSON has it."""
    return list(map(_thawed, key))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def key_json(key: Key) -> str:
    """One text for one key."""
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False)


def key_from_json(text: str) -> Key:
    return as_key(json.loads(text))


def pk_value(model: SyncModel, pk: str) -> Any:
    """The wire value of a local primary key that is given as text."""
    return model.local.key(pk)[0]


def check_keys(model: SyncModel, keys: Iterable[Key]) -> None:
    """WireError where a key has not as many parts as keys of the model have, at any depth. Types are judged later."""
    if not all(_fits(model.key, key) for key in keys):
        raise WireError(f"A key is not of the form that keys of {model.label} have.")


def fits(model: SyncModel, names: Sequence[str], key: Key, content: Sequence[Any] | None) -> bool:
    """Whether a row's key, and what its foreign keys say, have the form that they have under the present settings."""
    if not all(_pointer_fits(value) for value in content or () if generics.has_key(value)):
        return False
    fields = {field.name: field for field in model.fields if field.target}
    said = [(fields[name], _frozen(value)) for name, value in zip(names, content or (), strict=False) if name in fields]
    return _fits(model.key, key) and all(isinstance(value, dict) or _part_fits(one, value) for one, value in said)


def _pointer_fits(value: Mapping[str, Any]) -> bool:
    try:
        return _fits(key_fields(apps.get_model(value["of"])), as_key(value["key"]))
    except LookupError:
        return False


def _fits(fields: Sequence[SyncField], key: Any) -> bool:
    if not isinstance(key, tuple) or len(key) != len(fields):
        return False
    return all(_part_fits(field, part) for field, part in zip(fields, key, strict=True))


def _part_fits(field: SyncField, part: Any) -> bool:
    if part is None:
        return True
    if field.target is None:
        return not isinstance(part, tuple)
    # the key of one part of a row that is pointed to stands for itself
    return _fits(key_fields(apps.get_model(field.target)), part if isinstance(part, tuple) else (part,))


class Reader:
    """The SELECT that reads rows of one model as wire values.

    A join for each foreign key whose target has an identity, and one for each name that stands in our own table.
    """

    def __init__(self, connection: Any, model: SyncModel, fields: Sequence[SyncField] | None = None) -> None:
        self.connection, self.model = connection, model
        self.quote = connection.ops.quote_name
        self.columns: list[str] = []
        self.joins: list[str] = []
        self._named: dict[str, list[Node]] = {}
        self._decoders: dict[int, Convert] = {}
        self._odd: dict[int, Convert] = {}
        self._soft: dict[int, Convert] = {}
        self.texts: dict[int, str] = {}
        """SQL of the key text of each leaf, by its place in :attr:`columns`."""
        self.pk_order = model.local.order(connection, "t")
        self.pk_sql = model.local.text(connection, "t")
        self.columns.append(self.pk_sql)
        read = model.fields if fields is None else fields
        self._loose = [(place, f) for place, f in enumerate(read) if loose.dangles(f, model.key)]
        files = {field.name for field in model.file_fields}
        self._content = [self._content_node(f, files) for f in read]
        self._generic = generics.slots(read)
        names = model.names
        self._key = [
            self._content[names.index(f.name)] if fields is None and f.name in names else self._node(f, "t")
            for f in model.key
        ]
        for leaf in self.key_leaves():
            self._soft.pop(leaf, None)
        count = len(self._content)
        self._flat = self._content == list(range(1, count + 1))
        self._count = count

    def _content_node(self, field: SyncField, files: set[str]) -> Node:
        if loose.dangles(field, self.model.key):
            return self._loose_node(field)
        return self._file(field) if field.name in files else self._node(field, "t")

    def _file(self, field: SyncField) -> int:
        """The name under which the file travels, which may be another than it has here."""
        column = f"t.{self.quote(field.column)}"
        return self._leaf("t", field.raw, localnames.travelled(self.model.label, field.name, column))

    def _leaf(self, alias: str, raw: RawColumn, column: str = "") -> int:
        codec = raw.on(self.connection)
        column = column or f"{alias}.{self.quote(raw.name)}"
        self.columns.append(codec.read_sql(column))
        index = len(self.columns) - 1
        self.texts[index] = codec.key_sql(column, self.connection.vendor)
        for kept, convert in ((self._decoders, codec.decode), (self._odd, codec.odd), (self._soft, codec.soften)):
            if convert is not None:
                kept[index] = convert
        return index

    def _node(self, field: SyncField, alias: str) -> Node:
        if isinstance(field, NamePart):
            return self._name(field.owner, f"{alias}.{self.quote(field.raw.name)}")[field.name != ORIGIN]
        if field.target is None:
            return self._leaf(alias, field.raw)
        if plain_reference(field):
            return self._leaf(alias, field.raw)
        return self._joined(field, alias)

    def _loose_node(self, field: SyncField) -> Node:
        """The key of the target, and beside it what the column holds, which is sent where no target stands."""
        return self._joined(field, "t"), self._leaf("t", field.raw), field

    def _joined(self, field: SyncField, alias: str) -> Node:
        """The key of the row that the field points to, from its own table."""
        target = apps.get_model(str(field.target))
        parts = key_fields(target)
        if origins.by_origin(parts) and field.target_column == parts[0].raw.name and not field.loose:
            return self._name(str(field.target), f"{alias}.{self.quote(field.column)}")
        joined = f"j{len(self.joins)}"
        self.joins.append(
            f"LEFT JOIN {self.quote(target._meta.db_table)} {joined}"
            f" ON {joined}.{self.quote(field.target_column)} = {alias}.{self.quote(field.column)}"
        )
        nodes = [self._node(part, joined) for part in parts]
        return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], int) else nodes

    def _name(self, label: str, local: str) -> list[Node]:
        """Both parts of the name of the row of ``label`` whose primary key here is ``local``."""
        if local not in self._named:
            alias = f"j{len(self.joins)}"
            self.joins.append(origins.join(self.connection, label, alias, local))
            first = len(self.columns)
            self._named[local] = [first, first + 1]
            for place, column in enumerate(origins.columns(label, alias, local), first):
                self.columns.append(column)
                self.texts[place] = f"CAST({column} AS text)"
        return self._named[local]

    def key_leaves(self) -> list[int]:
        """The places in :attr:`columns` that make up the key, in order."""

        def leaves(node: Node) -> list[int]:
            if isinstance(node, int):
                return [node]
            return [leaf for part in node if not isinstance(part, SyncField) for leaf in leaves(part)]

        return [leaf for node in self._key for leaf in leaves(node)]

    @property
    def table(self) -> str:
        return str(self.quote(self.model.table))

    def select(self, more: str = "") -> str:
        """``SELECT … FROM … t JOIN …``; ``more``: further columns, behind ours."""
        return f"SELECT {', '.join(self.columns)}{more} FROM {self.table} t {' '.join(self.joins)}"

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Stored]:
        """The rows from what the driver gave for :meth:`select`."""
        rows = [self._row(values) for values in found]
        if not (self._generic or self._loose) or not rows:
            return rows
        keys_of = partial(_keys_of, self.connection)
        contents = generics.named([row.content for row in rows], self._generic, keys_of)
        contents = loose.with_keys(contents, self._loose, keys_of)
        return [row._replace(content=content) for row, content in zip(rows, contents, strict=True)]

    def _row(self, values: Sequence[Any]) -> Stored:
        if self._odd and bytes in set(map(type, values)):
            values = self._strange(values)
        elif self._decoders:
            values = list(values)
            for index, decode in self._decoders.items():
                values[index] = decode(values[index])
        content = (
            tuple(values[1 : self._count + 1]) if self._flat else tuple(_built(node, values) for node in self._content)
        )
        return Stored(values[0], tuple(_frozen(_built(node, values)) for node in self._key), content)

    def _strange(self, values: Sequence[Any]) -> list[Any]:
        """The values of a row that has some which only SQLite takes there."""
        found = list(values)
        for index, value in enumerate(values):
            if not isinstance(value, bytes):
                decode = self._decoders.get(index)
                found[index] = decode(value) if decode else value
                continue
            found[index] = self._odd[index](value) if index in self._odd else value.decode()
            if index in self._soft:
                found[index] = self._soft[index](found[index])
        return found

    def by_pk(self, pks: Iterable[str]) -> dict[str, Stored]:
        """The rows with these local primary keys, by primary key."""
        found = select_in(self.connection, self.select(), self.model.local, pks, "t")
        return {row.pk: row for row in self.rows(found)}


def _keys_of(connection: Any, label: str, pks: set[str]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The keys of the rows of that model that have these local primary keys, and of those whose tombstones have them."""
    model = apps.get_model(label)
    identity = identity_of(model)
    named = SyncModel(label, model, key_fields(model, identity), identity, "latest", "both", None, through=False)
    standing = {pk: as_list(row.key) for pk, row in Reader(connection, named, ()).by_pk(pks).items()}
    left = pks - standing.keys()
    graves = states.load(connection, label, left) if left else {}
    return standing, {pk: as_list(key_from_json(s.key)) for pk, s in graves.items() if s.deleted and s.key}


def _built(node: Node, values: Sequence[Any]) -> Any:
    if isinstance(node, int):
        return values[node]
    if isinstance(node, tuple):
        key, held, field = node
        found = _built(key, values)
        return loose.nothing(field, values[held]) if found is None and values[held] is not None else found
    built = [_built(part, values) for part in node]
    return None if all(part is None for part in built) else built


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
