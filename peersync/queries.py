"""Rows of a QuerySet by key texts: the ORM's own conversions have other texts for dates, durations, bytes and truth values,
and would run code of field classes on what a peer sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, QuerySet, TextField
from django.db.models.sql.compiler import SQLCompiler

from peersync.columns import RawColumn
from peersync.local_keys import LocalKey


class KeyText(Func):
    """The key text of columns; ``path``: the relations that lead to them."""

    output_field = TextField()

    def __init__(self, key: LocalKey, path: str = "") -> None:
        super().__init__(*_columns(key, path))
        self.key = key

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,
    ) -> tuple[str, tuple[Any, ...]]:
        columns, parameters = _compiled(self, compiler)
        return self.key.text_of(columns, connection.vendor), tuple(parameters)


class Among(Func):
    """Whether the columns hold one of the keys given as text."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, key: LocalKey, texts: Iterable[str], path: str = "") -> None:
        super().__init__(*_columns(key, path))
        self.key, self.texts = key, list(texts)

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,
    ) -> tuple[str, tuple[Any, ...]]:
        columns, parameters = _compiled(self, compiler)
        where, more = self.key.among_of(columns, connection, self.key.real(connection, self.texts))
        return where, (*parameters, *more)


class Beyond(Func):
    """Whether the columns stand behind the key given as text, in their order."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, key: LocalKey, text: str) -> None:
        super().__init__(*_columns(key, ""))
        self.key, self.text = key, text

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **extra_context: Any,
    ) -> tuple[str, tuple[Any, ...]]:
        columns, parameters = _compiled(self, compiler)
        where, more = self.key.beyond_of(columns, connection, ">", self.text)
        return where, (*parameters, *more)


def _columns(key: LocalKey, path: str) -> list[F]:
    prefix = f"{path}__" if path else ""
    return [F(f"{prefix}{part.field.attname}") for part in key.parts]


def _compiled(expression: Func, compiler: Any) -> tuple[list[str], list[Any]]:
    found = [compiler.compile(source) for source in expression.get_source_expressions()]
    return [sql for sql, _ in found], [parameter for _, parameters in found for parameter in parameters]


def key_of(model: Any) -> LocalKey:
    """The primary key of a model, synchronised or not."""
    return LocalKey(tuple(RawColumn(str(field.column), field) for field in model._meta.pk_fields))


def texts(rows: QuerySet[Any], key: LocalKey, path: str = "") -> QuerySet[Any]:
    """The key texts of these rows, one each."""
    return rows.values_list(KeyText(key, path), flat=True)


def among(rows: QuerySet[Any], key: LocalKey, keys: Iterable[str], path: str = "") -> QuerySet[Any]:
    """Those of the rows whose key is one of these texts."""
    return rows.filter(Among(key, keys, path))
