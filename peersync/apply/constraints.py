"""What stands against writing a set of rows: the largest part of it that breaks no constraint when all of it is written.

Parents that are missing, unique values that other rows hold, children that would be left. Looked up in sets, decided in
memory: a row of the set may rely on what the others of the set will have done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from peersync import loose, memory, states
from peersync.apply import pointers, waiting
from peersync.apply.blocks import Block, Place, listed, named
from peersync.apply.cascade import Dependents, dependents
from peersync.apply.holders import Holders, Uniques, Wish
from peersync.apply.looking import look
from peersync.apply.naming import renames
from peersync.apply.session import Pending, Session
from peersync.generics import GenericId, is_gone
from peersync.local_keys import LocalKey
from peersync.records import Key
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, as_key, buried, find, key_from_json, plain_reference, referenced, select_in


@dataclass
class Plan:
    """``rows``: to be written together; ``blocked``: those that wait.

    ``takes``: of rows that take unique values over, the rows of the set that hold them; ``closely``: found by all that
    the database calls unique; ``childless``: deletions of rows on which nothing hangs.
    """

    rows: list[Pending]
    blocked: dict[Place, Block]
    takes: Mapping[Place, Collection[Place]] = field(default_factory=dict)
    dependents: dict[Place, Dependents] = field(default_factory=dict)
    closely: bool = False
    childless: Collection[Place] = ()
    ahead: Mapping[str, Mapping[Place, str]] = field(default_factory=dict)
    """Per model, primary keys that new rows are given before any is written (:mod:`peersync.apply.circles`)."""

    @cached_property
    def passing(self) -> frozenset[Place]:
        """Rows that hold a unique value which another one takes over."""
        return frozenset(place for places in self.takes.values() for place in places)


class Weigher:
    """Facts of the database about a set of rows, and the fixed point over them."""

    def __init__(self, session: Session, pendings: Sequence[Pending], *, closely: bool = False) -> None:
        self.session, self.closely = session, closely
        self.connection = session.connection
        self.models = session.view.registry.models
        self.rank = session.view.registry.rank
        self.set: dict[Place, Pending] = {p.place: p for p in pendings if p.writes}
        self.by_pk = {(p.row.model, p.local.pk): p for p in self.set.values() if p.local.pk is not None}
        self.blocked: dict[Place, Block] = {}
        self.parents: dict[Place, list[tuple[SyncField, Place, bool]]] = {}
        self.later: dict[str, set[Key]] = {}
        self.uniques = Uniques()
        self.children: dict[Place, list[tuple[str, str, SyncField]]] = {}
        self.dependents: dict[Place, Dependents] = {}

    def plan(self) -> Plan:
        for pending in [p for p in self.set.values() if p.unfit and p.content is not None]:
            self._leave(pending.place, Block("invalid", [], pending.unfit))
        grouped: dict[str, list[Pending]] = {}
        for pending in self.set.values():
            grouped.setdefault(pending.row.model, []).append(pending)
        for label, pendings in grouped.items():
            model = self.models[label]
            written = [p for p in pendings if p.content is not None]
            self._look_at_parents(model, written)
            self._look_at_pointers(model, written)
            self._look_at_uniques(model, written)
            self._look_at_children(model, [p for p in pendings if p.deletes])
        self._settle()
        self._name()
        rows = list(self.set.values())
        kept = {place: found for place, found in self.dependents.items() if place in self.set}
        childless = {p.place for p in rows if p.deletes} - self.children.keys()
        return Plan(rows, self.blocked, self._takes(), kept, self.closely, childless)

    def _takes(self) -> dict[Place, set[Place]]:
        found: dict[Place, set[Place]] = {}
        for place in self.set:
            for wish, pk in self.uniques.holders.get(place, ()):
                if holder := self.by_pk.get((wish.model, pk)):
                    found.setdefault(place, set()).add(holder.place)
        return found

    # ------------------------------------------------------------------ facts

    def _look_at_parents(self, model: SyncModel, pendings: list[Pending]) -> None:
        for name in {f.name for f in model.foreign_keys}:
            field = next(f for f in model.foreign_keys if f.name == name)
            values: dict[Place, Key] = {}
            news: set[Place] = set()
            for pending in pendings:
                value = _said(pending, pending.content, name)
                if value is not None and not isinstance(value, dict):
                    values[pending.place] = as_key(value)
                    # what stands here already is none, whoever may see it
                    if value != _said(pending, pending.local.content, name):
                        news.add(pending.place)
            if not values or loose.is_number(field):
                continue
            target = str(field.target)
            standing = find(self.connection, target, values.values(), field.target_column)
            for key in self._called_so_later(target):
                standing.pop(key, None)
            if field.left_alone:
                standing.update(buried(self.connection, field, set(values.values()) - standing.keys()))
            hidden: set[str] = set()
            if self.session.view.filtered(target):
                hidden = self._hidden(target, field, set(standing.values()))
            for place, key in values.items():
                found = key in standing and (place not in news or standing[key] not in hidden)
                self.parents.setdefault(place, []).append((field, (target, key), found))

    def _called_so_later(self, target: str) -> Collection[Key]:
        """Names that rows here get from this source, but do not have yet: whoever has them meanwhile is another one."""
        model = self.models.get(target)
        if model is None or not model.identity or model.origin:
            return ()
        if target not in self.later:
            coming = {p.row.key for p in self.set.values() if p.row.model == target and renames(p)}
            self.later[target] = coming | {p.row.key for p in waiting.renamed(self.session, target)}
        return self.later[target]

    def _look_at_pointers(self, model: SyncModel, pendings: list[Pending]) -> None:
        """Rows that generic foreign keys point to."""
        for one in model.generic_ids:
            values: dict[Place, Place] = {}
            for pending in pendings:
                parent = pointers.place_of(said) if (said := _said(pending, pending.content, one.name)) else None
                # what stands here already is no news, whoever may see it
                if parent is not None and said != _said(pending, pending.local.content, one.name):
                    values[pending.place] = parent
            found = pointers.standing(self.session, values.values())
            seen = pointers.visible(self.session, found)
            for place, parent in values.items():
                self.parents.setdefault(place, []).append((one, parent, parent in seen))

    def _hidden(self, target: str, field: SyncField, texts: set[str]) -> set[str]:
        hidden = self.session.view.hidden_targets(target, field.target_column, texts)
        return memory.hidden(self.session.node, self.session.batch.source, target, hidden)

    def _look_at_uniques(self, model: SyncModel, pendings: list[Pending]) -> None:
        Holders(self.session, model, pendings).look(self.uniques)
        if self.closely:
            look(self.session, model, pendings, self.uniques)

    def _look_at_children(self, model: SyncModel, pendings: list[Pending]) -> None:
        if not pendings:
            return
        by_pk = {str(p.local.pk): p for p in pendings}
        for child, link in self.session.view.registry.children.get(model.label, ()):
            if link.left_alone:
                continue
            values = referenced(self.connection, model, link.target_column, by_pk)
            held = LocalKey((link.raw,))
            columns = f"{child.local.text(self.connection)}, {held.text(self.connection)}"
            select = f"SELECT {columns} FROM {self.connection.ops.quote_name(child.table)}"
            for child_pk, value in select_in(self.connection, select, held, values):
                pending = by_pk[values[value]]
                self.children.setdefault(pending.place, []).append((child.label, child_pk, link))
        for pk, found in dependents(self.session, model, list(by_pk)).items():
            self.dependents[by_pk[pk].place] = found

    # ------------------------------------------------------------------ the fixed point

    def _settle(self) -> None:
        """Take rows out until nothing breaks: first those that break against rows outside, then the larger key."""
        while True:
            outside = {place: block for place in self.set if (block := self._against_outside(place))}
            if outside:
                for place, block in outside.items():
                    self._leave(place, block)
                continue
            contested = {wish: self._in_set(places) for wish, places in self.uniques.wanted.items()}
            rivals = {wish: places for wish, places in contested.items() if len(places) > 1}
            if not rivals:
                return
            loser = max(max(places, key=order) for places in rivals.values())
            wish, places = next((wish, places) for wish, places in rivals.items() if loser in places)
            others = [place for place in places if place != loser]
            self._leave(loser, Block("unique", others[:1], f"{self.uniques.shown[wish]} is wanted by another row too"))

    def _in_set(self, places: list[Place]) -> list[Place]:
        return [place for place in places if place in self.set]

    def _leave(self, place: Place, block: Block) -> None:
        self.blocked[place] = block
        pending = self.set.pop(place)
        self.by_pk.pop((pending.row.model, pending.local.pk or ""), None)

    def _against_outside(self, place: Place) -> Block | None:
        pending = self.set[place]
        if pending.content is None:
            return self._children_left(place)
        for one, parent, stands in self.parents.get(place, ()):
            leaving = self.set.get(parent)
            there = stands if leaving is None else leaving.content is not None
            if not there and self._nowhere(one, parent):
                continue
            later = isinstance(one, GenericId) and not stands and self.rank[parent[0]] > self.rank[place[0]]
            if later and not pointers.known_ahead(self.session, parent):
                there = False  # it has no number yet when this row is written
            if not there:
                return Block("parent", [parent], f"{one.name} points to a row that is not here")
        for wish, holder in self.uniques.holders.get(place, ()):
            if not self._lets_go(wish, holder):
                return Block("unique", [], f"{self.uniques.shown[wish]} is held by another row", holder)
        return None

    def _lets_go(self, wish: Wish, holder: str) -> bool:
        """Whether the row that holds the unique value is in the set, and will hold it no longer."""
        pending = self.by_pk.get((wish.model, holder))
        if pending is None:
            return False
        return pending.content is None or pending.place not in self.uniques.wanted[wish]

    def _children_left(self, place: Place) -> Block | None:
        found = self.dependents.get(place)
        if found is not None and found.refused:
            return Block("protected", [], found.refused)
        left: dict[str, list[str]] = {}
        for label, pk, link in self.children.get(place, ()):
            child = self.by_pk.get((label, pk))
            stays = child is None or child.place not in self.set or not self._moves_away(child, link, place)
            if stays and not (link.loose and self._let_go(label, pk, link)):
                left.setdefault(label, []).append(pk)
        if not left:
            return None
        needs = [need for label, pks in left.items() for need in self._places(label, pks)]
        return Block("children", needs, "rows that point to it are still here")

    def _nowhere(self, one: SyncField, parent: Place) -> bool:
        """Whether the source does not have it either, and the row may point at nothing."""
        if not one.loose or not plain_reference(one):
            return False
        return parent[0] not in self.models or self.session.answered.get(parent, ((), ()))[1] is None

    def _let_go(self, label: str, pk: str, link: SyncField) -> bool:
        """Whether the source has that child, and there it points at nothing: the deletion is no news to it."""
        for place in self._places(label, [pk]):
            names, content = self.session.answered.get(place, ((), None))
            if content is not None and link.name in names:
                return is_gone(content[names.index(link.name)])
        return False

    @staticmethod
    def _moves_away(child: Pending, field: SyncField, place: Place) -> bool:
        if child.content is None:
            return True
        if field.name not in child.names:
            return False
        value = child.content[child.names.index(field.name)]
        return value is None or isinstance(value, dict) or (str(field.target), as_key(value)) != place

    def _places(self, label: str, pks: Sequence[str]) -> list[Place]:
        """The wire keys of rows that stand here."""
        reader = Reader(self.connection, self.models[label])
        return [(label, row.key) for row in reader.by_pk(list(pks)[:100]).values()]

    def _name(self) -> None:
        """Say which rows are in the way: their owner reads it here, and no peer does."""
        by_model: dict[str, set[str]] = {}
        for (label, _), block in self.blocked.items():
            if block.holder:
                by_model.setdefault(label, set()).add(block.holder)
        standing = {label: Reader(self.connection, self.models[label]).by_pk(pks) for label, pks in by_model.items()}
        for (label, _), block in self.blocked.items():
            names = [named(place) for place in block.needs]
            if block.holder in standing.get(label, {}):
                block.needs = [(label, standing[label][block.holder].key)]
                names = [f"{label} {block.holder}" if self.models[label].origin else named(block.needs[0])]
            if names:
                block.detail = f"{block.detail} ({listed(names)})"


def _said(pending: Pending, content: Sequence[Any] | None, name: str) -> Any:
    """What a content of that row says of a field; None where it does not have it."""
    return content[pending.names.index(name)] if content is not None and name in pending.names else None


def order(place: Place) -> tuple[str, str]:
    from peersync.rows import key_json

    key = place[1]
    return place[0], f"{key[0]:020d}" if len(key) == 1 and isinstance(key[0], int) else key_json(key)


def tombstoned(session: Session, place: Place) -> bool:
    """Whether a tombstone of that key stands here."""
    return place[1] in {
        key_from_json(text) for text in states.load_tombstones(session.connection, place[0], [_json(place[1])])
    }


def _json(key: Key) -> str:
    from peersync.rows import key_json

    return key_json(key)
