"""The settings of the test suite, and of every process that it starts.

Each pytest process (an xdist worker is one) has databases of its own. A process started by a test inherits
the environment, and so sees the databases of the test that started it.
"""

import os
from typing import Any

from tests.support import workspace

SECRET_KEY = "of no use outside the tests"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.urls"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "peersync",
    "tests.zoo",
    "tests.typed",
    "tests.shapes",
    "tests.generic",
    "tests.keyed",
    "tests.filed",
    "tests.single",
    "tests.kin",
]
MIDDLEWARE: list[str] = []

SYNC_CONFIG: dict[str, Any] = {"MODELS": ["zoo.*"], "AUTO_SYNC": "off"}

# `default` may be rolled back by pytest-django; the others are nodes: they commit, are copied and put back
# (tests/support/databases.py).
DATABASES = {
    "default": workspace.sqlite("default"),
    "a": workspace.sqlite("a"),
    "b": workspace.sqlite("b"),
    "c": workspace.sqlite("c"),
    "pg_a": workspace.postgres("a"),
    "pg_b": workspace.postgres("b"),
    "pg_c": workspace.postgres("c"),
}

# A process that a test starts may serve another node as its own: PEERSYNC_TEST_DEFAULT=pg_b
if _default := os.environ.get("PEERSYNC_TEST_DEFAULT"):
    DATABASES["default"] = dict(DATABASES[_default])
