"""The client against real sockets: what it sends, bounds, tries again and says."""

import dataclasses
import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from peersync import errors, wire
from peersync.conf import Limits
from peersync.records import (
    PROTOCOL,
    START,
    Batch,
    Bulk,
    Caller,
    Description,
    Digest,
    Figures,
    Outcome,
    Point,
    Progress,
    Range,
    Retired,
    Row,
)
from peersync.replicas.http import HttpReplica
from peersync.replicas.http_session import Retries
from tests.support.scripted import Answer, Scripted, problem, reply, reply_json, reset, serving

if TYPE_CHECKING:
    from peersync.replicas.base import Replica

NODE = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
INSTALL = "16763be4-6022-406e-a950-fcd5018633ca"
TOKEN = "very-secret-token"
CALLER = Caller(NODE, INSTALL, (Point(4, "a.b"),), told=3, clock=99, retired=(Retired(INSTALL, 1, "n", INSTALL),))
LIMITS = Limits(body=200_000, unpacked=400_000, line=100_000, batch=1000, timeout=1, wait=5)
BRIEF = dataclasses.replace(LIMITS, timeout=0.3)  # type: ignore[arg-type]
"""Where a time-out is what must come."""
DESCRIPTION = Description(
    node=NODE,
    install=INSTALL,
    protocol=PROTOCOL,
    clock=5,
    models=(),
    head=Point(1, "n"),
    points=(),
    about="",
    retired=(),
    pruned=0,
    role="",
    use_tz=True,
    time_zone="UTC",
    vendor="sqlite",
    limits={"batch": 600, "wait": 2},
)


def batch(count: int = 2, kind: str = "feed", **changes: object) -> Batch:
    plain = Batch(
        kind=kind,  # type: ignore[arg-type]
        source=NODE,
        source_install=INSTALL,
        target="",
        models=("zoo.Parent",),
        fields={"zoo.Parent": ("id", "name")},
        baselines={},
        start={"cursor": START},
        end={"cursor": Point(9, "n")},
        head=Point(9, "n"),
        points=(),
        rows=[Row("zoo.Parent", (n,), {INSTALL: 0}, (n, "anna"), base=True) for n in range(count)],
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def lines(some: Batch) -> bytes:
    return b"".join(wire.batch_lines(some))


def page(some: Batch, **headers: str) -> Answer:
    return reply(200, lines(some), "application/x-ndjson", **headers)


OUTCOME = Outcome({"zoo.Parent": Figures(created=2)}, {"zoo.Child": ((1,),)}, {}, ("slow",))
APPLIED = reply_json(wire.outcome_json(OUTCOME))


@pytest.fixture
def peer() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def replica(peer: Scripted, pauses: Pauses) -> Iterator[HttpReplica]:
    made = HttpReplica("branch", peer.url, TOKEN, limits=LIMITS, retries=Retries(sleep=pauses))
    yield made
    made.close()


def query(scripted: Scripted, at: int = -1) -> dict[str, str]:
    return {name: value[0] for name, value in parse_qs(urlsplit(scripted.asked[at].path).query).items()}


def path(scripted: Scripted) -> str:
    return urlsplit(scripted.asked[-1].path).path


# What it asks


def test_it_is_a_replica(replica: HttpReplica) -> None:
    known: Replica = replica
    assert known.name == "branch"


def test_describe(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [reply_json(wire.description_json(DESCRIPTION))]
    assert replica.describe(CALLER) == DESCRIPTION
    asked = peer.asked[-1]
    assert (asked.method, asked.path) == ("GET", "/peersync/v1/")
    assert asked.headers["Authorization"] == f"Token {TOKEN}"
    assert wire.read_caller(asked.headers, "x") == dataclasses.replace(CALLER, name="x")


def test_what_the_peer_takes_holds_after_describe(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [reply_json(wire.description_json(DESCRIPTION)), page(batch())]
    replica.describe()
    assert replica.limit == 600
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5000, wait=30)
    assert query(peer) == {"models": "zoo.Parent", "limit": "600", "wait": "2"}


def test_snapshot(peer: Scripted, replica: HttpReplica) -> None:
    found = batch(kind="snapshot")
    peer.answers = [page(found)]
    assert replica.snapshot(CALLER, "zoo.Parent", None, None, 50) == found
    assert path(peer) == "/peersync/v1/snapshot/zoo.Parent/"
    assert query(peer) == {"limit": "50"}
    replica.snapshot(CALLER, "zoo.Parent", Point(9, "n"), "place", 50)
    assert wire.read_snapshot_token(query(peer)["after"]) == (Point(9, "n"), "place")


def test_a_bulk_comes_over_http(peer: Scripted, replica: HttpReplica) -> None:
    bulk = Bulk("zoo.Parent", "pgcopy", 3000, (1,), (3000,), b"".join(b"%d\tanna\n" % n for n in range(3000)))
    found = batch(0, "snapshot", bulk=bulk)
    peer.answers = [reply(200, gzip.compress(lines(found)), "application/x-ndjson", Content_Encoding="gzip")]
    assert replica.snapshot(CALLER, "zoo.Parent", None, None, 50) == found


def test_changes(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch())]
    assert replica.changes(CALLER, ["zoo.Parent", "zoo.Child"], Point(3, "m"), Point(9, "n"), 50) == batch()
    assert path(peer) == "/peersync/v1/changes/"
    assert wire.read_changes_token(query(peer)["after"]) == (Point(3, "m"), Point(9, "n"))
    assert query(peer)["models"] == "zoo.Parent,zoo.Child"


def test_rows_by_key(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch(kind="rows"))]
    assert replica.rows(CALLER, "zoo.Parent", [(0,), (1,)]) == batch(kind="rows")
    assert (peer.asked[-1].method, path(peer)) == ("POST", "/peersync/v1/rows/zoo.Parent/")
    assert json.loads(peer.asked[-1].body) == {"keys": [[0], [1]]}


def test_many_keys_are_asked_for_in_several_calls(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch(kind="rows", head=Point(8, "n"))), page(batch(kind="rows"))]
    found = replica.rows(CALLER, "zoo.Parent", [(n,) for n in range(1500)])
    assert len(found.rows) == 4
    assert found.head == Point(9, "n")
    keys = [json.loads(gzip.decompress(asked.body))["keys"] for asked in peer.asked]
    assert keys == [[[n] for n in range(1000)], [[n] for n in range(1000, 1500)]]


def test_digests(peer: Scripted, replica: HttpReplica) -> None:
    found = [Digest(Range(None, (5,)), 5, "ff"), Digest(Range((5,), None), 2, "00")]
    peer.answers = [reply_json(wire.digests_json(found))]
    assert replica.digests(CALLER, "zoo.Parent", [Range(None, None)], 2) == found
    assert path(peer) == "/peersync/v1/digests/zoo.Parent/"
    assert json.loads(peer.asked[-1].body) == {"ranges": [{"after": None, "upto": None}], "parts": 2}


def test_checkpoint(peer: Scripted, replica: HttpReplica) -> None:
    found = {"zoo.Parent": Progress(cursor=Point(5, "n"), baseline=True)}
    peer.answers = [reply_json(wire.progress_json(found))]
    assert replica.checkpoint(CALLER) == found
    assert path(peer) == "/peersync/v1/checkpoint/"


def test_apply(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [APPLIED]
    assert replica.apply(CALLER, batch()) == OUTCOME
    asked = peer.asked[-1]
    assert (asked.method, path(peer)) == ("POST", "/peersync/v1/changes/")
    assert asked.headers["Content-Type"] == "application/x-ndjson"
    assert wire.read_batch(asked.body.split(b"\n")[:-1]) == batch()


def test_large_bodies_are_packed(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [APPLIED]
    replica.apply(CALLER, batch(500))
    asked = peer.asked[-1]
    assert asked.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(asked.body) == lines(batch(500))


def test_packed_answers_are_unpacked(peer: Scripted, replica: HttpReplica) -> None:
    packed = gzip.compress(lines(batch(500)))
    peer.answers = [reply(200, packed, "application/x-ndjson; charset=utf-8", Content_Encoding="gzip")]
    assert replica.changes(CALLER, ["zoo.Parent"], START, None, 500) == batch(500)
    assert peer.asked[-1].headers["Accept-Encoding"] == "gzip"


def test_connections_are_kept(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch())]
    for _ in range(3):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    assert peer.connections == 1


# The token


def test_netrc_does_not_replace_the_token(
    peer: Scripted, replica: HttpReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    peer.answers = [page(batch())]
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    assert peer.asked[-1].headers["Authorization"] == f"Token {TOKEN}"


@pytest.mark.parametrize("url", ["http://example.com/peersync/", "http://10.0.0.7:8000/", "http://127.0.0.1.example/"])
def test_a_token_does_not_travel_over_plain_http(url: str) -> None:
    with pytest.raises(errors.InsecureUrl, match='PEERS\\["branch"\\]\\["INSECURE"\\]'):
        HttpReplica("branch", url, TOKEN, limits=LIMITS)
    HttpReplica("branch", url, TOKEN, limits=LIMITS, insecure=True)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/", "http://127.0.0.1/", "http://[::1]:80/", "https://a.example"]
)
def test_a_token_travels_to_this_machine_and_over_tls(url: str) -> None:
    HttpReplica("branch", url, TOKEN, limits=LIMITS)


def test_a_proxy_of_the_environment_is_not_shown_what_stays_here(
    peer: Scripted, replica: HttpReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    peer.answers = [page(batch())]
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5)


@pytest.mark.parametrize("token", ["", None, "with space", "line\nbreak", "ümlaut"])
def test_a_token_that_no_header_carries_is_refused(token: str | None) -> None:
    with pytest.raises(errors.ConfigurationError, match="TOKEN") as caught:
        HttpReplica("branch", "https://a.example/", token, limits=LIMITS)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a.example/",
        "https://",
        "https://u:p@a.example/",
        "https://a.example/?x=1",
        "https://a:b/",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="no URL"):
        HttpReplica("branch", url, TOKEN, limits=LIMITS)


def test_the_token_is_in_no_text(peer: Scripted, replica: HttpReplica, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    peer.answers = [problem(401, "unauthorized", f"Token {TOKEN} is wrong.")]
    with pytest.raises(errors.Unauthorized) as caught:
        replica.describe(CALLER)
    texts = f"{caught.value!s} {caught.value!r} {caught.value.extra} {replica!r} {vars(replica)}"
    assert TOKEN not in texts + caplog.text


# What it says


def failing(peer: Scripted, replica: HttpReplica, *answers: Answer) -> errors.PeersyncError:
    peer.answers = list(answers)
    with pytest.raises(errors.PeersyncError) as caught:
        replica.describe(CALLER)
    assert str(caught.value).startswith("branch: ")
    return caught.value


HTML = b"<html>Not here</html>"
SAID: list[tuple[Answer, type[errors.PeersyncError], str]] = [
    (problem(401, "unauthorized"), errors.Unauthorized, "Because."),
    (problem(401, "token_revoked", "Revoked."), errors.Unauthorized, "Revoked."),
    (reply(401, HTML, "text/html"), errors.Unauthorized, "sync_peer add"),
    (problem(403, "forbidden"), errors.Forbidden, "Because."),
    (reply(403, HTML, "text/html"), errors.Forbidden, "403"),
    (reply(404, HTML, "text/html"), errors.WrongUrl, "peersync_api.urls"),
    (problem(404, "unknown_model"), errors.UnknownModel, "Because."),
    (
        problem(409, "schema_differs", "zoo.Parent.name differs."),
        errors.SchemaDiffers,
        "zoo.Parent.name differs.",
    ),
    (problem(409, "stale_batch"), errors.StaleBatch, "Because."),
    (problem(400, "protocol_differs"), errors.ProtocolDiffers, "Because."),
    (problem(418, "brand_new"), errors.NotPeersync, "418"),
    (problem(500, "error"), errors.PeerError, "500"),
    (reply(500, HTML, "text/html"), errors.PeerError, "Its log says why"),
    (reply(400, HTML, "text/html"), errors.NotPeersync, "400"),
    (reply(200, HTML, "text/html"), errors.NotPeersync, "text/html"),
    (reply(200, HTML), errors.NotPeersync, "not peersync"),
    (reply(200, b"", ""), errors.NotPeersync, "nothing"),
    (reply_json({"hello": "world"}), errors.NotPeersync, "not peersync"),
    (reply_json([1]), errors.NotPeersync, "not peersync"),
    (reply(204, b""), errors.NotPeersync, "204"),
    (reply_json({"node": NODE, "install": INSTALL, "protocol": 2}), errors.ProtocolDiffers, "version 2"),
    (reply_json({"node": NODE, "install": INSTALL, "protocol": 1}), errors.WireError, "lacks the member"),
    (reply(200, b"{}", Content_Encoding="br"), errors.NotPeersync, "br"),
    (reply(200, b"no gzip", Content_Encoding="gzip"), errors.WireError, "gzip"),
]


@pytest.mark.parametrize(("answer", "cls", "text"), SAID)
def test_each_answer_has_its_error(
    peer: Scripted, replica: HttpReplica, answer: Answer, cls: type[errors.PeersyncError], text: str
) -> None:
    error = failing(peer, replica, answer)
    assert type(error) is cls
    assert text in str(error)
    assert len(peer.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(peer: Scripted, replica: HttpReplica, status: int) -> None:
    error = failing(peer, replica, reply(status, Location="https://u:pw@new.example/sync/v1/?token=x"))
    assert isinstance(error, errors.Redirected)
    assert 'set its URL to "https://new.example/sync/"' in str(error)
    assert "pw" not in str(error)
    assert len(peer.asked) == 1


def test_a_redirect_elsewhere_on_the_same_host(peer: Scripted, replica: HttpReplica) -> None:
    error = failing(peer, replica, reply(301, Location="/de/peersync/v1/"))
    assert f'"{peer.url.removesuffix("peersync/")}de/peersync/"' in str(error)


def test_a_refused_connection(pauses: Pauses) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        replica = HttpReplica("branch", url, TOKEN, limits=LIMITS, retries=Retries(sleep=pauses))
        with pytest.raises(errors.PeerUnreachable, match="refused the connection"):
            replica.describe()
    assert len(pauses) == 3


def test_a_name_that_nobody_has(pauses: Pauses) -> None:
    replica = HttpReplica("branch", "https://nobody.invalid/", TOKEN, limits=LIMITS, retries=Retries(1))
    with pytest.raises(errors.PeerUnreachable, match=r"cannot be resolved|no way to|proxy"):
        replica.describe()


def test_a_peer_that_does_not_answer(peer: Scripted) -> None:
    peer.answers = [lambda handler: time.sleep(8)]
    replica = HttpReplica("branch", peer.url, TOKEN, limits=BRIEF, retries=Retries(1))
    start = time.monotonic()
    with pytest.raises(errors.PeerTimeout, match="did not answer in time"):
        replica.describe()
    assert time.monotonic() - start < 7


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    found = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(found), "-out", f"{found}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    found.write_bytes(found.read_bytes() + Path(f"{found}.crt").read_bytes())
    return found


def tls(certificate: Path) -> Callable[[socket.socket], socket.socket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda plain: context.wrap_socket(plain, server_side=True)


def test_a_certificate_that_nobody_vouches_for(certificate: Path, pauses: Pauses) -> None:
    with serving(tls(certificate)) as peer:
        replica = HttpReplica("branch", peer.url, TOKEN, limits=LIMITS, retries=Retries(sleep=pauses))
        with pytest.raises(errors.TlsFailure, match=r"certificate verify failed.*REQUESTS_CA_BUNDLE"):
            replica.describe()
    assert (peer.asked, pauses) == ([], [])


def test_tls_with_an_authority_of_ones_own(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
    with serving(tls(certificate)) as peer:
        peer.answers = [page(batch())]
        replica = HttpReplica("branch", peer.url, TOKEN, limits=LIMITS)
        assert replica.changes(CALLER, ["zoo.Parent"], START, None, 5) == batch()
        replica.close()


def test_tls_to_a_server_that_has_none(peer: Scripted, pauses: Pauses) -> None:
    url = peer.url.replace("http:", "https:")
    with pytest.raises(errors.TlsFailure):
        HttpReplica("branch", url, TOKEN, limits=LIMITS, retries=Retries(sleep=pauses)).describe()


# What it bounds


def trickle(head: bytes, byte: bytes, pause: float = 0.05) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while True:
            handler.wfile.write(byte)
            time.sleep(pause)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b"{"),
        trickle(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n", b"{"),
        trickle(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\n{\r\n",
        ),
        trickle(b"HTTP/1.1 500 No\r\nContent-Type: application/problem+json\r\n\r\n", b"{"),
    ],
)
def test_an_answer_that_never_ends_is_left(peer: Scripted, answer: Answer) -> None:
    peer.answers = [answer]
    replica = HttpReplica("branch", peer.url, TOKEN, limits=BRIEF, retries=Retries(1))
    start = time.monotonic()
    with pytest.raises(errors.PeerTimeout):
        replica.describe()
    assert 0.8 < time.monotonic() - start < 15


@pytest.mark.parametrize(
    "head", [b"Date: now\r\n", b"Content-Type: application/js", b"Content-Type: application/json\r\n"]
)
def test_an_answer_that_ends_among_its_headers_was_cut_off(peer: Scripted, replica: HttpReplica, head: bytes) -> None:
    """A server that is killed then: what came looks like an answer with few headers and nothing in it."""

    def killed(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + head)
        handler.close_connection = True

    peer.answers = [killed, reply_json(wire.description_json(DESCRIPTION))]
    assert replica.describe() == DESCRIPTION
    peer.answers = [killed]
    with pytest.raises(errors.AnswerCutOff, match="headers"):
        replica.describe()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n" + lines(batch(0)).split(b"\n")[0] + b"\n"
    )
    while True:
        handler.wfile.write(b'{"key":[1],"content":[1,"a"]}\n' * 1000)


def test_an_answer_is_bounded_in_bytes(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [endless]
    with pytest.raises(errors.AnswerTooLarge, match="200000 bytes"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 4)
    assert [query(peer, n)["limit"] for n in range(len(peer.asked))] == ["4", "2", "1"]


def test_a_bomb_is_not_unpacked(peer: Scripted, replica: HttpReplica) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < 200_000
    peer.answers = [reply(200, bomb, "application/x-ndjson", Content_Encoding="gzip")]
    with pytest.raises(errors.AnswerTooLarge, match="a line has more than 100000 bytes"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 1)


def test_a_bomb_behind_a_good_header_is_not_unpacked(peer: Scripted, replica: HttpReplica) -> None:
    good = lines(batch(1)).split(b"\n")
    bomb = gzip.compress(good[0] + b"\n" + (good[1] + b"\n") * 500_000)
    assert len(bomb) < 200_000
    peer.answers = [reply(200, bomb, "application/x-ndjson", Content_Encoding="gzip")]
    with pytest.raises(errors.AnswerTooLarge, match="unpacks to more than 400000"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 1)


def test_a_line_is_bounded(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [reply(200, b"a" * 150_000, "application/x-ndjson")]
    with pytest.raises(errors.AnswerTooLarge, match="100000 bytes"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 1)


def test_a_problem_is_bounded_too(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(500, "error", "x" * 100_000)]
    with pytest.raises(errors.PeerError, match="500"):
        replica.describe()


# When it tries again


def test_it_waits_as_long_as_the_peer_asks(peer: Scripted, replica: HttpReplica, pauses: Pauses) -> None:
    peer.answers = [
        problem(429, "throttled", Retry_After="7"),
        problem(503, "busy", Retry_After="2"),
        page(batch()),
    ]
    assert replica.changes(CALLER, ["zoo.Parent"], START, None, 5) == batch()
    assert 7 <= pauses[0] <= 7.5
    assert 2 <= pauses[1] <= 3


def test_it_does_not_wait_for_hours(peer: Scripted, replica: HttpReplica, pauses: Pauses) -> None:
    peer.answers = [reply(503, Retry_After="86400")]
    with pytest.raises(errors.PeerUnavailable) as caught:
        replica.describe()
    assert (caught.value.extra["after"], pauses, len(peer.asked)) == (86400, [], 1)


def test_a_retry_after_may_be_a_date_or_nonsense(peer: Scripted, replica: HttpReplica, pauses: Pauses) -> None:
    peer.answers = [
        reply(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
        reply(503, Retry_After="soon"),
        reply(503, Retry_After="-5"),
        page(batch()),
    ]
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    assert len(pauses) == 3
    assert max(pauses) <= 2


def test_attempts_are_bounded_and_pauses_grow(peer: Scripted) -> None:
    pauses = Pauses()
    replica = HttpReplica("branch", peer.url, TOKEN, limits=LIMITS, retries=Retries(attempts=6, sleep=pauses))
    peer.answers = [problem(503, "busy")]
    with pytest.raises(errors.Busy):
        replica.describe()
    assert len(peer.asked) == 6
    assert all(pause <= bound for pause, bound in zip(pauses, [0.5, 1, 2, 4, 8], strict=True))


def test_an_error_of_the_peer_is_not_tried_again(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(500, "error"), page(batch())]
    with pytest.raises(errors.PeerError):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    assert len(peer.asked) == 1


def cut(some: Batch, at: int) -> Answer:
    return reply(200, lines(some)[:at], "application/x-ndjson")


def shorter(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9999\r\n\r\n{")
    reset(handler)


def packed_short(handler: BaseHTTPRequestHandler) -> None:
    body = gzip.compress(lines(batch(200)))[:-30]
    reply(200, body, "application/x-ndjson", Content_Encoding="gzip")(handler)


def slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.3)


@pytest.mark.parametrize(
    "trouble",
    [
        problem(413, "too_large"),
        reply(413, HTML, "text/html"),
        reply(502, HTML, "text/html"),
        reply(504, HTML, "text/html"),
        reset,
        slow,
        shorter,
        packed_short,
        cut(batch(), -50),
        cut(batch(), -90),
    ],
)
def test_a_page_is_halved_where_that_may_help(peer: Scripted, replica: HttpReplica, trouble: Answer) -> None:
    peer.answers = [trouble, page(batch())]
    assert replica.changes(CALLER, ["zoo.Parent"], START, None, 80) == batch()
    assert [query(peer, n)["limit"] for n in (0, 1)] == ["80", "40"]
    assert replica.limit == 40


def test_halving_ends_at_one_row(peer: Scripted, replica: HttpReplica, pauses: Pauses) -> None:
    peer.answers = [problem(413, "too_large")]
    with pytest.raises(errors.PayloadTooLarge):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 1000)
    limits = [int(query(peer, n)["limit"]) for n in range(len(peer.asked))]
    assert limits == [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1]
    assert pauses == []


def test_pages_grow_again(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(413, "too_large"), page(batch())]
    for _ in range(9):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 1000)
    assert replica.limit == 1000


def test_many_keys_are_halved_without_losing_one(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(413, "too_large"), page(batch(kind="rows"))]
    replica.rows(CALLER, "zoo.Parent", [(n,) for n in range(5)])
    asked = [json.loads(asked.body)["keys"] for asked in peer.asked[1:]]
    assert asked == [[[0], [1]], [[2], [3]], [[4]]]


@pytest.mark.parametrize("trouble", [problem(413, "too_large"), reply(502), reply(504), slow])
def test_a_batch_is_not_cut_but_a_smaller_one_asked_for(peer: Scripted, replica: HttpReplica, trouble: Answer) -> None:
    peer.answers = [trouble, APPLIED]
    with pytest.raises(errors.PeerError) as caught:
        replica.apply(CALLER, batch(80))
    assert caught.value.extra["halve"] is True
    assert caught.value.retryable
    assert replica.limit == 40
    assert len(peer.asked) == 1


def test_a_batch_is_sent_again_over_a_new_connection(peer: Scripted, replica: HttpReplica) -> None:
    """A kept connection that the peer closed meanwhile is nobody's fault."""
    peer.answers = [reset, APPLIED]
    assert replica.apply(CALLER, batch(80)) == OUTCOME
    assert replica.limit == 1000
    assert peer.asked[0].body == peer.asked[1].body


def test_a_batch_of_one_row_is_sent_again(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [reply(502), slow, APPLIED]
    assert replica.apply(CALLER, batch(1)) == OUTCOME


def test_a_busy_peer_gets_the_batch_again(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(503, "busy", Retry_After="1"), APPLIED]
    assert replica.apply(CALLER, batch(80)) == OUTCOME


def test_a_stale_batch_is_not_sent_again(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [problem(409, "stale_batch"), APPLIED]
    with pytest.raises(errors.StaleBatch):
        replica.apply(CALLER, batch(80))
    assert len(peer.asked) == 1


# What it believes


def test_a_batch_of_another_kind_is_refused(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch(kind="snapshot"))]
    with pytest.raises(errors.WireError, match="of kind snapshot came"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 5)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"figures":', b"\xff", b"[" * 50_000])
def test_malformed_answers_are_named(peer: Scripted, replica: HttpReplica, body: bytes) -> None:
    peer.answers = [reply(200, body)]
    for ask in (
        lambda: replica.checkpoint(CALLER),
        lambda: replica.digests(CALLER, "zoo.Parent", [Range(None, None)], 2),
        lambda: replica.apply(CALLER, batch()),
    ):
        with pytest.raises(errors.WireError, match="branch: malformed answer"):
            ask()


def test_cookies_are_not_kept(peer: Scripted, replica: HttpReplica) -> None:
    peer.answers = [page(batch(), Set_Cookie="session=1; Path=/"), page(batch())]
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
    assert "Cookie" not in peer.asked[-1].headers


def test_a_source_that_breaks_off_says_why(peer: Scripted, replica: HttpReplica) -> None:
    first = lines(batch()).split(b"\n")[0]
    body = first + b"\n" + wire.dumps({"problem": wire.problem_json(errors.CursorUnknown("Gone."), 409)}) + b"\n"
    peer.answers = [reply(200, body, "application/x-ndjson")]
    with pytest.raises(errors.CursorUnknown, match="Gone"):
        replica.changes(CALLER, ["zoo.Parent"], START, None, 5)
