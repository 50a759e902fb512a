"""Tokens: what is kept, how long they hold, and what rotating and revoking do."""

import datetime as dt
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from peersync import tokens
from peersync.errors import ConfigurationError
from peersync.models import Peer, PeerToken
from peersync.records import Caller

pytestmark = pytest.mark.django_db

ONE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def called_by(key: str, install: str, node: str = "") -> None:
    tokens.require_own_name(tokens.authenticate(key), Caller(node or install, install))


def test_only_the_digest_is_kept() -> None:
    key = tokens.create("branch")
    assert len(key) >= 43
    assert not key.startswith("-")
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT * FROM peersync_peertoken")
        assert key not in str(cursor.fetchall())
    assert key not in str(tokens.listing())
    assert tokens.authenticate(key).name == "branch"


def test_no_two_are_alike() -> None:
    assert len({tokens.create(f"peer{n}") for n in range(50)}) == 50


@pytest.mark.parametrize("key", ["", "x", "é", "\udc80", "a" * 10_000])
def test_what_is_no_token(key: str) -> None:
    tokens.create("branch")
    with pytest.raises(tokens.TokenUnknown):
        tokens.authenticate(key)


def test_scopes_and_expiry_as_listed() -> None:
    tokens.create("plain")
    tokens.create("full", ["mirror", "pull"], "12h")
    plain, full = tokens.listing("plain")[0], tokens.listing("full")[0]
    assert plain == {"name": "plain", "scopes": ["pull", "push"], "expires": None, "revoked": None}
    assert full["scopes"] == ["pull", "mirror"]
    left = dt.datetime.fromisoformat(full["expires"]) - timezone.now()
    assert dt.timedelta(hours=11, minutes=59) < left <= dt.timedelta(hours=12)
    assert [one["name"] for one in tokens.listing()] == ["full", "plain"]


def test_an_expired_one_is_refused() -> None:
    key = tokens.create("branch", expires=dt.timedelta(hours=1))
    tokens.authenticate(key)
    PeerToken.objects.update(expires=timezone.now() - dt.timedelta(seconds=1))
    with pytest.raises(tokens.TokenExpired) as caught:
        tokens.authenticate(key)
    assert caught.value.code == "token_expired"


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)]
)
def test_durations(text: str, seconds: int) -> None:
    assert tokens.parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "d", "90", "-1d", "0d", "1.5h", "1 d", "1y", "٣d", "9" * 20 + "d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="90d"):
        tokens.parse_duration(text)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": ""},
        {"name": " "},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"name": "b", "scopes": ["admin"]},
        {"name": "b", "scopes": []},
        {"name": "b", "expires": "soon"},
        {"name": "b", "expires": dt.timedelta(days=-1)},
        {"name": "b", "expires": "999999w"},
    ],
)
def test_what_cannot_be_made(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        tokens.create(**arguments)
    assert not PeerToken.objects.exists()


def test_a_second_one_is_made_by_rotating() -> None:
    tokens.create("branch")
    with pytest.raises(ConfigurationError, match="sync_peer rotate branch"):
        tokens.create("branch")
    tokens.revoke("branch")
    tokens.create("branch")


def test_two_are_valid_while_a_peer_rotates() -> None:
    first = tokens.create("branch", ["pull"], "30d")
    second = tokens.rotate("branch")
    assert tokens.authenticate(first).name == tokens.authenticate(second).name == "branch"
    third = tokens.rotate("branch")
    tokens.authenticate(second)
    tokens.authenticate(third)
    with pytest.raises(tokens.TokenRevoked) as caught:
        tokens.authenticate(first)
    assert caught.value.code == "token_revoked"
    assert {one["scopes"][0] for one in tokens.listing()} == {"pull"}
    newest = PeerToken.objects.latest("id")
    assert newest.expires is not None
    assert newest.expires - timezone.now() > dt.timedelta(days=29)


def test_rotating_keeps_the_install() -> None:
    first = tokens.create("branch")
    called_by(first, ONE)
    second = tokens.rotate("branch")
    called_by(second, ONE)
    with pytest.raises(tokens.TokenBound):
        called_by(second, OTHER)


def test_a_rebuilt_peer_gets_a_token_of_its_own() -> None:
    first = tokens.create("branch")
    called_by(first, ONE)
    Peer.objects.create(name="branch", node=ONE, install=ONE, told=99)
    second = tokens.rotate("branch", rebind=True)
    called_by(second, OTHER)
    with pytest.raises(tokens.TokenRevoked):
        tokens.authenticate(first)
    assert Peer.objects.get().told == -1


def test_a_name_that_has_none() -> None:
    for change in (tokens.rotate, tokens.revoke):
        with pytest.raises(ConfigurationError, match="no token"):
            change("nobody")


def test_revoking_ends_all_and_forgets_the_reader() -> None:
    keys = [tokens.create("branch"), tokens.rotate("branch")]
    other = tokens.create("other")
    Peer.objects.create(name="branch")
    Peer.objects.create(name="other")
    assert tokens.revoke("branch") == 2
    for key in keys:
        with pytest.raises(tokens.TokenRevoked):
            tokens.authenticate(key)
    tokens.authenticate(other)
    assert [peer.name for peer in Peer.objects.all()] == ["other"]
    assert all(one["revoked"] for one in tokens.listing("branch"))


def test_the_install_that_is_first_wins() -> None:
    key = tokens.create("branch")
    seen_by_both = tokens.authenticate(key), tokens.authenticate(key)
    tokens.require_own_name(seen_by_both[0], Caller(ONE, ONE))
    with pytest.raises(tokens.TokenBound, match="sync_peer rotate branch --rebind"):
        tokens.require_own_name(seen_by_both[1], Caller(OTHER, OTHER))


def test_a_renewed_node_of_the_same_install_is_let_in() -> None:
    key = tokens.create("branch")
    called_by(key, ONE, node=OTHER)
    called_by(key, ONE, node=ONE)


def test_a_database_that_cannot_note_the_use_is_no_reason_to_refuse() -> None:
    key = tokens.create("branch")
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER no_notes BEFORE UPDATE ON peersync_peertoken BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert tokens.authenticate(key).last_used is None
