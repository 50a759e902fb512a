"""Readers made from the annotations of a record: what a member's type says is what the wire accepts.

A record that gains a member gains it on the wire; ``exact`` narrows what the type alone would let through.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from peersync.errors import WireError
from peersync.records import Key, Point, Retired
from peersync.wire import checks

T = TypeVar("T")
Reader = Callable[[Any, str], Any]

MAX_TEXT = 1 << 18


def plain(value: Any) -> Any:
    """A record as what JSON can hold: objects for records, lists for points and keys."""
    if isinstance(value, Retired):
        return [value.id, value.seq, value.nonce, value.install]
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def reader(record: type[T], exact: Mapping[str, Reader] | None = None) -> Callable[[Any, str], T]:
    """A function ``(value, what)`` that gives the record, or raises WireError naming the member.

    All members must be there, and no others. ``exact``: readers of single members, instead of their type's.
    """
    hints = get_type_hints(record)
    readers = {name: (exact or {}).get(name) or _reader_of(hint) for name, hint in hints.items()}

    def read(value: Any, what: str) -> T:
        obj = checks.members(value, what, readers)
        return record(**{name: one(obj[name], f"{what}.{name}") for name, one in readers.items()})

    return read


def read_retired(value: Any, what: str) -> Retired:
    """``[id, seq, nonce, install]``."""
    if type(value) is not list or len(value) != 4:
        raise WireError(f"{what} holds an item that is not [id, seq, nonce, install]")
    given = checks.point(value[1:3], what)
    return Retired(checks.uuid(value[0], what), given.seq, given.nonce, checks.uuid(value[3], what))


def text(value: Any, what: str) -> str:
    return checks.string(value, what, MAX_TEXT)


_BY_TYPE: dict[Any, Reader] = {
    int: checks.integer,
    bool: checks.boolean,
    str: text,
    Point: checks.point,
    Retired: read_retired,
    Key: checks.key,
}


def _reader_of(hint: Any) -> Reader:
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    if dataclasses.is_dataclass(hint):
        return reader(cast("type[Any]", hint))
    return _compound(get_origin(hint), get_args(hint), hint)


def _compound(origin: Any, args: tuple[Any, ...], hint: Any) -> Reader:
    if origin in (Union, types.UnionType) and len(args) == 2 and args[1] is type(None):
        return checks.optional(_reader_of(args[0]))
    if origin is tuple and args[1:] == (...,):
        item = _reader_of(args[0])
        return lambda value, what: checks.listing(value, what, item, checks.MAX_KEYS)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        named = _reader_of(args[1])
        return lambda value, what: checks.mapping(value, what, named, checks.name)
    raise TypeError(f"no form on the wire for {hint}")
