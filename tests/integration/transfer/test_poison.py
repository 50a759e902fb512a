"""A few rows that the target refuses, among thousands: they are found in few statements."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from peersync.models import Quarantine
from tests.single.models import Rank
from tests.support.pairs import Pair, sql, waiting
from tests.zoo.models import Parent

MANY, BAD = 3000, (17, 1400, 1401, 2999)


@contextmanager
def counted(alias: str) -> Iterator[list[int]]:
    """How many statements this database is given; one with many sets of parameters counts as one."""
    total = [0]

    def note(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        total[0] += 1
        return execute(statement, parameters, many, context)

    with connections[alias].execute_wrapper(note):
        yield total


def raises(alias: str, event: str) -> None:
    """A trigger of the owner's that raises at the bad rows."""
    numbers = ", ".join(map(str, BAD))
    row = "OLD" if event == "DELETE" else "NEW"
    if connections[alias].vendor == "sqlite":
        sql(
            alias,
            f"CREATE TRIGGER poison BEFORE {event} ON zoo_parent WHEN {row}.id IN ({numbers})"
            " BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        return
    sql(
        alias,
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {row}.id IN ({numbers}) THEN RAISE EXCEPTION 'not this one'; END IF; RETURN {row}; END $$",
    )
    sql(alias, f"CREATE TRIGGER poison BEFORE {event} ON zoo_parent FOR EACH ROW EXECUTE FUNCTION poison()")


def fill(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).bulk_create(Parent(id=n, x="old") for n in range(1, MANY + 1))


@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE"])
def test_a_trigger_that_raises(pair: Pair, event: str) -> None:
    fill(pair)
    if event != "INSERT":
        pair.push()
    raises(pair.b, event)
    if event == "UPDATE":
        Parent.objects.using(pair.a).update(x="new")
    elif event == "DELETE":
        Parent.objects.using(pair.a).all().delete()
    with counted(pair.b) as statements:
        pair.push()
    assert statements[0] < 200 + 10 * len(BAD) * math.log2(MANY)
    assert {one.detail for one in Quarantine.objects.using(pair.b)} == {"not this one"}
    assert [key for _, key, _ in waiting(pair.b)] == sorted(f"[{n}]" for n in BAD)
    standing = Parent.objects.using(pair.b)
    assert standing.exclude(pk__in=BAD).filter(x="new" if event == "UPDATE" else "old").count() == (
        0 if event == "DELETE" else MANY - len(BAD)
    )
    assert standing.filter(pk__in=BAD).count() == (0 if event == "INSERT" else len(BAD))
    sql(pair.b, "DROP TRIGGER poison" + ("" if connections[pair.b].vendor == "sqlite" else " ON zoo_parent"))
    pair.push()
    assert waiting(pair.b) == []
    assert pair.equal("zoo.Parent")


@pytest.mark.postgres
def test_values_that_the_columns_of_the_target_alone_do_not_hold(pg: Pair) -> None:
    """They are narrower than any model knows."""
    fill(pg)
    pg.configure("zoo.Parent", "single.Rank")
    sql(pg.b, "ALTER TABLE zoo_parent ALTER x TYPE varchar(4)")
    sql(pg.b, "ALTER TABLE single_rank ALTER position TYPE smallint")
    Parent.objects.using(pg.a).filter(pk=BAD[0]).update(x="too long")
    Rank.objects.using(pg.a).bulk_create(Rank(pk=n, position=n * 1000) for n in range(1, 34))
    with counted(pg.b) as statements:
        pg.push()
    assert statements[0] < 250 + 10 * 2 * math.log2(MANY)
    said = {(one.model, one.key): one.detail for one in Quarantine.objects.using(pg.b)}
    assert said == {
        ("zoo.Parent", f"[{BAD[0]}]"): "value too long for type character varying(4)",
        ("single.Rank", "[33]"): "smallint out of range",
    }
