"""Object ids of generic foreign keys on their way into the database: keys of rows become their numbers here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import ForeignKey

from peersync.apply.session import Session
from peersync.generics import GenericId, has_key, is_gone, is_pointer, ordered, pk_text
from peersync.records import Key
from peersync.registry import SyncModel
from peersync.rows import as_key, existing, find_model

Place = tuple[str, Key]


def place_of(value: Any) -> Place | None:
    """Model and key of the row that an object id's wire value points to; None where it points to none."""
    return (value["of"], as_key(value["key"])) if is_pointer(value) else None


def taken(value: dict[str, Any], here: Any) -> dict[str, Any]:
    """The value to take of an incoming one: what stands here, where that says the same.

    An id that points to no row, at the source and here, keeps the number that it has here; so does one whose row was
    deleted at the source and still stands here.
    """
    if is_gone(value) and isinstance(here, dict) and here.get("of") == value["of"]:
        both = is_gone(here) and (not _empty(value["gone"]) or _empty(here["gone"]))
        if both or (is_pointer(here) and here["key"] == value["key"]):
            return here
    return ordered(value)


def emptied(field: GenericId, value: dict[str, Any], here: Any) -> bool:
    """Whether it says nothing of where it points to, while this side's points to a row of that model."""
    return is_gone(value) and value["gone"] == field.empty and is_pointer(here) and here["of"] == value["of"]


def _empty(value: Any) -> bool:
    return value is None or value == ""


def standing(session: Session, places: Iterable[Place]) -> dict[Place, str]:
    """Those of the rows that stand here → their local primary keys."""
    keys: dict[str, dict[Key, None]] = {}
    for label, key in places:
        keys.setdefault(label, {})[key] = None
    models = session.view.registry.models
    return {
        (label, key): pk
        for label, wanted in keys.items()
        if label in models
        for key, pk in find_model(session.connection, models[label], wanted).items()
    }


def visible(session: Session, found: Mapping[Place, str]) -> set[Place]:
    """Those that the peer may point to: a row that it was never shown is for it as one that is not there."""
    kept = set(found)
    for label in {label for label, _ in found}:
        if session.view.filtered(label):
            pks = {pk for (of, _), pk in found.items() if of == label}
            hidden = session.view.kept_from(session.node, session.batch.source, label, pks)
            kept -= {place for place, pk in found.items() if place[0] == label and pk in hidden}
    return kept


def numbered_by(session: Session, place: Place) -> Place:
    """The row whose primary key that one has: of a child its parent, at any depth; else itself."""
    label, key = place
    models = session.view.registry.models
    while label in models and len(key) == 1 and models[label].key[0].target in models:
        if not isinstance(models[label].model._meta.pk, ForeignKey):
            break
        label, key = str(models[label].key[0].target), as_key(key[0])
    return label, key


def known_ahead(session: Session, place: Place) -> bool:
    """Whether such a row has its number before it is written, if others of the same set need it."""
    model = session.view.registry.models.get(numbered_by(session, place)[0])
    return model is not None and (model.origin or model.pk.automatic)


class Pointers:
    """Local values of the object ids of one field."""

    def __init__(self, session: Session, field: GenericId, values: Sequence[Any]) -> None:
        self.session, self.field = session, field
        places = [(v["of"], as_key(v["key"])) for v in values if has_key(v)]
        self.found = standing(session, places)
        self.found |= self._coming([place for place in places if place not in self.found])
        self.taken = self._taken(values)

    def _coming(self, places: Sequence[Place]) -> dict[Place, str]:
        """Of rows that this set makes later on; a child may be added to a parent that stands."""
        if not self.session.coming:
            return {}
        bases = {place: numbered_by(self.session, place) for place in places}
        there = standing(self.session, {base for place, base in bases.items() if base != place})
        numbers = {place: self.session.coming.get(base[0], {}).get(base[1]) for place, base in bases.items()}
        return {place: pk for place, base in bases.items() if (pk := numbers[place] or there.get(base)) is not None}

    def _taken(self, values: Sequence[Any]) -> set[tuple[str, str]]:
        """Numbers under which a row stands here, of ids that point to no row at the source."""
        texts: dict[str, set[str]] = {}
        for value in values:
            if is_gone(value) and (text := pk_text(value["of"], value["gone"])) is not None:
                texts.setdefault(value["of"], set()).add(text)
        models: Mapping[str, SyncModel] = self.session.view.registry.models
        return {
            (label, text)
            for label, wanted in texts.items()
            if label in models
            for text in existing(self.session.connection, models[label], wanted)
        }

    def text(self, value: Any) -> str | None:
        """The primary key here of the row that is pointed to, as text; None where it is none."""
        return self.found.get((value["of"], as_key(value["key"]))) if has_key(value) else None

    def local(self, value: Any) -> Any:
        """The wire value of the column here. KeyError where the row that is pointed to is not here."""
        if is_pointer(value):
            return self._typed(self.found[value["of"], as_key(value["key"])])
        if not is_gone(value):
            return value
        text = self.text(value)
        if text is not None:
            return self._typed(text)
        return self.field.empty if (value["of"], pk_text(value["of"], value["gone"])) in self.taken else value["gone"]

    def _typed(self, text: str) -> Any:
        """A primary key as the column of object ids says it."""
        return int(text) if self.field.raw.wire == "int" else text


def local_texts(session: Session, field: GenericId, values: Sequence[Any]) -> set[str]:
    """The key texts that the field's column has here for these values."""
    found = Pointers(session, field, values)
    texts = (found.text(value) if isinstance(value, dict) else str(value) for value in values)
    return {text for text in texts if text is not None}


__all__ = ["Place", "Pointers", "known_ahead", "local_texts", "numbered_by", "place_of", "standing", "taken", "visible"]
