"""What a filter looks at: which changes of which rows take rows into a view or out of it, and which no event tells of.

A change is an event where capture notes it: of a field that travels, in a table that is synchronised. What a filter
sees through foreign keys and through the parents of multi-table inheritance can be followed back from the row that
changed. All else (many-to-many and reverse relations, excluded fields, tables that stay home, the clock, functions
that do not say what they look at) is found by working the view out anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, ForeignKey, Model
from django.utils.module_loading import import_string

from peersync import memory, states
from peersync.conf import settings
from peersync.lookups import fields_in, moving
from peersync.queries import among, texts
from peersync.registry import Registry, SyncModel, label_of, on_change, registry
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow
from peersync.versions import State

DEPTH = 6
"""How many foreign keys are followed from a row to those that it hangs on."""


@dataclass
class _Look:
    """What a filter looks at. ``paths``: (label, relation that leads there)."""

    paths: set[tuple[str, str]] = field(default_factory=set)
    unseen: bool = False


def unseen(model: SyncModel) -> bool:
    """Whether rows may enter or leave by the model's own filter without an event."""
    return _look(model.model, _key(model)).unseen if model.filter else False


def _key(model: SyncModel) -> Any:
    """The filter, as something that a cache can hold: a function's path, or names of fields and what moves."""
    if isinstance(model.filter, str):
        return model.filter
    said = model.filter or {}
    names = [*said, *(name for value in said.values() for name in fields_in(value))]
    return tuple(names), any(moving(value) for value in said.values())


@lru_cache(maxsize=1024)
def _look(model: type[Model], said: Any) -> _Look:
    found = _Look()
    if isinstance(said, str):
        names = declared(said)
        found.unseen = names is None
    else:
        names, found.unseen = said
    for name in names or ():
        if "." in name:
            _through(found, model, name)
        else:
            _follow(found, model, name)
    return found


def declared(path: str) -> tuple[str, ...] | None:
    """What a function says that it looks at (``depends_on``); None where it does not say."""
    try:
        said = getattr(import_string(path), "depends_on", None)
    except ImportError:  # whoever calls it says so
        return None
    return tuple(said) if isinstance(said, (list, tuple, set, frozenset)) else None


def _through(found: _Look, model: type[Model], label: str) -> None:
    """``depends_on`` names a model: over each foreign key that leads there."""
    paths = list(_ways(model, label.lower(), 3))
    captured = {name.lower(): name for name in registry().models}
    found.unseen |= not paths or label.lower() not in captured
    for path in paths:
        _follow(found, model, path)
        if label.lower() in captured:
            found.paths.add((captured[label.lower()], path))


def _ways(model: type[Model], label: str, depth: int) -> Iterator[str]:
    for one in model._meta.concrete_fields:
        if isinstance(one, ForeignKey) and depth:
            target: Any = one.related_model
            if label_of(target).lower() == label:
                yield one.name
            yield from (f"{one.name}__{path}" for path in _ways(target, label, depth - 1))


def _follow(found: _Look, model: type[Model], lookup: str) -> None:
    """One look-up, relation by relation, until the field that it is about."""
    current: Any = model
    path: list[str] = []
    parts = lookup.split("__")
    for place, part in enumerate(parts):
        try:
            one = current._meta.pk if part == "pk" else current._meta.get_field(part)
        except FieldDoesNotExist:  # a transform or a look-up, of the field before it
            found.unseen |= place == 0
            return
        if not getattr(one, "concrete", False) or one.many_to_many or one.column is None:
            found.unseen |= not hasattr(one, "columns") or part != "pk"  # a composite key is its columns
            return
        current = _down(found, current, path, one)
        found.unseen |= not _captured(current, one)
        if one.related_model is None or not _goes_on(one.related_model, parts[place + 1 :]):
            return
        path.append(part if part != "pk" else one.name)
        current = one.related_model._meta.concrete_model
        _note(found, current, path)


def follows(model: type[Model], lookup: str) -> bool:
    """Whether each part of the path is a field, or comes behind the last field that there is."""
    current: Any = model
    for place, part in enumerate(lookup.split("__")):
        try:
            one: Any = current._meta.pk if part == "pk" else current._meta.get_field(part)
        except FieldDoesNotExist:
            return place > 0 and not getattr(one, "is_relation", False)
        if not one.is_relation or one.related_model is None:
            return True
        current = one.related_model
    return True


def _goes_on(target: Any, rest: Sequence[str]) -> bool:
    """Whether more is looked at than the key in the column."""
    if not rest or rest[0] in ("pk", target._meta.pk.name):
        return bool(rest) and len(rest) > 1 and target._meta.pk.related_model is not None
    try:
        target._meta.get_field(rest[0])
    except FieldDoesNotExist:
        return False
    return True


def _down(found: _Look, current: Any, path: list[str], one: Any) -> Any:
    """To the parent whose table has the field."""
    owner = one.model._meta.concrete_model
    current = current._meta.concrete_model
    while current is not owner:
        link = current._meta.get_ancestor_link(owner)
        if link is None:
            break
        path.append(link.name)
        current = link.related_model._meta.concrete_model
        _note(found, current, path)
    return current


def _note(found: _Look, model: Any, path: Sequence[str]) -> None:
    label = label_of(model)
    found.paths.add((label, "__".join(path)))
    found.unseen |= label not in registry().models


def _captured(model: Any, one: Field[Any, Any]) -> bool:
    """Whether a change of the column is noted: others than those that travel are no event."""
    known = registry().models.get(label_of(model))
    if known is None or getattr(one, "generated", False):
        return False
    columns = {f.column for f in known.fields} | {*known.local.names} | {c.name for c in known.identity_columns}
    return one.column in columns


# ---------------------------------------------------------------------- what hangs on what changed


@dataclass(frozen=True)
class Hanging:
    """Rows of ``label`` hang, by ``path``, on those of another model. ``soft``: they only name a row that may be hidden."""

    label: str
    path: str
    soft: bool


@lru_cache(maxsize=1024)
def depending(label: str) -> frozenset[Hanging]:
    """What the peers' views have hanging on rows of ``label``."""
    found: set[Hanging] = set()
    for name in ("", *settings().peers):
        known = registry(name)
        for model in known.models.values():
            found |= {
                Hanging(model.label, p, soft=s) for target, p, s in _paths(known, model, DEPTH) if target == label
            }
    return frozenset(one for one in found if not (one.soft and replace(one, soft=False) in found))


def _paths(known: Registry, model: SyncModel, depth: int) -> Iterable[tuple[str, str, bool]]:
    """(label, path, soft) of what a model's view looks at."""
    if model.filter:
        for label, path in _look(model.model, _key(model)).paths:
            yield label, path, False
    for one in model.foreign_keys:
        target = str(one.target)
        if target not in known.filtered or not depth:
            continue
        yield target, one.name, one.null
        if target != model.label:
            for label, path, soft in _paths(known, known.models[target], depth - 1):
                yield label, f"{one.name}__{path}", one.null or soft


def hanging_on(node: NodeRow, known: Registry, changed: Sequence[State]) -> list[State]:
    """Those whose view depends on the rows that changed: they go into the feed again, without an event of their own.

    So do rows with a nullable key to one that a peer may see now, and could not before: it had nothing to name.
    """
    by_model: dict[str, set[str]] = {}
    for state in changed:
        if not state.deleted and not state.gone:
            by_model.setdefault(state.model, set()).add(state.pk)
    counted = {(state.model, state.pk) for state in changed}
    found: dict[tuple[str, str], State] = {}
    for label, pks in by_model.items():
        for one in depending(label):
            hanging = known.models.get(one.label)
            if hanging is None or label not in known.models:
                continue
            wanted = _new_to_some(node, label, pks) if one.soft and "__" not in one.path else pks
            everything = hanging.model._base_manager.using(node.alias).all()
            hit = set(texts(among(everything, known.models[label].local, wanted, one.path), hanging.local))
            standing = states.load(node.connection, one.label, hit)
            if one.soft:
                _say_again(node, standing.values())
            for pk in hit:
                if (one.label, pk) not in counted:
                    found[one.label, pk] = standing.get(pk) or State(one.label, pk, pre=True, author=node.install)
    return list(found.values())


def _say_again(node: NodeRow, found: Iterable[State]) -> None:
    """Whoever sent a row did not say what it could not see: it is told, too."""
    sent = [state for state in found if state.sender]
    for state in sent:
        state.sender = ""
    states.save(node.connection, sent)


def _new_to_some(node: NodeRow, label: str, pks: set[str]) -> set[str]:
    """Those of the rows that some peer, for whom the model is filtered, is not known to have."""
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT name, node FROM peersync_peer WHERE node <> ''")
        peers = {other for name, other in cursor.fetchall() if label in registry(name).filtered}
        known: dict[str, int] = {}
        for part in states.chunks(list(pks)):
            cursor.execute(
                "SELECT pk_text, count(*) FROM peersync_filtermemory WHERE model = %s AND place = %s AND "
                f"{text_list(node.connection, 'node')} AND {text_list(node.connection, 'pk_text')} GROUP BY pk_text",
                [
                    label,
                    memory.IN_VIEW,
                    list_parameter(node.connection, peers),
                    list_parameter(node.connection, part),
                ],
            )
            known.update(cursor.fetchall())
    return {pk for pk in pks if known.get(pk, 0) < len(peers)}


on_change(depending.cache_clear)
on_change(_look.cache_clear)
