"""What stands against writing a set of rows: the largest part of it that breaks no constraint when all of it is written.

Parents that are missing, unique values that other rows hold, children that would be left. Looked up in sets, decided in
memory: a row of the set may rely on what the others of the set will have done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from peersync import states
from peersync.apply import pointers
from peersync.apply.cascade import Dependents, dependents
from peersync.apply.session import Pending, Session
from peersync.codec import key_text
from peersync.generics import GenericId
from peersync.local_keys import LocalKey
from peersync.records import Key
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, as_key, find, key_from_json, referenced, select_in

Place = tuple[str, Key]
Values = tuple[str, ...]


@dataclass(slots=True)
class Block:
    """Why a row can't be written now, and the rows that it waits for. ``inside``: all of those are in the set."""

    reason: str
    needs: list[Place] = field(default_factory=list)
    detail: str = ""


@dataclass(slots=True)
class Plan:
    """``rows``: to be written together; ``blocked``: those that wait; ``parked``: unique values that change hands."""

    rows: list[Pending]
    blocked: dict[Place, Block]
    parked: bool = False
    dependents: dict[Place, Dependents] = field(default_factory=dict)


class Weigher:
    """Facts of the database about a set of rows, and the fixed point over them."""

    def __init__(self, session: Session, pendings: Sequence[Pending]) -> None:
        self.session = session
        self.connection = session.connection
        self.models = session.view.registry.models
        self.rank = session.view.registry.rank
        self.set: dict[Place, Pending] = {p.place: p for p in pendings if p.writes}
        self.by_pk = {(p.row.model, p.local.pk): p for p in self.set.values() if p.local.pk is not None}
        self.blocked: dict[Place, Block] = {}
        self.parents: dict[Place, list[tuple[SyncField, Place, bool]]] = {}
        self.holders: dict[Place, list[tuple[str, Values, str | None]]] = {}
        self.wanted: dict[tuple[str, tuple[str, ...], Values], list[Place]] = {}
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
        parked = any(holder is not None for place in self.set for _, _, holder in self.holders.get(place, ()))
        rows = list(self.set.values())
        kept = {place: found for place, found in self.dependents.items() if place in self.set}
        return Plan(rows, self.blocked, parked, kept)

    # ------------------------------------------------------------------ facts

    def _look_at_parents(self, model: SyncModel, pendings: list[Pending]) -> None:
        for name in {f.name for f in model.foreign_keys}:
            field = next(f for f in model.foreign_keys if f.name == name)
            values: dict[Place, Key] = {}
            for pending in pendings:
                if name in pending.names:
                    value = (pending.content or ())[pending.names.index(name)]
                    if value is not None:
                        values[pending.place] = as_key(value)
            if not values:
                continue
            target = str(field.target)
            standing = find(self.connection, target, values.values(), field.target_column)
            if self.session.view.filtered(target):
                hidden = self._hidden(target, field, set(standing.values()))
                standing = {key: text for key, text in standing.items() if text not in hidden}
            for place, key in values.items():
                self.parents.setdefault(place, []).append((field, (target, key), key in standing))

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
        from peersync import views

        hidden = self.session.view.hidden_targets(target, field.target_column, texts)
        known = views.remembered(self.session.node, self.session.batch.source, target, hidden)
        return {pk for pk in hidden if known.get(pk, views.OUT_OF_VIEW) == views.OUT_OF_VIEW}

    def _look_at_uniques(self, model: SyncModel, pendings: list[Pending]) -> None:
        by_column = {f.column: f for f in model.fields}
        for columns in model.uniques:
            if not all(column in by_column for column in columns):
                continue
            fields = [by_column[column] for column in columns]
            values: dict[Place, Values] = {}
            for pending in pendings:
                found = self._values(pending, fields)
                if found is not None:
                    values[pending.place] = found
            if values:
                self._note_holders(model, columns, fields, values)

    def _values(self, pending: Pending, fields: Sequence[SyncField]) -> Values | None:
        """The texts of these fields in the incoming content; None where one is null, absent or not to be looked up."""
        texts = []
        for one in fields:
            if one.name not in pending.names or pending.content is None:
                return None
            value = pending.content[pending.names.index(one.name)]
            if value is None or one.raw.wire in ("float", "json") or one.raw.wire.startswith("native"):
                return None
            texts.append(_text(value))
        return tuple(texts)

    def _note_holders(
        self,
        model: SyncModel,
        columns: tuple[str, ...],
        fields: Sequence[SyncField],
        values: dict[Place, Values],
    ) -> None:
        for place, texts in values.items():
            self.wanted.setdefault((model.label, columns, texts), []).append(place)
        holders = self._stored(model, fields, set(values.values()))
        for place, texts in values.items():
            holder = holders.get(texts)
            if holder is not None and holder != self.set[place].local.pk:
                self.holders.setdefault(place, []).append(("/".join(columns), texts, holder))

    def _stored(self, model: SyncModel, fields: Sequence[SyncField], wanted: set[Values]) -> dict[Values, str]:
        """Who holds these values: texts → local primary key."""
        reader = Reader(self.connection, model, fields)
        lead = next((i for i, f in enumerate(fields) if f.target is None and not isinstance(f, GenericId)), None)
        if lead is None:
            return self._stored_by_keys(model, fields, wanted)
        return self._held(reader, fields[lead], {texts[lead] for texts in wanted}, wanted)

    def _held(self, reader: Reader, lead: SyncField, held: set[str], wanted: set[Values]) -> dict[Values, str]:
        """Of the rows whose ``lead`` holds one of these texts: who holds what is wanted."""
        rows = reader.rows(select_in(self.connection, reader.select(), LocalKey((lead.raw,)), held, "t"))
        found = {tuple(map(_text, row.content)): row.pk for row in rows}
        return {texts: pk for texts, pk in found.items() if texts in wanted}

    def _stored_by_keys(self, model: SyncModel, fields: Sequence[SyncField], wanted: set[Values]) -> dict[Values, str]:
        """The same for a constraint over foreign keys alone (a one-to-one, a pair): looked up by the first one's rows."""
        first = next((f for f in fields if isinstance(f, GenericId)), fields[0])
        said = list(self._first_values(model, first))
        if isinstance(first, GenericId):
            local = pointers.local_texts(self.session, first, said)
        else:
            keys = {as_key(_hashable(value)) for value in said}
            local = set(find(self.connection, str(first.target), keys, first.target_column).values())
        return self._held(Reader(self.connection, model, fields), first, local, wanted)

    def _first_values(self, model: SyncModel, first: SyncField) -> Iterable[Any]:
        for pending in self.set.values():
            if pending.row.model == model.label and pending.content and first.name in pending.names:
                value = pending.content[pending.names.index(first.name)]
                if value is not None:
                    yield value

    def _look_at_children(self, model: SyncModel, pendings: list[Pending]) -> None:
        if not pendings:
            return
        by_pk = {str(p.local.pk): p for p in pendings}
        for child, link in self.session.view.registry.children.get(model.label, ()):
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
            rivals = [places for places in map(self._in_set, self.wanted.values()) if len(places) > 1]
            if not rivals:
                return
            loser = max(max(places, key=_order) for places in rivals)
            others = [p for places in rivals if loser in places for p in places if p != loser]
            self._leave(loser, Block("unique", others[:1]))

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
            if isinstance(one, GenericId) and not stands and self.rank[parent[0]] > self.rank[place[0]]:
                there = False  # it has no number yet when this row is written
            if not there:
                return Block("parent", [parent], f"{one.name} points to a row that is not here")
        for columns, texts, holder in self.holders.get(place, ()):
            if not self._lets_go(place[0], columns, texts, str(holder)):
                needs = self._places(place[0], [str(holder)])
                return Block("unique", needs, f"{columns} = {', '.join(texts)} is held by another row")
        return None

    def _lets_go(self, label: str, columns: str, texts: Values, holder: str) -> bool:
        """Whether the row that holds the unique value is in the set, and will hold it no longer."""
        pending = self.by_pk.get((label, holder))
        if pending is None or pending.place not in self.set:
            return False
        wanted = self.wanted.get((label, tuple(columns.split("/")), texts), [])
        return pending.content is None or pending.place not in wanted

    def _children_left(self, place: Place) -> Block | None:
        found = self.dependents.get(place)
        if found is not None and found.refused:
            return Block("protected", [], found.refused)
        left: dict[str, list[str]] = {}
        for label, pk, link in self.children.get(place, ()):
            child = self.by_pk.get((label, pk))
            if child is None or child.place not in self.set or not self._moves_away(child, link, place):
                left.setdefault(label, []).append(pk)
        if not left:
            return None
        needs = [need for label, pks in left.items() for need in self._places(label, pks)]
        return Block("children", needs, "rows that point to it are still here")

    @staticmethod
    def _moves_away(child: Pending, field: SyncField, place: Place) -> bool:
        if child.content is None:
            return True
        if field.name not in child.names:
            return False
        value = child.content[child.names.index(field.name)]
        return value is None or (str(field.target), as_key(value)) != place

    def _places(self, label: str, pks: Sequence[str]) -> list[Place]:
        """The wire keys of rows that stand here."""
        reader = Reader(self.connection, self.models[label])
        return [(label, row.key) for row in reader.by_pk(list(pks)[:100]).values()]


def _said(pending: Pending, content: Sequence[Any] | None, name: str) -> Any:
    """What a content of that row says of a field; None where it does not have it."""
    return content[pending.names.index(name)] if content is not None and name in pending.names else None


def _text(value: Any) -> str:
    """One text for one value: who else has it is looked up by that."""
    return repr(value) if isinstance(value, (list, tuple, dict)) else key_text(value)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(v) for v in value) if isinstance(value, (list, tuple)) else value


def _order(place: Place) -> tuple[str, str]:
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
