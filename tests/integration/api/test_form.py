"""What is malformed, too large or unknown: a problem document with a stable code, never a 500, nothing written."""

import gzip
import json
import uuid
from typing import Any

import pytest

from peersync import wire
from peersync.records import Point
from tests.integration.api.conftest import BOTH
from tests.support.api import Api, batch_from, caller_of, everything, refused


@pytest.fixture(params=BOTH)
def aliases(request: pytest.FixtureRequest) -> Any:
    return request.param


SNAPSHOT = "snapshot/zoo.Parent/"
DIGESTS = "digests/zoo.Parent/"
ROWS = "rows/zoo.Parent/"
WHOLE: dict[str, Any] = {"ranges": [{"after": None, "upto": None}], "parts": 1}
HEAD = Point(5, "invented")


@pytest.mark.parametrize("value", ["0", "-1", "5001", "1.5", "1e3", "x", "", " 5", "007", "9" * 30, "\u0665"])
@pytest.mark.parametrize("path", [SNAPSHOT, "changes/"])
def test_a_limit_out_of_form_or_range(api: Api, path: str, value: str) -> None:
    refused(api.get(f"{path}?limit={value}"), 400, "malformed")


@pytest.mark.parametrize("value", ["-1", "26", "0.5", "x", "", "1s"])
def test_a_wait_out_of_form_or_range(api: Api, value: str) -> None:
    refused(api.get(f"changes/?wait={value}"), 400, "malformed")


@pytest.mark.parametrize(
    ("path", "after"),
    [
        *[(path, after) for path in (SNAPSHOT, "changes/") for after in ("", "x", "%00", "e30", "bnVsbA", "é")],
        (SNAPSHOT, wire.changes_token(HEAD, None)),
        ("changes/", wire.snapshot_token(HEAD, None)),
        (SNAPSHOT, wire.snapshot_token(HEAD, None) + "AAAA"),
    ],
)
def test_an_after_that_this_call_did_not_give(api: Api, path: str, after: str) -> None:
    refused(api.get(f"{path}?after={after}"), 400, "malformed")


@pytest.mark.parametrize(
    "fields", [{"e": [1, "", 1]}, {"nonsense": [1, "", 1]}, {"x": [-1, "", 1]}, {"x": [1, "", "1"]}, {"x": 1}, None, []]
)
def test_marks_of_fields_that_cannot_be(api: Api, fields: Any) -> None:
    """Fields that the header does not name (excluded ones among them), stamps out of range, other forms."""
    lines = list(wire.batch_lines(batch_from(api.peer, api.alias)))
    row = json.loads(lines[1])
    lines[1] = json.dumps({**row, "fields": fields}).encode() + b"\n"
    before = everything(api.alias)
    refused(api.post("changes/", b"".join(lines)), 400, "malformed")
    assert everything(api.alias) == before


def test_an_after_that_names_an_invented_place(api: Api) -> None:
    answer = api.get(f"changes/?after={wire.changes_token(HEAD, None)}")
    refused(answer, 409, "cursor_unknown")
    before = everything(api.alias)
    answer = api.get(f"{SNAPSHOT}?after={wire.snapshot_token(HEAD, 'x')}")
    assert answer.status in (400, 409), answer
    assert everything(api.alias) == before


def test_after_leads_through_all_pages(api: Api) -> None:
    from tests.zoo.models import Parent

    Parent.objects.using(api.alias).bulk_create([Parent(id=n) for n in range(2, 8)])
    keys: list[Any] = []
    after = ""
    for _ in range(10):
        answer = api.get(f"{SNAPSHOT}?limit=3{after}")
        keys += [row.key[0] for row in answer.batch.rows]
        token = json.loads(answer.body.splitlines()[-1])["next"]
        if token is None:
            break
        after = f"&after={token}"
    assert keys == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limt=5", "format=api", "wait=1", "models=zoo.Parent"])
def test_parameters_that_are_not_known(api: Api, query: str) -> None:
    refused(api.get(f"{SNAPSHOT}?{query}"), 400, "malformed")
    refused(api.get("checkpoint/?limit=1"), 400, "malformed")


def test_more_parameters_than_the_project_allows(api: Api) -> None:
    refused(api.get("changes/?" + "&".join(f"p{n}=1" for n in range(1500))), 400, "malformed")


@pytest.mark.parametrize(
    ("models", "code"),
    [
        ("zoo.Nope", "unknown_model"),
        ("zoo.Secret", "unknown_model"),
        ("auth.User", "unknown_model"),
        ("zoo.Parent,zoo.Nope", "unknown_model"),
        ("", "malformed"),
        ("Parent", "malformed"),
        ("zoo.Parent,zoo.Parent", "malformed"),
        ("zoo.Parent;--", "malformed"),
    ],
)
def test_models_of_the_feed(api: Api, models: str, code: str) -> None:
    refused(api.get(f"changes/?models={models}"), 400, code)


@pytest.mark.parametrize(
    "model",
    [
        "zoo.Nope",
        "zoo.Secret",
        "auth.User",
        "peersync.Node",
        "Parent",
        "zoo.parent",
        "%00",
        "a.b.c",
        "é.é",
        "x" * 400,
    ],
)
@pytest.mark.parametrize("call", ["snapshot", "digests", "rows"])
def test_unknown_models_in_the_path(api: Api, call: str, model: str) -> None:
    bodies: dict[str, Any] = {"digests": WHOLE, "rows": {"keys": [[1]]}}
    method = "POST" if call in bodies else "GET"
    refused(api.call(method, f"{call}/{model}/", bodies.get(call, b"")), 404, "unknown_model")


BAD_JSON = [
    b"",
    b"  ",
    b"{",
    b"nul",
    b"\xff\xfe",
    b"\x00",
    b"{}",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"keys": NaN, "ranges": Infinity}',
    b"keys=1",
]


@pytest.mark.parametrize("body", BAD_JSON)
@pytest.mark.parametrize("path", [DIGESTS, ROWS, "changes/"])
def test_bodies_that_are_no_such_object(api: Api, path: str, body: bytes) -> None:
    before = everything(api.alias)
    answer = api.post(path, body, caller=caller_of(api.peer))
    assert answer.status == 400, answer
    assert answer.code in ("malformed", "cut_off")
    assert everything(api.alias) == before


@pytest.mark.parametrize(
    "body",
    [
        {**WHOLE, "more": 1},
        {"ranges": WHOLE["ranges"]},
        {**WHOLE, "parts": 0},
        {**WHOLE, "parts": True},
        {**WHOLE, "parts": "2"},
        {**WHOLE, "parts": 10**9},
        {**WHOLE, "ranges": {}},
        {**WHOLE, "ranges": [{"after": None}]},
        {**WHOLE, "ranges": [{"after": 1, "upto": None}]},
        {**WHOLE, "ranges": [{"after": [], "upto": None}]},
        {**WHOLE, "ranges": [{"after": [{"$ne": 1}], "upto": None}]},
        {**WHOLE, "ranges": [{"after": [[[[[[[[[[1]]]]]]]]]], "upto": None}]},
    ],
)
def test_malformed_questions_for_digests(api: Api, body: Any) -> None:
    refused(api.post(DIGESTS, body), 400, "malformed")


@pytest.mark.parametrize(
    "key", [["x"], [1, 2], [None], [[1]], [True], [2**63 - 1], [-5], ["1; DROP TABLE x"], ["\u0000"]]
)
def test_keys_of_another_type_are_no_error_of_ours(api: Api, key: Any) -> None:
    api.get("")  # numbers what was written so far
    before = everything(api.alias)
    for path, body in (
        (ROWS, {"keys": [key]}),
        (DIGESTS, {"ranges": [{"after": key, "upto": None}, {"after": None, "upto": key}], "parts": 3}),
    ):
        answer = api.post(path, body)
        assert answer.status in (200, 400), answer
    assert everything(api.alias) == before


@pytest.mark.parametrize("keys", [[], [[]], [1], {"a": 1}, None, [[1.5]], [[{"a": 1}]], [["x" * 70_000]], [[2**64]]])
def test_malformed_keys(api: Api, keys: Any) -> None:
    refused(api.post(ROWS, {"keys": keys}), 400, "malformed")


def test_more_than_is_answered_at_once(api: Api) -> None:
    refused(api.post(ROWS, {"keys": [[n] for n in range(5001)]}), 413, "too_large")
    ranges = [{"after": [n], "upto": [n + 1]} for n in range(11)]
    refused(api.post(DIGESTS, {"ranges": ranges, "parts": 10_000}), 413, "too_large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Peersync-Node": "x"},
        {"Peersync-Node": str(uuid.UUID(int=1))},
        {"Peersync-Install": str(uuid.UUID(int=1))},
        {"Peersync-Protocol": "one"},
        {"Peersync-Points": "{"},
        {"Peersync-Points": "[[1]]"},
        {"Peersync-Told": "1.5"},
        {"Peersync-Dry-Run": "yes"},
        {"Peersync-Clock": "-1"},
        {"Peersync-Retired": "[[]]"},
        {"Peersync-Points": "[" * 9000},
    ],
)
def test_malformed_headers(api: Api, headers: dict[str, str]) -> None:
    whole = {} if {"Peersync-Node", "Peersync-Install"} & headers.keys() else wire.caller_headers(caller_of(api.peer))
    refused(api.get("", headers={**whole, **headers}), 400, "malformed")


def test_a_body_packed_in_another_way(api: Api) -> None:
    refused(api.post(ROWS, {"keys": [[1]]}, headers={"Content-Encoding": "br"}), 415, "malformed")
    refused(api.post(ROWS, b"not gzip", headers={"Content-Encoding": "gzip"}), 400, "malformed")
    cut = gzip.compress(b'{"keys": [[1]]}')[:-9]
    assert api.post(ROWS, cut, headers={"Content-Encoding": "gzip"}).status == 400


@pytest.mark.parametrize("path", ["v1", "v1/nope/", "v1/changes", "v2/", "v1/rows/zoo.Parent", "v1//"])
def test_another_url_is_told_so(api: Api, path: str) -> None:
    response = api.client.get(f"/peersync/{path}")
    assert response.status_code == 404
    assert response.json()["code"] == "wrong_url"


def test_a_call_that_names_nobody_gets_the_first_page(api: Api) -> None:
    answer = api.get("changes/")
    assert [row.key for row in answer.batch.rows] == [(1,)]
    assert [row.key for row in api.get(SNAPSHOT).batch.rows] == [(1,)]
