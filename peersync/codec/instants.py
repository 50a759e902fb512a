"""Texts of PostgreSQL with instants in them, which it writes in the time zone of the session."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

_INSTANT = re.compile(
    r"(?P<year>\d{4,})-(?P<rest>\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?[-+]\d\d(?::\d\d){0,2})(?P<bc> BC)?", re.ASCII
)
_CYCLE = 400
"""Years after which the calendar repeats itself: so those that Python does not have are reckoned by others."""


def same_instants(value: Any) -> Any:
    """The text with each instant in UTC: one form for arrays and ranges of instants, whatever the session's zone is."""
    return _INSTANT.sub(_in_utc, value) if isinstance(value, str) else value


def _in_utc(match: re.Match[str]) -> str:
    year = 1 - int(match["year"]) if match["bc"] else int(match["year"])
    stand_in = year % _CYCLE + 5 * _CYCLE
    try:
        found = dt.datetime.fromisoformat(f"{stand_in}-{match['rest']}").astimezone(dt.UTC)
    except ValueError:
        return match[0]
    return f"{year - stand_in + found.year}-{found:%m-%d %H:%M:%S.%f}Z"
