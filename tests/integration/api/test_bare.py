"""Nothing else is needed: a project with rest_framework, peersync and its own models, and not a line more."""

import uuid
from pathlib import Path

import pytest

from peersync.records import START, Caller
from peersync.replicas.http import HttpReplica
from tests.support.live import Server

APP = {
    "__init__.py": "",
    "models.py": """
from django.db import models


class Thing(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=20)
""",
}
URLS = """
from django.urls import include, path

urlpatterns = [path("some/where/", include("peersync_api.urls"))]
"""
SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["rest_framework", "peersync", "bare"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {name!r}}}}}
ROOT_URLCONF = "bare_urls"
SYNC_CONFIG = {{"MODELS": ["bare.Thing"], "AUTO_SYNC": "off"}}
{more}
"""


def site(path: Path, more: str = "") -> Server:
    (path / "bare").mkdir()
    for name, text in APP.items():
        (path / "bare" / name).write_text(text)
    (path / "bare_urls.py").write_text(URLS)
    (path / "bare_settings.py").write_text(SETTINGS.format(name=str(path / "db.sqlite3"), more=more))
    server = Server(settings="bare_settings", path=path, mount="some/where/")
    server.manage("makemigrations", "bare", "--verbosity=0")
    server.manage("migrate", "--verbosity=0")
    return server


@pytest.mark.parametrize(
    "more", ["", "MIDDLEWARE = ['django.middleware.common.CommonMiddleware']; APPEND_SLASH = True"]
)
def test_a_project_with_nothing_else(tmp_path: Path, more: str) -> None:
    server = site(tmp_path, more)
    code = "from peersync import tokens; print(tokens.create('b'))"
    key = server.manage("shell", "-v", "0", "-c", code).stdout.strip().splitlines()[-1]
    write = "from bare.models import Thing; Thing.objects.create(id=7, name='seven')"
    server.manage("shell", "-v", "0", "-c", write)
    with server:
        replica = HttpReplica("a", server.url, key)
        description = replica.describe()
        assert [model.label for model in description.models] == ["bare.Thing"]
        asker = Caller(str(uuid.uuid4()), str(uuid.uuid4()))
        batch = replica.changes(asker, ["bare.Thing"], START, None, 10)
        assert [row.content for row in batch.rows] == [(7, "seven")]
    assert "Traceback" not in server.log
