"""What the rows of a model are called that stood before they were captured, and which of two nodes' rows are one row.

It is agreed at the first contact of a model between two installs, by each side for itself: from how the rows are matched
(MATCH, or ``--match``), what the other calls its own, and whether any such row stands here. docs/keys.md has the rules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps

from peersync import origins
from peersync.conf import settings
from peersync.errors import MatchNeeded, WireError
from peersync.records import Key, Match
from peersync.registry import NamePart, SyncField, SyncModel, key_fields, registry
from peersync.rows import as_key, as_part, key_from_json, key_json
from peersync.transactions import NodeRow

SHARED = ""
"""The name of a base that began as a copy of others'."""


@dataclass
class Base:
    """``name``: None until it is agreed with somebody. ``met``: install → how, and what it calls its own."""

    name: str | None = None
    met: dict[str, Match] = field(default_factory=dict)


def load(connection: Any, label: str) -> Base:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, met FROM peersync_originbase WHERE model = %s", [label])
        found = cursor.fetchone()
    if found is None:
        return Base()
    return Base(found[0], {install: Match(*entry) for install, entry in json.loads(found[1]).items()})


def said(label: str) -> str:
    """How the settings match the rows of a model; empty where they say nothing of it."""
    chosen = settings().match
    return chosen.get(label, chosen.get("*", ""))


def matching(connection: Any, model: SyncModel, install: str) -> tuple[str, bool, str | None]:
    """How rows that stood before are matched with that install's, whether that is agreed, and what they are called."""
    if not model.origin:
        return said(model.label), False, None
    known = load(connection, model.label)
    before = known.met.get(install)
    return (said(model.label) if before is None else before.how), before is not None, known.name


def agree(node: NodeRow, model: SyncModel, install: str, match: Match) -> None:
    """Settle what the rows are called here, for the first contact with that install. Nothing where it was settled before.

    ``match``: how rows are matched, and what the other calls its own (None: nothing, as far as it is known).
    Raises MatchNeeded where equal primary keys should mean one row, and both sides' rows are known by other names.
    """
    if match.base is not None and not origins.valid((match.base, 0)):
        raise WireError("The name of the peer's rows is none.")
    known = load(node.connection, model.label)
    before = known.met.get(install)
    if before is not None:
        match = Match(before.how, match.base if before.base is None else before.base)
        if before == match and known.name is not None:
            return
    name = _new_name(node, model, match) if known.name is None else known.name
    if before is None:
        match = match._replace(how=_how(node, model, match, name))
    _save(node, model, Base(name, {**known.met, install: match}))
    if known.name is None and (name or not known.met):
        _rename(node, model.label, name or SHARED)


def _new_name(node: NodeRow, model: SyncModel, match: Match) -> str | None:
    if match.how in ("pk", ""):
        return SHARED if match.base is None else match.base
    # where nothing stands that is to be kept apart, the other's rows need no entry here
    return node.install if any_base(node.connection, model) else match.base


def _how(node: NodeRow, model: SyncModel, match: Match, name: str | None) -> str:
    """As it is remembered: where nobody said anything, names that differ already say that the rows do."""
    differ = match.base not in (None, name)
    if match.how == "pk" and differ and any_base(node.connection, model):
        raise MatchNeeded(
            f"Rows of {model.label} that stood on both sides before are known by other names already, since each"
            " side was synchronised with somebody else.",
            hint="They cannot be taken as the same rows any more; say: sync_data --match never, or --match content",
        )
    return match.how or ("never" if differ else "pk")


def any_base(connection: Any, model: SyncModel) -> bool:
    """Whether a row is known here that stood here before it was captured; one that is gone counts by its tombstone."""
    quote = connection.ops.quote_name
    local = f"t.{quote(model.pk.name)}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {quote(model.table)} t {origins.join(connection, model.label, 'n', local)}"
            " WHERE n.local IS NULL LIMIT 1"
        )
        if cursor.fetchone() is not None:
            return True
        cursor.execute(
            "SELECT 1 FROM peersync_rowstate WHERE model = %s AND key LIKE %s LIMIT 1", [model.label, f'["{SHARED}",%']
        )
        return cursor.fetchone() is not None


def _save(node: NodeRow, model: SyncModel, base: Base) -> None:
    with node.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peersync_originbase (model, name, met) VALUES (%s, %s, %s)"
            " ON CONFLICT (model) DO UPDATE SET name = excluded.name, met = excluded.met",
            [model.label, base.name, json.dumps(base.met)],
        )


# ---------------------------------------------------------------------- tombstones from before


def _rename(node: NodeRow, label: str, name: str) -> None:
    """Tombstones from before the base had this name, of the model and of those that are named by it.

    Those too from when the rows were still named by their primary keys alone.
    """
    connection = node.connection
    for model in registry().models.values():
        if not _mentions(model.key, label):
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, key FROM peersync_rowstate WHERE model = %s AND key IS NOT NULL ORDER BY id", [model.label]
            )
            rows = [(_renamed(model.key, key_from_json(key), label, name), number) for number, key in cursor.fetchall()]
            cursor.executemany(
                "UPDATE peersync_rowstate SET key = %s WHERE id = %s", [(key_json(key), number) for key, number in rows]
            )


def _mentions(fields: Sequence[SyncField], label: str) -> bool:
    return any(
        field.owner == label
        if isinstance(field, NamePart)
        else field.target is not None and _mentions(key_fields(apps.get_model(field.target)), label)
        for field in fields
    )


def _renamed(fields: Sequence[SyncField], key: Key, label: str, name: str) -> Key:
    """The key with the base's new name in it, at any depth."""
    if isinstance(fields[0], NamePart):
        ours = fields[0].owner == label and (len(key) == 1 or key[0] == SHARED)
        return (name, key[-1]) if ours else key
    if len(fields) != len(key):
        return key
    return tuple(_renamed_part(one, value, label, name) for one, value in zip(fields, key, strict=True))


def _renamed_part(one: SyncField, value: Any, label: str, name: str) -> Any:
    if one.target is None or value is None:
        return value
    return as_part(_renamed(key_fields(apps.get_model(one.target)), as_key(value), label, name))
