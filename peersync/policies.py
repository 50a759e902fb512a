"""Policies: who wins where two versions of a row meet of which neither has seen the other. Pure.

A policy is a plain function of one signature: it sees the :class:`Contest` and answers ``"local"``, ``"incoming"``,
``"manual"`` (nobody wins yet), or field by field: a mapping of field → side (one of the two, or its name), or the value
that the field is to have, in the form in which it travels. Fields that it leaves out stay as they are here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from peersync import marks
from peersync.marks import Marks
from peersync.records import Key
from peersync.versions import Version

LOCAL, INCOMING, MANUAL = "local", "incoming", "manual"


class Value(NamedTuple):
    """A value for a field that could be taken for a side: ``Value("local")`` is that text."""

    value: Any


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions. ``content``: values of ``names``, None for a deletion.

    ``changed``: the fields that were changed here and that the other side has not seen; None where nobody noted it.
    """

    names: tuple[str, ...]
    content: tuple[Any, ...] | None
    stamp: int
    author: str
    version: Version = field(default_factory=dict)
    changed: frozenset[str] | None = None
    marks: Marks = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any] | None:
        """Field → value, in the form in which it travels; None for a deletion."""
        return None if self.content is None else dict(zip(self.names, self.content, strict=True))

    @property
    def deleted(self) -> bool:
        return self.content is None

    def value(self, name: str) -> Any:
        """Raises LookupError for a deletion, and for a field that does not travel."""
        if self.content is None or name not in self.names:
            raise LookupError(name)
        return self.content[self.names.index(name)]

    @property
    def rank(self) -> tuple[int, str]:
        return self.stamp, self.author


@dataclass(frozen=True, slots=True)
class Contest:
    """What a policy sees. ``local`` is the row that stands here, ``incoming`` the one that came.

    ``local_is_master``: None where no roles were given. ``key``: what names the row, as it came.
    ``identity``: the fields that name it; they are taken from one side together.
    """

    local: Side
    incoming: Side
    local_is_master: bool | None = None
    model: str = ""
    key: Key = ()
    identity: tuple[str, ...] = ()

    @property
    def ancestor(self) -> dict[str, str | None] | None:
        """Field → :func:`digest` of the value that both sides began from; None where that is not known.

        It is known of a field that one side has not changed since; of no field where nobody noted the changes.
        """
        sides = (self.local, self.incoming)
        if any(side.changed is None for side in sides):
            return None
        found: dict[str, str | None] = {}
        for place, name in enumerate(self.local.names):
            kept = {
                digest(side.content[place])
                for side in sides
                if side.content is not None and name not in (side.changed or ())
            }
            found[name] = kept.pop() if len(kept) == 1 else None
        return found

    def content(self, answer: Answer) -> tuple[Any, ...] | None:
        """What the row says then; None: it is deleted. Raises LookupError where a field is to be taken from a deletion."""
        if not isinstance(answer, Mapping):
            return (self.local if answer == LOCAL else self.incoming).content
        base = self.incoming if self.local.deleted else self.local
        return tuple(
            self._value(answer[name], name) if name in answer else base.value(name) for name in self.local.names
        )

    def _value(self, given: Any, name: str) -> Any:
        if isinstance(given, Value):
            return given.value
        side = {LOCAL: self.local, INCOMING: self.incoming}.get(given, given) if isinstance(given, str) else given
        return side.value(name) if isinstance(side, Side) else side


Answer = str | Mapping[str, Any]
Policy = Callable[[Contest], Answer]


def digest(value: Any) -> str:
    """Of one value in the form in which it travels: 32 hex digits, the same on every node."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """One text for one value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def latest(contest: Contest) -> Answer:
    """The larger (stamp, author); the incoming one where neither side has a stamp."""
    local, incoming = contest.local.rank, contest.incoming.rank
    if not local[0] and not incoming[0]:
        return INCOMING
    return INCOMING if incoming > local else LOCAL


def source(contest: Contest) -> Answer:
    """Whoever sends."""
    return INCOMING


def target(contest: Contest) -> Answer:
    """Whoever receives."""
    return LOCAL


def master(contest: Contest) -> Answer:
    """The node whose role is master."""
    return LOCAL if contest.local_is_master else INCOMING


def slave(contest: Contest) -> Answer:
    """The node whose role is slave."""
    return INCOMING if contest.local_is_master else LOCAL


def merge(contest: Contest) -> Answer:
    """Field by field the later change; a deletion, and rows that nobody ever changed, as under ``latest``.

    A field that neither side knows to be changed goes as the row does; what is left even, by the larger value.
    The fields that name the row are one.
    """
    local, incoming = contest.local, contest.incoming
    if local.content is None or incoming.content is None or not (local.stamp or incoming.stamp):
        return latest(contest)
    chosen: dict[str, Side] = {}
    for name in local.names:
        if name not in contest.identity:
            chosen[name] = max((local, incoming), key=lambda side, name=name: _claim(side, (name,)))  # type: ignore[misc]
    if contest.identity:
        named = max((local, incoming), key=lambda side: _claim(side, contest.identity))
        chosen.update(dict.fromkeys(contest.identity, named))
    return chosen


def _claim(side: Side, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What a side brings forward for its values of these fields."""
    known = [mark[:2] for name in names if (mark := marks.of(side.marks, name)) is not None]
    last = max(known, default=(0, ""))
    return last, side.rank if not known else (0, ""), canonical([side.value(name) for name in names])


def manual(contest: Contest) -> Answer:
    """Nobody, until somebody settles it by hand."""
    return MANUAL


POLICIES: dict[str, Policy] = {
    "latest": latest,
    "master": master,
    "slave": slave,
    "source": source,
    "target": target,
    "merge": merge,
    "manual": manual,
}
SYMMETRIC = frozenset({"latest", "merge"})
"""Policies that decide alike from either end: their outcome is no new event."""


def own_function(policy: str) -> bool:
    """Whether the policy is a function of the project's, by its dotted path."""
    return "." in policy


def looks_at_fields(policy: str) -> bool:
    """Whether the policy is told which fields were changed: that has to be noted, and travels."""
    return policy == "merge" or own_function(policy)


__all__ = [
    "INCOMING",
    "LOCAL",
    "MANUAL",
    "POLICIES",
    "SYMMETRIC",
    "Answer",
    "Contest",
    "Policy",
    "Side",
    "Value",
    "canonical",
    "digest",
    "latest",
    "looks_at_fields",
    "manual",
    "master",
    "merge",
    "own_function",
    "slave",
    "source",
    "target",
]
