"""Checks as a user meets them: real commands in a project of his own, with fresh databases."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import peersync

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "peersync", "shop",
]
SQLITE = "django.db.backends.sqlite3"
OPTIONS = {{"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"}}
DATABASES = {{
    alias: {{"ENGINE": SQLITE, "NAME": "{folder}/" + alias + ".sqlite3", "OPTIONS": OPTIONS}}
    for alias in ("default", "slave")
}}
SYNC_CONFIG = {config}
"""
MODELS = """
from django.db import models

class Order(models.Model):
    number = models.CharField(max_length=20, unique=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE)
"""
RIGHT: dict[str, Any] = {
    "MODELS": ["auth.User", "shop.Order"],
    "EXCLUDE": {"auth.User": ["password", "last_login", "is_superuser", "is_staff"]},
    "IDENTITY": {"shop.Order": ["number"]},
}


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "models.py").write_text(MODELS)
        self.say(RIGHT)

    def say(self, config: Any) -> None:
        (self.folder / "site_settings.py").write_text(SETTINGS.format(folder=self.folder, config=repr(config)))

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = [str(self.folder), str(Path(peersync.__file__).parents[1])]
        return subprocess.run(
            [sys.executable, "-m", "django", *arguments, "--settings", "site_settings"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        result = self.manage(*arguments)
        assert result.returncode == 0, result.stderr
        assert "peersync." not in result.stderr, result.stderr
        return result.stdout + result.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("aliases", [("default", "slave"), ("slave", "default")])
def test_a_fresh_database_is_migrated_in_any_order(project: Project, aliases: tuple[str, str]) -> None:
    project.done("check", "--database", "default", "--database", "slave")
    project.done("makemigrations", "shop")
    for alias in aliases:
        project.done("migrate", "--database", alias)
    project.done("check", "--database", "default", "--database", "slave")
    project.done("makemigrations", "--check")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "number"),
    [
        ({"MODLES": []}, "E001"),
        ({"MODELS": "shop.Order"}, "E002"),
        ({"MODELS": ["shop.Ordr"]}, "E005"),
        ({"IDENTITY": {"shop.Order": ["nmber"]}}, "E008"),
        ({"IDENTITY": {"shop.Order": ["parent", "number"]}}, "E019"),
        ({"EXCLUDE": {"shop.Order": ["nmber"]}}, "E008"),
        ({"FILTER": {"shop.Order": {"nmber": 1}}}, "E010"),
        ({"SLAVE": "nowhere"}, "E009"),
    ],
)
@pytest.mark.parametrize("capture", ["triggers", "signals"])
def test_a_mistake_is_named_and_shows_no_traceback(
    project: Project, config: dict[str, Any], number: str, capture: str
) -> None:
    project.say({**RIGHT, "CAPTURE": capture, **config})
    result = project.manage("check")
    assert result.returncode == 1
    assert f"(peersync.{number})" in result.stderr
    assert "HINT: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_database_that_nobody_answers_for_is_left_to_the_command(project: Project) -> None:
    (project.folder / "slave.sqlite3").mkdir()
    project.done("check", "--database", "slave")
