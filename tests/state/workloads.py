"""Random histories, by kind: what happens how often, over which links, from which untracked rows."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.state.histories import DAY, History
from tests.state.world import CHAIN, NAMES, PAIR, TRIANGLE, Link

PARENTS, CHILDREN = ("P1", "P2"), ("Q1", "Q2")
USUAL = {"edit": 10, "delete": 4, "move": 2, "sync": 5, "both": 2, "number": 1}
CUTS = {"start": 2, "step": 6, "drop": 1}
MANY_CUTS = {"start": 6, "step": 16, "drop": 3}
NET = {"start": 5, "step": 14, "drop": 2, "again": 3, "touch": 2, "begin": 3, "commit": 3, "rollback": 1}
THREE = (CHAIN, TRIANGLE)


@dataclass(frozen=True)
class Workload:
    links: Sequence[tuple[Link, ...]]
    operations: dict[str, int]
    """Beside the usual ones, and how often."""
    length: int = 30
    untracked: float = 0.3
    """How likely each row stands there at the start."""
    differing: bool = False
    """Untracked rows may say something else on each node."""
    values: Sequence[str | None] = (None,)
    """Unique values of untracked parents."""
    filtered: tuple[Link, ...] = ()
    rounds: int | None = 1
    policy: str = "latest"
    born: bool = False
    """Each node numbers its rows itself."""
    match: str = "pk"
    exits: str = "remove"

    def history(self, seed: object) -> History:
        """The random history of that seed: the same each time."""
        chance = random.Random(f"{seed}")
        links = chance.choice(self.links)
        nodes = NAMES[: 1 + max(max(link) for link in links)]
        start = {node: self._rows(chance) for node in nodes}
        kinds = {**USUAL, **self.operations}
        length = chance.randint(3, self.length)
        chosen = chance.choices(list(kinds), list(kinds.values()), k=length)
        lines = [operation(chance, kind, nodes, links) for kind in chosen]
        rounds = self.rounds if len(nodes) == 2 else None
        return History(
            f"{seed}",
            "",
            "\n".join(lines),
            links,
            start,
            self.policy,
            self.filtered,
            rounds,
            self.born,
            self.match,
            self.exits,
        )

    def _rows(self, chance: random.Random) -> str:
        rows, parents = [], []
        free = list(self.values)
        for key in PARENTS:
            if chance.random() < self.untracked:
                value = chance.choice(free)
                free = [other for other in free if other is None or other != value]
                rows.append(f"{key} x={chance.choice('ab') if self.differing else 'a'}")
                rows[-1] += f" u={value}" if value else ""
                rows[-1] += " b=s" if self.filtered and chance.random() < 0.3 else ""
                parents.append(key)
        for key in CHILDREN:
            if chance.random() < self.untracked and parents:
                rows.append(f"{key} p={parents[0]}")
        return "; ".join(rows)


def operation(chance: random.Random, kind: str, nodes: str, links: Sequence[Link]) -> str:
    """One operation of a kind, at random."""
    node, pair = chance.choice(nodes), [NAMES[index] for index in chance.choice(links)]
    chance.shuffle(pair)
    key, size = chance.choice(PARENTS + CHILDREN), chance.choice((1, 2, 3, 10))
    some: dict[str, Sequence[Any]] = {
        "edit": (node, key, chance.choice("xy"), chance.choice(PARENTS)),
        "begin": (node, key, chance.choice("xy")),
        "move": (node, chance.choice(CHILDREN), chance.choice(PARENTS)),
        "unique": (node, chance.choice(PARENTS), chance.choice("UV-")),
        "flag": (node, chance.choice(PARENTS), chance.choice("ns")),
        "clock": (node, chance.choice((-DAY, 0, DAY))),
        "step": (chance.randrange(4), chance.randint(1, 3)),
        "drop": (chance.randrange(4),),
        "again": (chance.randrange(8),),
        "clone": pair,
        "settle": (node, key, chance.choice(("local", "incoming"))),
        "born": (node, chance.choice("PQ")),
        **dict.fromkeys(("delete", "touch", "commit", "rollback"), (node, key)),
        **dict.fromkeys(("sync", "both", "start"), (*pair, size)),
    }
    return " ".join(map(str, (kind, *some.get(kind, (node,)))))


_BACKUPS = {"backup": 3, "restore": 3}
_LATE = {"backup": 3, "late": 3, "start": 5, "step": 14, "drop": 1, "again": 3, "unique": 4}
_PAIR = (PAIR,)
_BORN = {"born": 8}
BORN = {
    "born2": Workload(_PAIR, {**_BORN, **NET}, 45, differing=True, born=True),
    "born3": Workload(THREE, {**_BORN, **NET}, 60, differing=True, born=True),
    "bornunique2": Workload(_PAIR, {**_BORN, "unique": 8, **CUTS}, born=True),
    "bornfilter2": Workload(_PAIR, {**_BORN, "flag": 8, **CUTS}, filtered=PAIR, rounds=None, born=True),
    "bornrestore2": Workload(_PAIR, {**_BORN, **_BACKUPS, **CUTS}, 40, born=True),
    "bornlate2": Workload(_PAIR, {**_BORN, **_LATE}, 45, rounds=None, born=True),
    "bornclone2": Workload(_PAIR, {**_BORN, "clone": 2, **CUTS}, born=True),
    "bornclone3": Workload(THREE, {**_BORN, "clone": 2}, born=True),
    "bornprune2": Workload(_PAIR, {**_BORN, "prune": 4}, born=True),
    "never2": Workload(_PAIR, {**_BORN, **NET}, 45, 0.6, differing=True, born=True, match="never"),
    "never3": Workload(THREE, {**_BORN, **CUTS}, 45, 0.6, differing=True, born=True, match="never"),
    "neverrestore2": Workload(_PAIR, {**_BORN, **_BACKUPS}, 40, 0.6, differing=True, born=True, match="never"),
    "content2": Workload(_PAIR, {**_BORN, **NET}, 45, 0.7, differing=True, born=True, match="content"),
    "content3": Workload(THREE, {**_BORN, **CUTS}, 45, 0.7, differing=True, born=True, match="content"),
    "contentrestore2": Workload(_PAIR, {**_BORN, **_BACKUPS}, 40, 0.7, differing=True, born=True, match="content"),
    "bornage2": Workload(_PAIR, {**_BORN, "age": 4, "start": 3, "step": 8, "drop": 2}, born=True),
}
"""Each node numbers its rows itself, and they are named by their origin."""
WORKLOADS = {
    "basic2": Workload(_PAIR, {}, untracked=0.4, differing=True),
    "basic3": Workload(THREE, {}, 40, untracked=0.4, differing=True),
    "net2": Workload(_PAIR, NET, 45, differing=True),
    "net3": Workload(THREE, NET, 60, differing=True),
    "meet2": Workload(_PAIR, {**MANY_CUTS, "unique": 3}, 30, 0.6, differing=True, values=("U", "V", None), rounds=None),
    "meet3": Workload(THREE, {**MANY_CUTS, "unique": 3}, 30, 0.6, values=("U", None)),
    "unique2": Workload(_PAIR, {"unique": 10, **CUTS}),
    "unique3": Workload(THREE, {"unique": 10}),
    "filter2": Workload(_PAIR, {"flag": 8, **CUTS}, filtered=PAIR, rounds=None),
    "keepfilter2": Workload(_PAIR, {"flag": 8, **CUTS}, filtered=PAIR, rounds=None, exits="keep"),
    "restore2": Workload(_PAIR, {**_BACKUPS, **CUTS}, 40),
    "late2": Workload(_PAIR, _LATE, 45, rounds=None),
    "clone2": Workload(_PAIR, {"clone": 2}),
    "clone3": Workload(THREE, {"clone": 2}),
    "prune2": Workload(_PAIR, {"prune": 4}),
    "prune3": Workload(THREE, {"prune": 4}),
    "age2": Workload(_PAIR, {"age": 4, "start": 3, "step": 8, "drop": 2}),
    "clock2": Workload(_PAIR, {"clock": 4, **CUTS}, differing=True),
    "clock3": Workload(THREE, {"clock": 4}, differing=True),
    "source2": Workload(_PAIR, CUTS, differing=True, policy="source"),
    "target2": Workload(_PAIR, CUTS, differing=True, policy="target"),
    "master2": Workload(_PAIR, CUTS, differing=True, policy="master"),
    "slave2": Workload(_PAIR, CUTS, differing=True, policy="slave"),
    "target3": Workload(THREE, {}, differing=True, policy="target"),
    "source3": Workload(THREE, {}, differing=True, policy="source"),
    "merge2": Workload(_PAIR, {**NET, "edit": 25}, 45, differing=True, policy="merge"),
    "merge3": Workload(THREE, {"edit": 25}, 40, 0.4, True, policy="merge"),
    "mergemeet2": Workload(
        _PAIR, {**MANY_CUTS, "unique": 3}, 30, 0.6, True, ("U", "V", None), rounds=None, policy="merge"
    ),
    "mergeunique2": Workload(_PAIR, {"unique": 10, **CUTS}, rounds=None, policy="merge"),
    "mergerestore2": Workload(_PAIR, {**_BACKUPS, **CUTS}, 40, policy="merge"),
    "mergeprune2": Workload(_PAIR, {"prune": 4}, policy="merge"),
    "manual2": Workload(_PAIR, {**CUTS, "settle": 5}, 45, differing=True, policy="manual"),
    "manual3": Workload(THREE, {"settle": 6}, 40, differing=True, policy="manual"),
    "manualnet2": Workload(_PAIR, {**NET, "settle": 5}, 45, differing=True, policy="manual"),
    "manualunique2": Workload(_PAIR, {"unique": 8, "settle": 5, **CUTS}, 40, rounds=None, policy="manual"),
    "manualprune2": Workload(_PAIR, {"prune": 4, "settle": 5}, 40, policy="manual"),
    "manualrestore2": Workload(_PAIR, {**_BACKUPS, "settle": 5}, 40, rounds=2, policy="manual"),
    "mergefilter2": Workload(_PAIR, {"flag": 8, **CUTS}, filtered=PAIR, rounds=None, policy="merge"),
    **BORN,
}
"""Three nodes with restores are not here: what a node hands out again there is a known limit."""
