"""A batch as lines: a header object, one line per row, and a last record that says that all of it came.

A ``Bulk`` is a line ``{"bulk": {…}}`` followed by exactly ``count`` raw lines of COPY's text format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peersync.errors import AnswerCutOff, WireError
from peersync.records import PROTOCOL, Batch, Bulk, Point, Row
from peersync.wire import checks
from peersync.wire.problems import read_problem
from peersync.wire.rows import RowForm
from peersync.wire.tokens import changes_token, snapshot_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

KINDS = ("snapshot", "feed", "rows", "end")
MAX_BULK = 1_000_000
MAX_FIELDS = 2000
MAX_POINTS = 64
OPTIONS: Mapping[str, Any] = {
    **dict.fromkeys(
        ("mirror", "repair", "accept_conflicts", "dry_run", "proof", "baseline", "converted"), checks.boolean
    ),
    **dict.fromkeys(("pruned", "consumed"), checks.integer),
    **dict.fromkeys(("fingerprint", "match", "base"), checks.name),
}
"""The members of a header's ``options`` and how each is read."""
_HEADER = (
    *("kind", "protocol", "source", "source_install", "target", "models", "fields", "baselines"),
    *("start", "end", "head", "points", "filtered", "done", "options"),
)
_PLACE = {
    "cursor": checks.optional(checks.point),
    "head": checks.optional(checks.point),
    "after": checks.optional(lambda value, what: checks.string(value, what, 1 << 18)),
}


def batch_lines(batch: Batch) -> Iterator[bytes]:
    """The batch as lines, each with its newline. WireError for a bulk that may not travel (``tuples``)."""
    bulk = batch.bulk
    if bulk is not None and bulk.encoding != "pgcopy":
        raise WireError(f"a bulk of encoding {bulk.encoding!r} cannot travel over HTTP")
    yield checks.dumps(header_json(batch)) + b"\n"
    if bulk is not None:
        yield from _bulk_lines(bulk)
    write = RowForm.of(batch).write
    dumps = checks.dumps
    for row in batch.rows:
        yield dumps(write(row)) + b"\n"
    rows = len(batch.rows) + (bulk.count if bulk is not None else 0)
    yield checks.dumps({"end": _plain_place(batch.end), "next": next_token(batch), "rows": rows}) + b"\n"


def next_token(batch: Batch) -> str | None:
    """What to hand in as ``after`` for the page that follows; None where none does."""
    end = _plain_place(batch.end)
    if batch.kind == "feed" and end.get("cursor"):
        return changes_token(Point(*end["cursor"]), None)
    if batch.kind == "snapshot" and not batch.done and end.get("head"):
        return snapshot_token(Point(*end["head"]), end.get("after"))
    return None


def _plain_place(place: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in place.items()}


def header_json(batch: Batch) -> dict[str, Any]:
    """The first line of the batch."""
    return {
        "kind": batch.kind,
        "protocol": PROTOCOL,
        "source": batch.source,
        "source_install": batch.source_install,
        "target": batch.target,
        "models": list(batch.models),
        "fields": checks.lists(batch.fields),
        "baselines": checks.lists(batch.baselines),
        "start": _plain_place(batch.start),
        "end": _plain_place(batch.end),
        "head": checks.plain_point(batch.head),
        "points": [checks.plain_point(point) for point in batch.points],
        "filtered": batch.filtered,
        "done": batch.done,
        "options": dict(batch.options),
    }


def _bulk_lines(bulk: Bulk) -> Iterator[bytes]:
    about = {"model": bulk.model, "encoding": bulk.encoding, "count": bulk.count}
    yield checks.dumps({"bulk": {**about, "first": bulk.first, "last": bulk.last}}) + b"\n"
    data = bulk.data if isinstance(bulk.data, bytes) else b"".join(bulk.data)
    # Not splitlines(): it would split at a carriage return too.
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    if len(lines) != bulk.count:
        raise WireError(f"the bulk of {bulk.model} says {bulk.count} rows and holds {len(lines)}")
    for line in lines:
        yield line + b"\n"


def read_batch(lines: Iterable[bytes]) -> Batch:
    """The batch of these lines (one item each, with or without its newline).

    Raises WireError where a line is malformed, AnswerCutOff where the last record did not come, and the error
    that the source named where it broke off with one (``{"problem": …}``).
    """
    reader = _Reader(iter(lines))
    try:
        return reader.read()
    except WireError as error:
        # The error of the source, if it broke off with one, speaks of no line of ours.
        if "code" in error.extra:
            raise
        raise type(error)(f"line {reader.number}: {error.detail}") from None


class _Reader:
    def __init__(self, lines: Iterator[bytes]) -> None:
        self.lines = lines
        self.number = 0

    def read(self) -> Batch:
        header = read_header(checks.loads(self._next()))
        form = RowForm(header["models"], header["fields"], header["baselines"], header["source_install"])
        rows: list[Row] = []
        bulk: Bulk | None = None
        while True:
            obj = self._object()
            if "end" in obj:
                break
            if "problem" in obj:
                raise read_problem(checks.members(obj, "the record", ("problem",))["problem"])
            if "bulk" in obj:
                if bulk is not None or rows:
                    raise WireError("a bulk stands only once, and before all rows")
                bulk = self._bulk(checks.members(obj, "the record", ("bulk",))["bulk"], header["models"])
            else:
                rows.append(form.read(obj))
        self._end(obj, len(rows) + (bulk.count if bulk else 0), header["end"])
        return Batch(**header, rows=rows, bulk=bulk)

    def _next(self) -> bytes:
        line = next(self.lines, None)
        if line is None:
            raise AnswerCutOff("the lines ended before the last record")
        self.number += 1
        return line

    def _object(self) -> dict[str, Any]:
        line = self._next()
        try:
            obj = checks.loads(line)
        except WireError:
            # A last line that is broken is one that was cut off.
            if next(self.lines, None) is None:
                raise AnswerCutOff("the lines ended before the last record") from None
            raise
        if type(obj) is not dict:
            raise WireError("the line is not a JSON object")
        return obj

    def _bulk(self, value: Any, models: tuple[str, ...]) -> Bulk:
        obj = checks.members(value, "bulk", ("model", "encoding", "count", "first", "last"))
        if obj["encoding"] != "pgcopy":
            raise WireError("bulk.encoding is not 'pgcopy'")
        model = checks.label(obj["model"], "bulk.model")
        if model not in models:
            raise WireError(f"the bulk is of {model}, which the header does not name")
        count = checks.integer(obj["count"], "bulk.count", 1, MAX_BULK)
        first, last = checks.key(obj["first"], "bulk.first"), checks.key(obj["last"], "bulk.last")
        data = b"\n".join([self._raw() for _ in range(count)]) + b"\n"
        _check_copy(data)
        return Bulk(model, "pgcopy", count, first, last, data)

    def _raw(self) -> bytes:
        line = self._next().removesuffix(b"\n")
        if b"\n" in line or line == b"\\.":
            raise WireError("the line is not one row of COPY's text format")
        return line

    def _end(self, obj: dict[str, Any], rows: int, end: dict[str, Any]) -> None:
        checks.members(obj, "the last record", ("end", "rows"), ("next",))
        if checks.integer(obj["rows"], "rows") != rows:
            raise WireError(f"the last record speaks of {obj['rows']} rows, {rows} came")
        if _place(obj["end"], "end") != end:
            raise WireError("the last record and the header name different ends")
        checks.optional(checks.string)(obj.get("next"), "next")
        if next(self.lines, None) is not None:
            raise WireError("lines follow the last record")


def _check_copy(data: bytes) -> None:
    """What would end or break a COPY: it has escapes for these, so an honest source never sends them."""
    if b"\r" in data or b"\x00" in data:
        raise WireError("the bulk holds a byte that COPY's text format escapes")
    try:
        data.decode()
    except UnicodeDecodeError:
        raise WireError("the bulk is not UTF-8") from None


def read_header(value: Any) -> dict[str, Any]:
    """The arguments of a Batch, without rows, from its first line. Raises WireError, ProtocolDiffers too."""
    if type(value) is dict and "problem" in value:
        raise read_problem(value["problem"])
    obj = checks.members(value, "the header", _HEADER)
    check_protocol(obj["protocol"])
    if obj["kind"] not in KINDS:
        raise WireError("the header's member 'kind' is none of " + ", ".join(KINDS))
    models = checks.listing(obj["models"], "models", checks.label)
    if len(set(models)) != len(models):
        raise WireError("models names one twice")
    return {
        "kind": obj["kind"],
        "source": checks.uuid(obj["source"], "source"),
        "source_install": checks.uuid(obj["source_install"], "source_install"),
        "target": checks.uuid_or_empty(obj["target"], "target"),
        "models": models,
        "fields": checks.mapping(obj["fields"], "fields", _names),
        "baselines": checks.mapping(obj["baselines"], "baselines", _installs),
        "start": _place(obj["start"], "start"),
        "end": _place(obj["end"], "end"),
        "head": checks.point(obj["head"], "head"),
        "points": checks.listing(obj["points"], "points", checks.point, MAX_POINTS),
        "filtered": checks.boolean(obj["filtered"], "filtered"),
        "done": checks.boolean(obj["done"], "done"),
        "options": _options(obj["options"]),
    }


def check_protocol(value: Any) -> None:
    """Raises ProtocolDiffers unless ``value`` is the version spoken here."""
    if checks.integer(value, "protocol", 0, 1 << 31) != PROTOCOL:
        raise read_problem(
            {
                "code": "protocol_differs",
                "detail": f"The peer speaks version {value} of the protocol, "
                f"here stands version {PROTOCOL}; install the same release of django-peersync.",
            }
        )


def _names(value: Any, what: str) -> tuple[str, ...]:
    return checks.listing(value, what, lambda item, where: checks.string(item, where, 200), MAX_FIELDS)


def _installs(value: Any, what: str) -> tuple[str, ...]:
    return checks.listing(value, what, checks.uuid)


def _place(value: Any, what: str) -> dict[str, Any]:
    obj = checks.members(value, what, (), _PLACE)
    return {name: _PLACE[name](item, f"{what}.{name}") for name, item in obj.items()}


def _options(value: Any) -> dict[str, Any]:
    obj = checks.members(value, "options", (), OPTIONS)
    return {name: OPTIONS[name](item, f"options.{name}") for name, item in obj.items()}
