"""Fields that begin to travel between two nodes which have rows in common: versions say nothing of those. Pure.

Whoever has seen a row's changes has not seen what stood in a field that was left out. So field by field what is only
the default gives way; where both sides say something, the side that changed the row last is right, else the source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from peersync.conflicts import decide, over_both
from peersync.records import Row
from peersync.verdicts import Decision, Facts, Local, marks_here, stamp_here

OPENED = "opened field"
"""Why a record is made: both sides said something in a field that begins to travel."""
UNUSABLE = "!"
"""How a password begins that is none."""


@dataclass(frozen=True)
class Opening:
    """``names``: the fields that begin to travel. ``blanks``: what a row has there that nobody gave a value."""

    names: Collection[str] = ()
    blanks: Mapping[str, Any] = field(default_factory=dict)
    passwords: Collection[str] = ()

    def blank(self, name: str, value: Any) -> bool:
        unusable = name in self.passwords and str(value).startswith(UNUSABLE)
        return value is None or unusable or (name in self.blanks and value == self.blanks[name])


def decide_opened(row: Row, local: Local, facts: Facts, opening: Opening, *, force: bool = False) -> Decision:
    """As :func:`peersync.conflicts.decide`, for a row of a comparison that is made because fields were opened."""
    actual = local.content
    if row.content is None or actual is None or not opening.names:
        return decide(row, local, facts, force=force)
    agreed, contested = _agreed(row, actual, local, facts, opening)
    if not agreed:
        return decide(row, local, facts, force=force)
    local.content = _with(facts, actual, agreed)
    try:
        decision = decide(replace(row, content=_with(facts, row.content, agreed)), local, facts, force=force)
        outcome = _outcome(decision, facts, row.content, local.content, agreed)
    finally:
        local.content = actual
    if decision.open:
        return decision
    decision = _amended(decision, row, local, facts, outcome)
    if contested and not decision.record and decision.state is not None:
        decision.record = OPENED
        decision.winner = "incoming" if outcome == row.content else "local" if outcome == actual else "merged"
    return decision


def _agreed(
    row: Row, actual: tuple[Any, ...], local: Local, facts: Facts, opening: Opening
) -> tuple[dict[str, Any], bool]:
    """What the opened fields that differ are to say; and whether both sides had said something in one of them."""
    mine = row.author != facts.source and stamp_here(local, facts)[1] == facts.node
    agreed: dict[str, Any] = {}
    contested = False
    for name, theirs, ours in zip(facts.names, row.content or (), actual, strict=True):
        if name not in opening.names or theirs == ours:
            continue
        if opening.blank(name, theirs) or opening.blank(name, ours):
            agreed[name] = ours if opening.blank(name, theirs) else theirs
        else:
            agreed[name], contested = ours if mine else theirs, True
    return agreed, contested


def _with(facts: Facts, content: tuple[Any, ...], agreed: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(agreed.get(name, value) for name, value in zip(facts.names, content, strict=True))


def _outcome(
    decision: Decision, facts: Facts, incoming: tuple[Any, ...], local: tuple[Any, ...], agreed: Mapping[str, Any]
) -> tuple[Any, ...]:
    """What is to stand here."""
    if not decision.write:
        return local
    return decision.content if decision.content is not None else _with(facts, incoming, agreed)


def _amended(decision: Decision, row: Row, local: Local, facts: Facts, outcome: tuple[Any, ...]) -> Decision:
    """The decision with this outcome: an event of this node where neither side stood so, or knew of it."""
    decision.write = outcome != local.content
    decision.content = outcome if decision.write else None
    if decision.state is None or decision.kind in ("known", "same"):
        if not decision.write:
            return decision
        decision.kind = "newer"
        decision.state = over_both(row, local, facts, marks_here(local, facts), _changed(facts, local, outcome))
    elif decision.state.sender and outcome != row.content:
        decision.state = over_both(row, local, facts, marks_here(local, facts), _changed(facts, local, outcome))
    return decision


def _changed(facts: Facts, local: Local, outcome: tuple[Any, ...]) -> tuple[str, ...]:
    pairs = zip(facts.names, local.content or (), outcome, strict=True)
    return tuple(name for name, before, now in pairs if before != now)
