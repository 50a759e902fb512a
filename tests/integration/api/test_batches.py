"""Batches that are malformed, cut off or too large: a problem document, never a 500, nothing written."""

import gzip
import io
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

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


def lines_of(api: Api, **changes: Any) -> list[Any]:
    """The lines of a good batch, as objects; the header with ``changes``."""
    lines = [json.loads(line) for line in wire.batch_lines(batch_from(api.peer, api.alias))]
    return [{**lines[0], **changes}, *lines[1:]]


def packed(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "x"},
        {"kind": 5},
        {"protocol": "1"},
        {"source": ""},
        {"source": "x" * 36},
        {"models": "zoo.Parent"},
        {"models": ["zoo.Parent", "zoo.Child"]},
        {"models": []},
        {"fields": []},
        {"fields": {}},
        {"fields": {"zoo.Parent": "id"}},
        {"fields": {"zoo.Parent": ["id", "id", "x", "y", "u"]}},
        {"baselines": {"zoo.Parent": ["x"]}},
        {"start": {}},
        {"start": None},
        {"start": {"head": 5, "after": None}},
        {"end": {}},
        {"end": {"head": None, "after": None}},
        {"end": {"cursor": None}},
        {"head": [-1, ""]},
        {"head": [2**62 + 1, ""]},
        {"head": None},
        {"points": [[1]]},
        {"filtered": "no"},
        {"done": 1},
        {"options": {"mirror": "yes"}},
        {"options": {"unheard": True}},
        {"unheard": 1},
    ],
)
def test_malformed_headers_of_a_batch(api: Api, changes: dict[str, Any]) -> None:
    before = everything(api.alias)
    lines = lines_of(api, **changes)
    lines[-1]["end"] = lines[0]["end"]
    answer = api.post("changes/", packed(lines), caller=caller_of(api.peer))
    assert answer.status == 400, answer
    assert everything(api.alias) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"key": []},
        {"key": None},
        {"key": ["x"]},
        {"key": [1.5]},
        {"key": [True]},
        {"key": [1, 2]},
        {"content": []},
        {"content": "x"},
        {"content": [2, 5, "", None, "n"]},
        {"content": [2, None, "", None, "n"]},
        {"content": ["two", "of b", "", None, "n"]},
        {"content": [2, {"a": 1}, "", None, "n"]},
        {"content": [3, "of b", "", None, "n"]},
        {"content": [2**70, "of b", "", None, "n"]},
        {"version": []},
        {"version": {"x": 1}},
        {"version": {str(uuid.UUID(int=1)): -1}},
        {"version": {str(uuid.UUID(int=1)): 2**62}},
        {"stamp": -1},
        {"stamp": 2**62 + 1},
        {"stamp": "now"},
        {"author": "me"},
        {"seq": -1},
        {"seq": 1.5},
        {"kind": "other"},
        {"kind": "none"},
        {"base": "yes"},
        {"earlier": [[]]},
        {"pk": 2},
        {"pk": "two"},
        {"pk": None},
        {"model": "zoo.Child"},
        {"unheard": 1},
    ],
)
def test_malformed_rows_of_a_batch(api: Api, changes: dict[str, Any]) -> None:
    from tests.zoo.models import Parent

    lines = lines_of(api)
    lines[1] = {**lines[1], **changes}
    answer = api.post("changes/", packed(lines), caller=caller_of(api.peer))
    # A value that the column cannot hold may also wait in quarantine: the row is not written either way.
    waits = answer.status == 200 and sum(f["created"] for f in answer.json["figures"].values()) == 0
    assert answer.status == 400 or waits, answer
    assert list(Parent.objects.using(api.alias).values_list("pk", "x")) == [(1, "of a")]


def test_a_text_with_u0000_is_taken_where_the_database_holds_it(api: Api) -> None:
    """SQLite does; PostgreSQL does not, and the row is not written."""
    from tests.zoo.models import Parent

    lines = lines_of(api)
    lines[1] = {**lines[1], "content": [2, "\x00", "", None, "n"]}
    api.post("changes/", packed(lines), caller=caller_of(api.peer))
    texts = list(Parent.objects.using(api.alias).filter(pk=2).values_list("x", flat=True))
    assert texts == (["\x00"] if connections[api.alias].vendor == "sqlite" else [])


@pytest.mark.parametrize("cut", [1, 2])
def test_a_batch_that_is_cut_off(api: Api, cut: int) -> None:
    before = everything(api.alias)
    body = packed(lines_of(api)[:-cut])
    refused(api.post("changes/", body, caller=caller_of(api.peer)), 400, "cut_off")
    assert everything(api.alias) == before


def test_a_body_shorter_than_it_says(api: Api) -> None:
    before = everything(api.alias)
    body = packed(lines_of(api))
    answer = api.post(
        "changes/",
        body,
        caller=caller_of(api.peer),
        **{"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body) + 10)},
    )
    refused(answer, 400, "cut_off")
    assert everything(api.alias) == before


def test_a_foreign_version_of_the_protocol(api: Api) -> None:
    refused(api.get("", headers={"Peersync-Protocol": "2"}), 400, "protocol_differs")
    refused(
        api.post("changes/", packed(lines_of(api, protocol=2)), caller=caller_of(api.peer)),
        400,
        "protocol_differs",
    )
    assert api.get("", headers={"Peersync-Protocol": "1"}).status == 200


def small(api: Api, **limits: int) -> Any:
    return override_settings(SYNC_CONFIG={**api.config, "LIMITS": limits})


def test_a_body_over_the_limit(api: Api) -> None:
    before = everything(api.alias)
    body = packed(lines_of(api))
    with small(api, BODY=len(body) - 1, UNPACKED=10_000, LINE=5000):
        refused(api.post("changes/", body, caller=caller_of(api.peer)), 413, "too_large")
        # Whoever lies about the length is stopped on the way.
        refused(api.post("changes/", body, caller=caller_of(api.peer), CONTENT_LENGTH=""), 400, "malformed")
    assert everything(api.alias) == before


def test_a_bomb(api: Api) -> None:
    before = everything(api.alias)
    bomb = gzip.compress(packed(lines_of(api)[:1]) + b" " * 40_000_000, 9)
    assert len(bomb) < 50_000
    zipped = {"Content-Encoding": "gzip"}
    with small(api, BODY=100_000, UNPACKED=1_000_000, LINE=900_000):
        for path in ("changes/", ROWS, DIGESTS):
            refused(api.post(path, bomb, headers=zipped, caller=caller_of(api.peer)), 413, "too_large")
    assert everything(api.alias) == before


def test_a_line_over_the_limit(api: Api) -> None:
    lines = lines_of(api)
    lines[1]["content"][1] = "x" * 3000
    with small(api, LINE=2500):
        refused(api.post("changes/", packed(lines), caller=caller_of(api.peer)), 413, "too_large")


def test_more_rows_than_a_batch_may_have(api: Api) -> None:
    batch = batch_from(api.peer, api.alias)
    rows = [replace(batch.rows[0], key=(n,), content=(n, "", "", None, "n")) for n in range(2, 20)]
    with small(api, BATCH=10):
        refused(api.push(replace(batch, rows=rows), caller=caller_of(api.peer)), 413, "too_large")


def test_a_project_s_own_limit_of_uploads_is_not_ours(api: Api) -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert api.push(batch_from(api.peer, api.alias), caller=caller_of(api.peer)).status == 200


def test_gzip_both_ways(api: Api) -> None:
    body = gzip.compress(b"".join(wire.batch_lines(batch_from(api.peer, api.alias))))
    answer = api.post("changes/", body, caller=caller_of(api.peer), headers={"Content-Encoding": "gzip"})
    assert answer.json["figures"]["zoo.Parent"]["created"] == 1
    for accepted in ("gzip", "deflate, gzip;q=0.5", "*", "GZIP"):
        answer = api.get("changes/", headers={"Accept-Encoding": accepted})
        assert answer.headers["Content-Encoding"] == "gzip", accepted
        assert len(answer.batch.rows) == 2
    for accepted in ("", "identity", "gzip;q=0", "gzip; q=0.0, br", "xgzip"):
        assert "Content-Encoding" not in api.get("changes/", headers={"Accept-Encoding": accepted}).headers
