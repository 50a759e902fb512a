"""The example project: one code, and as many instances as there are environments.

EXAMPLE_DB          a SQLite file (default: example.sqlite3 beside manage.py) or postgresql://user:password@host/name
EXAMPLE_SLAVE       the same for a second database, under the alias `slave`
EXAMPLE_NAME        what this instance is called (in the admin's title)
EXAMPLE_SYNC        JSON, laid over SYNC_CONFIG key by key
EXAMPLE_AUTO_SYNC   "background" (default), "inline" or "off"
EXAMPLE_SECRET_KEY  the SECRET_KEY; one for trying out is built in
EXAMPLE_DEBUG       "1" for Django's debug pages
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def database(where: str) -> dict[str, Any]:
    if where.startswith(("postgres://", "postgresql://")):
        url = urlsplit(where)
        socket = parse_qs(url.query).get("host", [""])[0]
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(url.path.lstrip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": socket or url.hostname or "",
            "PORT": str(url.port or ""),
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": where,
        # What peersync's check recommends: readers and one writer side by side, and writers that queue.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


NAME = os.environ.get("EXAMPLE_NAME", "example")
SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY", "for trying out only")
DEBUG = os.environ.get("EXAMPLE_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

DATABASES = {"default": database(os.environ.get("EXAMPLE_DB", str(BASE_DIR / "example.sqlite3")))}
if slave := os.environ.get("EXAMPLE_SLAVE"):
    DATABASES["slave"] = database(slave)

SYNC_CONFIG: dict[str, Any] = {
    "MODELS": ["geo.*"],
    "EXCLUDE": {"geo.Country": ["internal_note"]},
    "AUTO_SYNC": os.environ.get("EXAMPLE_AUTO_SYNC", "background"),
    **json.loads(os.environ.get("EXAMPLE_SYNC") or "{}"),
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "peersync",
    "geo",
    "shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"peersync": {"handlers": ["console"], "level": os.environ.get("EXAMPLE_LOG", "WARNING")}},
}
