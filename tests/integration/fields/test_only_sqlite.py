"""SQLite holds any value in any column. What another database has no place for waits there with a sentence, by itself."""

import datetime as dt
from typing import Any

import pytest

from peersync.models import Conflict
from peersync.syncing import compare
from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import WAYS, carry, quarantined
from tests.support.pairs import sql
from tests.typed.models import Every

READ_BY_DJANGO = [
    ("integer", "4.5", "the number '4.5'"),
    ("integer", "'twelve'", "the text 'twelve'"),
    ("big", "x'00ff'", "the bytes '00ff'"),
    ("boolean", "2", "the integer '2'"),
    ("float", "'much'", "the text 'much'"),
    ("text", "x'c3a4'", "the bytes 'c3a4'"),
    ("text", "'a'||char(0)||'b'", "U+0000"),
    ("binary", "'a text'", "the text 'a text'"),
]
"""Another SQLite takes these too; PostgreSQL does not. What the reason there names."""

NOT_READ = [
    ("date", "'2026-02-30'", "'2026-02-30'"),
    ("date", "'28.02.2026'", "'28.02.2026'"),
    ("date", "20260228", "the integer '20260228'"),
    ("datetime", "'yesterday'", "'yesterday'"),
    ("datetime", "'2026-02-28 25:00:00'", "25:00:00"),
    ("datetime", "1772280000", "the integer '1772280000'"),
    ("time", "'noon'", "'noon'"),
    ("uuid", "'no uuid'", "'no uuid'"),
    ("decimal", "'ten'", "the text 'ten'"),
    ("decimal", "9e999", "Infinity"),
    ("duration", "'a while'", "the text 'a while'"),
]
"""Django fails to read these, here and wherever they came."""

OF_ANOTHER_FORM = [
    ("datetime", "'2026-02-28T12:00:00.5'", "2026-02-28 12:00:00.500000+00:00"),
    ("datetime", "'2026-02-28T12:00:00Z'", "2026-02-28 12:00:00+00:00"),
    ("datetime", "'2026-02-28 12:00:00.123456+02:00'", "2026-02-28 10:00:00.123456+00:00"),
    ("datetime", "'2026-02-28 12:00'", "2026-02-28 12:00:00+00:00"),
    ("time", "'12:30'", "12:30:00"),
    ("uuid", "'6F9619FF-8B86-4011-B42D-00CF4FC964FF'", "6f9619ff-8b86-4011-b42d-00cf4fc964ff"),
    ("amount", "12.344999", "12.34"),
]
"""Not as Django writes them, but it reads them all the same: what it reads is what arrives."""


def put(alias: str, values: list[tuple[str, str, str]]) -> None:
    for number, (column, value, _) in enumerate(values, 1):
        sql(alias, f"INSERT INTO typed_every (id, {column}) VALUES ({number}, {value})")
    Every.objects.using(alias).create(id=100, text="beside it")


def held(alias: str) -> list[Any]:
    columns = sorted({column for column, _, _ in [*READ_BY_DJANGO, *NOT_READ]})
    return sql(
        alias,
        f"SELECT id, {', '.join(f'typeof({c}), quote({c}), CAST({c} AS blob)' for c in columns)} FROM typed_every ORDER BY id",
    )


@pytest.fixture(autouse=True)
def _configured(from_sqlite: Between) -> None:
    from_sqlite.configure("typed.Every")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [True, False])
def test_what_only_sqlite_takes(from_sqlite: Between, way: str, first: bool) -> None:
    between = from_sqlite
    if not first:
        carry(between.source, between.target, way)
    put(between.source, READ_BY_DJANGO)
    report = carry(between.source, between.target, way)
    if between.to_sqlite:
        assert held(between.target) == held(between.source)
        assert report.status == "ok"
        assert compare(between.target)["typed.Every"].count == 0
        return
    assert sql(between.target, "SELECT id, text FROM typed_every") == [(100, "beside it")]
    waits = quarantined(between.target)
    for number, (column, _, named) in enumerate(READ_BY_DJANGO, 1):
        assert waits[f"[{number}]"].startswith(f"invalid: {column}: ")
        assert named in waits[f"[{number}]"]


@pytest.mark.parametrize("way", ["rows", "wire"])
def test_what_django_cannot_read(from_sqlite: Between, way: str) -> None:
    between = from_sqlite
    put(between.source, NOT_READ)
    report = carry(between.source, between.target, way)
    assert sql(between.target, "SELECT id, text FROM typed_every") == [(100, "beside it")]
    waits = quarantined(between.target)
    for number, (column, _, named) in enumerate(NOT_READ, 1):
        assert waits[f"[{number}]"].startswith(f"invalid: {column}: ")
        assert named in waits[f"[{number}]"]
    assert report.models["typed.Every"].quarantined == len(NOT_READ)
    sql(between.source, "DELETE FROM typed_every WHERE id < 100")
    assert carry(between.source, between.target, way).status == "ok"
    assert quarantined(between.target) == {}


@pytest.mark.parametrize("way", ["rows", "wire"])
@pytest.mark.parametrize(("column", "value", "read"), OF_ANOTHER_FORM)
def test_what_django_reads_though_it_writes_it_otherwise(
    from_sqlite: Between, column: str, value: str, read: str, way: str
) -> None:
    between = from_sqlite
    put(between.source, [(column, value, read)])
    assert carry(between.source, between.target, way).status == "ok"
    for alias in (between.source, between.target):
        found = Every.objects.using(alias).values_list(column, flat=True).get(id=1)
        assert str(found.astimezone(dt.UTC) if isinstance(found, dt.datetime) else found) == read
    assert compare(between.target)["typed.Every"].count == 0
    before = sql(between.source, f"SELECT +{column} FROM typed_every WHERE id = 1")
    Every.objects.using(between.target).filter(id=100).update(text="edited")
    carry(between.target, between.source, way)
    assert sql(between.source, f"SELECT +{column} FROM typed_every WHERE id = 1") == before
    assert not Conflict.objects.using(between.source).exists()


def test_longer_than_the_column_of_the_other_side(from_sqlite: Between) -> None:
    """SQLite counts no characters, and keeps whole numbers of any size."""
    between = from_sqlite
    long = "x" * 41
    Every.objects.using(between.source).create(id=1, char=long)
    Every.objects.using(between.source).create(id=2, char="y" * 38 + "   ")  # blanks would be cut off in silence
    Every.objects.using(between.source).create(id=3, small=40_000)
    Every.objects.using(between.source).create(id=4, integer=1 << 40)
    Every.objects.using(between.source).create(id=5, char="z" * 40, small=-32768)
    carry(between.source, between.target)
    if between.to_sqlite:
        assert quarantined(between.target) == {}
        return
    assert sql(between.target, "SELECT id FROM typed_every") == [(5,)]
    waits = quarantined(between.target)
    assert "41 characters are more than the 40" in waits["[1]"]
    assert "41 characters are more than the 40" in waits["[2]"]
    assert "40000 is not between -32768 and 32767" in waits["[3]"]
    assert waits["[4]"].startswith("invalid: integer: ")


@pytest.mark.parametrize(("way", "first"), [("bulk", True), ("wire", False)])
def test_texts_that_are_no_utf8(from_sqlite: Between, way: str, first: bool) -> None:
    """Nobody can read them, not even where they stand; but they stop no other row, and come when they are mended."""
    between = from_sqlite
    if not first:
        carry(between.source, between.target, way)
    texts = [("text", "CAST(x'61ff62' AS TEXT)", ""), ("char", "CAST(x'c3' AS TEXT)", ""), ("text", "'fine'", "")]
    put(between.source, texts)
    if way == "bulk":
        sql(between.source, "DELETE FROM peersync_journal")  # they are older than peersync
    carry(between.source, between.target, way)
    assert sql(between.target, "SELECT id FROM typed_every ORDER BY id") == [(3,), (100,)]
    assert quarantined(between.target) == {
        "[1]": "invalid: text: SQLite holds a text that is no UTF-8 in it, of the bytes '61ff62'",
        "[2]": "invalid: char: SQLite holds a text that is no UTF-8 in it, of the bytes 'c3'",
    }
    sql(between.source, "UPDATE typed_every SET text = 'aÿb', char = NULL WHERE id < 3")
    carry(between.source, between.target, way)
    assert quarantined(between.target) == {}
    assert sql(between.target, "SELECT text FROM typed_every WHERE id = 1") == [("aÿb",)]


def test_characters_that_postgres_does_not_take(from_sqlite: Between) -> None:
    between = from_sqlite
    put(
        between.source,
        [
            ("json", r"""'{"a": ["x\u0000y"]}'""", ""),
            ("json", r"""'"\ud800"'""", ""),
            ("json", r"""'{"\u0000": 1}'""", ""),
        ],
    )
    Every.objects.using(between.source).create(id=101, json="\\u0000 is no escape here, and \U0001f600 is whole")
    carry(between.source, between.target)
    if between.to_sqlite:
        assert sql(between.target, "SELECT id, json FROM typed_every") == sql(
            between.source, "SELECT id, json FROM typed_every"
        )
        return
    assert sql(between.target, "SELECT id FROM typed_every ORDER BY id") == [(100,), (101,)]
    waits = quarantined(between.target)
    assert "U+0000, which PostgreSQL cannot hold" in waits["[1]"]
    assert "half of a surrogate pair, which PostgreSQL cannot hold" in waits["[2]"]
    assert "U+0000, which PostgreSQL cannot hold" in waits["[3]"]
    assert Every.objects.using(between.target).get(id=101).json == Every.objects.using(between.source).get(id=101).json
