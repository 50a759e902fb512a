"""The transport of ``HttpReplica``: one call, its answer bounded, its errors in our words."""

from __future__ import annotations

import gzip
import os
import random
import threading
import time
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions as low

from peersync import wire
from peersync.conf_peers import plain_http_to_another_machine
from peersync.errors import (
    AnswerCutOff,
    AnswerTooLarge,
    ConfigurationError,
    InsecureUrl,
    PeersyncError,
    WireError,
)
from peersync.replicas import http_errors
from peersync.replicas.http_deadline import DeadlineAdapter, deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from peersync.conf import Limits

T = TypeVar("T")

JSON = "application/json"
LINES = "application/x-ndjson"
BYTES = "application/octet-stream"
PROBLEM = "application/problem+json"
_PACK_ABOVE = 1024
_CHUNK = 1 << 16
_PROBLEM_BYTES = 1 << 16
_CONNECT_SECONDS = 10
SHORTEST_TOKEN = 8


@dataclass(frozen=True)
class Retries:
    """How often and how patiently a call is tried again."""

    attempts: int = 4
    first: float = 0.5
    """Seconds: the pause after the first failure is drawn between 0 and this; the bound doubles each time."""
    longest: float = 8.0
    patience: float = 60.0
    """Seconds: a Retry-After above it is not waited for."""
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, error: PeersyncError) -> float | None:
        """Seconds to wait after so many failures; None: not worth waiting for."""
        asked = error.extra.get("after")
        drawn = random.uniform(0, min(self.longest, self.first * 2 ** (failures - 1)))  # noqa: S311
        if asked is None:
            return drawn
        return asked + drawn if asked <= self.patience else None


@dataclass(frozen=True)
class Call:
    """One request. ``answer``: the media type that it must be answered with."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    sends: str = JSON
    answer: str = JSON
    wait: float = 0
    """Seconds of long polling that the answer may take longer."""
    most: int = 0
    """Bytes that the answer may have; 0: as LIMITS say."""


class TokenAuth(requests.auth.AuthBase):
    """Sets the token on each request. Without an auth object requests would take what ``.netrc`` knows."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request

    def __repr__(self) -> str:
        return "TokenAuth(…)"


def checked_url(name: str, url: str, *, insecure: bool) -> str:
    """The URL with its slash. ConfigurationError for what is none, InsecureUrl for plain http elsewhere."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        fine, parts = False, urlsplit("")
    if not fine or parts.username or parts.password or parts.query or parts.fragment or url != "".join(url.split()):
        hint = 'Write it as "https://host/peersync/", without user, password, ? or #.'
        raise ConfigurationError(f"{name}: this is no URL of a peer.", hint=hint)
    if not insecure and plain_http_to_another_machine(url):
        hint = f'Use https, or set PEERS["{name}"]["INSECURE"] to True if nobody else is on that wire.'
        raise InsecureUrl(f"{name}: the token would travel over plain http to {parts.hostname}.", hint=hint)
    return url.rstrip("/") + "/"


def checked_token(name: str, token: str | None) -> str:
    """The token. Raises ConfigurationError, which does not repeat it, for what no header could carry."""
    if not token or not all("!" <= sign <= "~" for sign in token):
        what = "has signs that no token has" if token else "is missing"
        hint = f'Set PEERS["{name}"]["TOKEN"] to what `manage.py sync_peer add` printed on the other side.'
        raise ConfigurationError(f"{name}: the token {what}.", hint=hint)
    return token


class Transport:
    """Calls to one peer, over pooled connections."""

    def __init__(self, name: str, url: str, token: str | None, limits: Limits, *, insecure: bool) -> None:
        self.name = name
        self.url = checked_url(name, url, insecure=insecure)
        self._token = checked_token(name, token)
        self._auth = TokenAuth(self._token)
        self.limits = limits
        parts = urlsplit(self.url)
        self.place = f"{parts.scheme}://{parts.netloc}"
        # A proxy from the environment would carry the token over plain http to another machine.
        self._direct = parts.scheme == "http" and not plain_http_to_another_machine(self.url)
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._pid = 0

    def close(self) -> None:
        """Give the connections back. The next call opens new ones."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None and self._pid == os.getpid():
            session.close()

    def _pooled(self) -> requests.Session:
        """The session of this process: two that were forked must not share a connection."""
        with self._lock:
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid = _new_session(), os.getpid()
            return self._session

    def call(self, call: Call, parse: Callable[[Iterator[bytes]], T]) -> T:
        """What ``parse`` makes of the answer's unpacked bytes. One attempt; raises a PeersyncError only."""
        try:
            return self._attempt(call, parse)
        except PeersyncError as error:
            raise self._in_words(error) from None

    def _attempt(self, call: Call, parse: Callable[[Iterator[bytes]], T]) -> T:
        each = self.limits.timeout + call.wait
        try:
            with deadline(each + 3 * self.limits.timeout, each), self._send(call, each) as response:
                return parse(self._unpacked(call, response))
        except (requests.RequestException, low.HTTPError, OSError) as error:
            if isinstance(error, low.ProtocolError) and not _reset(error):
                raise AnswerCutOff(f"{self.name}: the answer was cut off.", again=True, halve=True) from None
            raise http_errors.from_exception(self.name, self.place, error) from None
        except AnswerCutOff as error:
            raise AnswerCutOff(f"{self.name}: {error.detail}", again=True, halve=True) from None
        except WireError as error:
            if "code" in error.extra:
                raise
            raise type(error)(f"{self.name}: malformed answer: {error.detail}", **error.extra) from None

    def _send(self, call: Call, each: float) -> requests.Response:
        headers = {**call.headers, "Accept": f"{call.answer}, {PROBLEM}"}
        body = call.body
        if body is not None:
            headers["Content-Type"] = call.sends
            if len(body) > _PACK_ABOVE and call.sends != BYTES:  # most files are packed already
                body = gzip.compress(body, compresslevel=1, mtime=0)
                headers["Content-Encoding"] = "gzip"
        direct: Any = {"http": None, "https": None, "all": None} if self._direct else None
        return self._pooled().request(
            call.method,
            self.url + call.path,
            params=dict(call.params),
            headers=headers,
            data=body,
            auth=self._auth,
            timeout=(min(_CONNECT_SECONDS, self.limits.timeout), each),
            allow_redirects=False,
            proxies=direct,
            stream=True,
        )

    def _unpacked(self, call: Call, response: requests.Response) -> Iterator[bytes]:
        """The bytes of a good answer, unpacked and bounded. Raises what any other answer says."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.is_redirect or 300 <= response.status_code < 400:
            raise http_errors.redirected(self.name, response.url, response.headers.get("Location", ""))
        if response.status_code != 200:
            problem = self._problem(response) if kind == PROBLEM else None
            headers = response.headers
            raise http_errors.from_status(self.name, self.place, response.status_code, headers, problem)
        chunks = self._begun(response)
        if kind != call.answer:
            raise http_errors.not_peersync(self.name, self.place, f"a page of type {kind or 'nothing'}")
        return self._bytes(response, chunks, call.most or self.limits.body, call.most or self.limits.unpacked)

    @staticmethod
    def _begun(response: requests.Response) -> Iterator[bytes]:
        """The body. Raises AnswerCutOff where the answer ended among its headers, which then look like all of them."""
        chunks: Iterator[bytes] = response.raw.stream(_CHUNK, decode_content=False)
        first = next(chunks, b"")
        if not first and not {"Content-Length", "Transfer-Encoding"} & {name.title() for name in response.headers}:
            raise AnswerCutOff("the answer ended before its headers did.")
        return chain([first], chunks)

    def _bytes(self, response: requests.Response, chunks: Iterable[bytes], most: int, unpacked: int) -> Iterator[bytes]:
        chunks = self._bounded(chunks, most)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding == "identity":
            return chunks
        if coding in ("gzip", "x-gzip"):
            return wire.gunzip(chunks, unpacked, self._too_large)
        raise http_errors.not_peersync(self.name, self.place, f"the coding {coding}")

    def _bounded(self, chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > most:
                raise self._too_large(f"it has more than {most} bytes")
            yield chunk

    def _too_large(self, detail: str) -> PeersyncError:
        hint = "A smaller --batch-size helps, or larger LIMITS."
        return AnswerTooLarge(f"{self.name}: the answer is too large: {detail}.", hint=hint, halve=True)

    def _problem(self, response: requests.Response) -> dict[str, Any] | None:
        """The problem document, or None where it is none."""
        try:
            chunks = response.raw.stream(_CHUNK, decode_content=False)
            text = b"".join(self._bytes(response, chunks, _PROBLEM_BYTES, _PROBLEM_BYTES))
            problem = wire.loads(text)
            wire.read_problem(problem)
        except (WireError, AnswerTooLarge, AnswerCutOff):
            return None
        return dict(problem)

    def lines(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes as lines, none longer than LIMITS allows."""
        return wire.split_lines(chunks, self.limits.line, self._too_large)

    def _in_words(self, error: PeersyncError) -> PeersyncError:
        """The error with the peer's name, and without the token: a peer may well repeat what it was sent."""
        detail, hint = (self._hidden(text) for text in (error.detail, error.hint))
        prefix = f"{self.name}: "
        return type(error)(prefix + detail.removeprefix(prefix), hint=hint, **error.extra)

    def _hidden(self, text: str) -> str:
        """What is shorter than any token was made up by hand, and stands in many a word."""
        return text.replace(self._token, "…") if len(self._token) >= SHORTEST_TOKEN else text


def _new_session() -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers.clear()
    session.headers.update({"User-Agent": "django-peersync", "Accept-Encoding": "gzip", "Connection": "keep-alive"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter())
    return session


def _reset(error: Exception) -> bool:
    return any(isinstance(one, ConnectionError) for one in http_errors.causes(error))
