"""Rows of the app `single`: for each shape of a unique constraint, contents of which each may stand once only."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models, transaction

from tests.single.models import Account, Address, Card, Customer, Letter, Mark, Product, Rank, Seat, Slot

CUSTOMERS = 8
DAY = dt.date(2024, 1, 1)

SHAPES: dict[str, tuple[type[models.Model], list[dict[str, Any]]]] = {
    "plain, checked": (Product, [{"code": f"A-{n}"} for n in range(6)]),
    "together": (Slot, [{"shelf": 1 + n // 2, "place": 1 + n % 2} for n in range(6)]),
    "one to one": (Card, [{"customer_id": n} for n in range(1, 7)]),
    "expression": (Account, [{"email": f"{name}@x"} for name in ("Ann", "bob", "CY", "Dan", "eve", "Flo")]),
    "nulls not distinct": (Seat, [{"line": n % 2 or None, "number": n // 2} for n in range(6)]),
    "deferrable": (Rank, [{"position": n} for n in range(6)]),
    "short": (Letter, [{"sign": "abcdef"[n], "day": DAY + dt.timedelta(n), "share": n / 3} for n in range(6)]),
    "foreign key": (Mark, [{"slot_id": 1 + n % 3, "color": "red" if n < 3 else "blue"} for n in range(6)]),
    "condition": (Address, [{"customer_id": 1 + n // 2, "main": n % 2 == 0} for n in range(6)]),
}
LABELS = ["single.Customer", *(model._meta.label for model, _ in SHAPES.values())]


def prepare(alias: str) -> None:
    """The rows that those of the shapes point to."""
    Customer.objects.using(alias).bulk_create(Customer(pk=n, name=f"c{n}") for n in range(1, CUSTOMERS + 1))
    Slot.objects.using(alias).bulk_create(Slot(pk=n, shelf=90, place=n) for n in range(1, 4))


def rewrite(
    alias: str, model: type[models.Model], rows: Mapping[int, dict[str, Any]], gone: Sequence[int] = ()
) -> None:
    """Let these rows have these contents, all at once, and no row of the primary keys ``gone`` stand."""
    manager = model._base_manager.using(alias)
    with transaction.atomic(using=alias):
        standing = manager.filter(pk__in=[*rows, *gone])
        standing._raw_delete(alias)
        manager.bulk_create([model(pk=pk, **values) for pk, values in rows.items()])
