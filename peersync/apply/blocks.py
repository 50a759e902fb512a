"""Why a row waits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from peersync.records import Key

Place = tuple[str, Key]

NAMED = 3


@dataclass(slots=True)
class Block:
    """Why a row can't be written now, and the rows that it waits for."""

    reason: str
    needs: list[Place] = field(default_factory=list)
    detail: str = ""
    holder: str = ""
    """The local primary key of the row in its way, until ``needs`` has its key."""


def shown(key: Key) -> str:
    """A key for people."""
    return str(key[0]) if len(key) == 1 else json.dumps(key, ensure_ascii=False)


def named(place: Place) -> str:
    """A row for people: its model, and its key."""
    return f"{place[0]} {shown(place[1])}"


def listed(names: Sequence[str]) -> str:
    """The first of several names, and how many there are besides."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
