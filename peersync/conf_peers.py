"""How one entry of PEERS is read."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from peersync.conf_values import ByModel, Values, quoted

PEER_KEYS = (
    "URL",
    "TOKEN",
    "AUTO",
    "INSECURE",
    "ROLE",
    "MODELS",
    "EXCLUDE",
    "FILTER",
    "FILTER_EXIT",
    "ACCEPT",
    "DIRECTION",
    "CONFLICT",
)
AUTO = ("push", "pull", "both")

_NAME = re.compile(r"\w[\w.@-]{0,99}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class PeerSettings:
    """What SYNC_CONFIG says of one peer. What is ``None`` or empty here is not narrowed for it."""

    name: str
    url: str | None = None
    """With a slash at its end; ``None``: this peer only calls us (or is the slave alias)."""
    token: str | None = field(default=None, repr=False)
    auto: str | None = None
    """What automatic sync does with it: ``push``, ``pull``, ``both``, or nothing."""
    insecure: bool = False
    """The token may travel over plain http."""
    role: str | None = None
    """What this node is towards that peer: ``master`` or ``slave``."""
    models: tuple[str, ...] | None = None
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: ByModel({}))
    filter: Mapping[str, Mapping[str, Any] | str] = field(default_factory=lambda: ByModel({}))
    filter_exit: Mapping[str, str] = field(default_factory=lambda: ByModel({}))
    accept: Mapping[str, Mapping[str, Any] | str] = field(default_factory=lambda: ByModel({}))
    direction: Mapping[str, str] = field(default_factory=lambda: ByModel({}))
    conflict: Mapping[str, str] = field(default_factory=lambda: ByModel({}))


def read_peer(name: str, raw: Mapping[str, Any], where: str, values: Values, *, alias: bool) -> PeerSettings:
    """``alias``: this entry is about the slave alias, which can be reached without a URL."""
    if not _NAME.fullmatch(name):
        hint = "Use letters, digits, and . _ @ - (100 at most)."
        values.problems.note("value", f'{where} is no name for a peer: "{name}".', hint, where)

    def at(key: str) -> str:
        return quoted(where, key)

    url = _url(raw["URL"], at("URL"), values) if raw.get("URL") is not None else None
    insecure = bool(values.boolean(raw["INSECURE"], at("INSECURE"))) if "INSECURE" in raw else False
    token = _token(raw["TOKEN"], at("TOKEN"), values) if raw.get("TOKEN") is not None else None
    if url and not insecure and plain_http_to_another_machine(url):
        hint = f'Use https, or write "INSECURE": True into {where} if nobody else is on that wire.'
        values.problems.note("value", f"{at('URL')} would send the token over plain http.", hint, at("URL"))
    return PeerSettings(
        name,
        url,
        token,
        _auto(raw.get("AUTO", True), at("AUTO"), values, reachable=raw.get("URL") is not None or alias),
        insecure,
        values.choice(raw["ROLE"], at("ROLE"), ("master", "slave")) if raw.get("ROLE") is not None else None,
        values.models(raw["MODELS"], at("MODELS")) if raw.get("MODELS") is not None else None,
        values.by_model(raw.get("EXCLUDE", {}), at("EXCLUDE"), values.names),
        values.by_model(raw.get("FILTER", {}), at("FILTER"), values.filter),
        values.by_model(raw.get("FILTER_EXIT", {}), at("FILTER_EXIT"), values.exit, star=True),
        values.by_model(raw.get("ACCEPT", {}), at("ACCEPT"), values.filter),
        values.by_model(raw.get("DIRECTION", {}), at("DIRECTION"), values.direction, star=True),
        values.by_model(raw.get("CONFLICT", {}), at("CONFLICT"), values.conflict, star=True),
    )


def _auto(value: Any, where: str, values: Values, *, reachable: bool) -> str | None:
    if value is True:
        return "push" if reachable else None
    if value is False or value is None:
        return None
    if not isinstance(value, str):
        values.problems.wrong_type(where, 'True, False, "push", "pull" or "both"', value)
        return None
    chosen = values.choice(value, where, AUTO)
    if chosen and not reachable:
        hint = "Give the peer a URL, or take AUTO out: a peer without URL calls us, by itself."
        values.problems.note("value", f'{where} is "{chosen}", but the peer has no URL.', hint, where)
        return None
    return chosen


def _token(value: Any, where: str, values: Values) -> str | None:
    """The token is never repeated in a message."""
    token = values.text(value, where)
    if token is not None and not _TOKEN.fullmatch(token):
        hint = "Paste it again, as `manage.py sync_peer add` printed it on the other side."
        values.problems.note("value", f"{where} has spaces or other signs that no token has.", hint, where)
        return None
    return token


def _url(value: Any, where: str, values: Values) -> str | None:
    url = values.text(value, where)
    wrong = _what_is_wrong(url) if url else None
    if wrong:
        hint = 'Write it as "https://host/peersync/", the place where the peer includes peersync_api.urls.'
        values.problems.note("value", f"{where} {wrong}.", hint, where)
        return None
    return url and url.rstrip("/") + "/"


def _what_is_wrong(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https"):
        return "must begin with https:// (or http://)"
    if not parts.hostname or re.search(r"\s", url):
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "has a user or password in it, which belongs in no URL: peers are known by TOKEN"
    if parts.query or parts.fragment:
        return "has a ? or # part"
    return None


def plain_http_to_another_machine(url: str) -> bool:
    """Whether what is sent to this URL can be read on the way."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
