"""A ``db_table`` that spells out its schema, as projects on PostgreSQL write it."""

from collections.abc import Callable, Iterator

import pytest

from peersync import capture
from tests.support.pairs import Pair, sql, waiting
from tests.zoo.models import Tag


@pytest.fixture
def renamed() -> Iterator[Callable[[str], None]]:
    """Give the table of Tag another name. Its fields remember the name of their table."""
    before = Tag._meta.db_table

    def rename(table: str) -> None:
        Tag._meta.db_table = table
        for field in Tag._meta.local_concrete_fields:
            vars(field).pop("cached_col", None)

    yield rename
    rename(before)


@pytest.mark.parametrize("table", ['other"."labels', '"other"."labels"'])
def test_rows_of_a_table_in_another_schema(pg: Pair, renamed: Callable[[str], None], table: str) -> None:
    for alias in pg.aliases:
        sql(alias, "CREATE SCHEMA other")
        sql(alias, "CREATE TABLE other.labels (id bigserial PRIMARY KEY, name varchar(100) UNIQUE)")
    renamed(table)
    pg.configure("zoo.Tag", IDENTITY={"zoo.Tag": "origin"})
    one, two = (Tag.objects.using(pg.a).create(name=name) for name in ("one", "two"))
    Tag.objects.using(pg.b).create(name="three")
    pg.both()
    assert pg.rows(Tag, "name") == [("one",), ("three",), ("two",)]
    for pk, name in ((one.pk, "between"), (two.pk, "one"), (one.pk, "two")):
        Tag.objects.using(pg.a).filter(pk=pk).update(name=name)
    Tag.objects.using(pg.b).filter(name="three").delete()
    pg.both()
    assert pg.rows(Tag, "name") == [("one",), ("two",)]
    assert (waiting(pg.a), waiting(pg.b)) == ([], [])
    assert all(capture.install(alias) == [] for alias in pg.aliases)
