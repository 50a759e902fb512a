"""Knows what really happened to each field, for a policy that merges rows field by field.

A row may then say what nobody wrote as a whole; each of its fields says what somebody wrote there.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.state.tables import FIELDS, Content, Key, Stored


class FieldValue(NamedTuple):
    key: Key
    field: str
    value: str | None


def parts(key: Key, content: Content) -> list[FieldValue]:
    return [FieldValue(key, name, value) for name, value in zip(FIELDS[key[0]], content, strict=True)]


class FieldOracle:
    def __init__(self) -> None:
        self.seen: dict[FieldValue, set[FieldValue]] = {}
        """All values of fields, and for each what its writers had seen there."""
        self.repeated: set[FieldValue] = set()
        """What was written more than once: which of them stands there nobody can say."""

    def began(self, key: Key, content: Content) -> None:
        for part in parts(key, content):
            if part in self.seen:
                self.repeated.add(part)
            self.seen.setdefault(part, set())

    def wrote(self, key: Key, before: Content | None, after: Content | None) -> None:
        if after is None:
            return
        old = {part.field: part for part in parts(key, before)} if before is not None else {}
        for part in parts(key, after):
            was = old.get(part.field)
            if part == was:
                continue
            if part in self.seen:
                self.repeated.add(part)
            known = {was} | self.seen.setdefault(was, set()) if was is not None else set()
            self.seen.setdefault(part, set()).update(known - {part})

    def invented(self, nodes: Iterable[Mapping[Key, Stored]]) -> set[FieldValue]:
        """Fields that say what nobody ever wrote there."""
        standing = {part for rows in nodes for key, row in rows.items() for part in parts(key, row.content)}
        return standing - set(self.seen)

    def inverted(self, nodes: Iterable[Mapping[Key, Stored]], deleted: set[Key]) -> list[str]:
        """Fields where a change was dropped for what its writer had changed: it was made at one side only, or later."""
        found = []
        for rows in nodes:
            for key, row in rows.items():
                for now in parts(key, row.content):
                    later = [v for v, known in self.seen.items() if now in known and now not in self.repeated]
                    if later and key not in deleted:
                        found.append(f"{now} stands, written over by {later[0]}")
        return found
