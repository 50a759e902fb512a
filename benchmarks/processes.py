"""Starting what is measured: a child per measurement, and a server that answers over HTTP."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def environment(databases: Mapping[str, Any], peers: Mapping[str, Any] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "api")]),
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "BENCH_DATABASES": json.dumps(databases),
        "BENCH_PEERS": json.dumps(peers or {}),
    }


def measure(
    name: str, *arguments: object, databases: Mapping[str, Any], peers: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run one of :mod:`benchmarks.measures` in a process of its own. Raises RuntimeError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measures", name, *map(str, arguments)],
        env=environment(databases, peers),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {arguments}: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Server:
    """A running server process; ``url`` is where peersync is."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}/peersync/"

    def memory(self) -> int:
        """Its peak memory so far, in bytes; 0 where the system does not tell."""
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        return int(found[1]) * 1024 if found else 0


@contextmanager
def serving(databases: Mapping[str, Any]) -> Iterator[Server]:
    """Django's own server, in a process of its own, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"],
        env=environment(databases),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(process, port)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait(server: Server) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and server.process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.url}v1/health/", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("The server did not start.")
