"""Answers as streams: asynchronous under ASGI, bounded in time, and long polls that are few."""

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.test import AsyncClient, RequestFactory, override_settings

from peersync import wire
from peersync.errors import AnswerCutOff, PeersyncError
from peersync.records import Batch, Point, Row
from peersync_api import streaming
from peersync_api.throttling import ADDRESSES, Polls, RefusedTokens, polls
from tests.support.api import Api, caller_of
from tests.support.contract import body_of
from tests.zoo.models import Parent

NODE = "00000000-0000-4000-8000-000000000001"


def made_batch(rows: int, wide: int = 10) -> Batch:
    return Batch(
        "rows",
        NODE,
        NODE,
        "",
        ("zoo.Parent",),
        {"zoo.Parent": ("id", "x")},
        {},
        {},
        {},
        Point(1, "n"),
        (),
        rows=[Row("zoo.Parent", (n,), {NODE: 1}, (n, "x" * wide)) for n in range(rows)],
    )


def test_under_asgi_a_stream_is_asynchronous(api: Api) -> None:
    Parent.objects.using(api.alias).bulk_create([Parent(id=n, x="x" * 150) for n in range(2, 1000)])
    client = AsyncClient()

    async def call(**headers: str) -> tuple[Any, list[bytes]]:
        response = await client.get(
            "/peersync/v1/snapshot/zoo.Parent/", headers={"Authorization": f"Token {api.token}", **headers}
        )
        assert response.is_async
        return response, [piece async for piece in response.streaming_content]

    def in_a_loop(**headers: str) -> tuple[Any, list[bytes]]:
        return asyncio.run(call(**headers))

    response, pieces = in_a_loop()
    assert response.status_code == 200
    assert len(pieces) > 1
    assert len(wire.read_batch(b"".join(pieces).splitlines()).rows) == 999
    response, packed = in_a_loop(**{"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert sum(map(len, packed)) < sum(map(len, pieces)) / 5


@pytest.mark.parametrize("packed", [True, False])
def test_an_object_says_how_long_it_is(api: Api, packed: bool) -> None:
    """Half of it is a cut off answer then, and is asked for again; no middleware of the project has to see to it."""
    headers = {"Accept-Encoding": "gzip" if packed else "identity"}
    for path in ("", "checkpoint/", "changes/?after=nonsense", "nothing/"):
        answer = api.get(path, headers=headers, caller=caller_of(api.peer))
        assert answer.headers["Content-Length"] == str(len(answer.response.content)), path


def test_a_stream_is_written_piece_by_piece() -> None:
    request = RequestFactory().get("/")
    response: Any = streaming.batch_response(request, made_batch(5000, 100), started=time.monotonic())
    pieces = list(response.streaming_content)
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 2 * 65_536


def test_an_answer_that_takes_too_long_says_so_and_is_no_batch() -> None:
    request = RequestFactory().get("/")
    late = time.monotonic() - 100
    body = body_of(streaming.batch_response(request, made_batch(5000), started=late))
    with pytest.raises(AnswerCutOff, match="fewer rows"):
        wire.read_batch(body.splitlines())
    # So few cannot be halved: they are sent.
    few = body_of(streaming.batch_response(request, made_batch(5), started=late))
    assert len(wire.read_batch(few.splitlines()).rows) == 5


def test_a_stream_that_breaks_says_nothing_of_the_inside() -> None:
    batch = made_batch(3)
    batch.rows[2].version["x"] = object()  # type: ignore[index]
    body = body_of(streaming.batch_response(RequestFactory().get("/"), batch, started=time.monotonic()))
    with pytest.raises(PeersyncError) as caught:
        wire.read_batch(body.splitlines())
    assert caught.value.extra["code"] == "internal"
    assert b"serializable" not in body


def test_long_polls_are_capped(api: Api) -> None:
    with override_settings(SYNC_CONFIG={**api.config, "LIMITS": {"POLLS": 2}}), polls.one(), polls.one():
        answer = api.get("changes/?wait=5", caller=caller_of(api.peer))
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert api.get("changes/").status == 200
        assert api.get("changes/?wait=0").status == 200
    assert polls.waiting == 0


def test_a_long_poll_ends_with_the_change_and_holds_nothing(api: Api) -> None:
    caller = caller_of(api.peer)
    after = api.get("changes/", caller=caller)
    token = after.body.splitlines()[-1].split(b'"next":"')[1].split(b'"')[0].decode()

    def write() -> None:
        time.sleep(0.5)
        Parent.objects.using(api.alias).create(id=77)  # not held up: nothing is locked
        connections.close_all()

    writer = threading.Thread(target=write)
    started = time.monotonic()
    writer.start()
    answer = api.get(f"changes/?wait=20&after={token}", caller=caller)
    writer.join()
    assert [row.key for row in answer.batch.rows] == [(77,)]
    assert 0.3 < time.monotonic() - started < 10
    assert polls.waiting == 0


def test_a_long_poll_without_a_change_ends_in_time(api: Api) -> None:
    caller = caller_of(api.peer)
    token = api.get("changes/", caller=caller).body.splitlines()[-1].split(b'"next":"')[1].split(b'"')[0].decode()
    started = time.monotonic()
    answer = api.get(f"changes/?wait=1&after={token}", caller=caller)
    assert answer.batch.rows == []
    assert 0.9 < time.monotonic() - started < 15


def test_refused_tokens_are_forgotten_after_a_minute_and_do_not_fill_the_memory() -> None:
    clock = SimpleNamespace(now=0.0)
    refused = RefusedTokens(lambda: clock.now)
    for _ in range(100):
        refused.note("one")
    with pytest.raises(PeersyncError, match="60 seconds"):
        refused.note("one")
    clock.now = 61
    refused.note("one")
    for number in range(ADDRESSES + 50):
        refused.note(str(number))
    assert len(refused._seen) == ADDRESSES
    assert "one" not in refused._seen


def test_a_poll_that_fails_gives_its_place_back() -> None:
    places = Polls()
    with pytest.raises(ZeroDivisionError), places.one():
        raise ZeroDivisionError
    assert places.waiting == 0
