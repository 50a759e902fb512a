"""The body of a request, bounded on its way in: as it travels, unpacked, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from peersync import wire
from peersync.conf import settings
from peersync.errors import AnswerCutOff, WireError
from peersync.records import Batch, Point
from peersync_api.problems import EncodingRefused, TooLarge

_PIECE = 1 << 16
_BESIDE_ROWS = 4
"""Lines of a batch that are no rows: header, bulk, the last record, and one to notice that more follow."""


def read_json(request: HttpRequest) -> Any:
    """The JSON value of the body. Raises WireError, AnswerCutOff, TooLarge or EncodingRefused."""
    limits = settings().limits
    # Nothing but keys stands in it: as much as one line of a batch may have is plenty.
    body = b"".join(_unpacked(request, limits.body, limits.line))
    if not body.strip():
        raise WireError("The body is empty; this call takes a JSON object.")
    return wire.loads(body)


def read_lines(request: HttpRequest) -> Batch:
    """The batch in the body. Raises as :func:`read_json` does, TooLarge for too many rows too."""
    limits = settings().limits
    lines = wire.split_lines(_unpacked(request, limits.body, limits.unpacked), limits.line, TooLarge)
    batch = wire.read_batch(_counted(lines, limits.batch))
    check_number("rows", len(batch.rows), limits.batch)
    return replace(batch, start=_place(batch, "start"), end=_place(batch, "end"))


def read_bytes(request: HttpRequest) -> Iterator[bytes]:
    """The body as it is, piece by piece. Raises AnswerCutOff, TooLarge or EncodingRefused on the way."""
    limits = settings().limits
    return _unpacked(request, limits.body, limits.body)


def _place(batch: Batch, name: str) -> dict[str, Any]:
    """The place that the batch starts from or leads to, with the members that its kind needs."""
    given = dict(getattr(batch, name))
    place = {member: Point(*value) if isinstance(value, list) else value for member, value in given.items()}
    if batch.kind == "snapshot":
        if len(batch.models) != 1:
            raise WireError("A batch of kind 'snapshot' is of one model.")
        needed: tuple[str, ...] = ("head", "after")
    else:
        needed = ("cursor",) if batch.kind == "feed" else ()
    missing = [member for member in needed if member not in place]
    if name == "end":
        missing += [member for member in needed[:1] if place.get(member) is None]
    if missing:
        raise WireError(f"The header's member {name!r} lacks {missing[0]!r}.")
    return place


def check_number(what: str, number: int, most: int) -> None:
    """TooLarge where a body asks for more than ``most``."""
    if number > most:
        raise TooLarge(f"{number} {what} in one call; this server takes {most}. Ask for fewer at a time.")


def _bulk_lines(line: bytes) -> int:
    """How many raw lines follow a bulk's: they are held as they are, so that the limits in bytes are enough."""
    if not line.startswith(b'{"bulk"'):
        return 0
    about = wire.loads(line)["bulk"]
    count = about.get("count") if isinstance(about, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def _counted(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The lines, until there are more than a batch may have: before all of them stand in memory."""
    number, allowed = 0, most + _BESIDE_ROWS
    for number, line in enumerate(lines, 1):
        if number == 2:
            allowed += _bulk_lines(line)
        if number > allowed:
            raise TooLarge(f"The batch has more rows than this server takes ({most}).")
        yield line
    if number == 0:
        raise WireError("The body is empty; this call takes the lines of a batch.")


def _unpacked(request: HttpRequest, most: int, unpacked: int) -> Iterator[bytes]:
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding in ("", "identity"):
        return _pieces(request, min(most, unpacked))
    if encoding in ("gzip", "x-gzip"):
        return wire.gunzip(_pieces(request, most), unpacked, TooLarge)
    raise EncodingRefused("Content-Encoding is none of gzip and identity.")


def _pieces(request: HttpRequest, most: int) -> Iterator[bytes]:
    """Read from the socket, not from ``request.body``: that has a limit of the project's own."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    refused = TooLarge(f"The body has more than {most} bytes.", hint="Send a smaller batch.")
    if length > most:
        raise refused
    total = 0
    while piece := request.read(_PIECE):
        total += len(piece)
        if total > most:
            raise refused
        yield piece
    if total < length:
        raise AnswerCutOff("The body ended before all of it had come.")
