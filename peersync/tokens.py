"""Tokens of the peers that call us: made, rotated, revoked, and looked at on every call.

Only the SHA-256 of a token is kept; it is found by that digest, so nothing of it is compared step by step.
A token is named after the peer, and belongs to the install that used it first. Two are valid at a time while
a peer rotates.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from peersync.clock import now_ms
from peersync.errors import ConfigurationError, PeersyncError
from peersync.models import Checkpoint, Peer, PeerToken
from peersync.records import Caller

SCOPES = ("pull", "push", "mirror")
DEFAULT_SCOPES = ("pull", "push")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NOTED_EVERY = timedelta(minutes=1)


class TokenRefused(PeersyncError):
    """The token was not accepted."""

    code = "unauthorized"


class TokenMissing(TokenRefused):
    """This call needs "Authorization: Token <key>"; a key is made by `sync_peer add NAME` on this server."""


class TokenUnknown(TokenRefused):
    """The token is not known here; a new one is made by `sync_peer add NAME` on this server."""


class TokenExpired(TokenRefused):
    """The token has expired; a new one is made by `sync_peer rotate NAME` on this server."""

    code = "token_expired"


class TokenRevoked(TokenRefused):
    """The token was revoked; a new one is made by `sync_peer add NAME` on this server."""

    code = "token_revoked"


class TokenForbids(PeersyncError):
    """The token does not allow this."""

    code = "forbidden"


class ScopeMissing(TokenForbids):
    """The token lacks the scope for this call."""


class TokenBound(TokenForbids):
    """The token belongs to another install."""

    code = "token_bound"


class ForeignName(TokenForbids):
    """The call is made in the name of another node."""


def parse_duration(text: str) -> timedelta:
    """``"90d"``, ``"12h"``, ``"30m"``, ``"45s"``, ``"2w"``; ConfigurationError for anything else."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no duration.", hint='Write a number and a unit: "90d", "12h", "30m", "2w".'
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def create(
    name: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
    expires: str | timedelta | datetime | None = None,
    using: str = "default",
) -> str:
    """Make the first token of the peer ``name``; returns it, for the only time.

    ``expires``: a duration (text like "90d", or a timedelta), a moment, or None for never. Raises
    ConfigurationError for a name, scope or expiry that cannot be, and where the name has a valid token.
    """
    _check_name(name)
    chosen = _check_scopes(scopes)
    until = _moment(expires, using)
    with transaction.atomic(using=using):
        if _valid(name, using):
            raise ConfigurationError(
                f"{name} has a token already.",
                hint=f"`sync_peer rotate {name}` makes a new one, `sync_peer revoke {name}` ends it.",
            )
        return _make(name, chosen, until, install="", using=using)


def rotate(name: str, rebind: bool = False, using: str = "default") -> str:
    """Make another token for ``name``; the newest of the older ones stays valid beside it, all others end.

    The new one has the scopes, the lifetime and the install of the newest. With ``rebind`` it belongs to
    nobody yet, and all older ones end at once: the peer was rebuilt. ConfigurationError where the name has none.
    """
    with transaction.atomic(using=using):
        newest = PeerToken.objects.using(using).filter(name=name).order_by("-created", "-id").first()
        if newest is None:
            raise ConfigurationError(f"There is no token of the name {name}.", hint=f"`sync_peer add {name}`")
        keep = [] if rebind else [token.pk for token in _valid(name, using)[:1]]
        _valid_query(name, using).exclude(pk__in=keep).update(revoked=_now(using))
        lifetime = newest.expires - newest.created if newest.expires else None
        if rebind:
            Peer.objects.using(using).filter(name=name).update(node="", install="", told=-1)
        install = "" if rebind else newest.install
        return _make(name, scopes_of(newest), _moment(lifetime, using), install=install, using=using)


def revoke(name: str, using: str = "default") -> int:
    """End all tokens of ``name`` at once, and forget the peer as a reader; returns how many were ended.

    Tombstones are no longer kept for it. ConfigurationError where there never was a token of that name.
    """
    with transaction.atomic(using=using):
        if not PeerToken.objects.using(using).filter(name=name).exists():
            raise ConfigurationError(f"There is no token of the name {name}.", hint="`sync_peer list` shows all names.")
        ended = PeerToken.objects.using(using).filter(name=name, revoked=None).update(revoked=_now(using))
        Peer.objects.using(using).filter(name=name).delete()
    return ended


def listing(name: str | None = None, using: str = "default") -> list[dict[str, Any]]:
    """``[{"name", "scopes", "expires", "revoked"}]``, oldest first; times as ISO 8601 or None. No digests."""
    tokens = PeerToken.objects.using(using).order_by("name", "created", "id")
    if name is not None:
        tokens = tokens.filter(name=name)
    return [
        {
            "name": token.name,
            "scopes": list(scopes_of(token)),
            "expires": _iso(token.expires),
            "revoked": _iso(token.revoked),
        }
        for token in tokens
    ]


def authenticate(key: str, using: str = "default") -> PeerToken:
    """The token of this key. Raises TokenUnknown, TokenRevoked or TokenExpired (one root: TokenRefused)."""
    token = PeerToken.objects.using(using).filter(digest=_digest(key)).first()
    if token is None:
        raise TokenUnknown
    if token.revoked is not None:
        raise TokenRevoked
    now = _now(using)
    if token.expires is not None and token.expires <= now:
        raise TokenExpired
    _note_use(token, now, using)
    return token


def require_scope(token: PeerToken, *scopes: str) -> None:
    """Raise ScopeMissing unless the token has one of ``scopes``; none given means that any token will do."""
    if scopes and not set(scopes) & set(scopes_of(token)):
        needed = " or ".join(scopes)
        raise ScopeMissing(
            f"The token {token.name} lacks the scope {needed} for this call.",
            hint=f"`sync_peer revoke {token.name}`, then `sync_peer add {token.name} --scope …`, give it.",
        )


def require_own_name(token: PeerToken, caller: Caller, using: str = "default") -> None:
    """Bind the token to the caller's install, or raise TokenBound where it belongs to another one already.

    Raises ForeignName where the node that the caller names is known here as that of another install. A call
    that names no install binds nothing.
    """
    if caller.install:
        _bind(token, caller.install, using)
    if caller.node and _known_as_another(caller, using):
        raise ForeignName(
            f"The node {caller.node} belongs to another install than the one that calls.",
            hint=f"If the peer was rebuilt: `sync_peer rotate {token.name} --rebind`.",
        )


def _bind(token: PeerToken, install: str, using: str) -> None:
    if not token.install:
        # Of two installs that use it for the first time at once, one wins.
        tokens = PeerToken.objects.using(using).filter(pk=token.pk)
        tokens.filter(install="").update(install=install)
        token.install = tokens.values_list("install", flat=True).first() or ""
    if token.install != install:
        raise TokenBound(
            f"The token {token.name} belongs to another install.",
            hint=f"If the peer was rebuilt: `sync_peer rotate {token.name} --rebind` on this server.",
        )


def _known_as_another(caller: Caller, using: str) -> bool:
    other = ~Q(install__in=["", caller.install])
    known = Checkpoint.objects.using(using).filter(other, source=caller.node).exists()
    return known or Peer.objects.using(using).filter(other, node=caller.node).exists()


def _make(name: str, scopes: Sequence[str], expires: datetime | None, *, install: str, using: str) -> str:
    key = secrets.token_urlsafe(32)
    while key.startswith("-"):  # a command line would take it for an option
        key = secrets.token_urlsafe(32)
    PeerToken.objects.using(using).create(
        name=name, digest=_digest(key), scopes=",".join(scopes), expires=expires, install=install
    )
    return key


def _note_use(token: PeerToken, now: datetime, using: str) -> None:
    if token.last_used is not None and timedelta(0) <= now - token.last_used < _NOTED_EVERY:
        return
    try:
        with transaction.atomic(using=using):
            PeerToken.objects.using(using).filter(pk=token.pk).update(last_used=now)
    except DatabaseError:
        return  # a busy or read-only database: the note is not worth a failed call
    token.last_used = now


def _valid_query(name: str, using: str) -> Any:
    unexpired = Q(expires=None) | Q(expires__gt=_now(using))
    return PeerToken.objects.using(using).filter(unexpired, name=name, revoked=None)


def _valid(name: str, using: str) -> list[PeerToken]:
    return list(_valid_query(name, using).order_by("-created", "-id"))


def scopes_of(token: PeerToken) -> tuple[str, ...]:
    return tuple(scope for scope in token.scopes.split(",") if scope)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise ConfigurationError(
            f"{name!r} is no name for a peer.", hint="Take the peer's name in PEERS, at most 200 characters."
        )


def _check_scopes(scopes: Collection[str]) -> tuple[str, ...]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        what = f"There is no scope {unknown[0]!r}." if unknown else "A token needs a scope."
        raise ConfigurationError(what, hint=f"Scopes are {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in scopes)


def _moment(expires: str | timedelta | datetime | None, using: str) -> datetime | None:
    if isinstance(expires, str):
        expires = parse_duration(expires)
    if isinstance(expires, timedelta):
        try:
            expires = _now(using) + expires
        except OverflowError:
            raise ConfigurationError(
                "The token would expire after the year 9999.", hint="Leave --expires out."
            ) from None
    if isinstance(expires, datetime) and expires <= _now(using):
        raise ConfigurationError(
            f"The token would have expired at {expires}.", hint="Give a moment to come, or --expires 90d."
        )
    return expires


def _now(using: str) -> datetime:
    """Now, as a DateTimeField of this project takes it: aware, or naive in the project's zone."""
    now = datetime.fromtimestamp(now_ms(using) / 1000, tz=UTC)
    return now if django_settings.USE_TZ else timezone.make_naive(now, timezone.get_default_timezone())


def _iso(value: datetime | None) -> str | None:
    if value is None:
        return None
    if timezone.is_naive(value):
        value = timezone.make_aware(value, timezone.get_default_timezone())
    return value.astimezone(UTC).isoformat()
