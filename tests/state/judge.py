"""Judges a world: after each step of a transfer, and when writing has stopped."""

import json
from typing import TYPE_CHECKING, Any

from peersync.errors import PeersyncError
from tests.state import tables
from tests.state.failure import Failure
from tests.state.oracle import Value, differences
from tests.state.tables import Content, Key, Stored

if TYPE_CHECKING:
    from tests.state.travel import Run
    from tests.state.world import Site, World

Rows = dict[Key, Stored]
ROUNDS = 12
MENDINGS = 6
UNIQUE = ("U", "V")
NOT_OURS = "not_open"
FOR_OTHERS = ("parent", "children")
"""What the peer must not change, since a filter hides it from him, is kept for the owner alone."""


class Judge:
    def __init__(self, world: "World") -> None:
        self.world = world
        self.had: dict[tuple[int, int], set[Key]] = {}
        """For a filter (source, target): keys that the target was sent, or held."""
        self.kept: set[tuple[int, Key]] = set()
        """Target and key: a parent out of view that rows hung on when a transfer ended; it may stay."""
        self._left: dict[tuple[int, Key], Content] = {}
        self.met: set[tuple[int, Key]] = set()
        """Target and key: a row that travelled between the two while it was in view."""
        self.keeps: set[tuple[int, Key]] = set()
        """Target and key: a row there that left its view, and may stay (FILTER_EXIT)."""
        self.shown: set[tuple[int, Key]] = set()
        """Of those, what the target held as the source has it, while it was in view."""

    # -- while it runs

    def step(self, run: "Run", before: list[Rows], after: list[Rows]) -> None:
        """One step of a transfer was done: what may it have changed?"""
        world = self.world
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            self._trace(index, old, new)
            if index != run.target and old != new:
                raise Failure("changed elsewhere", f"a transfer to {run.target} changed rows of node {index}")
            if self.world.filtered:
                self._left.update({(index, key): old[key].content for key in old.keys() - new.keys()})
            for key in old.keys() & new.keys():
                if old[key].excluded != new[key].excluded:
                    raise Failure("excluded", f"{key} at {index}: {old[key]} became {new[key]}")
            for key in new.keys() - old.keys():
                if new[key].excluded != "dflt":
                    raise Failure("excluded", f"{key} came to {index} with {new[key].excluded!r}")
            if world.policy == "manual" and not (world.rewound or world.pruned):
                self._undecided(index, old, new)
        if orphans := tables.dangling(world.sites[run.target].connection):
            raise Failure("dangling", orphans)
        self.nothing_lost(after)
        self._look(after)

    def _undecided(self, index: int, old: Rows, new: Rows) -> None:
        """Nobody but a person decides a conflict: what a transfer replaces, the writer of the new row had seen."""
        for key, row in old.items():
            after = new.get(key)
            content = after and after.content
            if content != row.content and self.world.oracle.unseen(key, row.content, content):
                raise Failure("decided by nobody", f"{key} at {index}: {row.content} became {content}")

    def left_view(self, index: int, key: Key) -> Content | None:
        """What stood at the node under the key before it left the view."""
        return self._left.get((index, key))

    def _trace(self, index: int, old: Rows, new: Rows) -> None:
        for key in sorted(old.keys() | new.keys()):
            was, now = old.get(key), new.get(key)
            if was != now:
                contents = [row.content if row else None for row in (was, now)]
                self.world.trace.append(f"   {'ABC'[index]} {key}: {contents[0]} -> {contents[1]}")

    def nothing_lost(self, rows: list[Rows] | None = None) -> None:
        """P3, at any moment: what was written is somewhere, or was overwritten knowingly."""
        world = self.world
        rows = world.rows() if rows is None else rows
        oracle = world.oracle.fields if world.policy == "merge" else world.oracle
        if invented := oracle.invented(rows):
            raise Failure("invented", ", ".join(sorted(map(str, invented))))
        if not world.oracle.lost(rows):
            return
        self.learn()
        if lost := world.oracle.lost(rows):
            raise Failure("P3 lost", ", ".join(sorted(map(str, lost))))

    def learn(self) -> None:
        """Records are read before a node that holds them is put back, or when somebody asks for them."""
        for site in self.world.sites:
            self.world.oracle.learn(tables.records(site.connection))

    # -- filters

    def visible(self, rows: Rows, key: Key) -> bool:
        row = rows.get(key)
        if row is None:
            return False
        return row.content[3] == "n" if key[0] == "P" else self.visible(rows, row.content[1])

    def _look(self, rows: list[Rows]) -> None:
        for source, target in self.world.filtered:
            self.had.setdefault((source, target), set()).update(rows[target])
            # what was deleted at the source, and comes back out of view, is the target's own
            for places in (self.met, self.shown):
                places -= {(t, key) for t, key in places if t == target and key not in rows[source]}
            if self.world.exits == "keep":
                left = {key for key in rows[target] if key in rows[source] and not self.visible(rows[source], key)}
                back = {key for _, key in self.keeps if self.visible(rows[source], key)}
                self.keeps = {(t, key) for t, key in self.keeps if key not in back} | {(target, key) for key in left}
            for key, row in rows[target].items():
                same = rows[source].get(key)
                alike = same is not None and same.content == row.content and self.visible(rows[source], key)
                if alike and (target, key) in self.met:
                    self.shown.add((target, key))

    def saw(self, source: int, target: int, batch: Any) -> None:
        """P8: a key that the target never had is not told it."""
        self._meet(source, target, batch)
        if (source, target) not in self.world.filtered:
            return
        had = self.had.setdefault((source, target), set())
        for row in batch.rows:
            key = tables.key_of(row.model, json.dumps(row.key))
            if row.kind == "exit" or (row.kind == "row" and row.deleted):
                if key not in had:
                    raise Failure("P8 leak", f"{row.kind} of {key}, which the peer never had")
            elif row.kind == "row":
                had.add(key)

    def _meet(self, source: int, target: int, batch: Any) -> None:
        """A row in view that came either way is one that the filtered peer has, as far as the other knows."""
        for owner, peer in ((source, target), (target, source)):
            if (owner, peer) in self.world.filtered:
                rows = self.world.sites[owner].rows()
                keys = {tables.key_of(row.model, json.dumps(row.key)) for row in batch.rows if row.content}
                self.met.update((peer, key) for key in keys if self.visible(rows, key))

    def ended(self, run: "Run", rows: list[Rows]) -> None:
        """A transfer is over: where rows still hang on a parent that left the view, it stays for good."""
        if (run.source, run.target) in self.world.filtered:
            here = rows[run.target]
            gone = [key for key in here if not self.visible(rows[run.source], key)]
            self.kept.update((run.target, key) for key in gone if tables.children(here, key))

    def _stays(self, source: int, target: int, key: Key, rows: list[Rows]) -> bool:
        """Whether a row out of view may stand at the target: its own, or changed there, or a parent there."""
        here, there = rows[target].get(key), rows[source].get(key)
        if here is None or there is None or self.visible(rows[source], key):
            return here is None
        covered = self.world.oracle.knows(Value(key, there.content), Value(key, here.content))
        place = (target, key)
        if self.world.exits == "keep":
            return True
        return place not in self.shown or not covered or place in self.kept

    # -- in the end

    def listed(self, site: "Site") -> set[Key]:
        """What waits at the node, or stands there as an open conflict."""
        still_open = {record.key for record in tables.records(site.connection) if record.open}
        return still_open | set(tables.waiting(site.connection))

    def differences(self) -> list[str]:
        world = self.world
        rows, found = world.rows(), []
        for s, t in world.links:
            listed = self.listed(world.sites[s]) | self.listed(world.sites[t])
            for key, (a, b) in differences(rows[s], rows[t], listed).items():
                if (s, t) in world.filtered and self._out_of_view(s, t, key, rows):
                    continue
                if (t, key) in self.keeps and a is None:
                    continue  # deleted behind its back
                found.append(f"{key}: {'ABC'[s]} {a}, {'ABC'[t]} {b}")
            if (s, t) in world.filtered:
                found += [f"{key} left the view, and stays" for key in self._left_behind(s, t, rows) - listed]
        return found

    def _left_behind(self, s: int, t: int, rows: list[Rows]) -> set[Key]:
        """Rows that stand at both alike, and should have gone at the target."""
        alike = {key for key in rows[s].keys() & rows[t].keys() if rows[s][key].content == rows[t][key].content}
        return {k for k in alike if not self.visible(rows[s], k) and not self._stays(s, t, k, rows)}

    def _out_of_view(self, s: int, t: int, key: Key, rows: list[Rows]) -> bool:
        return key in rows[s] and not self.visible(rows[s], key) and self._stays(s, t, key, rows)

    def round(self) -> tuple[int, list[PeersyncError]]:
        """Over every link there and back; how many rows travelled, and what was refused."""
        sent = 0
        errors: list[PeersyncError] = []
        for s, t in self.world.links:
            for source, target, local in ((t, s, "source"), (s, t, "target")):
                run = self.world.travel.whole(source, target, 10, local=local)
                sent += run.sent
                if run.error is not None:
                    errors.append(run.error)
        return sent, errors

    def verdict(self, rounds: int | None) -> None:
        world = self.world
        self._calm(rounds if len(world.sites) == 2 else None)
        if differing := self.differences():
            raise Failure("P2 diverged", "; ".join(differing))
        self.nothing_lost()
        if len(world.sites) == 2 and not (world.rewound or world.pruned or world.filtered):
            self._inverted()
        self._mend()

    def _inverted(self) -> None:
        """Between two nodes no edit loses against what its writer had seen."""
        world = self.world
        self.learn()
        listed = {key for site in world.sites for key in self.listed(site)}
        calm = [{k: row for k, row in rows.items() if k not in listed} for rows in world.rows()]
        inverted: list[str] = []
        if world.policy == "latest":
            inverted = world.oracle.inverted(calm)
        elif world.policy == "merge":
            inverted = world.oracle.fields.inverted(calm, world.oracle.deletions)
        if inverted:
            raise Failure("inversion", "; ".join(inverted))

    def _calm(self, rounds: int | None) -> None:
        """Rounds until nothing moves; `rounds` is after how many two nodes have to be equal."""
        for count in range(1, ROUNDS + 1):
            sent, errors = self.round()
            if count == rounds and (differing := self.differences()):
                raise Failure(f"P2 after {rounds}", "; ".join(differing))
            if not sent and not errors and count > 1:
                break
        else:
            raise Failure("P7 storm", f"{sent} rows still move after {ROUNDS} rounds; {errors}")
        sent, errors = self.round()
        if sent or errors:
            raise Failure("P7 storm", f"{sent} rows move between idle nodes; {errors}")

    def _stuck(self, site: "Site") -> dict[Key, str]:
        """What waits there still, without what a filter closes to the peer, what hangs on that, and what waits for those."""
        waiting = tables.waiting(site.connection)
        closed = {key for key, why in waiting.items() if why == NOT_OURS}
        return {k: why for k, why in waiting.items() if k not in closed and not (closed and why in FOR_OTHERS)}

    def still_open(self) -> dict[Key, str]:
        """Keys of rows that are in an open conflict, and the first node where they are."""
        found: dict[Key, str] = {}
        for site in self.world.sites:
            for record in tables.records(site.connection):
                if record.open:
                    found.setdefault(record.key, "ABC"[site.index])
        return found

    def _let_go(self, site: "Site", key: Key, value: str) -> None:
        """Whoever else holds the unique value there is made to give it up."""
        for other, row in site.rows().items():
            if other[0] == "P" and row.content[2] == value and other != key:
                self.world.play(f"unique {'ABC'[site.index]} {other} -")

    def _mend(self) -> None:
        """The user mends what is listed; then nothing may be listed any more."""
        world = self.world
        for attempt in range(MENDINGS):
            if not self.still_open() and not any(self._stuck(site) for site in world.sites):
                break
            self._mend_once(attempt)
            for _ in range(4):
                self.round()
        if still_open := self.still_open():
            raise Failure("conflict stays open", still_open)
        for site in world.sites:
            if stuck := self._stuck(site):
                raise Failure("stuck in quarantine", f"{'ABC'[site.index]}: {stuck}")
        if differing := self.differences():
            raise Failure("P2 after mending", "; ".join(differing))
        self.nothing_lost()

    def _mend_once(self, attempt: int) -> None:
        waiting = [(site, wanted) for site in self.world.sites for wanted in _unique_values(site)]
        for key, name in self.still_open().items():
            self.world.play(f"settle {name} {key} local")
        for site, (key, value) in waiting:
            if site.index == 0 or attempt > 1:
                self._let_go(site, key, value)


def _unique_values(site: "Site") -> list[tuple[Key, str]]:
    """Parents that wait at the site, and the unique values that they want."""
    with site.connection.cursor() as cursor:
        cursor.execute("SELECT model, key, row FROM peersync_quarantine ORDER BY id")
        found = cursor.fetchall()
    return [
        (tables.key_of(label, key), value)
        for label, key, row in found
        for value in UNIQUE
        if label == tables.LABEL["P"] and f'"{value}"' in row
    ]
