"""Rows that point at rows which are made after them in the same set: those get their primary keys first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from peersync.apply.blocks import Place
from peersync.apply.numbers import drawn, given
from peersync.apply.pointers import numbered_by, place_of
from peersync.apply.session import Pending, Session
from peersync.registry import SyncModel
from peersync.rows import plain_reference

Numbers = Mapping[str, Mapping[Place, str]]
"""Label → place of a row that is about to be made → its primary key."""


def numbers_ahead(session: Session, present: Sequence[SyncModel], rows_of: Mapping[str, Sequence[Pending]]) -> Numbers:
    """The primary keys of rows that are referred to before they stand here; ``session.coming`` knows them from now on.

    ``present``: in the order in which they are written. Models that nothing points back at are left out.
    """
    found: dict[str, dict[Place, str]] = {}
    coming: dict[str, dict[tuple[object, ...], str]] = {}
    back = _pointed_back_at(present) | _meant_before(session, present, rows_of)
    for model in [model for model in present if model.label in back]:
        rows = [p for p in rows_of[model.label] if p.inserts]
        numbers = given(session, model, rows)
        left = [p for p in rows if p.place not in numbers]
        if left and model.pk.automatic:
            numbers |= drawn(session, model, left)
        found[model.label] = numbers
        coming[model.label] = {p.row.key: numbers[p.place] for p in rows if p.place in numbers}
    session.coming = coming
    return found


def _meant_before(session: Session, present: Sequence[SyncModel], rows_of: Mapping[str, Sequence[Pending]]) -> set[str]:
    """Models whose rows give numbers to those that object ids point to, and that are written after what points there."""
    place = {model.label: number for number, model in enumerate(present)}
    found: set[str] = set()
    for model in present:
        names = {one.name for one in model.generic_ids}
        later = {label for label in model.generic_targets if place.get(label, -1) > place[model.label]}
        if not later:
            continue
        for pending in rows_of[model.label]:
            said = dict(zip(pending.names, pending.content or (), strict=False))
            places = [place_of(said.get(name)) for name in names]
            found |= {numbered_by(session, one)[0] for one in places if one is not None and one[0] in later}
    return found


def _pointed_back_at(present: Sequence[SyncModel]) -> set[str]:
    place = {model.label: number for number, model in enumerate(present)}
    return {
        str(field.target)
        for model in present
        for field in model.foreign_keys
        if place.get(str(field.target), -1) >= place[model.label] + (str(field.target) == model.label and field.null)
        and not plain_reference(field)
        and field.target_column == present[place[str(field.target)]].pk.name
    }
