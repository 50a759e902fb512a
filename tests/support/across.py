"""Two users at two nodes, and a third database where both of them work at once: what the two must come to.

Everything is looked at with plain queries of Django's, rows named as a user names them; no code of peersync is in here.
"""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django.db import models, transaction
from django.db.models import F, JSONField, Value

from tests.support.pairs import sql
from tests.zoo.models import (
    AllFields,
    Badge,
    Born,
    BornChild,
    Branch,
    Child,
    Parent,
    Secret,
    SelfRef,
    Sku,
    SkuNote,
    Tag,
    Tagged,
    Wide,
)

IDENTITY = {
    "zoo.Sku": ["sku"],
    "zoo.SkuNote": ["sku", "text"],
    "zoo.Tag": ["name"],
    "zoo.Badge": ["code"],
    "zoo.Branch": ["name"],
    "zoo.Born": "origin",
    "zoo.BornChild": "origin",
}
EXCLUDE = {"zoo.Parent": ["e"], "zoo.Secret": ["password"]}

NAMED: dict[type[models.Model], tuple[str, ...]] = {
    Parent: ("id", "x", "y", "u", "b"),
    Child: ("id", "x", "p", "e"),
    Born: ("tag", "x", "y", "u", "b", "e"),
    BornChild: ("tag", "x", "p__tag", "e"),
    Branch: ("name", "parent__name"),
    SelfRef: ("id", "parent", "name"),
    Sku: ("sku", "name", "price"),
    SkuNote: ("sku__sku", "text"),
    Badge: ("code", "holder__sku"),
    Tag: ("name",),
    Tagged: ("id", "name"),
    Tagged.tags.through: ("tagged", "tag__name"),
    Secret: ("id", "name"),
    Wide: tuple(field.name for field in Wide._meta.fields),
    AllFields: tuple(field.name for field in AllFields._meta.fields),
}
"""The synchronised fields of each model, rows with a number of each node's own by what names them."""

NOON = dt.datetime(2026, 2, 28, 12, 0, 0, 123456, tzinfo=dt.UTC)
LOW: dict[str, Any] = {
    "big": -(2**63),
    "binary": bytes(range(256)),
    "boolean": False,
    "char": "ünï ☃ 𝄞 \t\n\"'\\ %s {} \u200b \r\n",
    "date": dt.date.min,
    "datetime": dt.datetime(1, 1, 1, tzinfo=dt.UTC),
    "decimal": Decimal("-12345.0123456789"),
    "duration": dt.timedelta(days=-400, microseconds=1),
    "email": "a@b.example",
    "file": "some/where.txt",
    "file_path": "/tmp/x",
    "float": 1e-310,
    "ip": "2001:db8::1",
    "integer": -(2**31),
    "json": {"z": [1, 2.5, None, True, "ü"], "a": {"nested": {}}, "big": 2**60},
    "positive": 0,
    "positive_big": 2**63 - 1,
    "positive_small": 32767,
    "slug": "a-slug_1",
    "small": -32768,
    "text": "long " * 2000,
    "time": dt.time(23, 59, 59, 999999),
    "url": "https://example.org/?a=b&c=%20",
    "uuid": uuid.UUID(int=0),
}
HIGH: dict[str, Any] = {
    **LOW,
    "big": 2**63 - 1,
    "binary": b"",
    "boolean": True,
    "char": "",
    "date": dt.date.max,
    "datetime": dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
    "decimal": Decimal("0.0000000001"),
    "duration": dt.timedelta(0),
    "float": 0.1 + 0.2,
    "ip": "10.0.0.1",
    "integer": 2**31 - 1,
    "json": [],
    "text": "",
    "time": dt.time(0, 0),
    "uuid": uuid.UUID(int=2**128 - 1),
}


def stands(alias: str) -> dict[str, list[Any]]:
    """All that is synchronised, as it stands in this database."""
    found: dict[str, list[Any]] = {}
    for model, names in NAMED.items():
        rows = model._base_manager.using(alias).values_list(*names)
        found[model._meta.label] = sorted((tuple(map(_plain, row)) for row in rows), key=repr)
    for name, where in {"null": "json IS NULL", "json null": "CAST(json AS TEXT) = 'null'"}.items():
        found[name] = sql(alias, f"SELECT id FROM zoo_allfields WHERE {where} ORDER BY id")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return repr(value) if isinstance(value, (float, Decimal)) else value


class Here:
    """What one user does in a database. ``near_*`` and ``far_*``: the two users; neither does what the other hinders."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def of(self, model: type[models.Model]) -> Any:
        return model._base_manager.using(self.alias)

    def _wide(self, number: int, **values: Any) -> None:
        common = {"number": f"number {number}", "token": uuid.UUID(int=number), "placed": NOON, "ratio": number / 3}
        self.of(Wide).create(id=number, **{**common, **values})

    # ------------------------------------------------------------------ before they meet

    def near_fill(self) -> None:
        for n in range(1, 8):
            self.of(Parent).create(id=n, x=f"ü {n}", u=f"u{n}", e="near's own")
        for n in range(1, 6):
            self.of(Child).create(id=n, p_id=n, x=f"of near {n}", e="travels")
        self.of(Child).create(id=6, p_id=4)
        root = self.of(SelfRef).create(id=1, name="root")
        for n in range(2, 5):
            self.of(SelfRef).create(id=n, parent=root, name=f"branch {n}")
        self.of(SelfRef).filter(id=1).update(parent_id=2)  # a circle
        for name in ("one", "two", "drei ß/%"):
            sku = self.of(Sku).create(sku=name, name=name.upper(), price=Decimal("9.90"))
            for text in ("first", "second"):
                self.of(SkuNote).create(sku=sku, text=text)
            self.of(Badge).create(code=f"badge {name}", holder=sku)
        self.of(Badge).get_or_create(code="of both")
        tags = [self.of(Tag).create(name=name) for name in ("red", "green", "shared")]
        for n in (1, 2, 3):
            self.of(Tagged).create(id=n, name=f"thing {n}").tags.set(tags)
        self.of(Secret).create(id=1, name="open", password="near's own")
        for n in (1, 2, 3):
            born = self.of(Born).create(tag=n, x=f"born {n}", u=f"b{n}")
            self.of(BornChild).create(tag=n, p=born)
        top = self.of(Branch).create(name="top")
        self.of(Branch).create(name="twig", parent=top)
        self._wide(1, parent_id=1, amount=Decimal("12.3456"), data={"a": [None]}, day=dt.date(2026, 1, 1))
        self._wide(2, active=False, text="\\N\t\\.\n")
        for n, values in enumerate(({}, LOW, HIGH), 1):
            self.of(AllFields).create(id=n, **values)
        self.of(AllFields).create(id=4, json=Value(None, JSONField()))

    def far_fill(self) -> None:
        for name in ("gone", "gone too", "and this"):  # other numbers than at the other node
            self.of(Sku).create(sku=name).delete()
            self.of(Tag).create(name=name).delete()
        self.of(Parent).create(id=101, x="of far", u="u101", e="far's own")
        self.of(Child).create(id=101, p_id=101)
        self.of(SelfRef).create(id=101, name="far's root")
        sku = self.of(Sku).create(sku="vier")
        self.of(SkuNote).create(sku=sku, text="first")
        self.of(Badge).create(code="badge vier", holder=sku)
        self.of(Badge).get_or_create(code="of both")
        tag = self.of(Tag).get_or_create(name="shared")[0]
        self.of(Tagged).create(id=101, name="far's thing").tags.add(tag, self.of(Tag).create(name="blue"))
        self.of(Secret).create(id=101, name="far's", password="far's own")
        for n in (101, 102):  # under the numbers that rows have at the other node
            born = self.of(Born).create(tag=n, x=f"born {n}")
            self.of(BornChild).create(tag=n, p=born)
        self.of(Branch).create(name="far's", parent=self.of(Branch).create(name="far's top"))
        self._wide(101, parent_id=101)
        self.of(AllFields).create(id=101, **HIGH)

    # ------------------------------------------------------------------ each on his own

    def near_edits(self) -> None:
        self.of(Parent).filter(id=1).update(x="edited by near", e="home")
        with transaction.atomic(using=self.alias):  # two unique values change places
            self.of(Parent).filter(id__in=[2, 3]).update(u=None)
            self.of(Parent).filter(id=2).update(u="u3")
            self.of(Parent).filter(id=3).update(u="u2")
        self.of(Parent).get(id=4).delete()  # and its two children
        self.of(Child).filter(id=1).update(p_id=101, x="moved by near")
        self.of(Parent).create(id=8, u="u4")  # the value of the deleted one
        self.of(SelfRef).get(id=4).delete()
        self.of(Sku).filter(sku="one").update(sku="renamed", price=F("price") + 1)
        self.of(SkuNote).filter(sku__sku="two", text="second").delete()
        self.of(Badge).filter(code="badge one").update(code="renamed badge")
        self.of(Tag).filter(name="green").update(name="grün")
        self.of(Tagged).get(id=1).tags.remove(self.of(Tag).get(name="red"))
        self.of(Tagged).get(id=101).tags.add(self.of(Tag).get(name="red"))
        self.of(Secret).filter(id=1).update(password="changed at home alone")
        self.of(Born).filter(tag=101).update(x="edited by near")
        self.of(BornChild).create(tag=4, p=self.of(Born).get(tag=102))
        self.of(Born).get(tag=2).delete()  # and its child
        self.of(Branch).filter(name="twig").update(name="renamed twig")
        self.of(AllFields).filter(id=1).update(**LOW)
        self.of(AllFields).filter(id=2).update(**HIGH)
        self.of(Wide).filter(id=2).update(text="", data={"now": 1.5}, parent_id=8)

    def far_edits(self) -> None:
        self.of(Parent).filter(id=5).update(y="edited by far", e="home")
        self.of(Child).create(id=102, p_id=1, x="far's, of near's parent")
        self.of(Child).get(id=2).delete()
        self.of(SelfRef).create(id=102, parent_id=3, name="far's, under near's")
        self.of(SelfRef).filter(id=101).update(parent_id=1)
        self.of(SkuNote).create(sku=self.of(Sku).get(sku="drei ß/%"), text="by far")
        self.of(Badge).filter(code="of both").update(holder=self.of(Sku).get(sku="two"))
        self.of(Badge).filter(code="badge two").update(holder=None)
        self.of(Sku).get(sku="vier").delete()  # and what hangs on it
        self.of(Tagged).get(id=2).delete()
        self.of(Tagged).get(id=3).tags.set([self.of(Tag).create(name="yellow")])
        self.of(Secret).filter(id=1).update(name="renamed by far")
        self.of(BornChild).filter(tag=1).update(p=self.of(Born).get(tag=3), x="moved by far")
        self.of(Born).create(tag=103, u="b103")
        self.of(Branch).filter(name="far's").update(parent=self.of(Branch).get(name="top"))
        self.of(AllFields).filter(id=3).update(**dict.fromkeys(LOW))
        self.of(AllFields).get(id=4).delete()
        self.of(Wide).filter(id=1).update(amount=Decimal("-0.0001"), active=False, day=None)
        self.of(Wide).get(id=101).delete()
