"""Strict reading: every helper here returns the value in its type, or raises WireError naming the member."""

from __future__ import annotations

import functools
import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from peersync.errors import WireError
from peersync.records import Key, Point
from peersync.versions import MAX_PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

MAX_STAMP = 1 << 62
MAX_ENTRIES = 1000
"""Entries of one version, models of one batch, members of one list of ids."""
MAX_KEYS = 100_000
"""Keys, ranges or digests of one list."""
_KEY_DEPTH = 8
_KEY_VALUES = 100
_KEY_TEXT = 1 << 16
_INT = 1 << 63

_is_uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_nonce = re.compile(r"[!-~]{0,120}").fullmatch
_label = re.compile(r"\w{1,100}\.\w{1,200}").fullmatch


@functools.lru_cache(4096)
def _uuid(text: str) -> bool:
    # The same few nodes stand in every version of a batch.
    return _is_uuid(text) is not None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is larger than a float can hold")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_scan = _decoder.scan_once  # type: ignore[attr-defined]
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False).encode


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return _encode(value).encode()


def loads(text: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN or Infinity, no number beyond a float, no half of a surrogate pair."""
    try:
        value = _whole(text.decode())
        if b"\\ud" in text or b"\\uD" in text:
            _encode(value).encode()
    except RecursionError:
        raise WireError("JSON is nested too deeply") from None
    except ValueError as error:
        reason = "not UTF-8" if isinstance(error, UnicodeError) else getattr(error, "msg", str(error))
        raise WireError(f"not JSON: {reason}"[:200]) from None
    return value


def _whole(text: str) -> Any:
    # A line of our own has nothing around its value: this saves the decoder's search for white space.
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)
    return value if end == len(text) or text[end:] == "\n" else _decoder.decode(text)


def shown(name: object) -> str:
    """A name that came over the wire, short enough and harmless in a message."""
    return ascii(name if isinstance(name, str) else type(name).__name__)[:80]


def members(value: Any, what: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """A JSON object with these members and no others."""
    if type(value) is not dict:
        raise WireError(f"{what} is not a JSON object")
    missing = [name for name in required if name not in value]
    if missing:
        raise WireError(f"{what} lacks the member {missing[0]!r}")
    known = {*required, *optional}
    for name in value:
        if name not in known:
            raise WireError(f"{what} has an unknown member {shown(name)}")
    return value


def integer(value: Any, what: str, low: int = 0, high: int = MAX_PLACE) -> int:
    if type(value) is not int or not low <= value <= high:
        raise WireError(f"{what} is not an integer from {low} to {high}")
    return value


def boolean(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise WireError(f"{what} is neither true nor false")
    return value


def string(value: Any, what: str, longest: int = 1000) -> str:
    if type(value) is not str or len(value) > longest or "\x00" in value:
        raise WireError(f"{what} is not a text of at most {longest} characters")
    return value


def uuid(value: Any, what: str) -> str:
    if type(value) is not str or not _uuid(value):
        raise WireError(f"{what} is not a UUID in its canonical form")
    return value


def uuid_or_empty(value: Any, what: str) -> str:
    return "" if value == "" else uuid(value, what)


def name(value: Any, what: str) -> str:
    return string(value, what, 200)


def label(value: Any, what: str) -> str:
    if type(value) is not str or _label(value) is None:
        raise WireError(f"{what} is not a model's label (app.Model)")
    return value


def listing(value: Any, what: str, read: Callable[[Any, str], T], longest: int = MAX_ENTRIES) -> tuple[T, ...]:
    """A JSON list, each item read by ``read``."""
    if type(value) is not list or len(value) > longest:
        raise WireError(f"{what} is not a list of at most {longest}")
    return tuple([read(item, what) for item in value])


def mapping(
    value: Any, what: str, read: Callable[[Any, str], T], called: Callable[[Any, str], str] = label
) -> dict[str, T]:
    """A JSON object of free names (labels of models by default), each value read by ``read``."""
    if type(value) is not dict or len(value) > MAX_ENTRIES:
        raise WireError(f"{what} is not an object of at most {MAX_ENTRIES} members")
    return {called(key, f"a name in {what}"): read(item, f"{what}.{key}") for key, item in value.items()}


def point(value: Any, what: str) -> Point:
    if type(value) is not list or len(value) != 2 or type(value[1]) is not str or _nonce(value[1]) is None:
        raise WireError(f"{what} is not a point [seq, nonce]")
    return Point(integer(value[0], what), value[1])


def optional(read: Callable[[Any, str], T]) -> Callable[[Any, str], T | None]:
    """The same reader, that takes null too."""
    return lambda value, what: None if value is None else read(value, what)


def key(value: Any, what: str = "key") -> Key:
    """A row's key: a list of wire values, nested where the identity holds a foreign key."""
    if type(value) is list and len(value) == 1 and type(value[0]) is int and -_INT <= value[0] < _INT:
        return (value[0],)
    budget = [_KEY_VALUES]
    found = _key(value, what, _KEY_DEPTH, budget)
    if not found:
        raise WireError(f"{what} is empty")
    return found


def _key(value: Any, what: str, depth: int, budget: list[int]) -> Key:
    if type(value) is not list:
        raise WireError(f"{what} is not a list of values")
    budget[0] -= len(value)
    if depth == 0 or budget[0] < 0:
        raise WireError(f"{what} is nested too deeply or too long")
    return tuple([_key_value(item, what, depth, budget) for item in value])


def _key_value(value: Any, what: str, depth: int, budget: list[int]) -> Any:
    kind = type(value)
    if kind is int:
        if -_INT <= value < _INT:
            return value
        raise WireError(f"{what} holds an integer of more than 64 bits")
    if kind is str and len(value) <= _KEY_TEXT:
        return value  # U+0000 too: whoever cannot hold it says so of that row alone
    if kind is list:
        return _key(value, what, depth - 1, budget)
    if value is None or kind is bool:
        return value
    if kind is str:
        raise WireError(f"{what} holds a text of more than {_KEY_TEXT:,} characters")
    raise WireError(f"{what} holds a value that cannot name a row")


def scalar(value: Any, what: str) -> int | str:
    """A single value that may be a primary key: an integer or a text."""
    if type(value) is int and -_INT <= value < _INT:
        return value
    if type(value) is str:
        return string(value, what, _KEY_TEXT)
    raise WireError(f"{what} is neither an integer of at most 64 bits nor a text")


def version(value: Any, what: str = "version") -> dict[str, int]:
    """``{node: place}``: places from 0 to below 2^62, nodes as canonical UUIDs, at most a thousand."""
    if type(value) is not dict or len(value) > MAX_ENTRIES:
        raise WireError(f"{what} is not an object of at most {MAX_ENTRIES} entries")
    for node, place in value.items():
        if type(place) is not int or not 0 <= place < MAX_PLACE:
            raise WireError(f"{what} holds a place that is not an integer from 0 to below 2^62")
        if not _uuid(node):
            raise WireError(f"{what} names a node that is not a UUID in its canonical form")
    return value


def plain_point(value: Point | None) -> list[Any] | None:
    return None if value is None else [value[0], value[1]]


def lists(values: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    return {name: list(items) for name, items in values.items()}
