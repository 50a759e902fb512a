"""Unique values that change hands within one batch arrive, whatever the constraint looks like."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from peersync.models import Quarantine
from tests.single.models import Address, Mark, Product, Slot
from tests.support.pairs import Pair, records, sql, waiting
from tests.support.single import LABELS, SHAPES, prepare, rewrite

Values = list[dict[str, Any]]
Motion = Callable[[Values], tuple[dict[int, dict[str, Any]], list[int]]]


def swap(values: Values) -> Any:
    return {11: values[1], 12: values[0]}, []


def rotate(values: Values) -> Any:
    return {11 + n: values[(n + 1) % 6] for n in range(6)}, []


def move_on(values: Values) -> Any:
    """From deleted rows to new ones."""
    return {21: values[0], 22: values[3]}, [11, 14]


def chain(values: Values) -> Any:
    """A new row takes what another had, that takes what the next one had, and the last one takes a deleted one's."""
    return {21: values[0], 11: values[1], 12: values[2], 13: values[4]}, [15]


def home(values: Values) -> Any:
    return {11 + n: one for n, one in enumerate(values)}, [21, 22]


def fill(pair: Pair) -> None:
    """Rows 11 to 16 of each shape stand at both nodes."""
    pair.configure(*LABELS)
    prepare(pair.a)
    move(pair, home)
    arrives(pair)


def move(pair: Pair, motion: Motion) -> None:
    for model, values in SHAPES.values():
        rows, gone = motion(values)
        rewrite(pair.a, model, rows, gone)


def arrives(pair: Pair) -> None:
    pair.push()
    assert waiting(pair.b) == []
    assert pair.equal(*LABELS)
    assert records(pair.b) == []


def test_they_arrive(pair: Pair) -> None:
    fill(pair)
    for motion in (swap, rotate, move_on, chain):
        for step in (motion, home):
            move(pair, step)
            arrives(pair)


# ---------------------------------------------------------------------- what the target alone has


def audit(alias: str, table: str) -> None:
    """A trigger of the owner's, which notes what happens to rows."""
    sql(alias, "CREATE TABLE audit (event text)")
    if connections[alias].vendor == "sqlite":
        for event in ("INSERT", "DELETE"):
            sql(
                alias,
                f"CREATE TRIGGER audit_{event} AFTER {event} ON {table} BEGIN"
                f" INSERT INTO audit VALUES ('{event}'); END",
            )
        return
    sql(
        alias,
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$",
    )
    sql(alias, f"CREATE TRIGGER audit AFTER INSERT OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit()")


def test_triggers_of_the_owner_see_what_happened_and_nothing_else(pair: Pair) -> None:
    fill(pair)
    audit(pair.b, "single_address")
    main, other = {"customer_id": 1, "main": True}, {"customer_id": 1, "main": False}
    rewrite(pair.a, Address, {11: other, 12: main})
    arrives(pair)
    assert sql(pair.b, "SELECT event FROM audit") == []
    rewrite(pair.a, Address, {12: other, 21: main})
    arrives(pair)
    rewrite(pair.a, Address, {22: main}, [21])
    arrives(pair)
    assert sorted(sql(pair.b, "SELECT event FROM audit")) == [("DELETE",), ("INSERT",), ("INSERT",)]


def test_a_long_chain_in_a_table_with_triggers(pair: Pair) -> None:
    """Each takes what the next one has, and no other value may stand there meanwhile."""
    fill(pair)
    keys = range(31, 71)
    rewrite(pair.a, Product, {key: {"code": f"B-{key}"} for key in keys})
    arrives(pair)
    audit(pair.b, "single_product")
    rewrite(pair.a, Product, {key: {"code": f"B-{key + 1}"} for key in keys})
    arrives(pair)
    assert sql(pair.b, "SELECT event FROM audit") == []


def test_a_circle_that_nothing_can_open_waits_and_says_why(pair: Pair) -> None:
    fill(pair)
    audit(pair.b, "single_product")
    rewrite(pair.a, Product, {11: {"code": "A-1"}, 12: {"code": "A-0"}, 16: {"code": "A-7"}})
    pair.push()
    assert waiting(pair.b) == [("single.Product", "[11]", "constraint"), ("single.Product", "[12]", "constraint")]
    assert all("single_product" in one.detail for one in Quarantine.objects.using(pair.b))
    assert Product.objects.using(pair.b).get(pk=16).code == "A-7"
    assert sql(pair.b, "SELECT event FROM audit") == []
    rewrite(pair.a, Product, {12: {"code": "A-8"}})
    arrives(pair)


def test_indexes_that_no_model_knows(pair: Pair) -> None:
    fill(pair)
    sql(pair.b, "CREATE UNIQUE INDEX one_text ON single_product (lower(text)) WHERE code <> 'A-3' AND text <> '';")
    rewrite(pair.a, Product, {11 + n: {"code": f"A-{n}", "text": "abcxyz"[n].upper()} for n in range(6)})
    arrives(pair)
    rewrite(pair.a, Product, {11 + n: {"code": f"A-{n}", "text": "cabyzx"[n]} for n in range(6)})
    arrives(pair)
    rewrite(pair.a, Product, {21: {"code": "A-9", "text": "B"}, 22: {"code": "A-8", "text": "q"}})
    pair.push()
    [one] = Quarantine.objects.using(pair.b)
    assert (one.key, one.reason) == ("[21]", "unique")
    assert one.detail.endswith("= b is held by another row (single.Product 13)")
    assert Product.objects.using(pair.b).filter(pk=22).exists()


@pytest.mark.postgres
def test_constraints_that_exclude_more_than_equal_values(pg: Pair) -> None:
    fill(pg)
    sql(
        pg.b,
        "ALTER TABLE single_slot ADD CONSTRAINT no_overlap EXCLUDE USING gist"
        " (int4range(shelf * 100 + place * 10, shelf * 100 + place * 10 + 10) WITH &&)",
    )
    move(pg, rotate)
    arrives(pg)
    sql(pg.b, "INSERT INTO single_slot (id, shelf, place, text) VALUES (99, 70, 1, '')")
    rewrite(pg.a, Slot, {21: {"shelf": 70, "place": 1}, 22: {"shelf": 70, "place": 2}})
    pg.push()
    [one] = Quarantine.objects.using(pg.b)
    assert (one.key, one.reason) == ("[21]", "unique")
    rewrite(pg.a, Slot, {21: {"shelf": 69, "place": 11}})
    pg.push()
    [one] = Quarantine.objects.using(pg.b)
    assert one.reason == "constraint"
    assert one.detail.startswith("the exclusion constraint no_overlap refuses it")


def test_columns_that_no_model_knows_stay(pair: Pair) -> None:
    fill(pair)
    sql(pair.b, "ALTER TABLE single_product ADD COLUMN legacy text")
    sql(pair.b, "UPDATE single_product SET legacy = 'kept ' || id")
    pair.pull()
    move(pair, swap)
    arrives(pair)
    assert sorted(sql(pair.b, "SELECT id, legacy FROM single_product")) == [(n, f"kept {n}") for n in range(11, 17)]


def test_what_hangs_on_rows_that_change_hands_stays(pair: Pair) -> None:
    fill(pair)
    rewrite(pair.a, Mark, {30 + n: {"slot_id": 11 + n, "color": "grey"} for n in range(6)})
    arrives(pair)
    move(pair, rotate)
    arrives(pair)
    assert Mark.objects.using(pair.b).filter(color="grey").count() == 6


def test_a_row_in_the_way_under_a_condition_over_two_columns_is_named(pair: Pair) -> None:
    """And two that swap there arrive."""
    fill(pair)
    for alias in pair.aliases:
        sql(alias, "CREATE UNIQUE INDEX one_text ON single_address (customer_id, text) WHERE text <> ''")
    for key, text in ((11, "x"), (12, "y")):
        rewrite(pair.a, Address, {key: {"customer_id": 1, "main": False, "text": text}})
    arrives(pair)
    for key, text in ((11, "between"), (12, "x"), (11, "y")):
        Address.objects.using(pair.a).filter(pk=key).update(text=text)
    arrives(pair)
    Address.objects.using(pair.b).create(pk=31, customer_id=1, text="z")
    Address.objects.using(pair.a).filter(pk=11).update(text="z")
    pair.push()
    assert waiting(pair.b) == [("single.Address", "[11]", "unique")]
    assert "(single.Address 31)" in Quarantine.objects.using(pair.b).get().detail
