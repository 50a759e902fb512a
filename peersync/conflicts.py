"""Deciding about one incoming row against the local one (``merging``: section 5), and the policies. Pure.

A policy is a plain function of one signature: it sees the :class:`Contest` and says who wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from peersync.records import Key, Row
from peersync.versions import State, Version, covers, join, version_of

Winner = Literal["local", "incoming"]
Kind = Literal["new", "known", "newer", "tie", "same", "conflict"]


@dataclass(slots=True)
class Local:
    """What stands here under the key of an incoming row. ``content``: the batch's fields; None where no row stands."""

    pk: str | None = None
    state: State | None = None
    content: tuple[Any, ...] | None = None
    whole: tuple[Any, ...] | None = None
    """All synchronised fields of this side, for records."""
    names: tuple[str, ...] = ()
    """Of the values in ``whole``, where those are more than the peer may see."""
    busy: bool = False
    """A writer holds it."""
    hidden: bool = False
    """The peer must not know that it is here."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What deciding needs to know besides the two rows; one for all rows of a model in a batch."""

    node: str
    install: str
    baselines: frozenset[str]
    source: str
    source_install: str
    names: tuple[str, ...]
    policy: str = "latest"
    local_is_master: bool | None = None
    snapshot: bool = False
    filtered: bool = False
    stateless: bool = False
    """Untracked rows may stay without a state: nobody else has read this node, or begun a first contact with it."""
    past: Key | None = None
    pruned: bool = False
    consumed: Mapping[str, int] = field(default_factory=dict)
    """How far each known node's feed was consumed here."""
    mirror: bool = False
    repair: bool = False
    """Where neither side has seen what the other has not, and the contents differ, the source is right."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What a policy sees: both rows' stamps and authors, and who is who."""

    local: tuple[int, str]
    incoming: tuple[int, str]
    local_is_master: bool | None


@dataclass(slots=True)
class Decision:
    """What is to be done with one row. ``write``: the content (None: a deletion) replaces what stands here."""

    kind: Kind
    state: State | None = None
    write: bool = False
    record: str = ""
    """Why the loser is kept in a record; empty: nothing is lost."""
    winner: Winner = "incoming"


def latest(contest: Contest) -> Winner:
    """The larger (stamp, author); the incoming one where neither side has a stamp."""
    if not contest.local[0] and not contest.incoming[0]:
        return "incoming"
    return "incoming" if contest.incoming > contest.local else "local"


def source(contest: Contest) -> Winner:
    """Whoever sends."""
    return "incoming"


def target(contest: Contest) -> Winner:
    """Whoever receives."""
    return "local"


def master(contest: Contest) -> Winner:
    """The node whose role is master."""
    return "local" if contest.local_is_master else "incoming"


def slave(contest: Contest) -> Winner:
    """The node whose role is slave."""
    return "incoming" if contest.local_is_master else "local"


POLICIES: dict[str, Callable[[Contest], Winner]] = {
    "latest": latest,
    "source": source,
    "target": target,
    "master": master,
    "slave": slave,
}
SYMMETRIC = frozenset({"latest"})
"""Policies that decide alike from either end: their outcome is no new event."""


def version_here(local: Local, facts: Facts) -> dict[str, int]:
    if local.state is None and local.content is None:
        return {}
    return version_of(local.state, facts.node, facts.install, facts.baselines)


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
        if covers(version, reduced) and not same(row, local) and _rank(row, None, facts) != _rank(row, local, facts):
            return "tie"
        return "known"
    if covers(version, reduced):
        return "newer"
    return "same" if same(row, local) else "conflict"


def _rank(row: Row, local: Local | None, facts: Facts) -> tuple[int, str, str]:
    """What decides between two settlements of one conflict; ``local`` None: the incoming one's."""
    if local is None:
        return row.stamp, row.author, _text(facts.names, row.content)
    stamp, author = _stamp(local, facts)
    return stamp, author, _text(facts.names, local.content)


def _text(names: tuple[str, ...], content: tuple[Any, ...] | None) -> str:
    if content is None:
        return ""
    return json.dumps(dict(zip(names, content, strict=True)), sort_keys=True, ensure_ascii=False)


def _stamp(local: Local, facts: Facts) -> tuple[int, str]:
    if local.state is None:
        return 0, facts.install
    return local.state.stamp, local.state.author or facts.install


def decide(row: Row, local: Local, facts: Facts, *, force: bool = False) -> Decision:
    """What to do about ``row``. Nothing is changed here: the decision has a new state.

    ``force``: a parent whose deletion here loses comes back although its version is known.
    """
    kind = classify(row, local, facts)
    if facts.mirror and kind not in ("new", "newer") and not same(row, local):
        return _mirrored(row, local, facts, "mirror")
    if kind == "tie" and facts.repair:
        return _mirrored(row, local, facts, "repair")
    if kind == "tie" and _rank(row, local, facts) > _rank(row, None, facts):
        kind = "known"
    if kind == "known":
        if force and local.content is None and not row.deleted:
            return resurrected(row, local, facts)
        return Decision("known")
    return {"new": _new, "newer": _newer, "tie": _tie, "same": _same, "conflict": _conflict}[kind](row, local, facts)


def _state(row: Row, local: Local, facts: Facts, version: Version, stamp: int, author: str, sender: str) -> State:
    """The state with this version; a new one of a row that stands here remembers that it stood here before."""
    old = local.state
    if old is None:
        state = State(row.model, local.pk or "", pre=local.content is not None)
    else:
        state = replace(old, others={}, seq=None, gone=False)
    state.others = {node: place for node, place in version.items() if node != facts.node}
    if facts.node in version:
        state.own = max(state.own or 0, version[facts.node])
    state.stamp, state.author, state.sender = stamp, author, sender
    return state


def _new(row: Row, local: Local, facts: Facts) -> Decision:
    came_back = not row.deleted and facts.pruned and _was_here(row, facts)
    untracked = row.base and not row.stamp and not any(row.version.values())
    if untracked and facts.snapshot and facts.stateless and not facts.filtered and not came_back:
        return Decision("new", None, write=not row.deleted)
    state = _state(row, local, facts, row.version, row.stamp, row.author, facts.source)
    if came_back:
        state.touch(facts.node, state.stamp + 1)
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


def _newer(row: Row, local: Local, facts: Facts) -> Decision:
    state = _state(row, local, facts, row.version, row.stamp, row.author, facts.source)
    return Decision("newer", state, write=not same(row, local))


def _tie(row: Row, local: Local, facts: Facts) -> Decision:
    version = join(row.version, version_here(local, facts))
    state = _state(row, local, facts, version, row.stamp, row.author, facts.source)
    return Decision("tie", state, write=True, record="two settlements of one conflict")


def _same(row: Row, local: Local, facts: Facts) -> Decision:
    untracked = row.base and not row.stamp and not any(row.version.values())
    if local.state is None and untracked and not facts.filtered:
        return Decision("same")
    stamp, author = max(_stamp(local, facts), (row.stamp, row.author))
    version = _numbered(join(row.version, version_here(local, facts)), local, facts)
    return Decision("same", _state(row, local, facts, version, stamp, author, ""))


def _numbered(version: dict[str, int], local: Local, facts: Facts) -> dict[str, int]:
    """Without the mark of a change that has no place yet: the state's own column keeps that."""
    if local.state is not None and local.state.changed:
        version.pop(facts.node, None)
    return version


def _conflict(row: Row, local: Local, facts: Facts) -> Decision:
    mine, theirs = _stamp(local, facts), (row.stamp, row.author)
    winner = POLICIES[facts.policy](Contest(mine, theirs, facts.local_is_master))
    stamp, author = theirs if winner == "incoming" else mine
    if facts.policy in SYMMETRIC and not stamp:
        # a decision between two rows without a stamp gets one, so that a third node decides alike
        stamp, author = 1, facts.node
    version = _numbered(join(row.version, version_here(local, facts)), local, facts)
    state = _state(row, local, facts, version, stamp, author, "")
    if facts.policy not in SYMMETRIC:
        state.stamp = max(mine[0], theirs[0])
        state.touch(facts.node, state.stamp + 1)
    return Decision("conflict", state, winner == "incoming", "conflict", winner)


def _mirrored(row: Row, local: Local, facts: Facts, why: str) -> Decision:
    """The source wins: with ``--mirror`` whatever the versions say. What it replaces is recorded; a local event."""
    version = _numbered(join(row.version, version_here(local, facts)), local, facts)
    state = _state(row, local, facts, version, max(row.stamp, _stamp(local, facts)[0]), row.author, "")
    state.touch(facts.node, state.stamp + 1)
    return Decision("conflict", state, write=True, record=why)


def resurrected(row: Row, local: Local, facts: Facts) -> Decision:
    """A deletion here loses against children that its deleter had not seen: the row comes back as a local event."""
    version = _numbered(join(row.version, version_here(local, facts)), local, facts)
    state = _state(row, local, facts, version, max(row.stamp, _stamp(local, facts)[0]), row.author, "")
    state.touch(facts.node, state.stamp + 1)
    return Decision("conflict", state, write=True, record="deletion lost")


def deletion_lost(row: Row, local: Local, facts: Facts) -> Decision:
    """An incoming deletion loses against children here: the row stays, as a local event over both."""
    decision = resurrected(row, local, facts)
    decision.write, decision.winner = False, "local"
    if decision.state is not None:
        decision.state.deleted = False
    return decision


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
