"""A project's own settings change nothing of the wire: each is tried on every call, good and bad."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.http import HttpResponse
from django.test import override_settings
from django.urls import clear_url_caches
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import BaseVersioning

from tests.integration.api.test_access import BODIES, CALLS
from tests.support.api import Answer, Api, batch_from, caller_of


class Never(BaseAuthentication, BasePermission, BaseThrottle, BaseVersioning, BaseRenderer):
    """Whatever DRF asks it, it says no."""

    media_type = "text/never"
    format = "never"

    def __init__(self) -> None:
        pass

    def authenticate(self, request: Any) -> Any:
        raise AssertionError("the project's authentication was asked")

    def has_permission(self, request: Any, view: Any) -> bool:
        return False

    def allow_request(self, request: Any, view: Any) -> bool:
        return False

    def determine_version(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the project's versioning was asked")

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        raise AssertionError("the project's renderer was asked")


class Negotiation(DefaultContentNegotiation):
    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        raise AssertionError("the project's negotiation was asked")


def exception_handler(exc: Exception, context: Any) -> HttpResponse:
    return HttpResponse("the project's own error page", status=418)


def nobody() -> Any:
    raise AssertionError("the project's anonymous user was asked for")


def reads_the_body(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        request.body  # noqa: B018  as loggers do
        return get_response(request)

    return middleware


HERE = "tests.integration.api.test_hostile."
REST = {
    "DEFAULT_AUTHENTICATION_CLASSES": [HERE + "Never"],
    "DEFAULT_PERMISSION_CLASSES": [HERE + "Never"],
    "DEFAULT_THROTTLE_CLASSES": [HERE + "Never"],
    "DEFAULT_RENDERER_CLASSES": [HERE + "Never"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": HERE + "Negotiation",
    "DEFAULT_VERSIONING_CLASS": HERE + "Never",
    "DEFAULT_METADATA_CLASS": HERE + "Never",
    "DEFAULT_SCHEMA_CLASS": HERE + "Never",
    "EXCEPTION_HANDLER": HERE + "exception_handler",
    "UNAUTHENTICATED_USER": HERE + "nobody",
    "FORMAT_SUFFIX_KWARG": "model",
    "URL_FORMAT_OVERRIDE": "limit",
    "COERCE_DECIMAL_TO_STRING": False,
    "NUM_PROXIES": 3,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "rest": {"REST_FRAMEWORK": REST},
    "gzip": {"MIDDLEWARE": ["django.middleware.gzip.GZipMiddleware"]},
    "login": {
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
    },
    "csrf": {
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "django.middleware.locale.LocaleMiddleware",
        ],
        "LANGUAGE_CODE": "de",
        "PREPEND_WWW": False,
        "USE_THOUSAND_SEPARATOR": True,
    },
    "etag": {
        "MIDDLEWARE": [
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.http.ConditionalGetMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ]
    },
    "body": {"MIDDLEWARE": [HERE + "reads_the_body"]},
    "dummy-cache": {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}},
    "debug": {"DEBUG": True, "DEBUG_PROPAGATE_EXCEPTIONS": False},
    "naive": {"USE_TZ": False, "TIME_ZONE": "America/New_York"},
}


def asked(api: Api) -> dict[str, Answer]:
    """Each call well made, without a token, and malformed."""
    found = {}
    for method, path, _ in CALLS:
        body = BODIES.get(path, b"")
        caller = caller_of(api.peer)
        headers = {"Accept": "text/html;q=0.9, application/xml", "Accept-Encoding": "gzip"}
        if (method, path) == ("POST", "changes/"):
            dry = batch_from(api.peer, api.alias, options={"dry_run": True})
            found[f"{method} {path}"] = api.push(dry, caller=caller, headers=headers)
        else:
            found[f"{method} {path}"] = api.call(method, path, body, caller=caller, headers=headers)
        found[f"{method} {path} without"] = api.call(method, path, body, token=None, headers=headers)
        found[f"{method} {path} wrong"] = api.call(method, path + "?format=json", b"{", headers=headers)
        found[f"{method} {path} method"] = api.call("DELETE", path, headers=headers)
    for path in ("health/", "schema/", "docs/"):
        found[path] = api.get(path, token=None)
    return found


def plain(answers: dict[str, Answer]) -> dict[str, Any]:
    """What a peer reads of the answers; clocks and the triggers' sentences are not the wire's business.

    Nor is what a column of naive datetimes can hold, which depends on the zone that it means.
    """
    clock = re.compile(rb'"(clock|use_tz|time_zone|warnings|missed)":("[^"]*"|\d+|true|false|\[[^]]*\]|{[^}]*})')
    naive = re.compile(rb"datetime\([^)]*\)")
    return {
        name: (answer.status, answer.headers["Content-Type"], naive.sub(b"datetime", clock.sub(b"", answer.body)))
        for name, answer in answers.items()
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_project_change_nothing(api: Api, name: str) -> None:
    asked(api)
    usual = plain(asked(api))
    assert {answer[0] for answer in usual.values()} == {200, 400, 401, 405}
    cache.clear()
    with override_settings(**SETTINGS[name]):
        fresh = Api(api.alias, api.token)  # its handler reads MIDDLEWARE anew
        fresh.config = api.config
        clear_url_caches()
        assert plain(asked(fresh)) == usual
        # A second time: nothing of one peer's may come out of a cache for another.
        assert fresh.get("snapshot/zoo.Parent/", token="wrong").status == 401
    clear_url_caches()


def test_the_views_are_out_of_atomic_requests(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every alias: a request in a transaction would hold locks while it streams, and lose refusals' notes."""
    from peersync_api.urls import urlpatterns

    for pattern in urlpatterns:
        assert set(connections) <= pattern.callback._non_atomic_requests, pattern
    for alias in (api.alias, "default"):
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    assert api.push(batch_from(api.peer, api.alias), caller=caller_of(api.peer)).status == 200
    assert api.get("changes/", caller=caller_of(api.peer)).status == 200


def test_an_exception_of_ours_shows_nothing(api: Api, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from peersync.replicas.database import DatabaseReplica

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr(DatabaseReplica, "checkpoint", broken)
    with override_settings(DEBUG=True):
        answer = api.get("checkpoint/")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"secret" not in answer.body
    assert b"Runtime" not in answer.body
    assert "SELECT secret" in caplog.text


def test_https_only_redirects_before_us(api: Api) -> None:
    """No view can be taken out of SECURE_SSL_REDIRECT; over https all is as ever, and the peer is told the URL."""
    with override_settings(MIDDLEWARE=["django.middleware.security.SecurityMiddleware"], SECURE_SSL_REDIRECT=True):
        client = Api(api.alias, api.token).client
        response = client.get("/peersync/v1/health/")
        assert response.status_code == 301
        assert response.headers["Location"].startswith("https://")
        assert client.get("/peersync/v1/health/", secure=True).status_code == 200
