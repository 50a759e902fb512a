"""Whatever values a row has: it comes as it was, or it waits with the reason why it cannot be held, and nothing else."""

from itertools import count
from typing import Any

import pytest
from django.db import models
from django.db.models import Value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.fields.conftest import Between
from tests.integration.fields.strategies import kept_by_sqlite, rows
from tests.integration.fields.ways import WAYS, carry, quarantined, stored
from tests.support.pairs import sql
from tests.typed.models import Every

HYPOTHESIS = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example leaves rows behind: nothing to be shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_no_field_class_of_django_is_forgotten() -> None:
    """One that a later Django brings must get a column in the tests, and a line in docs/models.md."""
    elsewhere = {
        "AutoField": "typed.Auto",
        "BigAutoField": "the keys of most models",
        "SmallAutoField": "typed.SmallAuto",
        "GeneratedField": "typed.Kept",
        "OrderWrt": "typed.Ordered",
        "CompositePrimaryKey": "tests of keys",
        **dict.fromkeys(["ForeignKey", "OneToOneField", "ManyToManyField", "ForeignObject"], "tests of relations"),
        **dict.fromkeys(["Field"], "the base of all"),
        **dict.fromkeys(
            ["CommaSeparatedIntegerField", "IPAddressField", "NullBooleanField"], "for old migrations only"
        ),
    }
    shipped = {name for name, one in vars(models).items() if isinstance(one, type) and issubclass(one, models.Field)}
    here = {base.__name__ for field in Every._meta.fields for base in type(field).__mro__} & shipped
    assert shipped == here | set(elsewhere)


def equal_or_waiting(between: Between, given_rows: dict[int, dict[str, Any]]) -> None:
    here, there = stored(Every, between.source), stored(Every, between.target)
    waits = quarantined(between.target)
    for pk, row in here.items():
        if pk in there:
            assert there[pk] == row
            assert f"[{pk}]" not in waits
        else:
            assert waits[f"[{pk}]"].startswith("invalid: "), waits
    for pk, row in given_rows.items():
        lost = between.to_sqlite and not between.from_sqlite and not kept_by_sqlite(row)
        assert (pk in there) is not lost, (row, waits)


@pytest.mark.parametrize("way", ["rows", "wire"])
def test_the_feed(between: Between, way: str) -> None:
    between.configure("typed.Every")
    numbers = count(1)
    carry(between.source, between.target, way)

    @HYPOTHESIS
    @given(st.lists(rows(), min_size=1, max_size=30))
    def run(drawn: list[dict[str, Any]]) -> None:
        made = {next(numbers): row for row in drawn}
        Every.objects.using(between.source).bulk_create([Every(id=pk, **row) for pk, row in made.items()])
        carry(between.source, between.target, way)
        equal_or_waiting(between, made)

    run()
    back = carry(between.target, between.source, way)
    assert not any(f.created or f.updated or f.conflicts for f in back.models.values()), back.models


@pytest.mark.parametrize("way", WAYS)
def test_the_first_contact(between: Between, way: str) -> None:
    """Each column's values, in one table of some hundred rows, as bulk runs and row by row."""
    between.configure("typed.Every")
    made: dict[int, dict[str, Any]] = {}
    numbers = count(1)

    @settings(HYPOTHESIS, max_examples=25)
    @given(st.lists(rows(), min_size=5, max_size=20))
    def collect(drawn: list[dict[str, Any]]) -> None:
        made.update({next(numbers): row for row in drawn})

    collect()
    Every.objects.using(between.source).bulk_create([Every(id=pk, **row) for pk, row in made.items()])
    report = carry(between.source, between.target, way)
    equal_or_waiting(between, made)
    figures = report.models["typed.Every"]
    assert figures.created + figures.quarantined == len(made)


def test_null_stands_beside_what_is_empty(between: Between) -> None:
    between.configure("typed.Every")
    empty: dict[str, Any] = {"binary": b"", "json": "", "text": "", "char": "", "slug": "", "url": "", "email": ""}
    for pk, name in enumerate(empty, 1):
        Every.objects.using(between.source).create(id=pk, **{name: empty[name]})
    Every.objects.using(between.source).create(id=100, json=Value(None, models.JSONField()))
    Every.objects.using(between.source).create(id=101)
    carry(between.source, between.target)
    found = stored(Every, between.target)
    assert found == stored(Every, between.source)
    for pk, name in enumerate(empty, 1):
        assert found[pk][name] == empty[name]
        assert all(found[pk][other] is None for other in empty if other != name)
    for alias in (between.source, between.target):
        assert sql(alias, "SELECT id FROM typed_every WHERE json IS NOT NULL ORDER BY id") == [(2,), (100,)]
        assert sql(alias, "SELECT id FROM typed_every WHERE CAST(json AS TEXT) = 'null'") == [(100,)]
