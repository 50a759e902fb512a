"""Answers: JSON whole, rows as they are written out. Packed with gzip where the caller takes it.

Under ASGI a stream is an asynchronous one: Django would collect a synchronous one before it sends a byte.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from peersync import wire
from peersync.conf import settings
from peersync.errors import AnswerCutOff
from peersync.records import Batch
from peersync_api.problems import problem_line

JSON = "application/json"
LINES = "application/x-ndjson"
BYTES = "application/octet-stream"

_CHUNK = 1 << 16
"""Bytes that are sent at a time, before packing."""
_WORTH_PACKING = 1 << 10
_ALWAYS = 10
"""So many rows are sent however long it takes: fewer could not be asked for, or hardly."""
_LEVEL = 1  # nearly all of the gain, at a fifth of the time of the default

_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|x-gzip|\*)\s*(?:;\s*q=([0-9.]+))?\s*(?:,|$)", re.IGNORECASE)


def json_response(request: HttpRequest, value: Any) -> HttpResponseBase:
    """A JSON object."""
    body = wire.dumps(value)
    packed = len(body) >= _WORTH_PACKING and takes_gzip(request)
    if packed:
        body = b"".join(_packed([body]))
    response = HttpResponse(body, content_type=JSON)
    response["Content-Length"] = str(len(body))  # without it half an answer is half an object, and no cut off answer
    return _dressed(response, packed=packed)


def batch_response(request: HttpRequest, batch: Batch, *, started: float) -> HttpResponseBase:
    """The lines of a batch. ``started``: the moment (monotonic) from which LIMITS["ANSWER_SECONDS"] count."""
    packed = takes_gzip(request)
    until = started + settings().limits.answer_seconds
    pieces = _chunked(_timely(batch, until))
    if packed:
        pieces = _packed(pieces)
    asynchronous = isinstance(request, ASGIRequest)
    content: Any = _async(pieces) if asynchronous else pieces
    return _dressed(StreamingHttpResponse(content, content_type=LINES), packed=packed)


def bytes_response(request: HttpRequest, pieces: Iterator[bytes]) -> HttpResponseBase:
    """Contents as they are. What goes wrong before the first byte is raised; an answer ends in time, or is cut off."""
    first = next(pieces, b"")
    if not first:
        response = HttpResponse(b"", content_type=BYTES)
        response["Content-Length"] = "0"
        return _dressed(response, packed=False)
    content: Any = _in_time(first, pieces, time.monotonic() + settings().limits.answer_seconds)
    if isinstance(request, ASGIRequest):
        content = _async(content)
    return _dressed(StreamingHttpResponse(content, content_type=BYTES), packed=False)


def _in_time(first: bytes, pieces: Iterator[bytes], until: float) -> Iterator[bytes]:
    yield first
    for piece in pieces:
        yield piece
        if time.monotonic() > until:
            return


def takes_gzip(request: HttpRequest) -> bool:
    """Whether the caller said so (``q=0`` says the opposite)."""
    found = _GZIP.search(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    return found is not None and (found[1] is None or found[1].strip("0.") != "")


def _dressed(response: HttpResponseBase, *, packed: bool) -> HttpResponseBase:
    if packed:
        response["Content-Encoding"] = "gzip"
    response["Vary"] = "Accept-Encoding"
    response["Cache-Control"] = "no-store"  # another caller sees other rows
    response["X-Accel-Buffering"] = "no"  # nginx would hold the stream back until it is over
    return response


def _timely(batch: Batch, until: float) -> Iterator[bytes]:
    """The lines; where they break off, a last one that says why: nobody takes the answer for whole."""
    try:
        for number, line in enumerate(wire.batch_lines(batch)):
            if number > _ALWAYS and number % 100 == 0 and time.monotonic() > until:
                raise AnswerCutOff("The answer took too long; ask for fewer rows at a time.")
            yield line
    except Exception as error:
        yield problem_line(error)


def _chunked(lines: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        if out := pack.compress(piece):
            yield out
    yield pack.flush()


async def _async(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same in a thread, piece by piece: encoding must not hold up the event loop."""
    fetch = sync_to_async(lambda: next(pieces, None), thread_sensitive=False)
    while (piece := await fetch()) is not None:
        yield piece
