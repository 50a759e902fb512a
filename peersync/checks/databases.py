"""Whether the aliases exist and are databases that peersync can work with; asks no database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.db import connections

from peersync.checks.messages import message
from peersync.conf import Settings
from peersync.conf_values import nearest

VENDORS = ("postgresql", "sqlite")


def check(conf: Settings) -> list[CheckMessage]:
    found = list(_missing(conf))
    for alias in dict.fromkeys((conf.master, conf.slave)):
        if alias in django_settings.DATABASES:
            found += _vendor(alias, conf)
            if connections[alias].vendor == "sqlite":
                found += _sqlite(alias)
    found += _same(conf)
    if conf.capture == "signals":
        text = (
            'With CAPTURE "signals" these go unseen: QuerySet.update(), bulk_create(), bulk_update(), '
            "raw SQL, TRUNCATE, what the database itself cascades, and whatever another program writes."
        )
        mend = (
            'Use CAPTURE "triggers" (PostgreSQL and SQLite), or run `manage.py sync_data --verify --repair` '
            "now and then, which finds it."
        )
        found.append(message("W006", text, mend))
    return found


def _missing(conf: Settings) -> Iterator[CheckMessage]:
    """SLAVE need not exist as long as nobody wrote it: a node may be called over HTTP only."""
    raw = getattr(django_settings, "SYNC_CONFIG", None) or {}
    for key, alias in (("MASTER", conf.master), ("SLAVE", conf.slave)):
        if alias not in django_settings.DATABASES and (key == "MASTER" or raw.get("SLAVE") is not None):
            text = f'SYNC_CONFIG["{key}"] is "{alias}", but DATABASES has no such alias.'
            yield message("E009", text, nearest(alias, list(django_settings.DATABASES)))


def _vendor(alias: str, conf: Settings) -> Iterator[CheckMessage]:
    vendor = connections[alias].vendor
    if vendor not in VENDORS and conf.capture == "triggers":
        text = f'The database "{alias}" is {vendor}; triggers are made on PostgreSQL and SQLite only.'
        yield message("E015", text, 'Write "CAPTURE": "signals" into SYNC_CONFIG.')


def _place(alias: str) -> tuple[str, ...] | None:
    """What tells two databases apart; ``None`` for one in memory, which is another for each alias."""
    one: dict[str, Any] = connections[alias].settings_dict
    name = str(one["NAME"])
    if connections[alias].vendor == "sqlite":
        in_memory = not name or ":memory:" in name or "mode=memory" in name
        return None if in_memory else ("sqlite", str(Path(name).resolve()))
    return (connections[alias].vendor, name, str(one["HOST"]), str(one["PORT"]))


def _same(conf: Settings) -> Iterator[CheckMessage]:
    if conf.slave not in django_settings.DATABASES or conf.master not in django_settings.DATABASES:
        return
    if conf.master != conf.slave and (place := _place(conf.master)) and place == _place(conf.slave):
        text = f'The aliases "{conf.master}" and "{conf.slave}" are one database.'
        yield message("E016", text, "Give the slave another NAME, HOST or PORT in DATABASES.")


def _sqlite(alias: str) -> Iterator[CheckMessage]:
    place = _place(alias)
    options: dict[str, Any] = connections[alias].settings_dict.get("OPTIONS") or {}
    lacking = []
    if str(options.get("transaction_mode") or "").upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        lacking.append('"transaction_mode": "IMMEDIATE"')
    if place and not _is_wal(place[1], str(options.get("init_command") or "")):
        lacking.append('"init_command": "PRAGMA journal_mode=WAL;"')
    if place and lacking:
        text = (
            f'The SQLite database "{alias}" has one writer at a time, and is not set up for two: a '
            'transaction that read before it writes fails with "database is locked" when another one writes.'
        )
        mend = f'Write into DATABASES["{alias}"]: "OPTIONS": {{{", ".join(lacking)}}}.'
        yield message("W007", text, mend)


def _is_wal(path: str, init_command: str) -> bool:
    """By the settings, or by the file itself: bytes 18 and 19 of its header are 2 where it uses a WAL."""
    if "journal_mode=wal" in init_command.lower().replace(" ", ""):
        return True
    try:
        with Path(path).open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False
