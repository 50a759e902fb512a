"""The rows that are to be written: found under the names that they had, and decided as events of this node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from peersync import clock
from peersync.apply.loading import complete, load
from peersync.apply.records import whole
from peersync.apply.session import Pending
from peersync.apply.translating import translate
from peersync.conflicts import over_both, same
from peersync.contests import differing
from peersync.errors import Busy, CannotPutBack
from peersync.records import Key, Row
from peersync.registry import SyncModel
from peersync.rows import NO_ROW, as_key, pk_value
from peersync.settling.kept import Content, Kept
from peersync.settling.own import OwnSession
from peersync.verdicts import Decision, Facts, Local, marks_here, version_here
from peersync.versions import covers


def find(session: OwnSession, kept: Kept, content: Content | None) -> Pending:
    """The record's row with what stands here for it, locked. Its name at that time counts first, then those of both versions.

    Raises Busy where a writer holds it, CannotPutBack where a chosen field is gone.
    """
    model = session.model(kept.model)
    names = tuple(content) if content is not None else model.names
    check_names(model, names, kept)
    best: Pending | None = None
    for key in names_of(model, kept):
        pending = probe(session, kept.model, key, names)
        load(session, [pending])
        if pending.local.busy:
            raise Busy(f"Another transaction holds {kept.name}.", hint="Try again; nothing was written.")
        if pending.local.content is not None:
            return pending
        if best is None or (best.local.state is None and pending.local.state is not None):
            best = pending
    assert best is not None  # noqa: S101  # the record's own key is always tried
    return best


def names_of(model: SyncModel, kept: Kept) -> tuple[Key, ...]:
    """What the record calls the row: by its own key, and by each version."""
    sides = [key_of(model, side, kept.key) for side in kept.sides.values() if side is not None]
    return tuple(dict.fromkeys([kept.key, *sides]))


def as_it_stands(session: OwnSession, kept: Kept) -> Kept:
    """In a conflict that is open this side's version is the row as it stands now, not as it stood when that was found."""
    pending = find(session, kept, None)
    return replace(kept, sides={**kept.sides, "local": whole(session.model(kept.model), pending)})


def probe(session: OwnSession, label: str, key: Key, names: Sequence[str]) -> Pending:
    """A row to be looked up; it says nothing yet of what is to be written."""
    return Pending(Row(label, key, {}, None), session.node.node, session.node.install, tuple(names))


def check_names(model: SyncModel, names: Sequence[str], kept: Kept) -> None:
    missing = [name for name in names if name not in model.names]
    if missing:
        raise CannotPutBack(
            f"{model.label} has no synchronised field {missing[0]!r} any more, but record {kept.number} keeps a value for it.",
            hint="Name the fields that are to be put back: fields=[…].",
        )


def key_of(model: SyncModel, content: Content, otherwise: Key) -> Key:
    """The name that a row with this content has; parts that the content lacks are those of ``otherwise``."""
    if len(otherwise) != len(model.key):
        return otherwise
    parts = zip(model.key, otherwise, strict=True)
    return tuple(_part(content[field.name]) if field.name in content else part for field, part in parts)


def _part(value: Any) -> Any:
    key = as_key(value)
    return key if isinstance(value, (list, tuple)) else key[0]


def fill(session: OwnSession, pendings: Sequence[Pending], contents: Sequence[Content]) -> None:
    """Give rows that were looked up their contents, in the wire's form; raises WireError for a value of another type."""
    for pending, content in zip(pendings, contents, strict=True):
        known = pending.former or pending.row.key
        key = key_of(session.model(pending.row.model), content, known)
        earlier = (known,) if pending.former is None and key != known else ()
        values = tuple(content[name] for name in pending.names)
        pending.row = replace(pending.row, key=key, content=values, earlier=earlier)
    translate(session, pendings)
    complete(session, pendings)


def decide(
    session: OwnSession, pending: Pending, seen: Mapping[str, int], *, event: bool = False, stamp: int = 0
) -> None:
    """An event of this node that has seen ``seen`` too; none where nothing changes and all of that was seen already.

    ``event``: one in any case. ``stamp``: of what was seen.
    """
    pending.row = replace(pending.row, version=dict(seen), stamp=stamp)
    if not session.synchronised(pending.row.model):
        if not same(pending.row, pending.local):
            pending.decision = Decision("new", None, write=True)
        return
    facts = session.facts(pending)
    # capture notes the write itself, which is the later event: with the same stamp it would count as made after it
    decision = settled(pending.row, pending.local, facts, clock.now_ms(session.node.alias) - 1)
    if decision.write or event or not covers(version_here(pending.local, facts), seen):
        pending.decision = decision


def settled(row: Row, local: Local, facts: Facts, stamp: int) -> Decision:
    """Somebody chose what ``row`` says: a local event over its version, which the choice has seen, and over what is here.

    ``stamp``: of the event, unless one of those is later.
    """
    state = over_both(row, local, facts, marks_here(local, facts), differing(row, local, facts))
    state.touch(facts.node, stamp)
    return Decision("conflict", state, write=not same(row, local))


def own_pk(model: SyncModel, pk: str) -> Any:
    """The primary key that the row had, as a wire value, where neither its key nor its content says it; else None."""
    return pk_value(model, pk) if model.brings_pk and pk and not pk.startswith(NO_ROW) else None
