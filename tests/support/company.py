"""A centre and its branches, all of which make customers, orders and lines, and number them from 1.

What they hold is read without peersync, and by names that no other row bears: primary keys tell nothing here.
"""

import random
from collections.abc import Callable
from typing import Any

from django.db.models import Model

from tests.shapes.models.company import Customer, Line, Order

LABELS = ["shapes.Customer", "shapes.Order", "shapes.Line"]
CONFIG = {"MODELS": LABELS, "IDENTITY": dict.fromkeys(LABELS, "origin")}
Image = dict[str, list[tuple[Any, ...]]]


def image(alias: str) -> Image:
    """Everything that a node holds, rows named by their texts."""

    def read(model: type[Model], *names: str) -> list[tuple[Any, ...]]:
        return sorted(model._base_manager.using(alias).values_list(*names), key=repr)

    return {
        "customers": read(Customer, "text"),
        "orders": read(Order, "text", "customer__text", "follows__text"),
        "lines": read(Line, "text", "quantity", "order__text", "order__customer__text"),
        "watchers": read(Order.watchers.through, "order__text", "customer__text"),
    }


class Staff:
    """The people of one node, who know nothing of the others. What they make has a text that nobody else uses.

    ``edits``: whose lines they change; no two nodes change the same ones, and none deletes what another has seen. So
    whatever is in conflict afterwards was taken for something else.
    """

    def __init__(self, alias: str, edits: str, seed: object) -> None:
        self.alias, self.edits, self.made = alias, edits, 0
        self.unsent: set[str] = set()
        """Orders that nobody else has seen."""
        self.chance = random.Random(f"{seed} {alias}")
        self.wrote: set[str] = set()
        """Texts of the orders and customers that they made, and did not delete."""

    def _text(self) -> str:
        self.made += 1
        return f"{self.alias}-{self.made}"

    def _some(self, model: type[Any]) -> Any:
        found = list(model.objects.using(self.alias).order_by("pk"))
        return self.chance.choice(found) if found else None

    def work(self, acts: int = 12) -> None:
        """An afternoon: mostly new orders, some edits, a deletion now and then."""
        chances: dict[Callable[[], None], int] = {self.order: 8, self.customer: 2, self.edit: 3, self.delete: 1}
        for act in self.chance.choices(list(chances), list(chances.values()), k=acts):
            act()

    def customer(self) -> Customer:
        made = Customer.objects.using(self.alias).create(text=self._text())
        self.wrote.add(made.text)
        return made

    def order(self) -> None:
        customer = self._some(Customer) or self.customer()
        order = Order.objects.using(self.alias).create(
            customer=customer, text=self._text(), follows=self.chance.choice((None, self._some(Order)))
        )
        self.wrote.add(order.text)
        self.unsent.add(order.text)
        for _ in range(self.chance.randint(1, 3)):
            Line.objects.using(self.alias).create(order=order, text=self._text(), quantity=self.chance.randint(1, 9))
        if watcher := self.chance.choice((None, self._some(Customer))):
            order.watchers.add(watcher)

    def edit(self) -> None:
        lines = list(Line.objects.using(self.alias).filter(text__startswith=f"{self.edits}-").order_by("pk"))
        if lines:
            line = self.chance.choice(lines)
            Line.objects.using(self.alias).filter(pk=line.pk).update(quantity=self.chance.randint(10, 99))

    def delete(self) -> None:
        order = Order.objects.using(self.alias).filter(text__in=self.unsent).order_by("pk").first()
        if order is not None:
            order.delete()
            self.unsent.discard(order.text)
            self.wrote.discard(order.text)
