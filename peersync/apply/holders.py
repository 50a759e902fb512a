"""Who holds the unique values that incoming rows want: looked up in sets, by the constraints over plain columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from peersync.apply import pointers
from peersync.apply.blocks import Place
from peersync.apply.session import Pending, Session
from peersync.codec import key_text
from peersync.generics import GenericId
from peersync.local_keys import LocalKey, select_in
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, as_key, find

Values = tuple[str, ...]


class Wish(NamedTuple):
    """One value of one unique constraint; ``by_index``: of an index of the database, and the values are a number for them."""

    model: str
    constraint: str
    values: Values
    by_index: bool = False


@dataclass(slots=True)
class Uniques:
    """``wanted``: the rows that will have a value; ``holders``: per row what it wants of others, with their local primary
    keys; ``shown``: a value for people."""

    wanted: dict[Wish, list[Place]] = field(default_factory=dict)
    holders: dict[Place, list[tuple[Wish, str]]] = field(default_factory=dict)
    shown: dict[Wish, str] = field(default_factory=dict)

    def want(self, wish: Wish, pending: Pending, shown: str) -> None:
        self.wanted.setdefault(wish, []).append(pending.place)
        self.shown[wish] = shown

    def hold(self, wish: Wish, pending: Pending, holder: str) -> None:
        """Another row holds what this one wants."""
        if holder != pending.local.pk:
            self.holders.setdefault(pending.place, []).append((wish, holder))


class Holders:
    """Of one model; ``pendings``: what is to be written, deletions aside."""

    def __init__(self, session: Session, model: SyncModel, pendings: Sequence[Pending]) -> None:
        self.session, self.model, self.pendings = session, model, pendings
        self.connection = session.connection

    def look(self, found: Uniques) -> None:
        by_column = {f.column: f for f in self.model.fields}
        for columns in self.model.uniques:
            if not all(column in by_column for column in columns):
                continue
            fields = [by_column[column] for column in columns]
            wanting = [(p, texts) for p in self.pendings if (texts := self._values(p, fields)) is not None]
            if wanting:
                self._note("/".join(columns), fields, wanting, found)

    def _note(
        self, name: str, fields: Sequence[SyncField], wanting: Sequence[tuple[Pending, Values]], found: Uniques
    ) -> None:
        stored = self._stored(fields, {texts for _, texts in wanting})
        said = ", ".join(field.name for field in fields)
        for pending, texts in wanting:
            wish = Wish(self.model.label, name, texts)
            found.want(wish, pending, f"{said} = {', '.join(texts)}")
            if texts in stored:
                found.hold(wish, pending, stored[texts])

    @staticmethod
    def _values(pending: Pending, fields: Sequence[SyncField]) -> Values | None:
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

    def _stored(self, fields: Sequence[SyncField], wanted: set[Values]) -> dict[Values, str]:
        """Who holds these values: texts → local primary key."""
        lead = next((i for i, f in enumerate(fields) if f.target is None and not isinstance(f, GenericId)), None)
        if lead is not None:
            return self._held(fields, fields[lead], {texts[lead] for texts in wanted}, wanted)
        # over keys of other rows alone (a one-to-one, a pair): looked up by the first one's rows
        first = next((f for f in fields if isinstance(f, GenericId)), fields[0])
        said = list(self._first_values(first))
        if isinstance(first, GenericId):
            local = pointers.local_texts(self.session, first, said)
        else:
            keys = {as_key(_hashable(value)) for value in said}
            local = set(find(self.connection, str(first.target), keys, first.target_column).values())
        return self._held(fields, first, local, wanted)

    def _held(
        self, fields: Sequence[SyncField], lead: SyncField, held: set[str], wanted: set[Values]
    ) -> dict[Values, str]:
        """Of the rows whose ``lead`` holds one of these texts: who holds what is wanted."""
        reader = Reader(self.connection, self.model, fields)
        rows = reader.rows(select_in(self.connection, reader.select(), LocalKey((lead.raw,)), held, "t"))
        found = {tuple(map(_text, row.content)): row.pk for row in rows}
        return {texts: pk for texts, pk in found.items() if texts in wanted}

    def _first_values(self, first: SyncField) -> Iterable[Any]:
        for pending in self.pendings:
            if pending.content and first.name in pending.names:
                value = pending.content[pending.names.index(first.name)]
                if value is not None and not (first.loose and isinstance(value, dict)):
                    yield value


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, (list, tuple, dict)) else key_text(value)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(v) for v in value) if isinstance(value, (list, tuple)) else value
