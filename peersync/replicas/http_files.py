"""Files of a replica behind HTTP: asked for, offered, and their contents in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from peersync import wire
from peersync.errors import AnswerCutOff, PeersyncError, WireError
from peersync.file_records import FileInfo, FilePage, FileState, FileWant
from peersync.records import Caller
from peersync.replicas.http_session import BYTES, Call, Transport
from peersync.wire import files

if TYPE_CHECKING:
    from peersync.conf import Limits

T = TypeVar("T")

LARGEST = 4 << 20
"""Bytes of a file that are sent in one call."""
SMALLEST = 1 << 16


class HttpFiles:
    """The part of :class:`peersync.replicas.http.HttpReplica` that is about the contents of files."""

    _transport: Transport
    _limits: Limits
    _file_bytes = LARGEST

    def _steady(self, call: Call, parse: Callable[[Iterator[bytes]], T]) -> T:
        raise NotImplementedError

    def file_wants(self, caller: Caller, fields: Mapping[str, Sequence[str]], after: int) -> FilePage:
        """See :meth:`peersync.replicas.base.Replica.file_wants`."""
        return self._ask(caller, "wanted/", files.wanted_json(fields, after), files.read_page)

    def file_infos(self, caller: Caller, wants: Sequence[FileWant]) -> list[FileInfo]:
        """See :meth:`peersync.replicas.base.Replica.file_infos`: of the first ones that are of one model."""
        label = wants[0].model
        number = next((n for n, want in enumerate(wants) if want.model != label), len(wants))
        found = self._ask(caller, f"{quote(label, safe='')}/", files.asked_json(wants[:number]), files.read_infos)
        if not 0 < len(found) <= number:
            raise WireError(f"{number} files were asked for, {len(found)} were spoken of.")
        return found

    def file_offers(self, caller: Caller, offers: Sequence[tuple[int, FileInfo]]) -> list[FileState]:
        """See :meth:`peersync.replicas.base.Replica.file_offers`."""
        found = self._ask(caller, "offered/", files.offers_json(offers), files.read_states)
        if len(found) != len(offers):
            raise WireError(f"{len(offers)} files were offered, {len(found)} were spoken of.")
        return found

    def _ask(self, caller: Caller, path: str, body: object, read: Callable[[object], T]) -> T:
        headers = wire.caller_headers(caller)
        call = Call("POST", f"v1/files/{path}", headers=headers, body=wire.dumps(body))
        return self._steady(call, lambda chunks: read(wire.loads(b"".join(chunks))))

    def file_read(self, caller: Caller, want: FileWant, offset: int, take: Callable[[Iterator[bytes]], T]) -> T:
        """See :meth:`peersync.replicas.base.Replica.file_read`. One attempt: what came is kept by who takes it."""
        failed: list[PeersyncError] = []

        def parse(chunks: Iterator[bytes]) -> T | None:
            try:
                return take(chunks)
            except AnswerCutOff:
                raise
            except PeersyncError as error:  # of who takes it: nothing that the peer did
                failed.append(error)
                return None

        path = f"v1/files/{quote(want.model, safe='')}/content/"
        body = wire.dumps(files.content_json(want, offset))
        headers = wire.caller_headers(caller)
        call = Call("POST", path, headers=headers, body=body, answer=BYTES, most=self._limits.file)
        found = self._transport.call(call, parse)
        if failed:
            raise failed[0]
        return found  # type: ignore[return-value]  # None only beside what failed

    def file_write(self, caller: Caller, number: int, offset: int, pieces: Iterator[bytes]) -> FileState:
        """See :meth:`peersync.replicas.base.Replica.file_write`. Some megabytes with each call."""
        state: FileState | None = None
        for chunk in _gathered(pieces, min(self._file_bytes, self._limits.body)):
            state = self._put(caller, number, offset, chunk)
            offset += len(chunk)
            if state.offset != offset:  # it has all of it, or stands elsewhere
                return state
        return self._put(caller, number, offset, b"") if state is None else state

    def _put(self, caller: Caller, number: int, offset: int, chunk: bytes) -> FileState:
        path = f"v1/files/content/{number}/{offset}/"
        call = Call("POST", path, headers=wire.caller_headers(caller), body=chunk, sends=BYTES)
        try:
            return self._steady(call, lambda chunks: files.read_state(wire.loads(b"".join(chunks))))
        except PeersyncError as error:
            if error.extra.get("halve"):
                self._file_bytes = max(SMALLEST, min(self._file_bytes, len(chunk)) // 2)
            raise


def _gathered(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The same bytes, so many at a time."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= most:
            yield bytes(held[:most])
            del held[:most]
    if held:
        yield bytes(held)
