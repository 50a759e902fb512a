"""Marks: when and by whom each field of a row was last changed. Kept for models whose policy looks at fields. Pure.

A mark is ``(stamp, author, place)``: the stamp and the author decide between two of them, the place in the author's
feed says who has seen the change (None: it has no place yet). The mark under ``*`` is that of every field without one
of its own. A row without marks but with a stamp was changed in all its fields by that very event, or nobody noted in
which; one without a stamp in none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from peersync.versions import State, Version

ALL = "*"


class Mark(NamedTuple):
    """``place`` None: the change has no place in the feed yet."""

    stamp: int
    author: str
    place: int | None = None

    def seen(self, version: Version) -> bool:
        """Whether who has this version has seen the change."""
        return self.place is not None and version.get(self.author, -1) >= self.place


Marks = Mapping[str, Mark]


def of(marks: Marks, name: str) -> Mark | None:
    """The mark of a field; None where it was never changed."""
    return marks.get(name) or marks.get(ALL)


def whole(stamp: int, author: str, version: Version) -> dict[str, Mark]:
    """The marks of a row that one event made as it stands; ``version``: the row's, which holds that event's place."""
    return {ALL: Mark(stamp, author, version.get(author, 0))} if stamp else {}


def of_state(state: State | None, node: str) -> dict[str, Mark]:
    """The marks of the row that stands here; ``node``: this node's id."""
    if state is None:
        return {}
    if state.fields is not None:
        return {name: Mark(*mark) for name, mark in json.loads(state.fields).items()}
    found = whole(state.stamp, state.author, state.stored_version(node))
    if state.changed and state.author == node:
        found = {name: mark._replace(place=None) for name, mark in found.items()}
    return found


def narrowed(marks: Marks, names: Iterable[str]) -> dict[str, Mark]:
    """Those of these fields alone."""
    known = {ALL, *names}
    return {name: mark for name, mark in marks.items() if name in known}


def sent(state: State, names: Iterable[str]) -> dict[str, Mark] | None:
    """The marks as they travel to who knows these fields; None where the row's own stamp and author say it all."""
    if state.fields is None:
        return None
    found = narrowed(of_state(state, ""), names)
    return {n: m if m.place is not None else m._replace(place=state.own or 0) for n, m in found.items()}


def stored(marks: Marks, stamp: int, author: str) -> str | None:
    """What a state keeps of them, whose row has this stamp and author: None where those say it all."""
    if set(marks) == {ALL} and marks[ALL][:2] == (stamp, author):
        return None
    if not marks and not stamp:
        return None
    return json.dumps(marks, separators=(",", ":"))


def placed(text: str | None, seq: int) -> str | None:
    """The same where the changes without a place got this one."""
    if not unplaced(text):
        return text
    found = {name: Mark(*mark) for name, mark in json.loads(text or "{}").items()}
    return json.dumps({n: m if m.place is not None else m._replace(place=seq) for n, m in found.items()})


def unplaced(text: str | None) -> bool:
    return text is not None and "null]" in text


def changed(marks: Marks, event: Mark, names: Iterable[str] | None) -> dict[str, Mark]:
    """The marks after an event that changed these fields; None: all of them, or nobody knows which."""
    if names is None:
        return {ALL: event} | {name: mark for name, mark in marks.items() if name != ALL and mark[:2] > event[:2]}
    found = dict(marks)
    for name in names:
        before = of(found, name)
        found[name] = event if before is None or before[:2] < event[:2] else before
    return found


def taken(local: Marks, incoming: Marks, names: Iterable[str], fields: Iterable[str]) -> dict[str, Mark]:
    """Of a row that took the values of ``names`` over: the others among this side's ``fields`` keep their marks."""
    given = set(names)
    kept = {name: mark for name in fields if name not in given and (mark := of(local, name)) is not None}
    if not kept:
        return {name: mark for name, mark in incoming.items() if name == ALL or name in given}
    return kept | {name: mark for name in given if (mark := of(incoming, name)) is not None}


def joined(local: Marks, incoming: Marks, names: Iterable[str]) -> dict[str, Mark]:
    """Of each of these fields the later mark."""
    found = dict(local)
    for name in names:
        mine, theirs = of(local, name), of(incoming, name)
        if theirs is not None and (mine is None or mine[:2] < theirs[:2]):
            found[name] = theirs
    return found
