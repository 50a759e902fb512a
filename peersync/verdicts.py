"""What deciding about a row looks at, what it says, and the state that a row has afterwards. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from peersync import marks
from peersync.marks import Mark, Marks
from peersync.policies import Policy
from peersync.records import Key, Row
from peersync.versions import State, Version, join, version_of

Winner = Literal["local", "incoming", "merged", ""]
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
    """The peer must not know that it is here, or that it went."""
    unheard: bool = False
    """Its deletion is none that the peer may hear of: for it no row ever stood here."""


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
    rule: Policy | None = None
    """Who decides, where that is a function of the project's."""
    noted: bool = False
    """Which fields are changed is noted here, and kept in the states."""
    fields: tuple[str, ...] = ()
    """All synchronised fields of this side."""
    identity: tuple[str, ...] = ()
    """Those that name a row."""
    references: frozenset[str] = frozenset()
    """Fields that name another row or nothing: a source that keeps that row to itself does not say which."""
    local_is_master: bool | None = None
    snapshot: bool = False
    filtered: bool = False
    stateless: bool = False
    """Untracked rows may stay without a state: nobody else has read this node, or begun a first contact with it."""
    past: Key | None = None
    pruned: bool = False
    consumed: Mapping[str, int] = field(default_factory=dict)
    """How far each known node's feed was consumed here, of this model."""
    mirror: bool = False
    repair: bool = False
    """Where neither side has seen what the other has not, and the contents differ, the source is right."""


@dataclass(slots=True)
class Decision:
    """What is to be done with one row. ``write``: the content (None: a deletion) replaces what stands here."""

    kind: Kind
    state: State | None = None
    write: bool = False
    record: str = ""
    """Why the loser is kept in a record; empty: nothing is lost."""
    winner: Winner = "incoming"
    """Empty: nobody yet."""
    content: tuple[Any, ...] | None = None
    """What is written, where that is neither side's; else the incoming content is."""
    keeps_name: bool = False
    """What is written bears the name that the row has here."""
    open: bool = False
    """Nothing is done until somebody settles it by hand."""
    clean: bool = False
    """Whatever either side changed stands in the outcome."""


def version_here(local: Local, facts: Facts) -> dict[str, int]:
    if local.state is None and local.content is None:
        return {}
    return version_of(local.state, facts.node, facts.install, facts.baselines)


def stamp_here(local: Local, facts: Facts) -> tuple[int, str]:
    """Stamp and author of what stands here."""
    if local.state is None:
        return 0, facts.install
    return local.state.stamp, local.state.author or facts.install


def marks_here(local: Local, facts: Facts) -> dict[str, Mark]:
    """When each field was last changed, where that is noted."""
    return {} if not facts.noted else marks.of_state(local.state, facts.node)


def marks_of(row: Row) -> Marks:
    """The same of an incoming row."""
    return row.fields if row.fields is not None else marks.whole(row.stamp, row.author, row.version)


def marks_taken(row: Row, local: Local, facts: Facts) -> Marks:
    """Of a row that takes the place of the one here: what does not travel keeps its marks."""
    if not facts.noted:
        return {}
    return marks.taken(marks_here(local, facts), marks_of(row), facts.names, facts.fields)


def marks_joined(row: Row, local: Local, facts: Facts) -> Marks:
    if not facts.noted:
        return {}
    return marks.joined(marks_here(local, facts), marks_of(row), facts.names)


def state_after(row: Row, local: Local, version: Version, facts: Facts) -> State:
    """The state with this version; a new one of a row that stands here remembers that it stood here before."""
    old = local.state
    if old is None:
        state = State(row.model, local.pk or "", pre=local.content is not None)
    else:
        state = replace(old, others={}, seq=None, gone=False)
    state.others = {node: place for node, place in version.items() if node != facts.node}
    if facts.node in version:
        state.own = max(state.own or 0, version[facts.node])
    return state


def signed(state: State, stamp: int, author: str, sender: str, noted: Marks, facts: Facts) -> State:
    """The state with the stamp and the marks of what it says; ``sender``: who has exactly that."""
    state.stamp, state.author, state.sender = stamp, author, sender
    state.fields = marks.stored(noted, stamp, author) if facts.noted else None
    return state


def event(state: State, stamp: int, noted: Marks, facts: Facts, changed: tuple[str, ...] = ()) -> State:
    """The state after an event of this node, which had seen all up to ``stamp``, and changed these fields."""
    state.stamp = stamp
    state.touch(facts.node, stamp + 1)
    found = marks.changed(noted, Mark(state.stamp, facts.node), changed)
    state.fields = marks.stored(found, state.stamp, state.author) if facts.noted else None
    return state


def both(row: Row, local: Local, facts: Facts) -> dict[str, int]:
    """Both versions, joined; without the mark of a change that has no place yet: the state's own column keeps that."""
    version = join(row.version, version_here(local, facts))
    if local.state is not None and local.state.changed:
        version.pop(facts.node, None)
    return version
