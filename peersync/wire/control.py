"""What is not rows: descriptions, outcomes, progress, ranges, digests and keys, as JSON objects and back.

Each ``x_json`` gives the whole body of an answer or a request, each ``read_x`` takes it; WireError names what
is malformed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peersync.errors import WireError
from peersync.records import (
    FIGURES,
    Description,
    Digest,
    Figures,
    Key,
    ModelInfo,
    Outcome,
    Progress,
    Range,
)
from peersync.wire import checks
from peersync.wire.batch import MAX_FIELDS, check_protocol
from peersync.wire.caller import read_retired, retired_json

MAX_PARTS = 10_000
MAX_PASSES = 10_000
_MODEL = ("label", "fields", "identity", "fingerprint", "policy", "direction", "filtered", "bulk", "empty")
_DESCRIPTION = (
    *("node", "install", "protocol", "clock", "models", "head", "points", "retired", "pruned", "role"),
    *("use_tz", "time_zone", "vendor", "limits", "passes", "place", "read_only", "name"),
)
_PROGRESS = ("cursor", "head", "after", "last", "past", "owed", "baseline", "compare")


def description_json(description: Description) -> dict[str, Any]:
    """The answer to ``describe``."""
    plain = {name: getattr(description, name) for name in _DESCRIPTION}
    return {
        **plain,
        "models": [_model_json(model) for model in description.models],
        "head": checks.plain_point(description.head),
        "points": [checks.plain_point(point) for point in description.points],
        "retired": [retired_json(item) for item in description.retired],
        "passes": [checks.plain_point(point) for point in description.passes],
        "limits": dict(description.limits),
    }


def _model_json(model: ModelInfo) -> dict[str, Any]:
    plain = {name: getattr(model, name) for name in _MODEL}
    return {**plain, "fields": dict(model.fields), "identity": list(model.identity), "bulk": list(model.bulk)}


def read_description(value: Any) -> Description:
    """The description of :func:`description_json`. Raises ProtocolDiffers where another version is spoken."""
    if type(value) is dict and "protocol" in value:
        # First of all: another version may well have other members.
        check_protocol(value["protocol"])
    obj = checks.members(value, "the description", _DESCRIPTION)
    return Description(
        node=checks.uuid(obj["node"], "node"),
        install=checks.uuid(obj["install"], "install"),
        protocol=checks.integer(obj["protocol"], "protocol"),
        clock=checks.integer(obj["clock"], "clock"),
        models=checks.listing(obj["models"], "models", _read_model),
        head=checks.point(obj["head"], "head"),
        points=checks.listing(obj["points"], "points", checks.point),
        retired=checks.listing(obj["retired"], "retired", read_retired),
        pruned=checks.integer(obj["pruned"], "pruned"),
        role=checks.string(obj["role"], "role", 20),
        use_tz=checks.boolean(obj["use_tz"], "use_tz"),
        time_zone=checks.string(obj["time_zone"], "time_zone", 100),
        vendor=checks.string(obj["vendor"], "vendor", 50),
        limits=checks.mapping(obj["limits"], "limits", checks.integer, _short),
        passes=checks.listing(obj["passes"], "passes", checks.point, MAX_PASSES),
        place=checks.string(obj["place"], "place", 500),
        read_only=checks.boolean(obj["read_only"], "read_only"),
        name=checks.string(obj["name"], "name", 200),
    )


def _short(value: Any, what: str) -> str:
    return checks.string(value, what, 200)


def _long(value: Any, what: str) -> str:
    return checks.string(value, what, 1 << 18)


def _wire(value: Any, what: str) -> str:
    return checks.string(value, what, 500)


def _read_model(value: Any, what: str) -> ModelInfo:
    obj = checks.members(value, what, _MODEL)
    return ModelInfo(
        label=checks.label(obj["label"], f"{what}.label"),
        fields=checks.mapping(obj["fields"], f"{what}.fields", _wire, _short),
        identity=checks.listing(obj["identity"], f"{what}.identity", _short, MAX_FIELDS),
        fingerprint=checks.string(obj["fingerprint"], f"{what}.fingerprint", 200),
        policy=checks.string(obj["policy"], f"{what}.policy", 500),
        direction=checks.string(obj["direction"], f"{what}.direction", 50),
        filtered=checks.boolean(obj["filtered"], f"{what}.filtered"),
        bulk=checks.listing(obj["bulk"], f"{what}.bulk", _short),
        empty=checks.boolean(obj["empty"], f"{what}.empty"),
    )


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The answer to ``apply``."""
    return {
        "figures": {label: figures.as_dict() for label, figures in outcome.figures.items()},
        "wanted": checks.lists(outcome.wanted),
        "quarantined": dict(outcome.quarantined),
        "warnings": list(outcome.warnings),
    }


def read_outcome(value: Any) -> Outcome:
    """The outcome of :func:`outcome_json`."""
    obj = checks.members(value, "the outcome", ("figures", "wanted", "quarantined", "warnings"))
    return Outcome(
        figures=checks.mapping(obj["figures"], "figures", _read_figures),
        wanted=checks.mapping(obj["wanted"], "wanted", _read_keys),
        quarantined=checks.mapping(obj["quarantined"], "quarantined", checks.integer),
        warnings=checks.listing(
            obj["warnings"], "warnings", lambda item, what: checks.string(item, what, 10_000)
        ),
    )


def _read_figures(value: Any, what: str) -> Figures:
    obj = checks.members(value, what, FIGURES)
    return Figures(**{name: checks.integer(obj[name], f"{what}.{name}") for name in FIGURES})


def _read_keys(value: Any, what: str) -> tuple[Key, ...]:
    return checks.listing(value, what, checks.key, checks.MAX_KEYS)


def progress_json(progress: Mapping[str, Progress]) -> dict[str, Any]:
    """The answer to ``checkpoint``: ``{"models": {label: {…}}}``."""
    return {"models": {label: _progress_json(item) for label, item in progress.items()}}


def _progress_json(item: Progress) -> dict[str, Any]:
    plain = {name: getattr(item, name) for name in _PROGRESS}
    return {**plain, "cursor": checks.plain_point(item.cursor), "head": checks.plain_point(item.head)}


def read_progress(value: Any) -> dict[str, Progress]:
    """The progress of :func:`progress_json`, per model."""
    obj = checks.members(value, "the checkpoint", ("models",))
    return checks.mapping(obj["models"], "models", _read_progress)


def _read_progress(value: Any, what: str) -> Progress:
    obj = checks.members(value, what, _PROGRESS)
    point, key, text = checks.optional(checks.point), checks.optional(checks.key), checks.optional(_long)
    return Progress(
        cursor=point(obj["cursor"], f"{what}.cursor"),
        head=point(obj["head"], f"{what}.head"),
        after=text(obj["after"], f"{what}.after"),
        last=key(obj["last"], f"{what}.last"),
        past=key(obj["past"], f"{what}.past"),
        owed=text(obj["owed"], f"{what}.owed"),
        baseline=checks.boolean(obj["baseline"], f"{what}.baseline"),
        compare=checks.boolean(obj["compare"], f"{what}.compare"),
    )


def ranges_json(ranges: Iterable[Range], parts: int) -> dict[str, Any]:
    """The body of a request for digests: ``{"ranges": [{"after", "upto"}, …], "parts": n}``."""
    return {"ranges": [_range_json(item) for item in ranges], "parts": parts}


def _range_json(item: Range) -> dict[str, Any]:
    return {"after": item.after, "upto": item.upto}


def read_ranges(value: Any) -> tuple[tuple[Range, ...], int]:
    """``(ranges, parts)`` of :func:`ranges_json`."""
    obj = checks.members(value, "the body", ("ranges", "parts"))
    ranges = checks.listing(obj["ranges"], "ranges", _read_range, checks.MAX_KEYS)
    return ranges, checks.integer(obj["parts"], "parts", 1, MAX_PARTS)


def _read_range(value: Any, what: str) -> Range:
    return _range(checks.members(value, what, ("after", "upto")), what)


def _range(obj: Mapping[str, Any], what: str) -> Range:
    key = checks.optional(checks.key)
    return Range(key(obj["after"], f"{what}.after"), key(obj["upto"], f"{what}.upto"))


def digests_json(digests: Sequence[Digest]) -> dict[str, Any]:
    """The answer to ``digests``: ``{"digests": [{"after", "upto", "count", "digest"}, …]}``."""
    return {
        "digests": [
            {**_range_json(item.range), "count": item.count, "digest": item.digest} for item in digests
        ]
    }


def read_digests(value: Any) -> list[Digest]:
    """The digests of :func:`digests_json`."""
    obj = checks.members(value, "the answer", ("digests",))
    return list(checks.listing(obj["digests"], "digests", _read_digest, 10 * checks.MAX_KEYS))


def _read_digest(value: Any, what: str) -> Digest:
    obj = checks.members(value, what, ("after", "upto", "count", "digest"))
    count = checks.integer(obj["count"], f"{what}.count")
    return Digest(_range(obj, what), count, checks.string(obj["digest"], f"{what}.digest", 200))


def keys_json(keys: Iterable[Key]) -> dict[str, Any]:
    """The body of a request for rows by key: ``{"keys": [[…], …]}``."""
    return {"keys": list(keys)}


def read_keys(value: Any) -> tuple[Key, ...]:
    """The keys of :func:`keys_json`; at least one."""
    keys = _read_keys(checks.members(value, "the body", ("keys",))["keys"], "keys")
    if not keys:
        raise WireError("keys is empty")
    return keys
