"""What a record keeps: both versions of a row, what went with it, and which of that is chosen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from peersync.apply.blocks import shown
from peersync.apply.records import ONE_SIDED
from peersync.errors import CannotPutBack
from peersync.models import Conflict
from peersync.records import Key
from peersync.rows import key_from_json
from peersync.transactions import NodeRow
from peersync.versions import join

Side = Literal["local", "incoming"]
SIDES = ("local", "incoming")
Fields = Iterable[str] | Mapping[str, Side]
Content = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """A row of the table Conflict, read. ``sides``: field → wire value; None for a deletion."""

    number: int
    model: str
    key: Key
    pk: str
    kind: str
    sides: Mapping[str, Content | None]
    version: Mapping[str, int]
    """What whoever looks at the record has seen: both versions, joined."""
    cascade: tuple[Mapping[str, Any], ...]
    open: bool
    stamp: int = 0
    """The later one of the two versions."""
    source: str = ""
    """Node id of the peer that one of them came from."""

    @property
    def name(self) -> str:
        return f"{self.model} {shown(self.key)}"

    def side(self, side: str) -> Content | None:
        """Raises CannotPutBack where the record says nothing of that side."""
        if side not in SIDES:
            raise CannotPutBack(f'{side!r} is no version: it is "local" or "incoming".')
        if side == "local" and self.kind in ONE_SIDED:
            raise CannotPutBack(
                f"Record {self.number} ({self.kind}) keeps the incoming version of {self.name} alone.",
                hint='Put "incoming" back.',
            )
        return self.sides[side]

    def holds(self, values: Content) -> bool:
        """Whether one of the two versions has these values."""
        kept = [side for side in self.sides.values() if side is not None]
        return any(all(name in side and side[name] == value for name, value in values.items()) for side in kept)

    def winner(self, content: Content | None) -> str:
        """Which side the row is as now; ``merged`` where it is as neither. A peer may know fewer fields than this node."""
        local, incoming = self.sides["local"], self.sides["incoming"]
        if content == local:
            return "local"
        if content is None or incoming is None:
            return "incoming" if content is incoming else "merged"
        return "incoming" if content == {**(local or {}), **incoming} else "merged"


def read(node: NodeRow, number: int) -> Kept:
    """Raises CannotPutBack where there is no such record."""
    found = Conflict.objects.using(node.alias).filter(pk=number).first()
    if found is None:
        raise CannotPutBack(
            f"There is no record {number} in the database {node.alias!r}.",
            hint="RETENTION says how long records are kept.",
        )
    seen = [_still_true(node, json.loads(version)) for version in (found.local_version, found.incoming_version)]
    return Kept(
        found.pk,
        found.model,
        key_from_json(found.key),
        found.pk_text,
        found.kind,
        {side: json.loads(getattr(found, side) or "null") for side in SIDES},
        join(*seen),
        tuple(json.loads(found.cascade)),
        found.open,
        found.stamp,
        found.source,
    )


def _still_true(node: NodeRow, version: Mapping[str, int]) -> dict[str, int]:
    """Without places that were given up since: another change may bear such a number now."""
    ends = {old["id"]: old["seq"] for old in node.retired} | {node.node: node.last_seq}
    return {one: place for one, place in version.items() if place <= ends.get(one, place)}


def choose(kept: Kept, side: str | None, fields: Fields | None) -> Content | None:
    """The values to be put back, by field; None for a deletion.

    ``fields``: those of ``side`` alone, or for each field its side, the others from ``side`` where it is given.
    Raises CannotPutBack.
    """
    if side is None and not isinstance(fields, Mapping):
        raise CannotPutBack('Say which version is to be put back: "local" or "incoming".')
    if fields is None:
        return kept.side(str(side))
    names = [fields] if isinstance(fields, str) else list(fields)
    if isinstance(fields, Mapping):
        base = dict(_contents(kept, side)) if side is not None else {}
        return base | {name: _value(kept, fields[name], name) for name in names}
    return {name: _value(kept, str(side), name) for name in names}


def _contents(kept: Kept, side: str) -> Content:
    found = kept.side(side)
    if found is None:
        raise CannotPutBack(
            f"The {side} version of {kept.name} in record {kept.number} is a deletion: it has no fields.",
            hint=f'Put it back whole: put_back({kept.number}, "{side}").',
        )
    return found


def _value(kept: Kept, side: str, name: str) -> Any:
    found = _contents(kept, side)
    if name not in found:
        raise CannotPutBack(
            f"Record {kept.number} keeps no field {name!r} of the {side} version of {kept.name}.",
            hint=f"It keeps: {', '.join(found)}.",
        )
    return found[name]
