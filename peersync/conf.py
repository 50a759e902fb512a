"""SYNC_CONFIG, read once and typed. ``settings()`` is the only way to it; docs/settings.md has every key.

Nothing is read before the first call, and nothing here looks at models or databases: whether a name in the
settings exists is for checks.py to say. All mistakes of form are found in one reading (:func:`problems`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.signals import setting_changed

from peersync.conf_peers import PEER_KEYS, PeerSettings, read_peer
from peersync.conf_values import ByModel, Problems, Values, nearest, quoted
from peersync.errors import ConfigurationError

__all__ = ["KEYS", "Limits", "PeerSettings", "Settings", "problems", "require_sound", "settings"]

NAME = "SYNC_CONFIG"
KEYS = (
    "MODELS",
    "EXCLUDE",
    "INCLUDE",
    "FILTER",
    "FILTER_EXIT",
    "ACCEPT",
    "IDENTITY",
    "MATCH",
    "DIRECTION",
    "CONFLICT",
    "PEERS",
    "ROLE",
    "MASTER",
    "SLAVE",
    "AUTO_SYNC",
    "CAPTURE",
    "FILES",
    "MAX_CLOCK_SKEW",
    "MAX_CONFLICTS",
    "MAX_CASCADE",
    "KEEP_TOMBSTONES",
    "RETENTION",
    "LIMITS",
)
RETENTION = {"conflicts": 90, "runs": 30}
"""Days that records of conflicts are kept once those are settled, and the list of runs."""

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of the wire; the keys of LIMITS are these names in capitals."""

    body: int = 16 * MIB
    """Bytes of a request's or an answer's body, as it travels."""
    unpacked: int = 128 * MIB
    """Bytes of a body after gzip."""
    line: int = 8 * MIB
    """Bytes of one line, that is of one row."""
    batch: int = 5000
    """Rows in a batch."""
    rate: int = 100
    """Refused tokens that an address may show in a minute."""
    answer_seconds: int = 10
    """Seconds after which an answer ends itself; the rest comes with the next call."""
    timeout: int = 30
    """Seconds that the client waits for a sign of life."""
    wait: int = 25
    """Seconds that a long poll may wait for changes."""
    polls: int = 8
    """Long polls that one process holds at a time."""
    file: int = 1 << 30
    """Bytes of a file that this node takes from a peer (``FILES``)."""


@dataclass(frozen=True)
class Settings:
    """Mappings by model are looked up without regard to case (``auth.user`` finds ``auth.User``)."""

    models: tuple[str, ...] = ()
    """Patterns as they were written: ``app.Model``, ``app.*``, ``*.*``, and with ``!`` what is left out."""
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: ByModel({}))
    include: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: ByModel({}))
    filter: Mapping[str, Mapping[str, Any] | str] = field(default_factory=lambda: ByModel({}))
    """ORM look-ups, or a dotted path."""
    filter_exit: Mapping[str, str] = field(default_factory=lambda: ByModel({}))
    """``remove`` or ``keep``; key ``*`` for every other model."""
    accept: Mapping[str, Mapping[str, Any] | str] = field(default_factory=lambda: ByModel({}))
    """As ``filter``: what a push may create or leave behind."""
    identity: Mapping[str, str | tuple[str, ...]] = field(default_factory=lambda: ByModel({}))
    """``pk``, ``natural``, ``origin``, or names of fields; key ``*`` for every other model."""
    match: Mapping[str, str] = field(default_factory=lambda: ByModel({}))
    """``pk``, ``content`` or ``never``: which rows that stood at both sides before are one; key ``*`` for all others."""
    direction: Mapping[str, str] = field(default_factory=lambda: ByModel({}))
    """``both``, ``master-to-slave`` or ``slave-to-master``; key ``*`` for every other model."""
    conflict: Mapping[str, str] = field(default_factory=lambda: ByModel({"*": "latest"}))
    """The policy; key ``*`` (always there) for every other model."""
    peers: Mapping[str, PeerSettings] = field(default_factory=dict)
    role: str | None = None
    """What this node is over HTTP: ``master``, ``slave`` or not said."""
    master: str = "default"
    """Alias of the database that the site itself uses."""
    slave: str = "slave"
    """Alias of the other database; it need not be configured."""
    auto_sync: str = "background"
    """``background``, ``inline`` or ``off``."""
    capture: str = "triggers"
    """``triggers`` or ``signals``."""
    files: tuple[str, ...] = ()
    """Whose files travel: ``app.Model``, ``app.Model.field``, ``app.*``, ``*.*`` for all; none where it is empty."""
    max_clock_skew: int = 300
    """Seconds."""
    max_conflicts: int = 1000
    """Rows."""
    max_cascade: int = 1000
    """Rows."""
    keep_tombstones: int = 90
    """Days."""
    retention: Mapping[str, int] = field(default_factory=lambda: dict(RETENTION))
    """Days, by ``conflicts`` and ``runs``."""
    limits: Limits = field(default_factory=Limits)


def settings() -> Settings:
    """What SYNC_CONFIG says. Raises :class:`ConfigurationError` with its first mistake."""
    found, wrong = _read()
    if wrong:
        more = f" (`manage.py check` lists {len(wrong) - 1} more.)" if len(wrong) > 1 else ""
        first = wrong[0]
        raise ConfigurationError(first.detail, hint=first.hint + more, **first.extra)
    return found


def require_sound() -> None:
    """Raise ConfigurationError with the first of our system checks that is an error and not silenced.

    A server that Django does not check (WSGI, ASGI) comes here too: a field misspelt in EXCLUDE would travel.
    """
    error = _unsound()
    if error is not None:
        raise ConfigurationError(error.detail, hint=error.hint)


@lru_cache(maxsize=1)
def _unsound() -> ConfigurationError | None:
    for message in checks.run_checks(tags=["peersync"]):
        if message.is_serious() and not message.is_silenced():
            return ConfigurationError(f"{message.msg} ({message.id})", hint=message.hint or "")
    return None


def problems() -> list[ConfigurationError]:
    """Every mistake of form; ``extra["kind"]`` is ``key``, ``type`` or ``value``."""
    return list(_read()[1])


@lru_cache(maxsize=1)
def _read() -> tuple[Settings, Problems]:
    wrong = Problems()
    values = Values(wrong)
    said = getattr(django_settings, NAME, None)
    raw = values.mapping({} if said is None else said, NAME) or {}
    known = _known(raw, KEYS, NAME, wrong)
    given: dict[str, Any] = {}
    for key, value in known.items():
        if value is None or key == "PEERS":  # None: as if it were not there; PEERS needs to know SLAVE first
            continue
        one = _READERS[key](values, value, quoted(NAME, key))
        if one is not None:
            given[key.lower()] = one
    if "conflict" in given and "*" not in given["conflict"]:
        given["conflict"] = ByModel({**given["conflict"], "*": "latest"})
    if "PEERS" in known:
        slave = given.get("slave", Settings.slave)
        given["peers"] = _peers(values, known["PEERS"], slave if slave in django_settings.DATABASES else None)
    found = Settings(**given)
    _look_for_contradictions(found, wrong)
    return found, wrong


def _look_for_contradictions(found: Settings, wrong: Problems) -> None:
    if found.master == found.slave:
        hint = "One is this node's own database, the other the one to keep equal with it."
        wrong.note("value", f'MASTER and SLAVE are both "{found.master}".', hint, quoted(NAME, "SLAVE"))
    for alias in (found.master, found.slave):
        peer = found.peers.get(alias)
        if peer and alias in django_settings.DATABASES and (peer.url or alias == found.master):
            where = quoted(quoted(NAME, "PEERS"), alias)
            what = "this node's own database" if alias == found.master else "the alias of the slave"
            hint = "Give the peer another name: commands could not tell the two apart."
            wrong.note("value", f'{where}: "{alias}" is {what} already.', hint, where)


def _known(raw: Mapping[str, Any], keys: tuple[str, ...], where: str, wrong: Problems) -> dict[str, Any]:
    """The entries whose keys exist; a misspelt one is never passed over in silence."""
    for key in raw:
        if key in keys:
            continue
        if keys is PEER_KEYS and key in KEYS:
            hint = f"{key} is the same for all peers: it stands in {NAME} itself."
        elif keys is KEYS and key in PEER_KEYS:
            hint = f'{key} belongs to one peer: {NAME}["PEERS"]["its name"]["{key}"].'
        else:
            hint = nearest(key, keys)
        wrong.note("key", f'{where} has no key "{key}".', hint, where)
    return {key: raw[key] for key in keys if key in raw}


def _peers(values: Values, raw: Any, slave: str | None) -> dict[str, PeerSettings]:
    found: dict[str, PeerSettings] = {}
    where = quoted(NAME, "PEERS")
    for name, entry in (values.mapping(raw, where) or {}).items() if raw is not None else ():
        here = quoted(where, name)
        said = values.mapping(entry, here)
        if said is not None:
            known = _known(said, PEER_KEYS, here, values.problems)
            found[name] = read_peer(name, known, here, values, alias=name == slave)
    return found


def _limits(values: Values, raw: Any, where: str) -> Limits | None:
    names = tuple(f.name.upper() for f in fields(Limits))
    given: dict[str, int] = {}
    for key, value in _known(values.mapping(raw, where) or {}, names, where, values.problems).items():
        number = values.number(value, quoted(where, key))
        if number is not None:
            given[key.lower()] = number
    limits = Limits(**given)
    for small, large in (("wait", "timeout"), ("line", "unpacked"), ("body", "unpacked")):
        a, b = getattr(limits, small), getattr(limits, large)
        if a > b or (small == "wait" and a == b):
            detail = f"{quoted(where, small.upper())} is {a}, but {large.upper()} is {b}."
            values.problems.note("value", detail, f"{small.upper()} must be the smaller one.", where)
            return None
    return limits


def _retention(values: Values, raw: Any, where: str) -> dict[str, int] | None:
    """One number for all, or one for each."""
    if not isinstance(raw, Mapping):
        days = values.days(raw, where)
        return None if days is None else dict.fromkeys(RETENTION, days)
    names = tuple(name.upper() for name in RETENTION)
    found = dict(RETENTION)
    for key, value in _known(values.mapping(raw, where) or {}, names, where, values.problems).items():
        found[key.lower()] = values.days(value, quoted(where, key)) or found[key.lower()]
    return found


def _choice(*allowed: str) -> Callable[[Values, Any, str], str | None]:
    return lambda values, raw, where: values.choice(raw, where, allowed)


_READERS: dict[str, Callable[[Values, Any, str], Any]] = {
    "MODELS": Values.models,
    "EXCLUDE": lambda values, raw, where: values.by_model(raw, where, values.names),
    "INCLUDE": lambda values, raw, where: values.by_model(raw, where, values.names),
    "FILTER": lambda values, raw, where: values.by_model(raw, where, values.filter),
    "FILTER_EXIT": lambda values, raw, where: values.by_model(raw, where, values.exit, star=True),
    "ACCEPT": lambda values, raw, where: values.by_model(raw, where, values.filter),
    "IDENTITY": lambda values, raw, where: values.by_model(raw, where, values.identity, star=True),
    "MATCH": lambda values, raw, where: values.by_model(raw, where, values.match, star=True),
    "DIRECTION": lambda values, raw, where: values.by_model(raw, where, values.direction, star=True),
    "CONFLICT": lambda values, raw, where: values.by_model(raw, where, values.conflict, star=True),
    "ROLE": _choice("master", "slave"),
    "MASTER": Values.text,
    "SLAVE": Values.text,
    "AUTO_SYNC": _choice("background", "inline", "off"),
    "CAPTURE": _choice("triggers", "signals"),
    "FILES": Values.files,
    "MAX_CLOCK_SKEW": Values.number,
    "MAX_CONFLICTS": Values.number,
    "MAX_CASCADE": Values.number,
    "KEEP_TOMBSTONES": Values.days,
    "RETENTION": _retention,
    "LIMITS": _limits,
}


def _forget(**kwargs: Any) -> None:
    _unsound.cache_clear()
    if kwargs.get("setting") in (NAME, "DATABASES"):
        _read.cache_clear()


setting_changed.connect(_forget, dispatch_uid="peersync.conf")
