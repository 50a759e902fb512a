"""A physical replica of the session's PostgreSQL server: a second server that follows it by streaming."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres, workspace
from tests.support.live import free_port


def _binaries() -> Path:
    """Those of the very server that runs."""
    with postgres.admin() as cursor:
        cursor.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        return Path(cursor.fetchone()[0])


@contextmanager
def following() -> Iterator[dict[str, Any]]:
    """Where the replica listens, as settings of a database. Skips where the server is not the one of the wheel."""
    server = workspace.server()
    if server["HOST"] != str(workspace.directory() / "pg"):
        pytest.skip("the server is a foreign one: nobody may make a replica of it")
    owner = (workspace.directory() / "pg" / "PG_VERSION").stat().st_uid  # the server refuses to run as root
    directory, port = workspace.directory() / "replica", str(free_port())

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(_binaries() / program), *arguments],
            check=True,
            timeout=60,
            user=owner if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    directory.mkdir(mode=0o700)
    os.chown(directory, owner, -1)
    try:
        run("pg_basebackup", "-h", server["HOST"], "-U", server["USER"], "-D", str(directory), "-R", "-c", "fast")
        options = f"-k {directory} -p {port} -c listen_addresses=''"
        run("pg_ctl", "-D", str(directory), "-w", "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield {"HOST": str(directory), "PORT": port}
        finally:
            run("pg_ctl", "-D", str(directory), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)
