"""Files over HTTP: scopes before bodies, bodies judged strictly, answers as openapi.yaml promises, nothing forced."""

import hashlib
from typing import Any

import pytest

from peersync.replicas.database import DatabaseReplica
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.api import Api, caller_of, made_token, refused

NAME = "papers/2024/x.txt"
ASKED = {"key": [1], "field": "file", "name": NAME, "salt": "s"}
CALLS: dict[str, tuple[str, Any]] = {
    "files/filed.Paper/": ("pull", {"files": [ASKED]}),
    "files/filed.Paper/content/": ("pull", {"key": [1], "field": "file", "name": NAME, "offset": 0}),
    "files/wanted/": ("push", {"fields": {"filed.Paper": ["file"]}, "after": 0}),
    "files/offered/": ("push", {"offers": [{"number": 1, "state": "missing", "size": 0, "digest": ""}]}),
    "files/content/1/0/": ("push", b"text"),
}

OTHER = {"pull": "push", "push": "pull"}


@pytest.fixture
def config() -> dict[str, Any]:
    return {
        "MODELS": ["zoo.Parent", "filed.*"],
        "EXCLUDE": {"filed.Paper": ["scan"]},
        "FILES": True,
        "AUTO_SYNC": "off",
    }


@pytest.fixture
def filed(api: Api, tmp_path: Any, settings: Any) -> Any:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    stores.store.stores["a"] = stores.KINDS["bare"]()
    Paper.objects.using(api.alias).create(pk=1, title="x", file=NAME)
    stores.put("a", NAME, b"the content")
    yield api
    stores.store.stores.clear()


def test_each_call_answers_as_promised_and_with_its_scope_alone(filed: Api) -> None:
    lacking = {scope: made_token(filed.alias, f"without {scope}", other) for scope, other in OTHER.items()}
    for path, (scope, body) in CALLS.items():
        assert filed.post(path, body).status == 200, path
        assert filed.post(path, body, token=None).status == 401
        refused(filed.post(path, body, token=lacking[scope]), 403, "forbidden")
        assert filed.get(path).status == 405


def test_who_may_only_send_hears_nothing_of_rows_that_it_did_not_send(filed: Api) -> None:
    """Which files are missing here says which rows there are, and what their files are called."""
    token, call = made_token(filed.alias, "sender", "push"), {"caller": caller_of(filed.peer)}
    DatabaseReplica(filed.alias, peer="sender").apply(
        call["caller"],
        DatabaseReplica(filed.peer, peer="a").snapshot(caller_of(filed.alias), "filed.Paper", None, None, 100),
    )
    after, done = 0, False
    while not done:
        body = {"fields": {"filed.Paper": ["file", "cover"]}, "after": after}
        page = filed.post("files/wanted/", body, token=token, **call).json
        after, done = page["after"], page["done"]
        assert page["wants"] == []
    for number in range(1, 5):
        offer = {"number": number, "state": "here", "size": 4, "digest": "0" * 64}
        answer = filed.post("files/offered/", {"offers": [offer]}, token=token, **call)
        assert answer.json == {"states": [{"offset": None}]}


def test_digest_and_contents(filed: Api) -> None:
    digest = hashlib.sha256(b"sthe content").hexdigest()
    said = filed.post("files/filed.Paper/", {"files": [ASKED, {**ASKED, "key": [7]}]}).json
    assert said == {
        "files": [{"state": "here", "size": 11, "digest": digest}, {"state": "none", "size": 0, "digest": ""}]
    }
    for offset, rest in ((0, b"the content"), (4, b"content"), (11, b""), (99, b"")):
        answer = filed.post("files/filed.Paper/content/", {**ASKED, "offset": offset} | {"salt": None})
        assert answer.status == 400  # a salt has no place there
        body = {"key": [1], "field": "file", "name": NAME, "offset": offset}
        assert filed.post("files/filed.Paper/content/", body).body == rest


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("files/filed.Paper/", {"files": []}, 400, "malformed"),
        ("files/filed.Paper/", {"files": [{**ASKED, "path": "/etc/passwd"}]}, 400, "malformed"),
        ("files/filed.Paper/", {"files": [{**ASKED, "key": "1"}]}, 400, "malformed"),
        ("files/filed.Paper/", {"files": [{**ASKED, "name": "x" * 5000}]}, 400, "malformed"),
        ("files/filed.Paper/", {"files": [ASKED] * 1001}, 400, "malformed"),
        ("files/filed.Paper/", {"files": [{**ASKED, "field": "title"}]}, 400, "unknown_field"),
        ("files/filed.Paper/", {"files": [{**ASKED, "field": "scan"}]}, 400, "unknown_field"),
        ("files/zoo.Parent/", {"files": [ASKED]}, 400, "unknown_field"),
        ("files/auth.User/", {"files": [ASKED]}, 404, "unknown_model"),
        ("files/papers/", {"files": [ASKED]}, 404, "unknown_model"),
        ("files/filed.Paper/content/", {"key": [1], "field": "file", "name": NAME}, 400, "malformed"),
        ("files/filed.Paper/content/", {"key": [1], "field": "file", "name": NAME, "offset": -1}, 400, "malformed"),
        (
            "files/filed.Paper/content/",
            {"key": [1], "field": "file", "name": "/etc/passwd", "offset": 0},
            409,
            "file_unreadable",
        ),
        (
            "files/filed.Paper/content/",
            {"key": [9], "field": "file", "name": NAME, "offset": 0},
            409,
            "file_unreadable",
        ),
        ("files/wanted/", {"fields": [], "after": 0}, 400, "malformed"),
        ("files/offered/", {"offers": [{"number": 1, "state": "same", "size": 0, "digest": ""}]}, 400, "malformed"),
        ("files/offered/", {"offers": [{"number": 1, "state": "here", "size": 1, "digest": "x"}]}, 400, "malformed"),
    ],
)
def test_what_is_refused(filed: Api, path: str, body: Any, status: int, code: str) -> None:
    refused(filed.post(path, body), status, code)


def test_a_name_that_leads_out_is_not_served_though_a_row_has_it(filed: Api) -> None:
    for name in ("papers/../secret.txt", "secret.txt"):
        Paper.objects.using(filed.alias).filter(pk=1).update(file=name)
        stores.put("a", name, b"secret") if name == "secret.txt" else None
        body = {"key": [1], "field": "file", "name": name, "offset": 0}
        refused(filed.post("files/filed.Paper/content/", body), 409, "file_unreadable")


def test_a_push_is_bounded_and_goes_on_where_it_stood(filed: Api) -> None:
    """b pushes a row and its file: out of order, too much of it, twice; and a stranger with its numbers."""
    Paper.objects.using(filed.peer).create(pk=2, title="of b", file="papers/2024/b.txt")
    caller = caller_of(filed.peer)
    here, there = DatabaseReplica(filed.alias, peer="b"), DatabaseReplica(filed.peer, peer="a")
    here.describe(caller)
    batch = there.snapshot(caller_of(filed.alias), "filed.Paper", None, None, 100)
    here.apply(caller, batch)
    call: dict[str, Any] = {"caller": caller}
    page = filed.post(
        "files/wanted/", {"fields": {"filed.Paper": ["file"], "no.Model": ["x"]}, "after": 0}, **call
    ).json
    (want,) = (one for one in page["wants"] if one["key"] == [2])
    assert (want["model"], want["field"], want["name"]) == ("filed.Paper", "file", "papers/2024/b.txt")
    number, digest = want["number"], hashlib.sha256(f"{want['salt']}of b".encode()).hexdigest()
    path = f"files/content/{number}/"
    assert filed.post(f"{path}0/", b"of b", **call).json == {"offset": None}  # not before it was offered
    offer = {"number": number, "state": "here", "size": 4, "digest": digest}
    assert filed.post("files/offered/", {"offers": [offer]}, **call).json == {"states": [{"offset": 0}]}
    assert filed.post(f"{path}0/", b"of", **call).json == {"offset": 2}
    assert filed.post(f"{path}0/", b"of", **call).json == {"offset": 2}
    assert filed.post(f"{path}3/", b"b", **call).json == {"offset": 2}
    third = caller_of(filed.third)
    stranger = made_token(filed.alias, "c")
    assert filed.post(f"{path}2/", b" x", caller=third, token=stranger).json == {"offset": None}
    assert filed.post(f"{path}2/", b" b", **call).json == {"offset": None}
    assert stores.got("a", "papers/2024/b.txt") == b"of b"
    assert filed.post(f"{path}0/", b"evil", **call).json == {"offset": None}
    assert stores.got("a", "papers/2024/b.txt") == b"of b"
