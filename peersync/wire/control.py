"""What is not rows: descriptions, outcomes, progress, ranges, digests and keys, as JSON objects and back.

Each ``x_json`` gives the whole body of an answer or a request, each ``read_x`` takes it; WireError names what
is malformed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peersync.errors import WireError
from peersync.records import Description, Digest, Figures, Key, ModelInfo, Outcome, Progress, Range
from peersync.wire import checks
from peersync.wire.batch import check_protocol
from peersync.wire.shapes import plain, reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_PARTS = 10_000


def _by_label(read: Any) -> Any:
    return lambda value, what: checks.mapping(value, what, read)


def _keys(value: Any, what: str) -> tuple[Key, ...]:
    return checks.listing(value, what, checks.key, checks.MAX_KEYS)


def _told(value: Any, what: str) -> int:
    return checks.integer(value, what, -1)


_model = reader(ModelInfo, {"label": checks.label})
_description = reader(
    Description,
    {
        "node": checks.uuid,
        "install": checks.uuid,
        "about": checks.uuid_or_empty,
        "told": _told,
        "models": lambda value, what: checks.listing(value, what, _model),
    },
)
_figures = reader(Figures)
_outcome = reader(
    Outcome,
    {"figures": _by_label(_figures), "wanted": _by_label(_keys), "quarantined": _by_label(checks.integer)},
)
_progress = reader(Progress)
_range = reader(Range)


def description_json(description: Description) -> dict[str, Any]:
    """The answer to ``describe``."""
    return dict(plain(description))


def read_description(value: Any) -> Description:
    """The description of :func:`description_json`. Raises ProtocolDiffers where another version is spoken."""
    if type(value) is dict and "protocol" in value:
        # First of all: another version may well have other members.
        check_protocol(value["protocol"])
    return _description(value, "description")


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The answer to ``apply``."""
    return dict(plain(outcome))


def read_outcome(value: Any) -> Outcome:
    """The outcome of :func:`outcome_json`."""
    return _outcome(value, "outcome")


def progress_json(progress: Mapping[str, Progress]) -> dict[str, Any]:
    """The answer to ``checkpoint``: ``{"models": {label: {…}}}``."""
    return {"models": plain(progress)}


def read_progress(value: Any) -> dict[str, Progress]:
    """The progress of :func:`progress_json`, per model."""
    return checks.mapping(checks.members(value, "checkpoint", ("models",))["models"], "models", _progress)


def ranges_json(ranges: Iterable[Range], parts: int, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The body of a request for digests: ``{"ranges": [{"after", "upto"}, …], "parts": n, "fields": […]}``."""
    body: dict[str, Any] = {"ranges": [plain(item) for item in ranges], "parts": parts}
    return body if fields is None else {**body, "fields": list(fields)}


def read_ranges(value: Any) -> tuple[tuple[Range, ...], int, tuple[str, ...] | None]:
    """``(ranges, parts, fields)`` of :func:`ranges_json`; without fields, all that the model has are compared."""
    obj = checks.members(value, "body", ("ranges", "parts"), ("fields",))
    ranges = checks.listing(obj["ranges"], "ranges", _range, checks.MAX_KEYS)
    fields = checks.listing(obj["fields"], "fields", _name, checks.MAX_KEYS) if "fields" in obj else None
    return ranges, checks.integer(obj["parts"], "parts", 1, MAX_PARTS), fields


def _name(value: Any, what: str) -> str:
    return checks.string(value, what, 200)


def digests_json(digests: Sequence[Digest]) -> dict[str, Any]:
    """The answer to ``digests``: ``{"digests": [{"after", "upto", "count", "digest"}, …]}``."""
    return {"digests": [{**plain(item.range), "count": item.count, "digest": item.digest} for item in digests]}


def read_digests(value: Any) -> list[Digest]:
    """The digests of :func:`digests_json`."""
    obj = checks.members(value, "answer", ("digests",))
    return list(checks.listing(obj["digests"], "digests", _read_digest, 10 * checks.MAX_KEYS))


def _read_digest(value: Any, what: str) -> Digest:
    obj = checks.members(value, what, ("after", "upto", "count", "digest"))
    found = _range({"after": obj["after"], "upto": obj["upto"]}, what)
    count = checks.integer(obj["count"], f"{what}.count")
    return Digest(found, count, checks.string(obj["digest"], f"{what}.digest", 200))


def keys_json(keys: Iterable[Key]) -> dict[str, Any]:
    """The body of a request for rows by key: ``{"keys": [[…], …]}``."""
    return {"keys": list(keys)}


def read_keys(value: Any) -> tuple[Key, ...]:
    """The keys of :func:`keys_json`; at least one."""
    keys = _keys(checks.members(value, "body", ("keys",))["keys"], "keys")
    if not keys:
        raise WireError("keys is empty")
    return keys
