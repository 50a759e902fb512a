"""What other nodes know of a row in fields that this one lacks: carried beside the row, and sent on with it. Pure.

A node of an older release, or a hub that was not migrated yet, loses nothing so. Each value keeps the version of the row
at the node that knew the field: whoever knows it too can tell whether it has seen that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from peersync.versions import Version, covers


class Gap(NamedTuple):
    """Values of one moment. ``stamp`` and ``author`` are the row's, then."""

    values: Mapping[str, Any]
    version: Version
    stamp: int = 0
    author: str = ""

    def newer(self, version: Version, stamp: tuple[int, str], *, base: Version) -> bool:
        """Whether it is news for who has ``version``; ``base``: that without claims. Stamps decide where neither is newer."""
        if covers(version, self.version):
            return False
        return covers(self.version, base) or (self.stamp, self.author) > stamp


def read(text: str | None) -> tuple[Gap, ...]:
    """Those of a row state."""
    return tuple(Gap(*found) for found in json.loads(text)) if text else ()


def stored(gaps: Iterable[Gap]) -> str | None:
    found = [list(gap) for gap in gaps if gap.values]
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) if found else None


def only(gaps: Iterable[Gap], names: Collection[str], *, others: bool = False) -> tuple[Gap, ...]:
    """The values of these fields; ``others``: of all but these."""
    found = (gap._replace(values={n: v for n, v in gap.values.items() if (n in names) is not others}) for gap in gaps)
    return tuple(gap for gap in found if gap.values)


def sealed(label: str, name: str) -> str:
    """What is said of a field that stays home, instead of its name: a digest, for who knows the field to recognise."""
    return hashlib.sha256(f"{label}.{name}".encode()).hexdigest()[:16]


def unsealed(gaps: Iterable[Gap], label: str, seals: Collection[str]) -> set[str]:
    """Names of the values that are of such fields."""
    return {name for name in names_of(gaps) if sealed(label, name) in seals}


def names_of(gaps: Iterable[Gap]) -> set[str]:
    return {name for gap in gaps for name in gap.values}


def merged(mine: Iterable[Gap], theirs: Iterable[Gap]) -> tuple[tuple[Gap, ...], tuple[Gap, ...]]:
    """Of each field the newer value; second: those of mine that gave way to one that had not seen them."""
    best: dict[str, Gap] = {name: gap for gap in mine for name in gap.values}
    lost: dict[str, Gap] = {}
    for gap in theirs:
        for name in gap.values:
            before = best.get(name)
            if before is None or covers(gap.version, before.version):
                best[name] = gap
            elif not covers(before.version, gap.version):
                later = (gap.stamp, gap.author) > (before.stamp, before.author)
                best[name], loser = (gap, before) if later else (before, gap)
                if before.values[name] != gap.values[name]:
                    lost[name] = loser
    return _together(best), _together(lost)


def _together(by_name: Mapping[str, Gap]) -> tuple[Gap, ...]:
    found: dict[int, Gap] = {}
    for name, gap in by_name.items():
        values = found[id(gap)].values if id(gap) in found else {}
        found[id(gap)] = gap._replace(values={**values, name: gap.values[name]})
    return tuple(found.values())
