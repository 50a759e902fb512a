"""Connections that keep to a deadline.

The timeouts of requests bound one wait for bytes: a peer that sends one byte every few seconds holds its
caller for ever. Here every read from the socket, of headers and of the body, ends at the deadline of it all.
"""

from __future__ import annotations

import http.client
import io
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_now = threading.local()


@contextmanager
def deadline(seconds: float, each: float) -> Iterator[None]:
    """What this thread reads in here ends after ``seconds`` in all, and after ``each`` without a byte."""
    _now.until, _now.each = time.monotonic() + seconds, each
    try:
        yield
    finally:
        del _now.until, _now.each


class _Bounded(io.RawIOBase):
    """Bytes of a socket, until the deadline that stood when the answer began."""

    def __init__(self, raw: Any, sock: socket.socket, until: float, each: float) -> None:
        self._raw, self._sock, self._until, self._each = raw, sock, until, each

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not over at its deadline")
        self._sock.settimeout(min(left, self._each))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        until = getattr(_now, "until", None)
        if until is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_Bounded(raw, sock, until, _now.each))


def _patient(connection: Any) -> None:
    """Sending a body may take as long as waiting for the answer, not only as long as connecting."""
    each = getattr(_now, "each", None)
    if each is not None and connection.sock is not None:
        connection.sock.settimeout(each)


class _Plain(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _patient(self)


class _Tls(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        _patient(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """The transport of requests, with connections that keep to :func:`deadline` and no retries of its own."""

    def __init__(self, connections: int = 4) -> None:
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _keep_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _keep_deadlines(manager)
        return manager


def _keep_deadlines(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
