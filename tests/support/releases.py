"""Nodes that run two releases of one project: each a process of its own, which serves HTTP, with its own database.

A release is a text of models and its migrations; ``deploy`` stops the process, migrates, and starts the new one.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.support.sites import ROOT, Site, free_port

_SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = ["rest_framework", "peersync", *{apps!r}]
DATABASES = {{"default": {database!r}}}
SYNC_CONFIG = {sync!r}
"""
HEAD = "from django.db import migrations, models\n\n"
DO = "from django.core.management import call_command\nfrom django.db import connection\n"


class Release:
    """``models``: the text of an app's models.py; ``migrations``: by name, in their order, the text of each one's body.

    ``more``: further apps, by name the same two.
    """

    def __init__(self, models: str, migrations: dict[str, str], **more: tuple[str, dict[str, str]]) -> None:
        self.apps = {"store": (models, migrations), **more}


def operations(text: str, before: str = "", head: str = "", app: str = "store") -> str:
    """The body of a migration."""
    after = f'("{app}", "{before}")' if before else ""
    return f"{head}\nclass Migration(migrations.Migration):\n    dependencies = [{after}]\n    operations = [{text}]\n"


class Running:
    """A node of the project, in a directory of its own."""

    def __init__(self, directory: Path, database: dict[str, Any], release: Release, **sync: Any) -> None:
        self.directory, self.database, self.sync = directory, database, sync
        self.port = free_port()
        self._process: Site | None = None
        directory.mkdir()
        self._deployed = 0
        self.deploy(release)

    # ------------------------------------------------------------------ releases

    def deploy(self, release: Release, *, restart: bool = True) -> str:
        """Put the release in place of the one that ran; what ``migrate`` printed.

        ``restart`` False: the former process goes on, as in a rolling deploy.
        """
        if restart:
            self.stop()
        self._deployed += 1
        self.code = self.directory / f"release{self._deployed}"
        for app, (models, migrations) in release.apps.items():
            (self.code / app / "migrations").mkdir(parents=True)
            for name, text in {
                "__init__": "",
                "models": HEAD + textwrap.dedent(models),
                "migrations/__init__": "",
                **{f"migrations/{name}": HEAD + text for name, text in migrations.items()},
            }.items():
                (self.code / app / f"{name}.py").write_text(text)
        self._settings(list(release.apps))
        if restart:
            self.start()
            return self._migrate()
        answer = self.manage("migrate")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def _migrate(self) -> str:
        self.do("answer = run('migrate', '--noinput')")
        status, out, error = self.do("[answer.status, answer.out, answer.error]")
        assert status == 0, error
        return str(out)

    def _settings(self, apps: list[str]) -> None:
        self._apps = apps
        text = _SETTINGS.format(apps=apps, database=self.database, sync={"AUTO_SYNC": "off", **self.sync})
        (self.code / "node_settings.py").write_text(text)

    def configure(self, **sync: Any) -> None:
        """Other settings, as after a restart with ``migrate``."""
        self.sync = {**self.sync, **sync}
        self.stop()
        self._settings(self._apps)
        self.start()
        self._migrate()

    def manage(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "django", *command],
            cwd=self.code,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.code), str(ROOT), str(ROOT / "api")])
        return {**os.environ, "DJANGO_SETTINGS_MODULE": "node_settings", "PYTHONPATH": path}

    # ------------------------------------------------------------------ the process

    def start(self) -> None:
        self._process = Site.of(self._environment(), self.port)
        self._process.do(DO)
        self._process.do("from tests.support.commands import run")

    def stop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def do(self, code: str) -> Any:
        assert self._process is not None
        return self._process.do(code)

    def rows(self, table: str, *columns: str) -> list[list[Any]]:
        """Plain SQL."""
        names = ", ".join(columns)
        self.do(f"cursor = connection.cursor(); cursor.execute('SELECT {names} FROM {table} ORDER BY {columns[0]}')")
        return [list(row) for row in self.do("[list(row) for row in cursor.fetchall()]")]

    def run(self, sql: str) -> None:
        """Plain SQL that writes, as psql would."""
        self.do(f"connection.cursor().execute({sql!r})")

    # ------------------------------------------------------------------ peers

    def meet(self, name: str, other: "Running") -> None:
        """``other`` is called ``name`` here from now on; this node is "caller" there."""
        other.do("from peersync import tokens")
        token = other.do(f"tokens.create({'from_' + self.directory.name!r}, ('pull', 'push'), using='default')")
        peers = {
            **self.sync.get("PEERS", {}),
            name: {"URL": f"http://127.0.0.1:{other.port}/peersync/", "TOKEN": token},
        }
        self.sync = {**self.sync, "PEERS": peers}
        self._settings(self._apps)
        self.stop()
        self.start()

    def sync_with(self, name: str, direction: str = "both", *arguments: str, status: int = 0) -> "tuple[str, str]":
        """``sync_data``, which ends with that status: what it printed, and what it said on standard error."""
        command = ["sync_data", f"--direction={direction}", f"--peer={name}", *arguments]
        self.do(f"answer = run(*{command!r})")
        found = self.do("[answer.status, answer.out, answer.error]")
        assert found[0] == status, found
        return found[1], found[2]

    def quarantine(self) -> list[list[str]]:
        return self.rows("peersync_quarantine", "model", "key", "detail")
