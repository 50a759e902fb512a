"""`make demo`, as a newcomer runs it: its verdict, its exit status, and what it leaves behind."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "example"
VERDICT = "VERDICT: both databases are equal, all 39,281 rows in 3 tables."
PATIENCE = 600
"""Seconds: other tests may be running on every core."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demo makes its directory; a short path, since a PostgreSQL socket will lie below."""
    place = Path(tempfile.mkdtemp(prefix="demo-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def started(temporary: Path, **switches: str) -> subprocess.Popen[str]:
    env = {**os.environ, "POSTGRES": "", "KEEP": "", **switches, "TMPDIR": str(temporary)}
    env["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'api'}"
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE / "demo.py")],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def shown(demo: subprocess.Popen[str]) -> str:
    try:
        text, _ = demo.communicate(timeout=PATIENCE)
    finally:
        demo.kill()
    assert demo.returncode == 0, text
    return text


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}peersync/v1/health/", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(what: Any) -> None:
    give_up = time.monotonic() + 60
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def check_story(text: str) -> None:
    assert VERDICT in text.splitlines()
    for command in (
        "manage.py sync_data --direction=master-to-slave",
        "manage.py sync_data --direction=slave-to-master",
        "manage.py sync_data --direction=both",
        "manage.py sync_status",
    ):
        assert f"headquarters $ {command}\n" in text
    tokens = re.findall(r'"token": "([^"]*)"', text)
    assert len(tokens) == 2
    assert all(token.endswith("…") for token in tokens), "a token is shown"
    assert "Traceback" not in text


@pytest.mark.slow
def test_on_sqlite_with_servers_that_stay(temporary: Path) -> None:
    text = shown(started(temporary, KEEP="1"))
    check_story(text)
    stop = re.findall(r"sh (\S+/stop\.sh)", text)[0]
    urls = re.findall(r"answers at (http://\S+)", text)
    try:
        assert len(urls) == 2
        assert all(answers(url) for url in urls)
    finally:
        subprocess.run(["sh", stop], check=True)
    wait_for(lambda: not any(answers(url) for url in urls))
    assert not list(temporary.glob("peersync-demo-*"))


@pytest.mark.slow
@pytest.mark.postgres
def test_on_postgresql(temporary: Path) -> None:
    text = shown(started(temporary, POSTGRES="1"))
    check_story(text)
    assert "a PostgreSQL database" in " ".join(text.split())
    assert not any(answers(url) for url in re.findall(r"answers at (http://\S+)", text))
    assert not list(temporary.glob("peersync-demo-*"))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_leaves_nothing_behind(temporary: Path, how: signal.Signals) -> None:
    demo = started(temporary)
    assert demo.stdout is not None
    urls: list[str] = []
    for line in demo.stdout:
        urls += re.findall(r"answers at (http://\S+)", line)
        if len(urls) == 2:
            break
    demo.send_signal(how)
    demo.communicate(timeout=60)
    assert demo.returncode in (130, -signal.SIGKILL)
    wait_for(lambda: not list(temporary.glob("peersync-demo-*")))
    wait_for(lambda: not any(answers(url) for url in urls))


# ---------------------------------------------------------------------- the comparison itself


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return importlib.import_module("demo_compare")


@pytest.fixture
def pair(tmp_path: Path, comparing: ModuleType) -> Any:
    """Two databases with equal rows, and notes of their own."""
    made = []
    for name in ("one", "other"):
        database = importlib.import_module("demo_databases").SQLite(tmp_path / f"{name}.sqlite3")
        for statement in (
            "CREATE TABLE geo_country (code TEXT PRIMARY KEY, name TEXT, internal_note TEXT)",
            "CREATE TABLE geo_subdivision (code TEXT PRIMARY KEY, name TEXT)",
            "CREATE TABLE geo_city (name TEXT, population BIGINT, geonameid BIGINT PRIMARY KEY)",
            f"INSERT INTO geo_country VALUES ('PE', 'Peru', '{name}')",
            "INSERT INTO geo_subdivision VALUES ('PE-LMA', 'Lima')",
            "INSERT INTO geo_city VALUES ('Lima', 7737002, 3936456), ('Cusco', 312140, 3941584)",
        ):
            database.run(statement)
        made.append(database)
    return made


def test_equal_but_for_what_stays_home(comparing: ModuleType, pair: Any) -> None:
    found = comparing.compare(*pair)
    assert comparing.equal(found)
    assert comparing.verdict(found) == "VERDICT: both databases are equal, all 4 rows in 3 tables."


@pytest.mark.parametrize(
    ("tampering", "key"),
    [
        ("UPDATE geo_city SET population = population + 1 WHERE name = 'Lima'", 3936456),
        ("UPDATE geo_city SET name = NULL WHERE geonameid = 3941584", 3941584),
        ("DELETE FROM geo_city WHERE name = 'Cusco'", 3941584),
        ("INSERT INTO geo_city VALUES ('Puno', 116552, 3931276)", 3931276),
    ],
)
def test_one_row_behind_its_back(comparing: ModuleType, pair: Any, tampering: str, key: int) -> None:
    pair[1].run(tampering)
    for sides in (pair, pair[::-1]):
        found = comparing.compare(*sides)
        assert not comparing.equal(found)
        assert [each.differing for each in found] == [[], [], [key]]
        assert "differ in 1 of" in comparing.verdict(found)
        assert "1 differ" in comparing.lines(found)[2]


def test_nothing_compared_is_no_success(comparing: ModuleType, pair: Any) -> None:
    for database in pair:
        for table in comparing.TABLES:
            database.run(f"DELETE FROM {table}")
    assert "nothing was compared" in comparing.verdict(comparing.compare(*pair))
