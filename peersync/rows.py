"""Reading rows of the project's tables as wire values: sets in, sets out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.apps import apps

from peersync import generics, localnames, loose, origins, states
from peersync.codec import Convert
from peersync.columns import plain_reference
from peersync.finding import buried, existing, find, find_model, holding, referenced
from peersync.keys import (
    as_key,
    as_list,
    as_part,
    as_value,
    check_keys,
    fits,
    frozen,
    key_from_json,
    key_json,
    pk_value,
)
from peersync.local_keys import NO_ROW, local_value, select_in
from peersync.records import Key
from peersync.registry import ORIGIN, NamePart, RawColumn, SyncField, SyncModel, identity_of, key_fields

__all__ = [
    "NO_ROW",
    "Reader",
    "Stored",
    "as_key",
    "as_list",
    "as_part",
    "as_value",
    "buried",
    "check_keys",
    "existing",
    "find",
    "find_model",
    "fits",
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
        return Stored(values[0], tuple(frozen(_built(node, values)) for node in self._key), content)

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
