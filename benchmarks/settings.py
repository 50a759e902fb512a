"""The project that is measured. Its databases, and the peer that it calls, come through the environment.

BENCH_DATABASES  JSON, {alias: Django's settings of that database}
BENCH_PEERS      JSON, as SYNC_CONFIG["PEERS"]
"""

import json
import os

SECRET_KEY = "of no use outside the benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "benchmarks.urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "peersync",
    "benchmarks.store",
]
MIDDLEWARE: list[str] = []
DATABASES = json.loads(os.environ.get("BENCH_DATABASES", "{}"))
SYNC_CONFIG = {
    "MODELS": ["store.Maker", "store.Item"],
    "IDENTITY": {"store.Maker": "pk", "store.Item": "pk"},
    "AUTO_SYNC": "off",
    "PEERS": json.loads(os.environ.get("BENCH_PEERS", "{}")),
}
