"""What of a batch travels between two sides: the fields that both have, and what the target keeps of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from peersync.gaps import Gap, only, unsealed
from peersync.marks import narrowed
from peersync.records import Batch, Row
from peersync.views import ELSEWHERE


def project(
    batch: Batch,
    names: Mapping[str, Sequence[str]],
    own_numbers: Collection[str] = (),
    carried: Mapping[str, Collection[str]] | None = None,
    closed: Mapping[str, Collection[str]] | None = None,
) -> Batch:
    """The batch with the fields of ``names`` alone, per model: what both sides synchronise.

    ``own_numbers``: models whose rows do not bring their primary key along. ``carried``: fields that the target lacks,
    and keeps for others; ``closed``: seals of those that it wants nothing of.
    """
    carried, closed = carried or {}, closed or {}
    if any(closed.get(label) for label in batch.fields) and any(row.more for row in batch.rows):
        batch = replace(batch, rows=[_closed(row, closed.get(row.model, ())) for row in batch.rows])
    if any(label in own_numbers for label in batch.fields):
        batch = replace(batch, rows=[replace(r, pk=None) if r.model in own_numbers else r for r in batch.rows])
    if all(tuple(names[label]) == fields for label, fields in batch.fields.items() if label in names):
        return batch
    places = {
        label: [batch.fields[label].index(name) for name in names[label]] for label in batch.fields if label in names
    }
    spare = {
        label: {name: batch.fields[label].index(name) for name in carried.get(label, ()) if name in batch.fields[label]}
        for label in places
    }
    rows = [
        _projected(row, places[row.model], names[row.model], spare[row.model])
        for row in batch.rows
        if row.model in places
    ]
    return replace(batch, rows=rows, fields={label: tuple(names[label]) for label in places})


def _projected(row: Row, places: Sequence[int], names: Sequence[str], spare: Mapping[str, int]) -> Row:
    if row.fields is not None:
        row = replace(row, fields=narrowed(row.fields, names))
    if row.content is None:
        return row
    more = row.more
    values = {name: row.content[place] for name, place in spare.items() if row.content[place] != ELSEWHERE}
    if values:
        more = (*more, Gap(values, dict(row.version), row.stamp, row.author))
    return replace(row, content=tuple(row.content[place] for place in places), more=more)


def _closed(row: Row, seals: Collection[str]) -> Row:
    unwanted = unsealed(row.more, row.model, seals)
    return replace(row, more=only(row.more, unwanted, others=True)) if unwanted else row
