"""Bytes into lines, bounded: nobody makes us hold more than a limit, whatever he sends."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from peersync.errors import AnswerCutOff, PeersyncError, WireError

_PIECE = 1 << 18
Refuse = Callable[[str], PeersyncError]


def gunzip(chunks: Iterable[bytes], most: int, refuse: Refuse) -> Iterator[bytes]:
    """The unpacked bytes in pieces of at most 256 KiB; above ``most`` bytes the error of ``refuse(detail)``.

    WireError for what is not gzip (one member, nothing after it), AnswerCutOff where it ends too early.
    """
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
    total = 0
    for chunk in chunks:
        pending = chunk
        while pending:
            if unpack.eof:
                raise WireError("bytes follow the end of the gzip stream")
            try:
                piece = unpack.decompress(pending, _PIECE)
            except zlib.error:
                raise WireError("not a gzip stream") from None
            total += len(piece)
            if total > most:
                raise refuse(f"it unpacks to more than {most} bytes")
            if piece:
                yield piece
            pending = unpack.unconsumed_tail or unpack.unused_data
    if not unpack.eof:
        yield from _rest(unpack, most - total, refuse)


def _rest(unpack: zlib._Decompress, most: int, refuse: Refuse) -> Iterator[bytes]:
    """What the decompressor still held when its input ended."""
    while piece := unpack.decompress(unpack.unconsumed_tail, _PIECE):
        most -= len(piece)
        if most < 0:
            raise refuse("it unpacks to more than is allowed")
        yield piece
    if not unpack.eof:
        raise AnswerCutOff("the gzip stream ended too early")


def split_lines(chunks: Iterable[bytes], longest: int, refuse: Refuse) -> Iterator[bytes]:
    """Lines without their newlines; above ``longest`` bytes the error of ``refuse(detail)``."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *lines = chunk.split(b"\n")
        held.append(first)
        size += len(first)
        if size > longest:
            raise refuse(f"a line has more than {longest} bytes")
        if not lines:
            continue
        yield b"".join(held)
        tail = lines.pop()
        for line in lines:
            if len(line) > longest:
                raise refuse(f"a line has more than {longest} bytes")
            yield line
        held, size = [tail], len(tail)
    if size > longest:
        raise refuse(f"a line has more than {longest} bytes")
    if size:
        yield b"".join(held)
