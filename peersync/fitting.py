"""What two sides synchronise of one model, and what they can exchange of it though their releases differ. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from peersync.codec import both_ways
from peersync.errors import RoleConflict, SchemaDiffers
from peersync.records import ModelInfo

VENDORS = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


@dataclass(frozen=True)
class Fit:
    """``names``: the fields that both synchronise, in the source's order. ``alone``: those of one side only."""

    names: tuple[str, ...]
    alone: tuple[str, ...] = ()
    converted: frozenset[str] = frozenset()
    """Fields of two types, of which values can be turned into each other."""


def fit(model: ModelInfo, other: ModelInfo) -> Fit:
    """What travels from ``model``, as the source has it, to ``other``, as the target has it.

    Raises SchemaDiffers or RoleConflict, in one sentence, where nothing of the model can travel.
    """
    if model.identity != other.identity:
        raise SchemaDiffers(
            f"{model.label} is named by {_name(model.identity)} at one side and by {_name(other.identity)} at the other.",
            hint='Set SYNC_CONFIG["IDENTITY"] alike on both sides.',
        )
    if model.policy != other.policy:
        raise RoleConflict(
            f"CONFLICT of {model.label} is {model.policy!r} at one side and {other.policy!r} at the other.",
            hint='Set SYNC_CONFIG["CONFLICT"] alike on both sides.',
        )
    if model.key != other.key:
        raise SchemaDiffers(
            f"The rows of {model.label} are named by {', '.join(model.key)} at the source and by"
            f" {', '.join(other.key)} at the target.",
            hint="Migrate both sides to one release.",
        )
    converted = set()
    names = tuple(name for name in model.fields if name in other.fields)
    for name in names:
        mine, theirs = _kind(model.fields[name]), _kind(other.fields[name])
        if mine == theirs:
            continue
        if name in model.key or not both_ways(mine, theirs):
            raise _differs(f"{model.label}.{name}", model.fields[name], other.fields[name])
        converted.add(name)
    return Fit(names, tuple(sorted(set(model.fields) ^ set(other.fields))), frozenset(converted))


def _kind(wire: str) -> str:
    """A type without what narrows it: a value that a narrower column can't hold is refused by itself."""
    return re.sub(r"\([^)]*\)", "", wire)


def _differs(field: str, wire: str, theirs: str) -> SchemaDiffers:
    for kind in ("native:postgresql:", "native:"):
        for one in (wire, theirs):
            if one.startswith(kind):
                return _only_there(field, one)
    return SchemaDiffers(
        f"The field {field} is {wire} at the source and {theirs} at the target.",
        hint="Migrate both sides to one release, or EXCLUDE the field.",
    )


def _only_there(field: str, wire: str) -> SchemaDiffers:
    _, vendor, own = wire.split(":", 2)
    label, _, name = field.rpartition(".")
    return SchemaDiffers(
        f"The field {field} is a column of {VENDORS.get(vendor, vendor)}'s own type {own} at one side, and of another"
        " type at the other: its values mean nothing there.",
        hint=f'Leave it out on both sides: SYNC_CONFIG["EXCLUDE"]: {{"{label}": ["{name}"]}}; or the whole model.',
    )


def _name(identity: Sequence[str]) -> str:
    return "its origin" if tuple(identity) == ("@origin",) else ", ".join(identity) or "its primary key"
