"""What PostgreSQL holds and SQLite does not: it goes from one PostgreSQL to another, and waits before a SQLite by itself."""

from typing import Any

import pytest

from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import WAYS, carry, quarantined
from tests.support.pairs import sql
from tests.typed.models import Every

HELD = [
    ("float", "'NaN'", "NaN"),
    ("decimal", "'NaN'", "NaN"),
    ("decimal", "1234567890123456", "15 digits"),
    ("decimal", "12345678901234567890.0123456789", "15 digits"),
    ("amount", "'NaN'", "NaN"),
    ("date", "'infinity'", "infinity"),
    ("date", "'-infinity'", "-infinity"),
    ("datetime", "'infinity'", "infinity"),
    ("datetime", "'-infinity'", "-infinity"),
    ("duration", "'1 month'", "1 mons"),
    ("duration", "'-3 years 2 days 4 hours'", "-36 mons"),
    ("duration", "'infinity'", "infinity"),
    ("duration", "'999999999 days 86399.999999 seconds'", "microseconds"),
]
"""Column, SQL of a value, and what the reason names."""

BEYOND_PYTHON = [
    ("date", "'0044-03-15 BC'", "years 1 to 9999"),
    ("date", "'10000-01-01'", "years 1 to 9999"),
    ("datetime", "'0044-03-15 12:00+00 BC'", "years 1 to 9999"),
    ("datetime", "'294276-12-31 23:59:59.999999+00'", "years 1 to 9999"),
    ("time", "'24:00'", "23:59:59.999999"),
]
"""Django could not read them again, whatever the database: they stay where they are."""

SAME_BUT_FOR_ITS_TEXT = [
    ("duration", "'24:00:00'"),
    ("duration", "'-1 day +00:00:00.000001'"),
    ("duration", "'-00:00:01'"),
    ("ip", "'10.0.0.0/8'"),
    ("ip", "'2001:DB8::0:1'"),
    ("json", """'{"b": 1e16, "a": 1.50, "a": 2.50, "c": -0.0}'"""),
    ("json", "'1e300'"),
]


def put(alias: str, column: str, values: list[str]) -> None:
    for number, value in enumerate(values, 1):
        sql(alias, f"INSERT INTO typed_every (id, text, {column}) VALUES ({number}, 'with it', {value})")
    Every.objects.using(alias).create(id=100, text="beside it")


def texts(alias: str, column: str) -> list[Any]:
    return sql(alias, f"SELECT id, CAST({column} AS text) FROM typed_every ORDER BY id")


@pytest.fixture(autouse=True)
def _configured(from_postgres: Between) -> None:
    from_postgres.configure("typed.Every")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [True, False])
def test_what_sqlite_cannot_hold(from_postgres: Between, way: str, first: bool) -> None:
    """Each in a row of its own beside one that arrives; in the first contact, and in the feed."""
    between = from_postgres
    if not first:
        carry(between.source, between.target, way)
    for number, (column, value, _) in enumerate(HELD, 1):
        sql(between.source, f"INSERT INTO typed_every (id, {column}) VALUES ({number}, {value})")
    Every.objects.using(between.source).create(id=100, text="beside it")
    report = carry(between.source, between.target, way)
    columns = sorted({column for column, _, _ in HELD})
    if not between.to_sqlite:
        for column in columns:
            assert texts(between.target, column) == texts(between.source, column)
        assert report.status == "ok"
        return
    assert sql(between.target, "SELECT id, text FROM typed_every") == [(100, "beside it")]
    waits = quarantined(between.target)
    for number, (column, _, named) in enumerate(HELD, 1):
        assert waits[f"[{number}]"].startswith(f"invalid: {column}: ")
        assert named in waits[f"[{number}]"]
    assert report.models["typed.Every"].quarantined == len(HELD)
    assert report.status == "incomplete"
    # the cause goes, and the rows come by themselves
    sql(between.source, f"UPDATE typed_every SET {', '.join(f'{c} = NULL' for c in columns)} WHERE id < 100")
    assert carry(between.source, between.target, way).status == "ok"
    assert quarantined(between.target) == {}
    assert len(sql(between.target, "SELECT id FROM typed_every")) == len(HELD) + 1


@pytest.mark.parametrize("way", WAYS)
def test_what_python_cannot_read(from_postgres: Between, way: str) -> None:
    between = from_postgres
    for number, (column, value, _) in enumerate(BEYOND_PYTHON, 1):
        sql(between.source, f"INSERT INTO typed_every (id, {column}) VALUES ({number}, {value})")
    Every.objects.using(between.source).create(id=100, text="beside it")
    carry(between.source, between.target, way)
    assert sql(between.target, "SELECT id, text FROM typed_every") == [(100, "beside it")]
    waits = quarantined(between.target)
    for number, (column, _, named) in enumerate(BEYOND_PYTHON, 1):
        assert waits[f"[{number}]"].startswith(f"invalid: {column}: ")
        assert named in waits[f"[{number}]"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("column", "value"), SAME_BUT_FOR_ITS_TEXT)
def test_values_that_are_written_in_several_ways(from_postgres: Between, column: str, value: str, way: str) -> None:
    """What arrives says the same, is compared as the same, and never goes back as a change."""
    between = from_postgres
    put(between.source, column, [value])
    assert carry(between.source, between.target, way).status == "ok"
    if not between.to_sqlite:
        assert sql(
            between.target,
            f"SELECT {column}::text = CAST({value} AS {_type(column)})::text OR {column} = {value} FROM typed_every WHERE id = 1",
        ) == [(True,)]
    verify(between)


def _type(column: str) -> str:
    return {"duration": "interval", "ip": "inet", "json": "jsonb"}[column]


def verify(between: Between) -> None:
    """Digests are equal, an edit at the target takes nothing else along, and a full comparison finds no conflict."""
    from peersync.models import Conflict
    from peersync.syncing import compare

    assert {label: found.count for label, found in compare(between.target).items()} == {"typed.Every": 0}
    before = sql(between.source, "SELECT * FROM typed_every WHERE id = 1")
    Every.objects.using(between.target).filter(id=1).update(text="edited")
    carry(between.target, between.source)
    after = sql(between.source, "SELECT * FROM typed_every WHERE id = 1")
    assert [v for v in after[0] if v != "edited"] == [v for v in before[0] if v != "with it"]
    carry(between.source, between.target, repair=True)
    assert not Conflict.objects.using(between.source).exists()
    assert not Conflict.objects.using(between.target).exists()
