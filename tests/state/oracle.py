"""Knows what really happened: every value ever written, and which values its writer had before his eyes.

A value is what a row said (see `tables.Content`). At the end each one must stand in a row, stand whole in a
record, have been deleted by somebody who saw it, or have been known to the writer of one that is any of
these: that is P3.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.state.fields import FieldOracle
from tests.state.tables import Content, Key, Record, Stored


class Value(NamedTuple):
    key: Key
    content: Content

    def __str__(self) -> str:
        return f"{self.key}={'|'.join('-' if part is None else str(part) for part in self.content)}"


class Oracle:
    def __init__(self) -> None:
        self.fields = FieldOracle()
        self.seen: dict[Value, set[Value]] = {}
        """All values, and for each what its writers had seen, and the writers of those."""
        self.settled: set[Value] = set()
        """Deleted knowingly, or kept in a record, or gone with a restore before anyone else had it."""
        self.deletions: set[Key] = set()
        self.deleted: set[Value] = set()
        """Deleted by somebody who saw it, or what it came from."""
        self.recorded: dict[Value, set[str]] = {}
        self.repeated: set[Value] = set()
        """What was written more than once: a row that says it need not be the first."""

    def began(self, key: Key, content: Content) -> None:
        """An untracked row stood there before all."""
        self.seen.setdefault(Value(key, content), set())
        self.fields.began(key, content)

    def wrote(self, key: Key, before: Content | None, after: Content | None, remembered: Content | None = None) -> None:
        """A user put `after` in the place of `before`; None: no row.

        `remembered`: what stood there until a filter took it away: his node has seen it.
        """
        self.fields.wrote(key, before, after)
        known: set[Value] = set()
        before = remembered if before is None else before
        if before is not None:
            old = Value(key, before)
            known = {old} | self.seen.setdefault(old, set())
        if after is None:
            self._deleted(key, known)
        else:
            new = Value(key, after)
            if new in self.seen:
                self.repeated.add(new)
            self.seen.setdefault(new, set()).update(known - {new})

    def _deleted(self, key: Key, known: set[Value]) -> None:
        self.settled |= known
        self.deleted |= known
        self.deletions.add(key)

    def settled_by_hand(self, key: Key, sides: Iterable[Content | None], after: Content | None) -> None:
        """Somebody looked at both versions of a row, and left it as `after`."""
        known = {Value(key, content) for content in sides if content is not None}
        known |= {older for value in known for older in self.seen.setdefault(value, set())}
        if after is None:
            self._deleted(key, known)
        else:
            now = Value(key, after)
            self.repeated.add(now)
            self.seen.setdefault(now, set()).update(known - {now})

    def learn(self, records: Iterable[Record]) -> None:
        """What stands in records now; it stays known when the node that held them is put back to a backup."""
        for record in records:
            for content in record.contents:
                value = Value(record.key, content)
                self.settled.add(value)
                self.recorded.setdefault(value, set()).add(record.kind)

    def lost(self, nodes: Iterable[Mapping[Key, Stored]]) -> set[Value]:
        """Values that are nowhere, and that nobody who wrote over them had seen."""
        kept = set(self.settled)
        for rows in nodes:
            kept |= {Value(key, row.content) for key, row in rows.items()}
        for value in list(kept):
            kept |= self.seen.get(value, set())
        return set(self.seen) - kept

    def invented(self, nodes: Iterable[Mapping[Key, Stored]]) -> set[Value]:
        """Rows that say what nobody ever wrote."""
        return {Value(key, row.content) for rows in nodes for key, row in rows.items()} - set(self.seen)

    def inverted(self, nodes: Iterable[Mapping[Key, Stored]]) -> list[str]:
        """Rows where an edit lost to its own ancestor, though no deletion brought that back."""
        found = []
        for rows in nodes:
            for key, row in rows.items():
                now = Value(key, row.content)
                later = [v for v in self.recorded if now in self.seen.get(v, ()) and v not in self.seen[now]]
                if later and key not in self.deletions and now not in self.repeated:
                    found.append(f"{now} stands, written over by {later[0]}")
        return found

    def unseen(self, key: Key, old: Content, new: Content | None) -> bool:
        """Whether `new` (None: nothing) took the place of something that its writer had not seen.

        A row may be deleted by who saw it, and then made anew.
        """
        value = Value(key, old)
        return value not in self.deleted and (new is None or not self.knows(Value(key, new), value))

    def knows(self, later: Value, earlier: Value) -> bool:
        """Whether the writer of `later` had seen `earlier`, or wrote the same."""
        return later == earlier or earlier in self.seen.get(later, ())


def differences(
    one: Mapping[Key, Stored], other: Mapping[Key, Stored], listed: Iterable[Key] = ()
) -> dict[Key, tuple[Content | None, Content | None]]:
    """Keys under which two nodes say something else, without those that are listed."""
    found = {}
    for key in sorted({*one, *other} - set(listed)):
        a, b = one.get(key), other.get(key)
        if (a and a.content) != (b and b.content):
            found[key] = (a and a.content, b and b.content)
    return found
