"""Versions of rows: maps from a node (or an install) to a place in that node's feed.

A version says what a row has *seen*. ``{}`` is the version of nothing. Place 0 under an install's
id stands for the untracked base of that install: "this row as it stood before it was first captured".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Version = Mapping[str, int]

UNNUMBERED = 1 << 62
"""Own entry of a row that changed but has no number yet: larger than any place. Never on the wire."""

MAX_PLACE = 1 << 62


def covers(w: Version, v: Version) -> bool:
    """Whether ``v <= w``: each entry of ``v`` is in ``w`` and not larger."""
    return all(w.get(node, -1) >= place for node, place in v.items())


def join(v: Version, w: Version) -> dict[str, int]:
    """The smallest version that covers both."""
    joined = dict(v)
    for node, place in w.items():
        if joined.get(node, -1) < place:
            joined[node] = place
    return joined


@dataclass(slots=True)
class State:
    """What is known of one row that ever changed (``merging``: section 1). ``pk``: the local primary key as text."""

    model: str
    pk: str
    own: int | None = None
    changed: bool = False
    others: dict[str, int] = field(default_factory=dict)
    stamp: int = 0
    author: str = ""
    sender: str = ""
    seq: int | None = None
    deleted: bool = False
    pre: bool = False
    gone: bool = False
    key: str | None = None
    earlier: str | None = None
    fields: str | None = None
    gaps: str | None = None
    stored: bool = False
    """Whether it stands in the table already."""

    def stored_version(self, node: str) -> dict[str, int]:
        """What is stored: own entry and others, without claims."""
        version = dict(self.others)
        if self.own is not None:
            version[node] = max(self.own, version.get(node, -1))
        if self.changed:
            version[node] = UNNUMBERED
        return version

    def touch(self, node: str, stamp: int) -> None:
        """A local event: not numbered yet, by this node."""
        self.stamp = max(self.stamp + 1, stamp)
        self.author, self.sender = node, ""
        self.changed, self.seq, self.gone = True, None, False


def version_of(state: State | None, node: str, install: str, baselines: Iterable[str]) -> dict[str, int]:
    """The version of a row that stands here: untracked and ``pre`` rows claim the baselines of their model."""
    if state is None:
        version = dict.fromkeys(baselines, 0)
        version[install] = 0
        return version
    version = state.stored_version(node)
    if state.pre:
        version.setdefault(install, 0)
        for other in baselines:
            version.setdefault(other, 0)
    return version
