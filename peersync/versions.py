"""Versions of rows: maps from a node (or an install) to a place in that node's feed.

A version says what a row has *seen*. ``{}`` is the version of nothing. Place 0 under an install's
id stands for the untracked base of that install: "this row as it stood before it was first captured".
"""

from __future__ import annotations

from collections.abc import Mapping

Version = Mapping[str, int]

UNNUMBERED = 1 << 62
"""Own entry of a row that changed but has no number yet: larger than any place. Never on the wire."""

MAX_PLACE = 1 << 62


def covers(w: Version, v: Version) -> bool:
    """Whether ``v <= w``: each entry of ``v`` is in ``w`` and not larger."""
    for node, place in v.items():
        if w.get(node, -1) < place:
            return False
    return True


def join(v: Version, w: Version) -> dict[str, int]:
    """The smallest version that covers both."""
    joined = dict(v)
    for node, place in w.items():
        if joined.get(node, -1) < place:
            joined[node] = place
    return joined
