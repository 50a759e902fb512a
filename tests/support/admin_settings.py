"""The settings of a node that has Django's admin."""

from tests.support.site_settings import *  # noqa: F403
from tests.support.site_settings import DATABASES as _DATABASES
from tests.support.site_settings import INSTALLED_APPS as _APPS

DATABASES = {**_DATABASES, "default": {**_DATABASES["default"], "ATOMIC_REQUESTS": True}}

INSTALLED_APPS = [*_APPS, "django.contrib.sessions", "django.contrib.messages", "django.contrib.admin"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
            ]
        },
    }
]
ROOT_URLCONF = "tests.support.admin_urls"
STATIC_URL = "static/"
