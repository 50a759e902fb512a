"""Texts of SQLite that are no UTF-8: the driver refuses the whole answer that has one, and one row would stop all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from django.db import OperationalError, connections

from peersync.codec import of_undecoded

P = ParamSpec("P")
R = TypeVar("R")


class _OnAlias(Protocol):
    alias: str


S = TypeVar("S", bound=_OnAlias)


def forgiving(verb: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method of something with an ``alias``: called again, with such texts read by name, where the driver met one.

    It must have written nothing by then, or have undone it.
    """

    @wraps(verb)
    def call(self: S, /, *arguments: P.args, **named: P.kwargs) -> R:
        try:
            return verb(self, *arguments, **named)
        except OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        with _read_by_name(connections[self.alias]):
            return verb(self, *arguments, **named)

    return call


@contextmanager
def _read_by_name(connection: Any) -> Iterator[None]:
    connection.ensure_connection()
    raw = connection.connection
    before, raw.text_factory = raw.text_factory, _text
    try:
        yield
    finally:
        raw.text_factory = before


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return of_undecoded(value)


def reads_by_name(connection: Any) -> bool:
    """Whether what is read now may be the name of a text, and none."""
    return connection.vendor == "sqlite" and connection.connection.text_factory is _text
