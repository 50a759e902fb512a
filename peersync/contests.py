"""Two versions of a row of which neither has seen the other: what the policy is shown, and what follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peersync.marks import Marks, of, whole
from peersync.policies import INCOMING, MANUAL, POLICIES, SYMMETRIC, Answer, Contest, Side
from peersync.records import Row
from peersync.verdicts import (
    Decision,
    Facts,
    Local,
    Winner,
    both,
    event,
    marks_here,
    marks_joined,
    marks_of,
    marks_taken,
    signed,
    stamp_here,
    state_after,
    version_here,
)
from peersync.versions import UNNUMBERED, State, Version

Content = tuple[Any, ...] | None


def contested(row: Row, local: Local, facts: Facts) -> Decision:
    """The policy has its say: somebody wins, or both in part, or nobody yet. Raises what a function of the project does."""
    contest = _contest(row, local, facts)
    answer = (facts.rule or POLICIES[facts.policy])(contest)
    if answer == MANUAL:
        return Decision("conflict", record="conflict", winner="", open=True)
    content = contest.content(answer)
    winner: Winner = "local" if content == local.content else "incoming" if content == row.content else "merged"
    return Decision(
        "conflict",
        _state(row, local, facts, answer, content),
        write=winner != "local",
        record="conflict",
        winner=winner,
        content=content if winner == "merged" else None,
        keeps_name=winner == "merged" and _named(contest, content) == _named(contest, local.content),
        clean=_clean(contest, content),
    )


def differing(row: Row, local: Local, facts: Facts) -> tuple[str, ...]:
    """The fields in which the two versions differ."""
    return _differing(facts.names, row.content, local.content)


def _differing(names: tuple[str, ...], one: Content, other: Content) -> tuple[str, ...]:
    if one is None or other is None:
        return () if one is other else names
    return tuple(name for name, a, b in zip(names, one, other, strict=True) if a != b)


def _contest(row: Row, local: Local, facts: Facts) -> Contest:
    here, there = version_here(local, facts), row.version
    stamp, author = stamp_here(local, facts)
    mine, theirs = marks_here(local, facts), marks_of(row) if facts.noted else {}
    return Contest(
        Side(facts.names, local.content, stamp, author, _plain(here), _changed(mine, there, facts), mine),
        Side(facts.names, row.content, row.stamp, row.author, there, _changed(theirs, here, facts), theirs),
        facts.local_is_master,
        row.model,
        row.key,
        facts.identity,
    )


def _plain(version: Version) -> dict[str, int]:
    return {node: place for node, place in version.items() if place != UNNUMBERED}


def _changed(side: Marks, other: Version, facts: Facts) -> frozenset[str] | None:
    """The fields whose changes the version of the other side has not seen."""
    if not facts.noted:
        return None
    found = ((name, of(side, name)) for name in facts.names)
    return frozenset(name for name, mark in found if mark is not None and not mark.seen(other))


def _state(row: Row, local: Local, facts: Facts, answer: Answer, content: Content) -> State:
    """Who decides alike from either end makes no new event; everybody else's decision is one of this node's."""
    state = state_after(row, local, both(row, local, facts), facts)
    mine, theirs = stamp_here(local, facts), (row.stamp, row.author)
    if facts.policy not in SYMMETRIC:
        names = facts.names
        changed = {*_differing(names, content, local.content), *_differing(names, content, row.content)}
        return event(state, max(mine[0], theirs[0]), marks_joined(row, local, facts), facts, tuple(sorted(changed)))
    if isinstance(answer, Mapping):
        return signed(state, *max(mine, theirs), "", marks_joined(row, local, facts), facts)
    stamp, author = theirs if answer == INCOMING else mine
    noted = marks_taken(row, local, facts) if answer == INCOMING else marks_here(local, facts)
    if not stamp:
        # a decision between two rows without a stamp gets one, so that a third node decides alike
        return signed(state, 1, facts.node, "", whole(1, facts.node, {}), facts)
    return signed(state, stamp, author, "", noted, facts)


def _named(contest: Contest, content: Content) -> tuple[Any, ...]:
    """What a content says of the fields that name the row."""
    values = dict(zip(contest.local.names, content or (), strict=bool(content)))
    return tuple(values.get(name) for name in contest.identity)


def _clean(contest: Contest, content: Content) -> bool:
    """Whether each change that either side made stands in what came of it."""
    if content is None:
        return False
    for side in (contest.local, contest.incoming):
        if side.content is None or side.changed is None:
            return False
        rows = zip(side.names, side.content, content, strict=True)
        if any(name in side.changed and was != now for name, was, now in rows):
            return False
    return True
