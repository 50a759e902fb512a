"""In a user's own project: his tests reach nobody, and `manage.py test peersync` says whether we can work there."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.projects import Project
from tests.support.sites import BadServer, free_port


@pytest.mark.parametrize("parallel", [[], ["--parallel=2"]], ids=["one process", "parallel"])
@pytest.mark.parametrize("mode", ["background", "inline"])
def test_a_test_suite_posts_to_nobody(tmp_path: Path, mode: str, parallel: list[str]) -> None:
    port = free_port()
    entry = {"URL": f"http://127.0.0.1:{port}/peersync/", "TOKEN": "t", "AUTO": "both"}
    project = Project(tmp_path, PEERS={"real": entry}, AUTO_SYNC=mode)
    peer = BadServer(port)
    try:
        answer = project.manage("test", "shop", *parallel)
        assert answer.returncode == 0, answer.stderr
        assert "Ran 3 tests" in answer.stderr
        assert peer.calls == 0
    finally:
        peer.close()


def test_outside_of_tests_the_same_peer_is_called(tmp_path: Path) -> None:
    """What the tests above look at would show it."""
    port = free_port()
    project = Project(tmp_path, PEERS={"real": {"URL": f"http://127.0.0.1:{port}/", "TOKEN": "t"}})
    assert project.manage("migrate").returncode == 0
    peer = BadServer(port)
    try:
        project.manage("shell", "-c", "from shop.models import Item; Item.objects.create(number=1, name='one')")
        assert peer.calls
    finally:
        peer.close()


def test_peersyncs_own_short_suite_passes_there(tmp_path: Path) -> None:
    answer = Project(tmp_path).manage("test", "peersync")
    assert answer.returncode == 0, answer.stderr
    assert "OK" in answer.stderr
    assert "Ran 0 tests" not in answer.stderr


def test_with_two_databases(tmp_path: Path) -> None:
    files = {name: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / name)} for name in ("a", "b")}
    answer = Project(tmp_path, {"default": files["a"], "slave": files["b"]}).manage("test", "peersync")
    assert answer.returncode == 0, answer.stderr
    assert "there is no other database" not in answer.stderr


def test_on_postgresql(tmp_path: Path, pg_nodes: Any) -> None:
    database = {
        key: value
        for key, value in pg_nodes.a.connection.settings_dict.items()
        if key in ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD")
    }
    answer = Project(tmp_path, {"default": database}).manage("test", "--noinput", "peersync", "shop")
    assert answer.returncode == 0, answer.stderr


def test_the_settings_of_the_replaced_package_work(tmp_path: Path) -> None:
    files = {name: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / name)} for name in ("a", "b")}
    project = Project(
        tmp_path,
        {"default": files["a"], "slave": files["b"]},
        MODELS=["auth.User"],
        EXCLUDE={"auth.User": ["password", "last_login"]},
    )
    for alias in ("default", "slave"):
        assert project.manage("migrate", f"--database={alias}").returncode == 0
    make = "from django.contrib.auth.models import User; User.objects.create_user('anna', password='secret')"
    project.manage("shell", "-c", make)
    found = project.json("sync_data", "--direction=master-to-slave")
    assert found["status"] == "ok"
    look = (
        "from django.contrib.auth.models import User; anna = User.objects.using('slave').get();"
        " print(anna.username, anna.has_usable_password())"
    )
    assert project.manage("shell", "-v0", "-c", look).stdout.strip() == "anna False"


def test_a_slave_that_was_never_migrated_says_what_to_run(tmp_path: Path) -> None:
    files = {name: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / name)} for name in ("a", "b")}
    project = Project(tmp_path, {"default": files["a"], "slave": files["b"]})
    project.manage("migrate")
    answer = project.manage("sync_data", "--direction=push")
    assert answer.returncode == 1
    assert "manage.py migrate --database=slave" in answer.stderr
    assert "Traceback" not in answer.stderr
