"""Users who do to rows of every shape what users do, each at a node of their own, and what then stands there.

A row is known by its text, which no other row bears. Who does what with which row is told by numbers, so that a
history can be played again. No code of peersync is in here.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction

from tests.shapes import models as shapes

APP = "shapes"
HOME = {shapes.Outsider}
"""Stays at home: pointed at by rows that travel."""
TRAVELS: list[type[models.Model]] = [
    shapes.Customer,
    shapes.Order,
    shapes.Line,
    shapes.Place,
    shapes.Restaurant,
    shapes.Pizzeria,
    shapes.Cafe,
    shapes.Person,
    shapes.Passport,
    shapes.Country,
    shapes.City,
    shapes.Loose,
    shapes.Pointer,
    shapes.Left,
    shapes.Right,
    shapes.Hen,
    shapes.Egg,
    shapes.Member,
    shapes.Club,
    shapes.Membership,
    shapes.Hidden,
    shapes.Envelope,
    shapes.Seat,
    shapes.Note,
    shapes.Remark,
]
LABELS = [model._meta.label for model in TRAVELS]
OWN = {shapes.Seat, shapes.Membership, shapes.Passport}
"""Have values that only one row may have: each user changes what was made at its own node, or two would collide."""
POINTED_AT = (shapes.Person, shapes.Seat, shapes.Pizzeria, shapes.Member)
PAIRS: list[tuple[type[models.Model], str]] = [
    (shapes.Person, "friends"),
    (shapes.Person, "admires"),
    (shapes.Order, "watchers"),
]
NOWHERE = 10**12
"""Added to a number, it is that of no row."""

Image = dict[str, list[tuple[Any, ...]]]


def image(alias: str) -> Image:
    """All that travels, as it stands there: numbers are replaced by the texts of the rows that they mean."""
    found = {model._meta.label: _rows(model, alias) for model in TRAVELS}
    for model, name in PAIRS:
        through = getattr(model, name).through
        ends = [f"{field.name}__text" for field in through._meta.fields if field.is_relation]
        found[through._meta.label] = sorted(through._base_manager.using(alias).values_list(*ends), key=repr)
    return found


def texts(alias: str) -> set[str]:
    """Of every row there is, and "model text" for the tables of heirs, whose rows share their parent's."""
    return {
        f"{model.__name__} {text}"
        for model in TRAVELS
        for text in model._base_manager.using(alias).values_list("text", flat=True)
    }


def _rows(model: type[models.Model], alias: str) -> list[tuple[Any, ...]]:
    names = []
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey):
            if field.related_model is ContentType:
                names.append(f"{field.name}__model")
            elif field.related_model not in HOME:
                names.append(f"{field.name}__text")
        elif field.name not in ("id", "object_id"):
            names.append(field.name)
    if "object_id" in {field.name for field in model._meta.fields}:
        return sorted(((*row, _meaning(alias, *ids)) for *ids, row in _with_ids(model, alias, names)), key=repr)
    return sorted(model._base_manager.using(alias).values_list(*names), key=repr)


def _with_ids(model: type[models.Model], alias: str, names: list[str]) -> list[tuple[Any, ...]]:
    rows = model._base_manager.using(alias).values_list("content_type", "object_id", *names)
    return [(kind, number, row) for kind, number, *row in rows]


def _meaning(alias: str, kind: int | None, number: Any) -> Any:
    """What a generic key points at: the text of that row; itself, where it points at nothing."""
    if kind is None or number in (None, ""):
        return repr(number)
    model = ContentType.objects.using(alias).get(pk=kind).model_class()
    assert model is not None
    row = model._base_manager.using(alias).filter(pk=number).values_list("text", flat=True).first()
    return row if row is not None else "nothing"


class User:
    """Works at one node. ``first``: where the numbers of its rows begin; None: the database numbers them."""

    def __init__(self, alias: str, first: int | None, *, bulk: bool) -> None:
        """``bulk``: write with ``update()`` too, which sends no signal."""
        shapes.Outsider.objects.using(alias).create(id=1, text=f"of {alias}")
        self.alias, self.bulk = alias, bulk
        self._next, self._made = first, 0
        self.made: set[str] = set()
        self.deleted: set[str] = set()

    def _of(self, model: type[models.Model]) -> Any:
        return model._base_manager.using(self.alias).order_by("text")

    def _pick(self, model: type[models.Model], chance: int, *, own: bool = False) -> Any:
        rows = self._of(model)
        if own:
            rows = rows.filter(text__startswith=f"{self.alias}-")
        count = rows.count()
        return rows[chance % count] if count else None

    def _noting(self, act: Callable[[], None]) -> None:
        before = texts(self.alias)
        with transaction.atomic(using=self.alias):
            act()
        after = texts(self.alias)
        self.made |= after - before
        self.deleted = (self.deleted | (before - after)) - (after - before)

    # ------------------------------------------------------------------ what they do

    def make(self, model: type[models.Model], chance: int) -> None:
        self._noting(lambda: self._make(model, chance))

    def edit(self, model: type[models.Model], chance: int, value: str) -> None:
        """Another value, or another row to point at."""
        row = self._pick(model, chance, own=model in OWN)
        if row is None:
            return
        pointers = [field for field in model._meta.local_fields if self._may_turn(field)]
        if pointers and chance % 3 == 0:
            field: Any = pointers[chance % len(pointers)]
            target = self._pick(field.related_model, chance // 3)
            if target is None and not field.null:
                return
            self._write(row, {field.name: target})
        elif "value" in {field.name for field in model._meta.fields}:
            self._write(row, {"value": value})

    def delete(self, model: type[models.Model], chance: int) -> None:
        row = self._pick(model, chance, own=model in OWN)
        if row is None or (model is shapes.Customer and row.orders.exists()):
            return
        keep = bool(model._meta.parents) and chance % 2 == 0
        self._noting(lambda: row.delete(using=self.alias, keep_parents=keep) and None)

    def pair(self, which: int, chance: int) -> None:
        """Join two rows, or part them."""
        model, name = PAIRS[which % len(PAIRS)]
        row = self._pick(model, chance)
        if row is None:
            return
        manager = getattr(row, name)
        other = self._pick(manager.model, chance // 5)
        if other is None:
            return
        if manager.using(self.alias).filter(pk=other.pk).exists():
            manager.remove(other)
        else:
            manager.add(other)

    def change_seats(self, chance: int) -> None:
        """Two rows change both of their places, by way of none."""
        rows = list(self._of(shapes.Seat).filter(text__startswith=f"{self.alias}-"))
        if len(rows) < 2:
            return
        one, other = rows[chance % len(rows)], rows[(chance + 1) % len(rows)]
        places = [(row.place, row.table, row.chair) for row in (one, other)]
        with transaction.atomic(using=self.alias):
            self._write(one, {"place": None, "table": "nowhere", "chair": -one.pk})
            for row, (place, table, chair) in ((other, places[0]), (one, places[1])):
                self._write(row, {"place": place, "table": table, "chair": chair})

    # ------------------------------------------------------------------ how they do it

    def _may_turn(self, field: Any) -> bool:
        plain = isinstance(field, models.ForeignKey) and not isinstance(field, models.OneToOneField)
        return (
            plain
            and field.related_model not in {ContentType, *HOME}
            and field.model not in OWN | {shapes.Hen, shapes.Egg}
        )

    def _write(self, row: Any, values: dict[str, Any]) -> None:
        if self.bulk:
            type(row)._base_manager.using(self.alias).filter(pk=row.pk).update(**values)
        else:
            for name, value in values.items():
                setattr(row, name, value)
            row.save(using=self.alias)

    def _text(self) -> str:
        self._made += 1
        return f"{self.alias}-{self._made}"

    def _number(self) -> dict[str, int]:
        if self._next is None:
            return {}
        self._next += 1
        return {"id": self._next}

    def _numbers(self, model: type[models.Model]) -> dict[str, int]:
        return self._number() if isinstance(model._meta.pk, models.AutoField) else {}

    def _make(self, model: type[models.Model], chance: int) -> Any:
        special: dict[type[models.Model], Callable[[int], Any]] = {
            shapes.Hen: self._hen_and_egg,
            shapes.Egg: self._hen_and_egg,
            shapes.Passport: self._passport,
            shapes.Membership: self._membership,
            shapes.Restaurant: lambda chance: self._heir(shapes.Restaurant, chance),
            shapes.Pizzeria: lambda chance: self._heir(shapes.Pizzeria, chance),
            shapes.Cafe: lambda chance: self._heir(shapes.Cafe, chance),
        }
        if model in special:
            return special[model](chance)
        values: dict[str, Any] = {"text": self._text(), **self._numbers(model)}
        for number, field in enumerate(model._meta.local_fields):
            if isinstance(field, models.ForeignKey) and field.related_model not in {ContentType, *HOME}:
                values[field.name] = self._target(field, chance // (number + 2))
        values.update(self._own_values(model, chance))
        return self._of(model).create(**values)

    def _target(self, field: Any, chance: int) -> Any:
        if field.null and chance % 2:
            return None
        found = self._pick(field.related_model, chance)
        if found is None and not field.null:
            found = self._make(field.related_model, chance)
        return found

    def _own_values(self, model: type[models.Model], chance: int) -> dict[str, Any]:
        text = f"{self.alias}-{self._made}"
        if model is shapes.Country:
            return {"code": f"code of {text}"}
        if model is shapes.Hidden:
            return {"gone": chance % 2 == 0}
        if model is shapes.Seat:
            return {"place": text, "table": self.alias, "chair": self._made}
        if model is shapes.Pointer:
            return {"outsider_id": 1}
        if model in (shapes.Note, shapes.Remark):
            return self._generic(model, chance)
        return {}

    def _generic(self, model: type[models.Model], chance: int) -> dict[str, Any]:
        target = POINTED_AT[chance % len(POINTED_AT)]
        row = self._pick(target, chance // 4)
        if row is None or chance % 5 == 0:
            return {}
        kind = ContentType.objects.db_manager(self.alias).get_for_model(target)
        return {"content_type": kind, "object_id": row.pk if model is shapes.Note else str(row.pk)}

    def _hen_and_egg(self, chance: int) -> None:
        self._made += 1
        text, hen, egg = f"{self.alias}-{self._made}", *([NOWHERE + self._made] * 2)
        numbers = [self._number(), self._number()]
        if numbers[0]:
            hen, egg = numbers[0]["id"], numbers[1]["id"]
            self._of(shapes.Hen).create(id=hen, text=text, egg_id=egg)
            self._of(shapes.Egg).create(id=egg, text=text, hen_id=hen)
            return
        made = self._of(shapes.Hen).create(text=text, egg_id=egg)
        made.egg = self._of(shapes.Egg).create(text=text, hen=made)
        made.save(using=self.alias)

    def _passport(self, chance: int) -> None:
        """For a person made here: two nodes that gave one each would mean one row."""
        person = self._pick(shapes.Person, chance, own=True)
        if person is not None and not shapes.Passport.objects.using(self.alias).filter(pk=person.pk).exists():
            self._of(shapes.Passport).create(person=person, text=self._text())

    def _membership(self, chance: int) -> None:
        club = self._pick(shapes.Club, chance) or self._make(shapes.Club, chance)
        member = self._pick(shapes.Member, chance // 3, own=True) or self._make(shapes.Member, chance)
        if not self._of(shapes.Membership).filter(club=club, member=member).exists():
            self._of(shapes.Membership).create(club=club, member=member, text=self._text(), **self._number())

    def _heir(self, model: type[models.Model], chance: int) -> None:
        """A new row, or a level more for one that is there already."""
        link: Any = next(iter(model._meta.parents.values()))
        parent = next(iter(model._meta.parents))
        below = model._base_manager.using(self.alias).values("pk")
        row = self._of(parent).exclude(pk__in=below).first() if chance % 3 else None
        if row is None:
            self._of(model).create(text=self._text(), **self._number())
            return
        heir = model(**{link.attname: row.pk})
        heir.__dict__.update({name: value for name, value in row.__dict__.items() if name != "_state"})
        heir.save_base(raw=True, using=self.alias)
