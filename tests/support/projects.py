"""A user's own project, made in a directory of its own, with nothing of these tests in it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "config.urls"
STATIC_URL = "static/"
MIDDLEWARE = []
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "peersync", "shop"]
DATABASES = {databases!r}
SYNC_CONFIG = {sync!r}
"""

FILES = {
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "config/__init__.py": "",
    "config/urls.py": """
from django.http import HttpResponse
from django.urls import include, path
from shop.models import Item

def make(request):
    Item.objects.create(name="made in a request", number=99)
    return HttpResponse("ok")

urlpatterns = [path("make/", make), path("peersync/", include("peersync_api.urls"))]
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models

class Item(models.Model):
    number = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    others = models.ManyToManyField("self", blank=True)
""",
    "shop/tests.py": """
import urllib.request

from django.db import transaction
from django.test import LiveServerTestCase, TestCase, TransactionTestCase

from shop.models import Item

class InATransaction(TestCase):
    def test_save(self):
        with self.captureOnCommitCallbacks(execute=True):
            Item.objects.create(number=1, name="one")
        self.assertEqual(self.client.get("/make/").status_code, 200)

class Committed(TransactionTestCase):
    def test_save(self):
        one = Item.objects.create(number=1, name="one")
        with transaction.atomic():
            two = Item.objects.create(number=2, name="two")
            one.others.add(two)
        two.delete()
        self.assertEqual(Item.objects.count(), 1)

class Served(LiveServerTestCase):
    def test_request(self):
        with urllib.request.urlopen(self.live_server_url + "/make/") as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual(Item.objects.count(), 1)
""",
}


class Project:
    """``databases``: as Django takes them; SQLite files where nothing is said."""

    def __init__(self, directory: Path, databases: dict[str, Any] | None = None, **sync: Any) -> None:
        self.directory = directory
        databases = databases or {"default": self.sqlite("db")}
        settings = SETTINGS.format(databases=databases, sync={"MODELS": ["shop.*"], **sync})
        for name, text in {**FILES, "config/settings.py": settings}.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.manage("makemigrations", "shop")

    def sqlite(self, name: str) -> dict[str, Any]:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.directory / f"{name}.sqlite3")}

    def manage(self, *command: str) -> "subprocess.CompletedProcess[str]":
        hidden = ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=self.directory,
            env={name: value for name, value in os.environ.items() if name not in hidden},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *command: str) -> Any:
        return json.loads(self.manage(*command, "--json").stdout)
