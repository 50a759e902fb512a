"""A replica behind HTTP: the client of ``peersync_api``. ``docs/protocol.md`` says what travels."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from peersync import wire
from peersync.conf import Limits, settings
from peersync.errors import AnswerTooLarge, NotPeersync, PayloadTooLarge, PeersyncError, WireError
from peersync.records import (
    START,
    Batch,
    Caller,
    Description,
    Digest,
    Key,
    Outcome,
    Point,
    Progress,
    Range,
)
from peersync.replicas.http_files import HttpFiles
from peersync.replicas.http_session import LINES, Call, Retries, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

_GROW_AFTER = 8
"""So many good pages, and the next may be twice as large again."""


class HttpReplica(HttpFiles):
    """The node behind ``url``, as a :class:`peersync.replicas.base.Replica`.

    Reads are tried again by themselves, with fewer rows where that may help. An ``apply`` that may need a
    smaller batch raises with ``extra["halve"]``: whoever drives the transfer then reads a page of at most
    :attr:`limit` rows.
    """

    remote = True
    """It is asked over a network: nobody made it as a copy of this node's database for certain."""

    def __init__(
        self,
        name: str,
        url: str,
        token: str | None,
        *,
        insecure: bool = False,
        limits: Limits | None = None,
        retries: Retries | None = None,
    ) -> None:
        """Raises ConfigurationError or InsecureUrl; nothing is sent yet."""
        self.name = name
        self._limits = limits or settings().limits
        self._retries = retries or Retries()
        self._transport = Transport(name, url, token, self._limits, insecure=insecure)
        self._lock = threading.Lock()
        self._most = self._limits.batch
        self._longest_wait = float(self._limits.wait)
        self._limit = self._most
        self._good = 0

    def __repr__(self) -> str:
        return f"HttpReplica({self.name!r}, {self._transport.url!r})"

    @property
    def limit(self) -> int:
        """How many rows a page to or from this peer may have, as far as is known now."""
        return self._limit

    def close(self) -> None:
        """Close the pooled connections; the next call opens new ones."""
        self._transport.close()

    def describe(self, caller: Caller | None = None) -> Description:
        """See :meth:`peersync.replicas.base.Replica.describe`. The peer's own limits hold from here on."""
        headers = wire.caller_headers(caller) if caller else {}
        found = self._steady(Call("GET", "v1/", headers=headers), self._read_description)
        with self._lock:
            self._most = max(1, min(self._limits.batch, found.limits.get("batch", self._limits.batch)))
            self._limit = min(self._limit, self._most)
            self._longest_wait = float(min(self._limits.wait, found.limits.get("wait", self._limits.wait)))
        return found

    def _read_description(self, chunks: Iterator[bytes]) -> Description:
        text = b"".join(chunks)
        try:
            value = wire.loads(text)
        except WireError:
            value = None
        if not isinstance(value, dict) or not {"node", "install", "protocol"} <= value.keys():
            detail = f"{self.name}: what stands at {self._transport.url} is not peersync."
            raise NotPeersync(detail, hint="Check URL: it is where the peer includes peersync_api.urls.")
        found = wire.read_description(value)
        # What the driver of a database gave travels over an alias only.
        models = (replace(one, bulk=tuple(e for e in one.bulk if e == "pgcopy")) for one in found.models)
        return replace(found, models=tuple(models))

    def snapshot(self, caller: Caller, model: str, head: Point | None, after: str | None, limit: int) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.snapshot`."""
        params = {} if head is None else {"after": wire.snapshot_token(head, after)}
        headers = wire.caller_headers(caller)
        path = f"v1/snapshot/{_quoted(model)}/"
        return self._page(
            lambda rows: Call("GET", path, {**params, "limit": str(rows)}, headers, answer=LINES),
            "snapshot",
            limit,
        )

    def changes(
        self,
        caller: Caller,
        models: Sequence[str],
        cursor: Point,
        head: Point | None,
        limit: int,
        wait: float = 0,
    ) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.changes`."""
        wait = min(max(0, int(wait)), self._longest_wait)
        params = {"models": ",".join(models)}
        if head is not None or cursor != START:
            params["after"] = wire.changes_token(cursor, head)
        if wait:
            params["wait"] = str(int(wait))
        headers = wire.caller_headers(caller)
        return self._page(
            lambda rows: Call("GET", "v1/changes/", {**params, "limit": str(rows)}, headers, answer=LINES, wait=wait),
            "feed",
            limit,
        )

    def rows(self, caller: Caller, model: str, keys: Iterable[Key]) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.rows`. Many keys are asked for in several calls."""
        wanted = list(keys)
        if not wanted:
            raise WireError("Rows were asked for without a key.")
        headers = wire.caller_headers(caller)
        path = f"v1/rows/{_quoted(model)}/"
        parts: list[Batch] = []
        start = stop = 0

        def call(rows: int) -> Call:
            nonlocal stop
            stop = start + rows
            body = wire.dumps(wire.keys_json(wanted[start:stop]))
            return Call("POST", path, headers=headers, body=body, answer=LINES)

        while start < len(wanted):
            parts.append(self._page(call, "rows", len(wanted) - start))
            start = stop
        # The last answer was read last: its head is past what the others saw.
        return replace(parts[-1], rows=[row for part in parts for row in part.rows])

    def digests(
        self, caller: Caller, model: str, ranges: Sequence[Range], parts: int, fields: Sequence[str] | None = None
    ) -> list[Digest]:
        """See :meth:`peersync.replicas.base.Replica.digests`."""
        body = wire.dumps(wire.ranges_json(ranges, parts, fields))
        call = Call("POST", f"v1/digests/{_quoted(model)}/", headers=wire.caller_headers(caller), body=body)
        return self._steady(call, lambda chunks: wire.read_digests(wire.loads(b"".join(chunks))))

    def checkpoint(self, caller: Caller) -> dict[str, Progress]:
        """See :meth:`peersync.replicas.base.Replica.checkpoint`."""
        call = Call("GET", "v1/checkpoint/", headers=wire.caller_headers(caller))
        return self._steady(call, lambda chunks: wire.read_progress(wire.loads(b"".join(chunks))))

    def apply(self, caller: Caller, batch: Batch) -> Outcome:
        """See :meth:`peersync.replicas.base.Replica.apply`.

        Raises with ``extra["halve"]`` where a smaller batch may help; :attr:`limit` is smaller then.
        """
        body = b"".join(wire.batch_lines(batch))
        call = Call("POST", "v1/changes/", headers=wire.caller_headers(caller), body=body, sends=LINES)
        rows = len(batch.rows) + (batch.bulk.count if batch.bulk else 0)

        def worth_repeating(error: PeersyncError, failures: int) -> bool:
            if not error.extra.get("halve") or rows <= 1:
                return "again" in error.extra
            # A kept connection that the peer had closed meanwhile says nothing about size.
            return bool(error.extra.get("reset")) and failures == 1

        try:
            outcome = self._repeat(
                lambda: self._transport.call(call, _read_outcome),
                worth_repeating,
            )
        except PeersyncError as error:
            if error.extra.get("halve"):
                self._shrink(rows)
            raise
        self._grow()
        return outcome

    def _steady(self, call: Call, parse: Callable[[Iterator[bytes]], T]) -> T:
        """A call whose size is what it is."""
        return self._repeat(lambda: self._transport.call(call, parse), lambda error, _: "again" in error.extra)

    def _page(self, make: Callable[[int], Call], kind: str, limit: int) -> Batch:
        """A page of at most ``limit`` rows, of fewer where the peer or the way to it cannot bear as many."""
        asked = min(limit, self._limit)

        def attempt() -> Batch:
            nonlocal asked
            asked = max(1, min(limit, self._limit))
            return self._transport.call(make(asked), lambda chunks: self._read_page(chunks, kind))

        def again(error: PeersyncError, _: int) -> bool:
            if not error.extra.get("halve"):
                return "again" in error.extra
            self._shrink(asked)
            return asked > 1 or "again" in error.extra

        batch = self._repeat(attempt, again)
        self._grow()
        return batch

    def _read_page(self, chunks: Iterator[bytes], kind: str) -> Batch:
        batch = wire.read_batch(self._transport.lines(chunks))
        if batch.kind != kind:
            raise WireError(f"a batch of kind {kind} was asked for, one of kind {batch.kind} came")
        return batch

    def _repeat(self, attempt: Callable[[], T], again: Callable[[PeersyncError, int], bool]) -> T:
        failures = 0
        while True:
            try:
                return attempt()
            except PeersyncError as error:
                failures += 1
                # Too large is no failure of the peer: halving ends by itself, and needs no pause.
                smaller = isinstance(error, (PayloadTooLarge, AnswerTooLarge))
                if not again(error, failures) or (failures >= self._retries.attempts and not smaller):
                    raise
                pause = 0.0 if smaller else self._retries.pause(failures, error)
                if pause is None:
                    raise
                if pause:
                    self._retries.sleep(pause)

    def _shrink(self, rows: int) -> None:
        with self._lock:
            self._limit = max(1, min(self._limit, rows) // 2)
            self._good = 0

    def _grow(self) -> None:
        with self._lock:
            self._good += 1
            if self._good >= _GROW_AFTER and self._limit < self._most:
                self._limit, self._good = min(self._most, self._limit * 2), 0


def _read_outcome(chunks: Iterator[bytes]) -> Outcome:
    return wire.read_outcome(wire.loads(b"".join(chunks)))


def _quoted(model: str) -> str:
    return quote(model, safe="")
