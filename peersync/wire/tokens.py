"""The opaque ``after`` of the public API: base64url of a compact JSON list. Who calls hands it back as it is.

A token names places of the source's history by their nonces, which only the source can make.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from peersync.errors import WireError
from peersync.wire import checks

if TYPE_CHECKING:
    from peersync.records import Point

MAX_TOKEN = 1 << 18


def _token(value: list[Any]) -> str:
    return base64.urlsafe_b64encode(checks.dumps(value)).rstrip(b"=").decode()


def _read(token: str, kind: str) -> list[Any]:
    if len(token) > MAX_TOKEN:
        raise WireError("after is too long")
    try:
        text = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, UnicodeError):
        raise WireError("after is not a token of this call") from None
    value = checks.loads(text)
    if type(value) is not list or len(value) != 3 or value[0] != kind:
        raise WireError("after is not a token of this call")
    return value


def snapshot_token(head: Point, after: str | None) -> str:
    """Where a snapshot goes on: its head, and the source's own token of the last key (None: at its start)."""
    return _token(["s", checks.plain_point(head), after])


def read_snapshot_token(token: str) -> tuple[Point, str | None]:
    """``(head, after)`` of :func:`snapshot_token`; WireError for anything else."""
    _, head, after = _read(token, "s")
    text = None if after is None else checks.string(after, "after", MAX_TOKEN)
    return checks.point(head, "after"), text


def changes_token(cursor: Point, head: Point | None) -> str:
    """Where reading the feed goes on, and up to which head (None: as it stands then)."""
    return _token(["c", checks.plain_point(cursor), checks.plain_point(head)])


def read_changes_token(token: str) -> tuple[Point, Point | None]:
    """``(cursor, head)`` of :func:`changes_token`; WireError for anything else."""
    _, cursor, head = _read(token, "c")
    return checks.point(cursor, "after"), checks.optional(checks.point)(head, "after")
