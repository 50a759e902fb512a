"""Every call: without a token, with a wrong, an expired, a revoked one, and one of the wrong scope."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from peersync import tokens
from peersync.models import PeerToken
from peersync_api import urls
from peersync_api.throttling import refused_tokens
from tests.integration.api.test_files import CALLS as FILE_CALLS
from tests.support.api import Api, batch_from, caller_of, everything, made_token

CALLS: list[tuple[str, str, tuple[str, ...]]] = [
    ("GET", "", ("pull", "push", "mirror")),
    ("GET", "snapshot/zoo.Parent/", ("pull",)),
    ("GET", "changes/", ("pull",)),
    ("POST", "changes/", ("push",)),
    ("GET", "checkpoint/", ("pull", "push", "mirror")),
    ("POST", "digests/zoo.Parent/", ("pull", "push")),
    ("POST", "rows/zoo.Parent/", ("pull",)),
]
OPEN = ["health/", "schema/", "docs/"]
BODIES: dict[str, Any] = {
    "digests/zoo.Parent/": {"ranges": [{"after": None, "upto": None}], "parts": 2},
    "rows/zoo.Parent/": {"keys": [[1]]},
}
each_call = pytest.mark.parametrize(("method", "path", "scopes"), CALLS)


def call(api: Api, method: str, path: str, **options: Any) -> Any:
    if (method, path) == ("POST", "changes/"):
        return api.push(batch_from(api.peer, api.alias), caller=caller_of(api.peer), **options)
    return api.call(method, path, BODIES.get(path, b""), **options)


def test_every_view_stands_in_this_list() -> None:
    """Those that carry files have a list of their own."""
    tried: dict[str, set[str]] = {}
    every = [*((method, path) for method, path, _ in CALLS), *(("POST", path) for path in FILE_CALLS)]
    for method, path in [*every, *(("GET", path) for path in OPEN)]:
        name = next(str(pattern.name) for pattern in urls.urlpatterns if pattern.pattern.match(f"v1/{path}"))
        tried.setdefault(name, set()).add(method)
    served = {
        pattern.name: {m.upper() for m in ("get", "post", "put", "patch", "delete") if hasattr(pattern.callback.cls, m)}
        for pattern in urls.urlpatterns
        if pattern.name != "not-found"
    }
    assert served == tried


@each_call
def test_with_a_good_token(api: Api, method: str, path: str, scopes: tuple[str, ...]) -> None:
    answer = call(api, method, path)
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store"


@each_call
@pytest.mark.parametrize(
    "header", ["", "Token", "Token ", "Basic dXNlcjpw", "Token a b", "Token \xe9", "Token " + "x" * 300]
)
def test_without_a_token(api: Api, method: str, path: str, scopes: tuple[str, ...], header: str) -> None:
    before = everything(api.alias)
    answer = call(api, method, path, token=None, headers={"Authorization": header} if header else {})
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Token")
    assert everything(api.alias) == before


@each_call
def test_with_a_wrong_token(api: Api, method: str, path: str, scopes: tuple[str, ...]) -> None:
    before = everything(api.alias)
    answer = call(api, method, path, token="wrong" * 9)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert everything(api.alias) == before


@each_call
def test_with_an_expired_token(api: Api, method: str, path: str, scopes: tuple[str, ...]) -> None:
    PeerToken.objects.using(api.alias).update(expires=timezone.now() - dt.timedelta(seconds=1))
    before = everything(api.alias)
    answer = call(api, method, path)
    assert (answer.status, answer.code) == (401, "token_expired")
    assert everything(api.alias) == before


@each_call
def test_with_a_revoked_token(api: Api, method: str, path: str, scopes: tuple[str, ...]) -> None:
    tokens.revoke("b", using=api.alias)
    before = everything(api.alias)
    answer = call(api, method, path)
    assert (answer.status, answer.code) == (401, "token_revoked")
    assert everything(api.alias) == before


@each_call
@pytest.mark.parametrize("scope", tokens.SCOPES)
def test_with_each_scope_alone(api: Api, method: str, path: str, scopes: tuple[str, ...], scope: str) -> None:
    narrow = made_token(api.alias, "narrow", scope)
    before = everything(api.alias)
    answer = call(api, method, path, token=narrow)
    if scope in scopes:
        assert answer.status == 200, answer
    else:
        assert (answer.status, answer.code) == (403, "forbidden")
        assert everything(api.alias) == before


@each_call
def test_token_and_scope_are_judged_before_all_else(api: Api, method: str, path: str, scopes: tuple[str, ...]) -> None:
    wrong = {"headers": {"Peersync-Protocol": "99", "Content-Encoding": "gzip"}}
    assert api.call(method, path + "?limit=x", b"{broken", token=None, **wrong).status == 401
    other = next((s for s in tokens.SCOPES if s not in scopes), None)
    if other is not None:
        narrow = made_token(api.alias, "narrow", other)
        assert api.call(method, path + "?limit=x", b"{broken", token=narrow, **wrong).status == 403
    assert api.call(method, path + "?limit=x", b"{broken", **wrong).status == 400


@pytest.mark.parametrize("path", OPEN)
def test_open_to_anybody(api: Api, path: str) -> None:
    assert api.get(path, token=None).status == 200
    assert api.get(path, token="wrong").status == 200
    assert api.post(path, b"", token=None).status == 405


def test_health_says_nothing_else(api: Api) -> None:
    assert api.get("health/", token=None).json == {"status": "ok"}


@pytest.mark.parametrize("prefix", ["Token", "token", "Bearer", "BEARER"])
def test_forms_of_the_header(api: Api, prefix: str) -> None:
    assert api.get("", token=None, headers={"Authorization": f"{prefix} {api.token}"}).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_foreign_method(api: Api, method: str) -> None:
    assert api.call(method, "changes/", token=None).status == 401
    answer = api.call(method, "changes/")
    assert (answer.status, answer.code) == (405, "malformed")
    assert "GET" in answer.headers["Allow"]


def test_refused_tokens_are_counted_and_valid_ones_let_in_all_the_same(api: Api) -> None:
    statuses = [api.get("", token="wrong").status for _ in range(102)]
    assert statuses == [401] * 100 + [429] * 2
    answer = api.get("checkpoint/", token="wrong")
    assert answer.code == "throttled"
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert api.get("").status == 200
    assert api.get("", token="wrong", REMOTE_ADDR="192.0.2.7").status == 401
    refused_tokens.clear()
    assert api.get("", token="wrong").status == 401


def test_a_header_of_a_proxy_is_not_believed(api: Api) -> None:
    for number in range(100):
        api.get("", token="wrong", headers={"X-Forwarded-For": f"192.0.2.{number}"})
    assert api.get("", token="wrong", headers={"X-Forwarded-For": "192.0.2.200"}).status == 429


def test_a_token_belongs_to_the_install_that_used_it_first(api: Api) -> None:
    assert api.get("changes/").status == 200  # by curl: names nobody, binds nothing
    assert PeerToken.objects.using(api.alias).get().install == ""
    assert api.get("", caller=caller_of(api.third)).status == 200
    assert PeerToken.objects.using(api.alias).get().install == caller_of(api.third).install
    answer = api.get("", caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (403, "token_bound")
    assert "sync_peer rotate b --rebind" in answer.json["detail"]
    assert api.get("").status == 200


def test_the_node_of_another_install_cannot_be_named(api: Api) -> None:
    other = Api(api.alias, made_token(api.alias, "c"))
    assert other.get("", caller=caller_of(api.third)).status == 200
    assert api.get("", caller=caller_of(api.peer)).status == 200
    forged = {"Peersync-Node": caller_of(api.third).node, "Peersync-Install": caller_of(api.peer).install}
    answer = api.get("changes/", headers={**forged, "Peersync-Protocol": "1"})
    assert (answer.status, answer.code) == (403, "forbidden")


def test_the_use_of_a_token_is_noted_once_a_minute(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_900_000_000_000]
    monkeypatch.setattr(tokens, "now_ms", lambda alias: now[0])

    def noted() -> Any:
        api.get("")
        return PeerToken.objects.using(api.alias).get().last_used

    first = noted()
    now[0] += 59_000
    assert noted() == first
    now[0] += 2_000
    assert noted() > first
