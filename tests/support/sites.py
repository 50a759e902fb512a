"""Real processes of real sites, for tests of what happens between processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def environment(alias: str, sync: dict[str, Any], settings: str = "tests.support.site_settings") -> dict[str, str]:
    """Of a process whose own database is ``alias``."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": settings,
        "PEERSYNC_TEST_DEFAULT": alias,
        "PEERSYNC_TEST_SYNC": json.dumps({"MODELS": ["zoo.*"], **sync}),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "api")]),
    }


class Site:
    """One process of the site whose database is ``alias``. With a port it serves HTTP."""

    def __init__(
        self,
        alias: str,
        port: int | None = None,
        settings: str = "tests.support.site_settings",
        **sync: Any,
    ) -> None:
        self._start(environment(alias, sync, settings), port)

    @classmethod
    def of(cls, env: dict[str, str], port: int | None = None) -> "Site":
        """A process with this environment."""
        site = cls.__new__(cls)
        site._start(env, port)
        return site

    def _start(self, env: dict[str, str], port: int | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.site_process", *([str(port)] if port else [])],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._answer() == "ready"

    def do(self, code: str) -> Any:
        """Evaluate or execute it there; every model stands under its name."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        assert "error" not in found, found["error"]
        return found["value"]

    def end(self) -> None:
        """As a process ends that has nothing more to do."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def close(self) -> None:
        """Whatever it is at; asked first, so that what it measured of itself is not lost."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


class BadServer:
    """Something at a peer's address that is no peer. ``answer`` None: it takes the connection and never answers."""

    def __init__(self, port: int, answer: bytes | None = None) -> None:
        self.calls = 0
        self._answer = answer
        self._held: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            if self._answer is None:
                self._held.append(connection)
                continue
            connection.recv(65536)
            connection.sendall(self._answer)
            connection.close()

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._held:
            connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def eventually(look: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What ``look`` gives as soon as that is true; fails after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.05)
