"""What can go wrong between two servers, as errors that say what to do. No token ever stands in one.

``extra["halve"]``: a smaller page may help. ``extra["again"]``: the same call may help, after
``extra["after"]`` seconds where the peer said so. ``extra["status"]``: what HTTP said.
"""

from __future__ import annotations

import datetime as dt
import socket
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions as low

from peersync import errors, wire
from peersync.errors import PeersyncError
from peersync.wire.problems import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_STATUS: dict[int, tuple[type[errors.PeerError], str, str]] = {
    401: (
        errors.Unauthorized,
        "does not know the token",
        "Make one there with `manage.py sync_peer add NAME`.",
    ),
    403: (errors.Forbidden, "does not allow this with this token", "See `manage.py sync_peer list` there."),
    404: (
        errors.WrongUrl,
        "has nothing at this URL",
        "Check URL: it is where the peer includes peersync_api.urls.",
    ),
    413: (errors.PayloadTooLarge, "takes smaller bodies only", "A smaller --batch-size helps."),
    429: (errors.PeerUnavailable, "has had too many calls", "Try again later."),
    502: (errors.PeerUnavailable, "is not reached by the proxy before it", "Look at its log."),
    503: (errors.PeerUnavailable, "cannot serve now", "Try again later."),
    504: (
        errors.PeerTimeout,
        "did not answer the proxy before it in time",
        "A smaller --batch-size may help.",
    ),
}
_HALVE = frozenset((413, 502, 504))
_AGAIN = frozenset((429, 502, 503, 504))


def from_exception(name: str, place: str, error: Exception) -> PeersyncError:
    """The error for what requests or urllib3 raised. ``place``: scheme, host and port of the peer.

    Their texts are not repeated: some hold headers.
    """
    chain = list(causes(error))
    if _any(chain, requests.exceptions.SSLError, low.SSLError):
        reason = next((str(one) for one in chain if type(one).__module__ == "ssl"), "")
        hint = "For a certificate of your own authority set REQUESTS_CA_BUNDLE to its file."
        return errors.TlsFailure(clean(f"{name}: no TLS connection to {place}. {reason}"), hint=hint)
    if _any(chain, requests.exceptions.ProxyError):
        hint = "Check HTTPS_PROXY and NO_PROXY in the environment."
        return errors.PeerUnreachable(f"{name}: the proxy does not reach {place}.", hint=hint, again=True)
    if _any(chain, socket.gaierror):
        detail = f"{name}: the name of {place} cannot be resolved."
        return errors.PeerUnreachable(detail, hint="Check URL.", again=True)
    if _any(chain, ConnectionRefusedError):
        detail = f"{name}: {place} refused the connection."
        return errors.PeerUnreachable(detail, hint=_RUNNING, again=True)
    if _any(chain, requests.exceptions.ConnectTimeout, low.ConnectTimeoutError):
        return errors.PeerTimeout(f"{name}: no connection to {place} in time.", hint=_RUNNING, again=True)
    if _any(chain, requests.exceptions.Timeout, low.ReadTimeoutError, TimeoutError):
        return errors.PeerTimeout(f"{name}: {place} did not answer in time.", again=True, halve=True)
    return _broken(name, place, chain)


_RUNNING = "Check that it runs, and that nothing between blocks it."


def _broken(name: str, place: str, chain: list[BaseException]) -> PeersyncError:
    if _any(chain, low.NewConnectionError):
        return errors.PeerUnreachable(f"{name}: no way to {place}.", hint=_RUNNING, again=True)
    detail = f"{name}: {place} broke the connection off."
    return errors.PeerUnreachable(detail, again=True, halve=True, reset=True)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and whatever it came from: requests wraps urllib3 wraps the socket."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _any(chain: list[BaseException], *classes: type[BaseException]) -> bool:
    return any(isinstance(one, classes) for one in chain)


def redirected(name: str, url: str, location: str) -> PeersyncError:
    """A redirect is not followed: it would turn a POST into a GET, or carry the token elsewhere."""
    target = urlsplit(urljoin(url, location))
    # Without a user, a password or a query, which may be secrets.
    there = clean(f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}")
    base = there.partition("v1/")[0]
    hint = f'If that is where peersync lives now, set its URL to "{base}".'
    return errors.Redirected(f"{name}: the URL redirects to {there}", hint=hint)


def from_status(name: str, place: str, status: int, headers: Any, problem: Any) -> PeersyncError:
    """The error for an answer that is not a 200. ``problem``: its problem document, or None."""
    extra: dict[str, Any] = {"status": status}
    if status in _HALVE:
        extra["halve"] = True
    if status in _AGAIN:
        extra["again"] = True
        extra["after"] = retry_after(headers.get("Retry-After"))
    told = _told(name, problem)
    if told is not None:
        told.extra = {**told.extra, **extra}
        return told
    if status not in _BY_STATUS:
        return _other_status(name, place, status, extra)
    cls, what, hint = _BY_STATUS[status]
    detail = clean(problem["detail"]) if problem else f"{place} {what} ({status})."
    return cls(f"{name}: {detail}", hint="" if problem else hint, **extra)


def _other_status(name: str, place: str, status: int, extra: dict[str, Any]) -> PeersyncError:
    if status >= 500:
        return errors.PeerError(f"{name}: {place} failed ({status}).", hint="Its log says why.", **extra)
    hint = "Check URL: it is where the peer includes peersync_api.urls."
    return errors.NotPeersync(f"{name}: {place} answers {status}, and not as peersync does.", hint=hint, **extra)


def _told(name: str, problem: Any) -> PeersyncError | None:
    """What the peer said, in the class of its code; None for a code that only its status explains."""
    if problem is None:
        return None
    error = wire.read_problem(problem)
    if type(error) is PeersyncError:
        return None
    return type(error)(f"{name}: {error.detail}", **error.extra)


def retry_after(value: str | None) -> float | None:
    """Seconds of the header Retry-After, which names seconds or a date; None where it names neither."""
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())


def not_peersync(name: str, place: str, found: str) -> PeersyncError:
    """Somebody answered, but not us."""
    hint = "Check URL: it is where the peer includes peersync_api.urls."
    return errors.NotPeersync(f"{name}: {place} answers with {clean(found)}, not as peersync does.", hint=hint)
