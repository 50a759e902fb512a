"""A wire between two nodes: every byte of both directions is kept, and a call can be lost on the way."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

Fault = Literal["lost", "half", "unanswered", "cut"]
"""``lost``: the request never arrives; ``half``: half of it does; ``unanswered``: the answer is lost; ``cut``: half of it."""


@dataclass(frozen=True)
class Message:
    """A request or an answer as it went over the wire. ``body``: unpacked."""

    head: bytes
    """The start line and the headers, as they went."""
    packed: bytes
    """The body, as it went."""
    headers: dict[str, str]
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.packed

    @property
    def start(self) -> str:
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    def with_body(self, body: bytes, *, packed: bool = False) -> bytes:
        """The same with another body, of another length. ``packed``: it is as the one that went."""
        start, *lines = self.head.strip().split(b"\r\n")
        others = (b"content-length", *(() if packed else (b"content-encoding",)))
        kept = [line for line in lines if line.partition(b":")[0].lower() not in others]
        return b"\r\n".join([start, *kept, b"Content-Length: %d" % len(body), b"", body])

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a batch."""
        if "x-ndjson" not in self.headers.get("content-type", ""):
            return []
        return [line for line in self.lines if "model" in line and "key" in line]


@dataclass(frozen=True)
class Exchange:
    request: Message
    answer: Message | None
    """None: it never came to the one who asked."""

    @property
    def method(self) -> str:
        return self.request.start.split()[0]

    @property
    def path(self) -> str:
        """Below the place where the API stands: ``v1/changes/?after=…``."""
        return self.request.start.split()[1].partition("/peersync/")[2]

    @property
    def status(self) -> int:
        return int(self.answer.start.split()[1]) if self.answer else 0

    @property
    def pushed(self) -> list[dict[str, Any]]:
        """Rows that went with the request."""
        return self.request.rows

    @property
    def pulled(self) -> list[dict[str, Any]]:
        return self.answer.rows if self.answer else []


class Wiretap:
    """Listens on a port of its own, and carries each call to ``target``."""

    def __init__(self, target: int) -> None:
        self.exchanges: list[Exchange] = []
        self.fault: Callable[[Message], Fault | None] = lambda _: None
        self.target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> "Wiretap":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def heard(self) -> Iterator[list[Exchange]]:
        """The exchanges of the block."""
        start, found = len(self.exchanges), list[Exchange]()
        yield found
        found += self.exchanges[start:]

    def everything(self) -> bytes:
        """All that went over the wire, as it went, and unpacked."""
        messages = [m for one in self.exchanges for m in (one.request, one.answer) if m is not None]
        return b"\n".join(part for message in messages for part in (message.raw, message.body))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(connection,), daemon=True).start()

    def _carry(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while (request := read(stream)) is not None:
                answer = self._exchange(connection, request)
                if answer is None or answer.headers.get("connection", "").lower() == "close":
                    return

    def _exchange(self, connection: socket.socket, request: Message) -> Message | None:
        fault = self.fault(request)
        if fault == "lost":
            self.exchanges.append(Exchange(request, None))
            return None
        raw = request.raw[: len(request.raw) - len(request.packed) // 2 - 1] if fault == "half" else request.raw
        answer = send(self.target, raw, whole=fault != "half")
        kept = fault is None and answer is not None
        self.exchanges.append(Exchange(request, answer if kept else None))
        if answer is not None and fault in (None, "cut"):
            connection.sendall(answer.raw if fault is None else answer.raw[: len(answer.raw) - len(answer.raw) // 3])
        return answer if kept else None


def send(port: int, raw: bytes, *, whole: bool = True) -> Message | None:
    """These bytes to a server of this machine, and its answer. Not ``whole``: nobody waits for one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(raw)
        if not whole:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return read(stream)


def read(stream: BinaryIO) -> Message | None:
    """The next message; None where there is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    start, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert "transfer-encoding" not in headers, "neither our client nor the server of the tests sends chunks"
    if "content-length" in headers:
        body = stream.read(int(headers["content-length"]))
    else:
        body = stream.read() if start.startswith("HTTP/") else b""
    packed = headers.get("content-encoding") == "gzip"
    return Message(head, body, headers, gzip.decompress(body) if packed else body)
