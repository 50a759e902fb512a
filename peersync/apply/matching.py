"""Rows that stood at both sides before, and are one row because they say the same (MATCH ``content``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peersync import bases, origins
from peersync.apply.parts import in_parts
from peersync.apply.session import Pending, Session
from peersync.generics import GenericId
from peersync.records import Key
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, Stored

Found = dict[str, dict[Key, int]]
Names = Mapping[str, Mapping[Key, Key]]


def matched(session: Session, pendings: Mapping[str, Sequence[Pending]]) -> Found:
    """Label → incoming key → the primary key of the row here that it is, for rows that nobody matched before.

    All that could be one row are taken to be one, and those that say something else are taken out, with what then
    points elsewhere, until nothing changes: so rows that point at each other are matched together.
    """
    rivals = {label: _Rivals(session, session.model(label), rows) for label, rows in pendings.items()}
    rivals = {label: found for label, found in rivals.items() if found.pairs}
    while rivals:
        names = {label: found.names() for label, found in rivals.items()}
        if not any(found.sift(names) for found in rivals.values()):
            break
    return {label: {key: int(row.pk) for key, (_, row) in found.pairs.items()} for label, found in rivals.items()}


class _Rivals:
    """Of one model: incoming rows that nobody here knows, each with a row here that had its number where it stood."""

    def __init__(self, session: Session, model: SyncModel, pendings: Sequence[Pending]) -> None:
        self.session, self.model = session, model
        self.connection = session.connection
        self.pairs: dict[Key, tuple[Pending, Stored]] = {}
        agreed = bases.load(session.connection, model.label).met.get(session.batch.source_install)
        if agreed is not None and agreed.how == "content":
            self._pair([p for p in pendings if p.row.base and p.row.content is not None])

    def _pair(self, pendings: Sequence[Pending]) -> None:
        """Only rows whose birth nobody saw, on either side."""
        called = [(p, [key for key in (p.row.key, *p.row.earlier) if origins.valid(key)]) for p in pendings]
        known = {key for _, keys in called for key in keys}
        known = {*origins.named(self.connection, self.model.label, known), *self._own(known)}
        unknown = {p.row.key: (p, _number(keys)) for p, keys in called if known.isdisjoint(keys)}
        here = self._standing({number for _, number in unknown.values() if number is not None})
        taken: set[str] = set()
        for key, (pending, number) in unknown.items():
            for row in here.get(number or 0, ()):
                if row.pk not in taken and self._alike(pending, row, None):
                    taken.add(row.pk)
                    self.pairs[key] = pending, row
                    break

    def _own(self, keys: Iterable[Key]) -> set[Key]:
        """Those of the keys that are of this node's own base, standing or not."""
        base = origins.base_name(self.connection, self.model.label)
        return {key for key in keys if key[0] == base}

    def _standing(self, numbers: set[int]) -> dict[int, list[Stored]]:
        """Rows here that stood somewhere before under these numbers: of this node's own base, and of others'."""
        base = origins.base_name(self.connection, self.model.label)
        own = origins.find(self.connection, self.model.model, [(base, number) for number in numbers])
        places: dict[int, list[int]] = {key[1]: [local] for key, local in own.items()}
        for number, locals_ in origins.of_number(self.connection, self.model.label, numbers).items():
            places.setdefault(number, []).extend(locals_)
        pks = {str(local) for locals_ in places.values() for local in locals_}
        stored = Reader(self.connection, self.model).by_pk(pks)
        return {
            number: [stored[str(local)] for local in dict.fromkeys(locals_) if str(local) in stored]
            for number, locals_ in places.items()
        }

    def names(self) -> dict[Key, Key]:
        """What the incoming rows are called here, if they are those."""
        return {key: row.key for key, (_, row) in self.pairs.items()}

    def sift(self, names: Names) -> bool:
        """Take out those that say something else; whether there were any."""
        other = [key for key, pair in self.pairs.items() if not self._alike(*pair, names)]
        for key in other:
            del self.pairs[key]
        return bool(other)

    def _alike(self, pending: Pending, row: Stored, names: Names | None) -> bool:
        """Whether both say the same; without names, what they point to is not looked at."""
        fields = {field.name: field for field in self.model.fields}
        chosen = [fields[name] for name in pending.names]
        said = in_parts(chosen, pending.row.content or (), names or {})
        stands: list[Any] = [row.content[self.model.names.index(name)] for name in pending.names]
        pairs = zip(chosen, said, stands, strict=True)
        return all(one == other for field, one, other in pairs if names is not None or not _points(field))


def _points(field: SyncField) -> bool:
    return field.target is not None or isinstance(field, GenericId)


def _number(keys: Sequence[Key]) -> int | None:
    """The number that a row had where it stood before; None where its birth was captured."""
    return next((int(key[1]) for key in keys if origins.is_base(key)), None)
