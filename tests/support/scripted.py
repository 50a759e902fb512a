"""A server in a thread that answers as a test tells it to, and remembers what it was asked."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """``answers`` are used up one by one; the last one stays."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def reply(status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if kind:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def reply_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return reply(status, json.dumps(value).encode(), **headers)


def problem(status: int, code: str, detail: str = "Because.", **headers: str) -> Answer:
    body = json.dumps({"type": "about:blank", "title": "No", "status": status, "code": code, "detail": detail})
    return reply(status, body.encode(), "application/problem+json", **headers)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def handler_for(scripted: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            scripted.connections += 1

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
            with contextlib.suppress(OSError):
                scripted.next()(self)

        do_GET = _answer  # noqa: N815
        do_POST = _answer  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving(wrap: Callable[[socket.socket], socket.socket] | None = None) -> Iterator[Scripted]:
    """A scripted server on a free port of this machine; ``wrap`` may put TLS around its socket."""
    scripted = Scripted()
    with _Server(("127.0.0.1", 0), handler_for(scripted)) as server:
        if wrap is not None:
            server.socket = wrap(server.socket)
        scheme = "https" if wrap is not None else "http"
        scripted.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/peersync/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield scripted
        finally:
            server.shutdown()
            thread.join()
