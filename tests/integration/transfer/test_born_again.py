"""Keys that several rows bore one after another, and rows that need each other before they stand."""

from typing import Any

import pytest
from django.db import transaction

from tests.shapes.models import Customer, Egg, Hen, Order
from tests.support.pairs import Pair, waiting
from tests.zoo.models import Sku

COMPANY = ("shapes.Customer", "shapes.Order")
ORIGIN = {"*": "origin"}


@pytest.mark.parametrize("before", [False, True], ids=["at first contact", "in the feed"])
def test_a_pair_that_was_parted_twice(pair: Pair, before: bool) -> None:
    """Two rows with numbers of their own died under one key: one tombstone stands for both."""
    pair.configure(*COMPANY, IDENTITY=ORIGIN)
    customer = Customer.objects.using(pair.a).create(text="c")
    order = Order.objects.using(pair.a).create(text="o", customer=customer)
    if before:
        pair.push()
    for _ in range(3):
        order.watchers.add(customer)
        order.watchers.remove(customer)
    pair.push()
    assert pair.rows(Order.watchers.through, "order__text") == []
    order.watchers.add(customer)
    pair.push()
    order.watchers.remove(customer)
    pair.push()
    order.watchers.add(customer)
    order.watchers.remove(customer)
    pair.push()
    assert pair.rows(Order.watchers.through, "order__text") == []
    order.watchers.add(customer)
    pair.both()
    assert pair.rows(Order.watchers.through, "order__text") == [("o",)]
    assert not pair.differences()


def test_a_key_that_three_rows_bore(pair: Pair) -> None:
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]})
    Sku.objects.using(pair.b).create(sku="A", name="stands there")
    for _ in range(2):
        Sku.objects.using(pair.a).create(sku="A").delete()
    pair.both()
    for _ in range(2):
        Sku.objects.using(pair.a).filter(sku="A").delete()
        Sku.objects.using(pair.a).create(sku="A", name="again")
    Sku.objects.using(pair.a).filter(sku="A").delete()
    pair.both()
    assert pair.rows(Sku, "sku") == []


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("identity", [{}, ORIGIN], ids=["pk", "origin"])
def test_rows_that_must_point_at_each_other(pair: Pair, identity: Any, size: int | None) -> None:
    """Neither can be written first: both have their numbers before they are."""
    pair.configure("shapes.Hen", "shapes.Egg", IDENTITY=identity)
    for alias, first in ((pair.a, 10), (pair.b, 10 if identity else 20)):
        for number in range(first, first + 3):
            with transaction.atomic(using=alias):
                Hen.objects.using(alias).create(id=number, text=f"{alias}-{number}", egg_id=number + 1)
                Egg.objects.using(alias).create(id=number + 1, text=f"{alias}-{number}", hen_id=number)
    more = {} if size is None else {"batch_size": size}
    pair.both(**more)
    assert len(pair.rows(Hen, "text", "egg__text", "egg__hen__text")) == 6
    assert all(len(set(row)) == 1 for row in pair.rows(Hen, "text", "egg__text", "egg__hen__text"))
    assert waiting(pair.a) == waiting(pair.b) == []
    assert not pair.differences()
