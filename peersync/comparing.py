"""What differs between two replicas, by digests of ranges of keys: those that differ are cut smaller, down to single rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from peersync.errors import PeersyncError
from peersync.records import Caller, Digest, Key, Range
from peersync.replicas.base import Replica

PARTS = 64
RANGES = 64
"""Ranges that one call compares."""
SHOWN_KEYS = 20


@dataclass
class Differences:
    """Of one model: how many rows differ (or stand at one side only), and the keys of the first ones."""

    count: int = 0
    keys: list[Any] = field(default_factory=list)
    here: int = 0
    """Of them, rows that stand at this node only."""
    there: int = 0
    """Of them, rows that stand at the peer only."""


@dataclass
class Side:
    """A replica, and how the other one calls it."""

    replica: Replica
    caller: Caller

    def digests(self, label: str, ranges: Sequence[Range], parts: int, names: Sequence[str]) -> list[Digest]:
        return self.replica.digests(self.caller, label, ranges, parts, names)

    def born_unseen(self, label: str, keys: Sequence[Key]) -> set[Key]:
        """Those of the rows whose birth this side did not see; all of them where it does not say."""
        try:
            answers = self.replica.rows(self.caller, label, keys)
        except PeersyncError:
            return set(keys)  # a token for pushing alone reads no rows
        return {row.key for row in answers.rows if row.kind == "row" and row.base and not row.deleted}


class Comparison:
    """Of one model. ``near`` is this node's side."""

    def __init__(self, near: Side, far: Side, label: str, names: Sequence[str]) -> None:
        self.near, self.far, self.label, self.names = near, far, label, names
        self.found = Differences()
        self.both: list[Key] = []
        """Keys of rows that stand at both sides, and differ."""

    def run(self) -> Differences:
        """Compare everything."""
        for _ in self.steps():
            pass
        return self.found

    def steps(self) -> Iterator[None]:
        """Compare piece by piece; :attr:`found` and :attr:`both` grow meanwhile."""
        ranges = [Range(None, None)]
        while ranges:
            now, ranges = ranges[:RANGES], ranges[RANGES:]
            mine = self.near.digests(self.label, now, PARTS, self.names)
            yield
            bounds = [one.range for one in mine]
            theirs = self.far.digests(self.label, bounds, 1, self.names)
            yield
            finer = []
            for one, other in zip(mine, theirs, strict=True):
                if (one.count, one.digest) == (other.count, other.digest):
                    continue
                if max(one.count, other.count) <= PARTS:
                    self._rows(one.range)
                    yield
                else:
                    finer.append(one.range)
            ranges = finer + ranges

    def _rows(self, bounds: Range) -> None:
        """The keys that differ in a short range: both sides give a digest per row."""
        sides = []
        for side in (self.near, self.far):
            found = side.digests(self.label, [bounds], PARTS * 2, self.names)
            sides.append({one.range.upto: one.digest for one in found if one.count})
        for key in {**sides[0], **sides[1]}:
            if sides[0].get(key) == sides[1].get(key):
                continue
            self.found.count += 1
            self.found.here += key not in sides[1]
            self.found.there += key not in sides[0]
            if key is None:
                continue
            if key in sides[0] and key in sides[1]:
                self.both.append(key)
            if len(self.found.keys) < SHOWN_KEYS:
                self.found.keys.append(key[0] if len(key) == 1 else list(key))
