"""Two or three real nodes, and the operations of a history on them.

An operation is a line of words (`edit A P1 x`, `sync A B 10`); `World.play` does it, or nothing where it
cannot be done. Users write with plain SQL, so that only the triggers tell peersync of it. Beside the nodes
stands an `Oracle`.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections, transaction
from django.test import override_settings

from peersync.errors import PeersyncError
from tests.state import tables
from tests.state.failure import Failure
from tests.state.judge import Judge
from tests.state.oracle import Oracle
from tests.state.setting import configuration, prepared
from tests.state.tables import Content, Key, Stored
from tests.state.travel import Travel
from tests.support.databases import NodeDatabase

Link = tuple[int, int]
PAIR: tuple[Link, ...] = ((0, 1),)
CHAIN: tuple[Link, ...] = ((0, 1), (1, 2))
TRIANGLE: tuple[Link, ...] = ((0, 1), (1, 2), (0, 2))
NAMES = "ABC"
OPEN_AT_MOST = 4
START_OF_TIME = 1_800_000_000_000


class Site:
    """One node as the users and the clocks see it."""

    def __init__(self, index: int, database: NodeDatabase) -> None:
        self.index, self.database = index, database
        self.alias = database.alias
        self.offset = 0
        self.backup: str | None = None
        self.open: dict[Key, tuple[Any, str, str]] = {}
        """Rows that a transaction holds: its connection, the field and the value."""

    @property
    def connection(self) -> Any:
        return connections[self.alias]

    def rows(self) -> dict[Key, Stored]:
        return tables.read(self.connection)

    def end(self, key: Key, *, commit: bool) -> None:
        connection = self.open.pop(key)[0]
        (connection.commit if commit else connection.rollback)()
        connection.close()


class World:
    """`with World(...) as world:` plays operations; `world.finish()` lets writing stop and judges."""

    def __init__(
        self,
        databases: Sequence[NodeDatabase],
        links: Sequence[Link] = PAIR,
        *,
        policy: str = "latest",
        filtered: Sequence[Link] = (),
        born: bool = False,
        match: str = "pk",
        exits: str = "remove",
    ) -> None:
        """`born`: each node numbers its rows itself, and they are named by their origin. `match`: those of the start.

        `exits`: what becomes of rows that leave the view.
        """
        self.born, self.match, self.tag = born, match, tables.FIRST_TAG
        self.exits = exits
        count = 1 + max(max(link) for link in links)
        self.links, self.policy, self.filtered = tuple(links), policy, tuple(filtered)
        self.sites = [Site(index, database) for index, database in enumerate(databases[:count])]
        self.oracle = Oracle()
        self.judge = Judge(self)
        self.travel = Travel(self)
        self.now = START_OF_TIME
        self.rewound = self.pruned = False
        self.written = 0
        self.trace: list[str] = []
        self._undo: list[Callable[[], None]] = []

    # -- beginning and end

    def __enter__(self) -> "World":
        aliases = [site.alias for site in self.sites]
        tables.use(tables.BORN if self.born else tables.PLAIN)
        found = configuration(aliases, self.policy, self.filtered, born=self.born)
        found["FILTER_EXIT"] = {"*": self.exits}
        settings = override_settings(SYNC_CONFIG={**found, "MATCH": {"*": self.match}})
        for site in self.sites:
            site.database.restore(prepared(site.database, self.policy, born=self.born))
        settings.enable()
        self._undo = [settings.disable, self._set_clocks()]
        return self

    def __exit__(self, *error: object) -> None:
        for site in self.sites:
            for key in list(site.open):
                site.end(key, commit=False)
            site.database.close()
        while self._undo:
            self._undo.pop()()
        tables.use(tables.PLAIN)

    def _set_clocks(self) -> Callable[[], None]:
        """The nodes' time is ours, wherever peersync asks for it."""
        from peersync import clock

        real = clock.now_ms
        places = [m for n, m in sys.modules.items() if n.startswith("peersync") and hasattr(m, "now_ms")]
        offsets = {site.alias: site for site in self.sites}

        def now_ms(alias: str) -> int:
            return self.now + offsets[alias].offset

        for module in places:
            module.now_ms = now_ms  # type: ignore[attr-defined]

        def undo() -> None:
            for module in places:
                module.now_ms = real  # type: ignore[attr-defined]

        return undo

    def begin(self, start: Sequence[dict[Key, dict[str, Any]]]) -> None:
        """These rows stood there before peersync came: no journal, no state. One dict for each node."""
        for site, rows in zip(self.sites, start, strict=False):
            with transaction.atomic(using=site.alias):
                for old in sorted(rows):
                    key = self._first_key(site, old, rows)
                    values = {**tables.NEW[key[0]], **rows[old]}
                    if values.get("p"):
                        values["p"] = self._first_key(site, values["p"], rows)
                    content = tables.content_of(key, values)
                    tables.insert(site.connection, key, content, "own", pk=tables.number(old))
                    self.oracle.began(key, content)
                tables.forget_history(site.connection)
        if self.match == "content":
            # who is edited before the others are met is another row: nobody could say so by tags
            for _ in self.sites:
                self.judge.round()

    def _first_key(self, site: Site, key: Key, rows: dict[Key, dict[str, Any]]) -> Key:
        """A row that stood there before. Where equal numbers may be two rows, those that are have tags of their own."""
        number = tables.number(key)
        if self.match == "never":
            number += 10 * (site.index + 1)
        elif self.match == "content":
            parent = rows[rows[key]["p"]] if key[0] == "Q" else rows[key]
            number += 10 * (
                "ab".index(parent.get("x", "a")) + (3 * tables.number(rows[key]["p"]) if key[0] == "Q" else 0)
            )
        return f"{key[0]}{number}"

    def play(self, operation: str) -> None:
        name, *words = operation.split()
        self.now += 10
        self.trace.append(f"# {operation}")
        getattr(self, f"do_{name}")(*words)

    def finish(self, *, rounds: int | None = 1) -> None:
        """Writing stops, and the judge looks. After `rounds` two nodes must be equal; None: not said."""
        self.trace.append("# the end")
        for site in self.sites:
            for key in list(site.open):
                self._close(site, key, commit=True)
            site.offset = 0
        self.travel.open.clear()
        self.judge.verdict(rounds)

    def site(self, name: str) -> Site:
        return self.sites[NAMES.index(name)]

    def rows(self) -> list[dict[Key, Stored]]:
        return [site.rows() for site in self.sites]

    # -- users

    def _key(self, node: str, key: Key, *, make: bool = False) -> Key:
        """The row that an operation means. Where rows have tags, `P2` is the second parent that stands there.

        `make`: where there is none, one that is yet to be made.
        """
        if not self.born:
            return key
        there = sorted((k for k in self.site(node).rows() if k[0] == key[0]), key=tables.number)
        if tables.number(key) <= len(there):
            return there[tables.number(key) - 1]
        if make:
            self.tag += 1
        return f"{key[0]}{self.tag}" if make else key

    def _value(self) -> str:
        self.written += 1
        return f"w{self.written}"

    def _write(self, site: Site, key: Key, before: Content | None, after: Content | None) -> None:
        """A user's own transaction, at his node's time."""
        with transaction.atomic(using=site.alias):
            end = tables.journal_end(site.connection)
            if after is None:
                tables.delete(site.connection, key)
            elif before is None:
                tables.insert(site.connection, key, after)
            else:
                for name, old, new in zip(tables.FIELDS[key[0]], before, after, strict=True):
                    if old != new:
                        tables.update(site.connection, key, name, new)
            tables.stamp_journal(site.connection, end, self.now + site.offset)
        self.oracle.wrote(key, before, after, self.judge.left_view(site.index, key))

    def _change(self, node: str, key: Key, **values: Any) -> None:
        site = self.site(node)
        row = site.rows().get(key)
        if row is None or key in site.open:
            return
        after = tables.content_of(key, {**tables.as_dict(key, row.content), **values})
        if after != row.content:
            self._write(site, key, row.content, after)

    def do_edit(self, node: str, key: Key, field: str = "x", parent: Key = "P1") -> None:
        """A new value in a field; a row that is not there is made, a child under `parent`."""
        key, parent = self._key(node, key, make=True), self._key(node, parent)
        site = self.site(node)
        rows, value = site.rows(), self._value()
        if key in rows:
            self._change(node, key, **{field if key[0] == "P" else "x": value})
        elif key[0] == "P":
            self._write(site, key, None, (value, value, None, "n"))
        elif parent in rows and parent not in site.open:
            self._write(site, key, None, (value, parent))

    def do_born(self, node: str, kind: str) -> None:
        """One more row, whatever stands there: of parents, or of children of the first one."""
        self.do_edit(node, f"{kind}99")

    def do_delete(self, node: str, key: Key) -> None:
        key, site = self._key(node, key), self.site(node)
        rows = site.rows()
        going = [*tables.children(rows, key), key]
        if key not in rows or any(k in site.open for k in going):
            return
        for each in going:
            self._write(site, each, rows[each].content, None)

    def do_move(self, node: str, key: Key, parent: Key) -> None:
        key, parent, site = self._key(node, key), self._key(node, parent), self.site(node)
        if parent in site.rows() and parent not in site.open:
            self._change(node, key, p=parent)

    def do_unique(self, node: str, key: Key, value: str) -> None:
        new = None if value == "-" else value
        key = self._key(node, key)
        rows = self.site(node).rows()
        if new is None or all(r.content[2] != new for k, r in rows.items() if k[0] == "P" and k != key):
            self._change(node, key, u=new)

    def do_flag(self, node: str, key: Key, value: str) -> None:
        """The field that a filter looks at: `n` is in view."""
        self._change(node, self._key(node, key), b=value)

    def do_touch(self, node: str, key: Key) -> None:
        """Only the excluded field."""
        key, site = self._key(node, key), self.site(node)
        if key in site.rows() and key not in site.open:
            tables.update(site.connection, key, "e", f"touched{self.written}")

    def do_begin(self, node: str, key: Key, field: str = "x") -> None:
        """A transaction edits a row and stays open. SQLite has one writer at a time: there it cannot be."""
        key, site = self._key(node, key), self.site(node)
        if site.database.vendor != "postgresql" or key in site.open or key not in site.rows():
            return
        field, value = field if key[0] == "P" else "x", self._value()
        connection = connections.create_connection(site.alias)
        connection.set_autocommit(False)
        end = tables.journal_end(site.connection)
        tables.update(connection, key, field, value)
        tables.stamp_journal(connection, end, self.now + site.offset)
        site.open[key] = (connection, field, value)

    def _close(self, site: Site, key: Key, *, commit: bool) -> None:
        if key not in site.open:
            return
        _, field, value = site.open[key]
        row = site.rows().get(key)
        site.end(key, commit=commit)
        if commit and row is not None:
            after = tables.content_of(key, {**tables.as_dict(key, row.content), field: value})
            self.oracle.wrote(key, row.content, after)

    def do_commit(self, node: str, key: Key) -> None:
        self._close(self.site(node), self._key(node, key), commit=True)

    def do_rollback(self, node: str, key: Key) -> None:
        self._close(self.site(node), self._key(node, key), commit=False)

    def do_clock(self, node: str, offset: str) -> None:
        self.site(node).offset = int(offset)

    def do_settle(self, node: str, key: Key, side: str) -> None:
        """Settle what is open of a row, by hand, where that can be."""
        from peersync import put_back

        site = self.site(node)
        found = [r for r in tables.records(site.connection) if r.open and r.key == key]
        if not found or key in site.open:
            return
        before, end = site.rows().get(key), tables.journal_end(site.connection)
        try:
            put_back(found[0].number, side, using=site.alias)  # type: ignore[arg-type]  # a word of the line
        except PeersyncError as error:
            self.trace.append(f"   not settled: {error}")
            return
        tables.stamp_journal(site.connection, end, self.now + site.offset)
        after = site.rows().get(key)
        sides = [before and before.content, *found[0].contents]
        self.oracle.settled_by_hand(key, sides, after and after.content)
        self.trace.append(f"   {node} {key}: {before and before.content} -> {after and after.content}")

    def do_gone(self, node: str, key: Key) -> None:
        """The row may not stand there now."""
        if (row := self.site(node).rows().get(key)) is not None:
            raise Failure("not gone", f"{key} stands at {node}: {row.content}")

    def do_closed(self) -> None:
        """No conflict may be open now."""
        if still_open := self.judge.still_open():
            raise Failure("conflict stays open", still_open)

    # -- transfers

    def do_number(self, node: str) -> None:
        from peersync import numbering

        numbering.number(self.site(node).alias)

    def do_sync(self, source: str, target: str, size: str = "10") -> None:
        self.travel.whole(NAMES.index(source), NAMES.index(target), int(size), local="source")

    def do_both(self, source: str, target: str, size: str = "10") -> None:
        s, t = NAMES.index(source), NAMES.index(target)
        self.travel.whole(s, t, int(size), local="source")
        self.travel.whole(t, s, int(size), local="target")

    def do_start(self, source: str, target: str, size: str = "10") -> None:
        if len(self.travel.open) < OPEN_AT_MOST:
            self.travel.begin(NAMES.index(source), NAMES.index(target), int(size), local="source")

    def do_step(self, which: str, times: str = "1") -> None:
        for _ in range(int(times)):
            if int(which) >= len(self.travel.open) or self.travel.step(int(which)):
                return

    def do_until(self, which: str, stage: str) -> None:
        """`until 0 read`, `until 0 applied`, `until 0 asked`."""
        if int(which) < len(self.travel.open):
            self.travel.until(int(which), stage)

    def do_drop(self, which: str) -> None:
        if int(which) < len(self.travel.open):
            self.travel.open.pop(int(which))

    def do_again(self, which: str) -> None:
        """A batch that was applied arrives once more; 0 is the last one."""
        self.travel.again(int(which))

    # -- histories that are put back

    def do_backup(self, node: str) -> None:
        site = self.site(node)
        if not site.open:
            site.backup = site.database.backup()

    def do_restore(self, node: str) -> None:
        """What was under way is lost."""
        site = self.site(node)
        if site.backup is not None:
            self.travel.cut(site.index)
            self._put_back(site, site.backup)

    def do_late(self, node: str) -> None:
        """A restore; what was under way arrives all the same."""
        site = self.site(node)
        if site.backup is not None:
            self._put_back(site, site.backup)

    def do_clone(self, source: str, target: str) -> None:
        """The target becomes a copy of the source, where both are of one kind of database."""
        original, site = self.site(source), self.site(target)
        if not original.open and original.database.vendor == site.database.vendor:
            self.travel.cut(site.index)
            self._put_back(site, original.database.backup())

    def _put_back(self, site: Site, token: str) -> None:
        """What this node alone held is gone with it; that is no fault of a sync."""
        self.judge.nothing_lost()
        self.judge.learn()
        for key in list(site.open):
            site.end(key, commit=False)
        site.database.restore(token)
        self.rewound = True
        self.oracle.settled |= self.oracle.lost(self.rows())

    def do_prune(self, node: str) -> None:
        """Tombstones that all known peers have read past."""
        self._prune(node, aged=False)

    def do_age(self, node: str) -> None:
        """All tombstones, whoever has read them: they are too old."""
        self._prune(node, aged=True)

    def _prune(self, node: str, *, aged: bool) -> None:
        from tests.state.pruning import prune

        self.pruned = True
        try:
            prune(self, self.site(node), aged=aged)
        except PeersyncError as error:
            raise Failure("crash", repr(error)) from error
