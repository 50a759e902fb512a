"""A project as a real server process on a free port: `with Server(…) as server: requests.get(server.url + "v1/health/")`.

Run as a script it is that process: a threaded WSGI server on standard ground, without a reloader.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent.parent
EXAMPLE = TOP / "example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A project, served. ``settings``: its settings module; ``path``: where that is imported from.

    ``port``: to start again where a former one stood. The process inherits the environment, so a test that gives
    PEERSYNC_TEST_DEFAULT serves one of its own node databases.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        settings: str = "tests.settings",
        path: Path = TOP,
        port: int | None = None,
        mount: str = "peersync/",
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/{mount}"
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(path), str(TOP), str(TOP / "api")]),
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.path = path
        self.process: subprocess.Popen[bytes] | None = None
        self._log = TOP  # set by start

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, timeout: float = 30) -> None:
        """Returns when the server answers."""
        from tests.support import workspace

        directory = workspace.directory()
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / f"server-{self.port}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.live", str(self.port)],
                env=self.env,
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait(time.monotonic() + timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 10) -> None:
        """End it as an administrator does (SIGTERM)."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """End it as a power cut does (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def manage(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """A management command of the same project, in a process of its own, with the server's environment."""
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env=self.env,
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            **{"timeout": 120, **options},
        )
        if check and done.returncode:
            raise AssertionError(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return self._log.read_text(errors="replace")

    def _wait(self, until: float) -> None:
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"The server ended before it answered:\n{self.log}")
            try:
                with urllib.request.urlopen(self.url + "v1/health/", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError(f"The server did not answer in time:\n{self.log}")


def serve(port: int) -> None:
    """Django's own threaded server, without autoreload, migrations' check and banner."""
    import signal
    from socketserver import ThreadingMixIn

    import django
    from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer
    from django.core.wsgi import get_wsgi_application

    class Threaded(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 64

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what runs at exit does run
    django.setup()
    server = Threaded(("127.0.0.1", port), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
