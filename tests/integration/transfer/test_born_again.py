"""Keys that several rows bore one after another."""

import pytest

from tests.shapes.models import Customer, Order
from tests.support.pairs import Pair
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
