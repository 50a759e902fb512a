"""Writing rows in sets: columns as arrays on PostgreSQL, ``executemany`` on SQLite; never a model instance per row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import models
from django.db.models import Field, ForeignKey
from django.utils import timezone

from peersync.apply.session import Pending, Session
from peersync.codec import key_text
from peersync.records import Key
from peersync.registry import RawColumn, SyncField, SyncModel
from peersync.rows import as_key, find, find_model, local_value, pk_list, pk_parameter, plain_reference
from peersync.states import chunks

WRITE_CHUNK = 2000


class Writer:
    """Writes rows of one model; capture is off for its table while it does (see :mod:`peersync.capture`)."""

    def __init__(self, session: Session, model: SyncModel) -> None:
        self.session, self.model = session, model
        self.connection = session.connection
        self.quote = self.connection.ops.quote_name
        self.postgres = self.connection.vendor == "postgresql"

    # ------------------------------------------------------------------ values

    def columns(self, pendings: Sequence[Pending]) -> tuple[list[SyncField], list[list[Any]]]:
        """The fields to write, and per field the driver's parameters of all rows."""
        names = pendings[0].names
        fields = [f for f in self.model.fields if f.name in names]
        values = []
        for field in fields:
            place = names.index(field.name)
            wires = [(p.row.content or ())[place] for p in pendings]
            values.append(self._local(field, wires) if field.target else self._encoded(field, wires))
        return fields, values

    def _encoded(self, field: SyncField, wires: list[Any]) -> list[Any]:
        encode = field.raw.codec(self.connection.vendor).encode
        return [encode(wire) for wire in wires] if encode else wires

    def _local(self, field: SyncField, wires: list[Any]) -> list[Any]:
        """Foreign keys: the local value of the row that each key names."""
        if plain_reference(field):
            # the key is the value itself, perhaps of a row that comes with this very statement
            return [None if wire is None else self._parameter(field.raw, key_text(as_key(wire)[0])) for wire in wires]
        keys = {as_key(wire) for wire in wires if wire is not None}
        found = find(self.connection, str(field.target), keys, field.target_column)
        local = {key: self._parameter(field.raw, text) for key, text in found.items()}
        return [None if wire is None else local[as_key(wire)] for wire in wires]

    def _parameter(self, raw: RawColumn, text: str) -> Any:
        return local_value(self.connection, raw, text)

    # ------------------------------------------------------------------ statements

    def insert(self, pendings: Sequence[Pending], pks: Sequence[str] = ()) -> dict[Key, str]:
        """Insert the rows; wire key → the local primary key that each got.

        ``pks``: primary keys to be given to them, one for each, where neither key nor content says them.
        """
        fields, values = self.columns(pendings)
        raws = [f.raw for f in fields]
        if pks:
            raws.append(self.model.pk)
            values.append([self._parameter(self.model.pk, pk) for pk in pks])
        given = len(raws)
        defaults = self.defaults({raw.name for raw in raws})
        raws += [RawColumn(str(f.column), f) for f, _ in defaults]
        values += [self._default_values(field, value, len(pendings)) for field, value in defaults]
        self._insert(raws, values, [True] * given + [False] * len(defaults))
        keys = [p.row.key for p in pendings]
        if self.model.plain_key:
            return {key: key_text(key[0]) for key in keys}
        return dict(zip(keys, pks, strict=True)) if pks else find_model(self.connection, self.model, keys)

    def _insert(self, raws: Sequence[RawColumn], values: list[list[Any]], wires: list[bool]) -> None:
        names = ", ".join(self.quote(raw.name) for raw in raws)
        head = f"INSERT INTO {self.quote(self.model.table)} ({names})"
        if not self.postgres:
            marks = ", ".join(["%s"] * len(raws))
            with self.connection.cursor() as cursor:
                cursor.executemany(f"{head} VALUES ({marks})", list(zip(*values, strict=True)))
            return
        arrays, writes = self._arrays(raws, wires)
        source = f"unnest({arrays}) AS v({', '.join(f'c{i}' for i in range(len(raws)))})"
        with self.connection.cursor() as cursor:
            for part in chunks(list(zip(*values, strict=True)), WRITE_CHUNK):
                cursor.execute(
                    f"{head} SELECT {', '.join(writes)} FROM {source}",
                    [list(column) for column in zip(*part, strict=True)],
                )

    def _arrays(self, raws: Sequence[RawColumn], wires: Sequence[bool]) -> tuple[str, list[str]]:
        arrays, writes = [], []
        for place, (raw, wire) in enumerate(zip(raws, wires, strict=True)):
            codec = raw.codec("postgresql")
            if wire:
                arrays.append(f"%s::{codec.array}[]")
                writes.append(codec.write_sql(f"v.c{place}"))
            else:
                arrays.append(f"%s::{str(raw.field.db_type(self.connection)).split('(')[0]}[]")
                writes.append(f"v.c{place}")
        return ", ".join(arrays), writes

    def update(self, pendings: Sequence[Pending]) -> None:
        """Update the rows, by their local primary keys."""
        fields, values = self.columns(pendings)
        kept = [(f, v) for f, v in zip(fields, values, strict=True) if f.column != self.model.pk.name]
        if not kept:
            return
        raws = [f.raw for f, _ in kept]
        columns = [v for _, v in kept]
        columns.append([local_value(self.connection, self.model.pk, str(p.local.pk)) for p in pendings])
        table, pk = self.quote(self.model.table), self.quote(self.model.pk.name)
        with self.connection.cursor() as cursor:
            if not self.postgres:
                sets = ", ".join(f"{self.quote(raw.name)} = %s" for raw in raws)
                cursor.executemany(f"UPDATE {table} SET {sets} WHERE {pk} = %s", list(zip(*columns, strict=True)))
                return
            raws = [*raws, self.model.pk]
            arrays, writes = self._arrays(raws, [True] * len(raws))
            sets = ", ".join(
                f"{self.quote(raw.name)} = {write}" for raw, write in zip(raws[:-1], writes[:-1], strict=True)
            )
            names = ", ".join(f"c{i}" for i in range(len(raws)))
            for part in chunks(list(zip(*columns, strict=True)), WRITE_CHUNK):
                cursor.execute(
                    f"UPDATE {table} t SET {sets} FROM unnest({arrays}) AS v({names}) WHERE t.{pk} = {writes[-1]}",
                    [list(column) for column in zip(*part, strict=True)],
                )

    def delete(self, pks: Iterable[str]) -> None:
        column = self.quote(self.model.pk.name)
        with self.connection.cursor() as cursor:
            for part in chunks(list(pks)):
                cursor.execute(
                    f"DELETE FROM {self.quote(self.model.table)} WHERE "
                    + pk_list(self.connection, column, self.model.pk),
                    [pk_parameter(self.connection, self.model.pk, part)],
                )

    def park(self, pks: Iterable[str]) -> None:
        """Give the unique values of these rows up, for values that can't collide, until they are written."""
        by_name = {f.column: f for f in self.model.fields}
        columns = {column for group in self.model.uniques for column in group if column in by_name}
        sets = [
            f"{self.quote(c)} = {self._parking(by_name[c].raw)}" for c in sorted(columns) if self._parkable(by_name[c])
        ]
        if not sets:
            return
        pk = self.quote(self.model.pk.name)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.quote(self.model.table)} SET {', '.join(sets)} WHERE "
                + pk_list(self.connection, pk, self.model.pk),
                [pk_parameter(self.connection, self.model.pk, pks)],
            )

    @staticmethod
    def _parkable(field: SyncField) -> bool:
        return field.null or (field.raw.wire in ("text", "int", "uuid") and field.target is None)

    def _parking(self, raw: RawColumn) -> str:
        pk = self.model.pk.codec(self.connection.vendor).key_sql(self.quote(self.model.pk.name), self.connection.vendor)
        if raw.field.null:
            return "NULL"
        if raw.wire == "int":
            return f"-{self.quote(self.model.pk.name)} - 1" if self.model.pk.wire == "int" else "NULL"
        digest = f"md5({pk})" if self.postgres else f"hex(CAST({pk} AS BLOB))"
        if raw.wire == "uuid":
            return f"{digest}::uuid" if self.postgres else f"substr({digest}||hex(randomblob(16)),1,32)"
        length = raw.field.max_length or 32
        return f"substr('~'||{digest}, 1, {length})"

    # ------------------------------------------------------------------ what is not sent

    def defaults(self, columns: Collection[str]) -> list[tuple[Field[Any, Any], Any]]:
        """The other columns, that did not come: the field's default, else the type's empty value; a password is unusable."""
        found = []
        for field in self.model.model._meta.local_concrete_fields:
            if field.column in columns or isinstance(field, models.AutoField) or getattr(field, "generated", False):
                continue
            if field.db_default is not models.NOT_PROVIDED and not field.has_default():
                continue
            if field.primary_key and not field.has_default():
                continue
            found.append((field, self._default(field)))
        return found

    def _default(self, field: Field[Any, Any]) -> Any:
        return _plain(field.get_db_prep_save(default_of(self.model.model, field), self.connection))

    def _default_values(self, field: Field[Any, Any], value: Any, count: int) -> list[Any]:
        return [self._default(field) for _ in range(count)] if varies(field) else [value] * count


def varies(field: Field[Any, Any]) -> bool:
    """Whether each row has a default of its own: a function gives it, and not the time."""
    if not (field.has_default() and callable(field.default)) or isinstance(field, (models.DateField, models.TimeField)):
        return False
    return bool(field.get_default() != field.get_default())


def default_of(model: type[models.Model], field: Field[Any, Any]) -> Any:
    """What a row created at the receiver has in a field that does not travel."""
    if field.name == "password" and hasattr(model, "USERNAME_FIELD"):
        return make_password(None)
    if field.has_default():
        return field.get_default()
    if field.null:
        return None
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return timezone.now() if isinstance(field, models.DateTimeField) else timezone.localdate()
    if isinstance(field, ForeignKey):
        return None
    return empty_value(field)


def empty_value(field: Field[Any, Any]) -> Any:
    """The empty value of the field's type; None where it has none."""
    kinds: list[tuple[type[Field[Any, Any]], Any]] = [
        (models.BooleanField, False),
        (models.DecimalField, 0),
        (models.FloatField, 0.0),
        (models.IntegerField, 0),
        (models.JSONField, {}),
        (models.BinaryField, b""),
        (models.DurationField, timedelta(0)),
        (models.CharField, ""),
        (models.TextField, ""),
    ]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    if isinstance(field, models.DateField):
        return timezone.now().date()
    return next((value for kind, value in kinds if isinstance(field, kind)), None)


def _plain(value: Any) -> Any:
    """A parameter that fits into an array: what Django wraps for the driver, unwrapped."""
    adapted = getattr(value, "adapted", None) or getattr(value, "obj", None)
    return json.dumps(adapted) if isinstance(adapted, (dict, list)) else value
