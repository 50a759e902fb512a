"""Deciding about one incoming row against the local one (``merging``: section 5). Pure.

Where neither version has seen the other, a policy has its say (:mod:`peersync.policies`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from peersync.contests import contested, differing
from peersync.marks import Marks
from peersync.policies import canonical
from peersync.records import Key, Row
from peersync.verdicts import (
    Decision,
    Facts,
    Kind,
    Local,
    both,
    event,
    marks_here,
    marks_joined,
    marks_taken,
    signed,
    stamp_here,
    state_after,
    version_here,
)
from peersync.versions import State, Version, covers, join, version_of


def to_cover(row: Row, local: Local, facts: Facts) -> dict[str, int]:
    """W': what the incoming version must cover. An untracked base that both sides share is left out."""
    shared = row.base and (
        facts.source_install in facts.baselines or (facts.past is not None and _not_behind(row.key, facts.past))
    )
    if local.state is None:
        return {} if shared or local.content is None else {facts.install: 0}
    version = local.state.stored_version(facts.node)
    if local.state.pre and not shared:
        version.setdefault(facts.install, 0)
    return version


def _not_behind(key: Key, past: Key) -> bool:
    try:
        return key <= past
    except TypeError:
        return False


def same(row: Row, local: Local) -> bool:
    return row.content == local.content


def classify(row: Row, local: Local, facts: Facts) -> Kind:
    if local.state is None and local.content is None:
        return "new"
    version, here = row.version, version_here(local, facts)
    state = local.state
    if state is not None and state.gone and local.content is None and not row.deleted and covers(version, here):
        return "newer"
    reduced = to_cover(row, local, facts)
    if covers(here, version):
        if covers(version, reduced) and _named_now(row, local, facts):
            return "newer" if local.state is not None and local.state.sender == facts.source else "tie"
        if covers(version, reduced) and not same(row, local) and _rank(row, None, facts) != _rank(row, local, facts):
            return "tie"
        return "known"
    if covers(version, reduced):
        return "newer"
    return "same" if same(row, local) else "conflict"


def _named_now(row: Row, local: Local, facts: Facts) -> bool:
    """The source says what both have seen, and names rows that it had kept to itself."""
    if row.content is None or local.content is None:
        return False
    differing = [(n, old) for n, new, old in zip(facts.names, row.content, local.content, strict=True) if new != old]
    return bool(differing) and all(old is None and name in facts.references for name, old in differing)


def _rank(row: Row, local: Local | None, facts: Facts) -> tuple[int, str, str]:
    """What decides between two settlements of one conflict; ``local`` None: the incoming one's."""
    if local is None:
        return row.stamp, row.author, _text(facts.names, row.content)
    stamp, author = stamp_here(local, facts)
    return stamp, author, _text(facts.names, local.content)


def _text(names: tuple[str, ...], content: tuple[Any, ...] | None) -> str:
    if content is None:
        return ""
    return canonical(dict(zip(names, content, strict=True)))


def decide(row: Row, local: Local, facts: Facts, *, force: bool = False) -> Decision:
    """What to do about ``row``. Nothing is changed here: the decision has a new state.

    ``force``: a parent whose deletion here loses comes back although its version is known.
    """
    kind = classify(row, local, facts)
    if facts.mirror and kind not in ("new", "newer") and not same(row, local):
        return _mirrored(row, local, facts, "mirror")
    if kind == "tie" and facts.repair:
        return _mirrored(row, local, facts, "repair")
    if kind == "tie" and _rank(row, local, facts) > _rank(row, None, facts) and not _named_now(row, local, facts):
        kind = "known"
    if kind == "known":
        if force and local.content is None and not row.deleted:
            return resurrected(row, local, facts)
        return Decision("known")
    if kind == "conflict" and local.unheard and not row.deleted:
        return Decision("new", over_both(row, local, facts, marks_taken(row, local, facts)), write=True)
    return {"new": _new, "newer": _newer, "tie": _tie, "same": _same, "conflict": contested}[kind](row, local, facts)


def _new(row: Row, local: Local, facts: Facts) -> Decision:
    came_back = not row.deleted and facts.pruned and _was_here(row, facts)
    untracked = row.base and not row.stamp and not any(row.version.values()) and not row.more
    if untracked and facts.snapshot and facts.stateless and not facts.filtered and not came_back:
        return Decision("new", None, write=not row.deleted)
    state = _taken(row, local, facts, row.version)
    if came_back:
        state = event(state, state.stamp, marks_taken(row, local, facts), facts)
    return Decision("new", state, write=not row.deleted, record="came back" if came_back else "")


def _was_here(row: Row, facts: Facts) -> bool:
    """Neither row nor state, yet its version holds what was consumed here: it was deleted, and the tombstone pruned."""
    version = row.version
    # whoever was born after a pruning claims all that stood there untracked, and was never deleted here for that
    untracked = row.base or not any(version.values())
    if facts.node in version or (untracked and facts.install in version):
        return True
    for node, place in version.items():
        if not place and untracked and node in facts.baselines:
            return True
        if place and place <= facts.consumed.get(node, -1):
            return True
    return bool(row.seq and row.seq <= facts.consumed.get(facts.source, -1))


def _taken(row: Row, local: Local, facts: Facts, version: Version) -> State:
    """The source's own state, but for the version."""
    state = state_after(row, local, version, facts)
    return signed(state, row.stamp, row.author, facts.source, marks_taken(row, local, facts), facts)


def _newer(row: Row, local: Local, facts: Facts) -> Decision:
    state = _taken(row, local, facts, row.version)
    return Decision("newer", state, write=not same(row, local))


def _tie(row: Row, local: Local, facts: Facts) -> Decision:
    state = _taken(row, local, facts, join(row.version, version_here(local, facts)))
    return Decision("tie", state, write=True, record="two settlements of one conflict")


def _same(row: Row, local: Local, facts: Facts) -> Decision:
    untracked = row.base and not row.stamp and not any(row.version.values()) and not row.more
    if local.state is None and untracked and not facts.filtered:
        return Decision("same")
    stamp, author = max(stamp_here(local, facts), (row.stamp, row.author))
    state = state_after(row, local, both(row, local, facts), facts)
    return Decision("same", signed(state, stamp, author, "", marks_joined(row, local, facts), facts))


def over_both(row: Row, local: Local, facts: Facts, noted: Marks, changed: tuple[str, ...] = ()) -> State:
    """A local event that has seen both versions."""
    state = state_after(row, local, both(row, local, facts), facts)
    return event(state, max(row.stamp, stamp_here(local, facts)[0]), noted, facts, changed)


def _mirrored(row: Row, local: Local, facts: Facts, why: str) -> Decision:
    """The source wins: with ``--mirror`` whatever the versions say. What it replaces is recorded; a local event."""
    state = over_both(row, local, facts, marks_taken(row, local, facts), differing(row, local, facts))
    return Decision("conflict", state, write=True, record=why)


def resurrected(row: Row, local: Local, facts: Facts) -> Decision:
    """A deletion here loses against children that its deleter had not seen: the row comes back as a local event."""
    state = over_both(row, local, facts, marks_taken(row, local, facts))
    return Decision("conflict", state, write=True, record="deletion lost")


def deletion_lost(row: Row, local: Local, facts: Facts) -> Decision:
    """An incoming deletion loses against children here: the row stays, as a local event over both."""
    state = over_both(row, local, facts, marks_here(local, facts))
    state.deleted = False
    return Decision("conflict", state, record="deletion lost", winner="local")


def unclaimed(local: Local, facts: Facts, model: str) -> State | None:
    """The state of a local row whose counterpart in a snapshot could not be taken in: the baseline must not claim it.

    None where nothing has to be written.
    """
    state = local.state
    if state is None:
        if local.content is None or local.pk is None:
            return None
        state = State(model, local.pk, seq=0, author=facts.install, pre=True)
    if not state.pre:
        return None
    version = version_of(state, facts.node, facts.install, facts.baselines)
    version.pop(facts.node, None)
    return replace(state, others=version, pre=False)
