"""One of the two sites: its settings, its commands, its server, its admin."""

import json
import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from demo_databases import Database
from demo_words import DemoFailed, output, prompt

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "admin", "demo"
SECONDS = 30.0
"""How long anything may take before the demo gives up."""


def free_ports(count: int) -> list[int]:
    """Held together for a moment, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Site:
    """An instance of the example project, with a database and a port of its own."""

    def __init__(self, name: str, directory: Path, database: Database, port: int) -> None:
        self.name, self.directory, self.database, self.port = name, directory, database, port
        self.peers: dict[str, Any] = {}
        self.auto_sync = "off"
        self._secret_key = secrets.token_hex(20)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def _environment(self) -> dict[str, str]:
        """This process's, without what would lead the project elsewhere."""
        foreign = ("EXAMPLE_", "PEERSYNC_", "DJANGO_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "EXAMPLE_NAME": self.name,
            "EXAMPLE_DB": self.database.url,
            "EXAMPLE_SECRET_KEY": self._secret_key,
            "EXAMPLE_AUTO_SYNC": self.auto_sync,
            "EXAMPLE_SYNC": json.dumps({"PEERS": self.peers}),
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
        }

    # ------------------------------------------------------------------ commands

    def manage(self, *arguments: str, status: int = 0) -> str:
        """Run a command, show it and what it prints. Any other exit status than ``status`` ends the demo."""
        prompt(self.name, f"manage.py {shlex.join(arguments)}")
        done = self._run(arguments)
        output(done.stdout)
        output(done.stderr)
        if done.returncode != status:
            raise DemoFailed(f"manage.py {arguments[0]} ended with exit status {done.returncode}")
        return done.stdout

    def quietly(self, *arguments: str) -> str:
        """Run a command that is only scenery."""
        done = self._run(arguments)
        if done.returncode:
            raise DemoFailed(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def python(self, code: str) -> None:
        """Write with Django's models, in a process of its own."""
        prompt(self.name, f'manage.py shell -c "{code}"')
        done = self._run(("shell", "--no-imports", "-c", f"from geo.models import *; {code}"))
        output(done.stdout)
        if done.returncode:
            raise DemoFailed(done.stderr)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL in the database itself, and show it. Neither Django nor peersync sees it."""
        prompt(self.name, statement, kind="sql>")
        return self.database.run(statement)

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(HERE / "manage.py"), *arguments],
            env=self._environment(),
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    # ------------------------------------------------------------------ the server

    def start(self) -> None:
        """Start the server process, and wait until it answers."""
        arguments = ["runserver", "--noreload", "--insecure", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, str(HERE / "manage.py"), *arguments],
                env=self._environment(),
                cwd=HERE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the demo ends it, not the terminal
            )
        (self.directory / f"{self.name}.pid").write_text(str(self._server.pid))
        self._await_health()

    def _await_health(self) -> None:
        assert self._server is not None
        give_up = time.monotonic() + SECONDS
        while time.monotonic() < give_up:
            if self._server.poll() is not None:
                break
            try:
                if browser().get(f"{self.url}peersync/v1/health/", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise DemoFailed(f"The server of {self.name} does not answer:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the server process."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=SECONDS)
            self._server = None
            (self.directory / f"{self.name}.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    # ------------------------------------------------------------------ the admin

    def save_in_admin(self, path: str, **changes: str) -> float:
        """Log in to the running server, change a row in its admin's form, and save it.

        Returns how many seconds the save took.
        """
        session = browser()
        self._post(session, f"{self.url}admin/login/", {"username": USER, "password": PASSWORD})
        page = f"{self.url}admin/{path}/change/"
        form = _form(session.get(page, timeout=SECONDS).text)
        started = time.monotonic()
        self._post(session, page, {**form, **changes})
        return time.monotonic() - started

    def _post(self, session: requests.Session, page: str, form: dict[str, str]) -> None:
        if "csrftoken" not in session.cookies:
            session.get(page, timeout=SECONDS)
        data = {**form, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(page, data=data, timeout=SECONDS, allow_redirects=False)
        if answer.status_code != 302:
            raise DemoFailed(f"{page} did not take the form (status {answer.status_code})")


def browser() -> requests.Session:
    """Without the proxy and the .netrc of whoever runs the demo."""
    session = requests.Session()
    session.trust_env = False
    return session


def _form(page: str) -> dict[str, str]:
    """The fields of an admin's form: inputs, text areas, and what is chosen in each list."""
    from html import unescape

    body = page.partition('id="content-main"')[2]
    found = {}
    for tag in re.findall(r"<input\b[^>]*>", body):
        about = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in about and about.get("type") not in ("submit", "checkbox"):
            found[about["name"]] = unescape(about.get("value", ""))
    for name, text in re.findall(r'<textarea\b[^>]*\bname="([^"]+)"[^>]*>\n?(.*?)</textarea>', body, re.DOTALL):
        found[name] = unescape(text)
    for name, options in re.findall(r'<select\b[^>]*\bname="([^"]+)"[^>]*>(.*?)</select>', body, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)"[^>]*\bselected', options)
        found[name] = unescape(chosen[1]) if chosen else ""
    return found


def until(what: Callable[[], bool], promise: str) -> float:
    """Wait until ``what`` holds. Returns the seconds; where it takes too long, the demo has failed."""
    started = time.monotonic()
    while not what():
        if time.monotonic() - started > SECONDS:
            raise DemoFailed(f"This did not happen within {SECONDS:.0f} s: {promise}")
        time.sleep(0.05)
    return time.monotonic() - started
