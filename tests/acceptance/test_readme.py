"""Every code block of the README is run, in the order in which a reader meets them, in a project made for it."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import free_port

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PEERSYNC_", "PYTEST_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'api'}", "PYTHONWARNINGS": "default"}


class Site:
    """A project as `startproject` makes it, which grows by the README's blocks."""

    def __init__(self, place: Path, name: str) -> None:
        self.place = place / name
        self.place.mkdir()
        self.sh(f"{sys.executable} -m django startproject site_of_{name} .")
        self.settings = self.place / f"site_of_{name}" / "settings.py"
        self.urls = self.place / f"site_of_{name}" / "urls.py"

    def sh(self, script: str, **more: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.place,
            env={**environment(), **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def add(self, file: Path, text: str) -> None:
        file.write_text(f"{file.read_text()}\n{text}\n")


@pytest.fixture
def blocks() -> list[tuple[str, str]]:
    assert all(kind in ("bash", "python") for kind, _ in BLOCKS), "an unnamed block would not be run"
    return list(BLOCKS)


def served(site: Site, port: int) -> subprocess.Popen[Any]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        cwd=site.place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(150):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/peersync/v1/health/", timeout=2):
                return process
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError("the server does not answer")


def test_every_block(tmp_path: Path, blocks: list[tuple[str, str]]) -> None:
    (_, make), (_, install), (_, settings), (_, first), (_, urls), (_, add), (_, both), (_, peers), (_, code) = blocks

    # The two targets would run this test again: what they would do is looked at instead.
    for line in make.strip().splitlines():
        assert subprocess.run([*line.split(), "-n"], cwd=ROOT, capture_output=True, check=True).stdout
    assert install.strip() == "pip install ."
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "lib", ROOT], check=True
    )
    assert {"peersync", "peersync_api"} <= {one.name for one in (tmp_path / "lib").iterdir()}

    near, far = Site(tmp_path, "near"), Site(tmp_path, "far")
    near.add(near.settings, settings)
    near.sh(first)

    far.add(far.settings, settings)
    far.add(far.urls, urls)
    far.sh("python manage.py migrate && python manage.py migrate --database=slave")
    made = far.sh(add)
    token = max(re.findall(r"[\w-]{30,}", made), key=len)
    port = free_port()
    server = served(far, port)
    try:
        group = "from django.contrib.auth.models import Group; Group.objects.create(name={!r})"
        near.sh(f'python manage.py shell -c "{group.format("editors")}"')
        near.sh(both.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}"), TOKEN=token)
        names = "from django.contrib.auth.models import Group; print([g.name for g in Group.objects.all()])"
        assert "editors" in far.sh(f'python manage.py shell -c "{names}"')
    finally:
        server.kill()
        server.wait()

    near.sh("python manage.py sync_data --direction=push")
    near.sh(f"cat > run.py <<'END'\n{code}\nEND\npython manage.py shell < run.py")
    near.add(near.settings, peers)
    assert "centre" in json.dumps(json.loads(near.sh("python manage.py sync_status --json")))
