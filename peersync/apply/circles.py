"""Rows that point at rows which are made after them in the same set: those get their primary keys first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from peersync.apply.blocks import Place
from peersync.apply.numbers import drawn, given
from peersync.apply.session import Pending, Session
from peersync.registry import SyncModel
from peersync.rows import plain_reference

Numbers = Mapping[str, Mapping[Place, str]]
"""Label → place of a row that is about to be made → its primary key."""


def numbers_ahead(session: Session, present: Sequence[SyncModel], born: Mapping[str, Sequence[Pending]]) -> Numbers:
    """The primary keys of rows that are referred to before they stand here; ``session.coming`` knows them from now on.

    ``present``: in the order in which they are written. Models that nothing points back at are left out.
    """
    found: dict[str, dict[Place, str]] = {}
    coming: dict[str, dict[tuple[object, ...], str]] = {}
    for model in _pointed_back_at(present):
        rows = born[model.label]
        numbers = given(session, model, rows)
        left = [p for p in rows if p.place not in numbers]
        if left and model.pk.automatic:
            numbers |= drawn(session, model, left)
        found[model.label] = numbers
        coming[model.label] = {p.row.key: numbers[p.place] for p in rows if p.place in numbers}
    session.coming = coming
    return found


def _pointed_back_at(present: Sequence[SyncModel]) -> list[SyncModel]:
    place = {model.label: number for number, model in enumerate(present)}
    labels = {
        str(field.target)
        for model in present
        for field in model.foreign_keys
        if place.get(str(field.target), -1) >= place[model.label] + (str(field.target) == model.label and field.null)
        and not plain_reference(field)
        and field.target_column == present[place[str(field.target)]].pk.name
    }
    return [model for model in present if model.label in labels]
