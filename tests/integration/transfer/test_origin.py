"""Tables that each node numbers for itself: rows are named by where they were born."""

import time
from typing import Any

import pytest
from django.db import connections, transaction

from peersync import numbering
from peersync.models import Origin, RowState
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Born, BornChild, SelfRef, Tag, Tagged

MODELS = ("zoo.Born", "zoo.BornChild")
ORIGIN = dict.fromkeys(MODELS, "origin")


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure(*MODELS, IDENTITY=ORIGIN)


def make(alias: str, tag: int, *children: int, **values: Any) -> Born:
    row = Born.objects.using(alias).create(tag=tag, **values)
    for child in children:
        BornChild.objects.using(alias).create(tag=child, p=row)
    return row


def families(pair: Pair) -> list[tuple[Any, ...]]:
    """Child and parent by their tags, equal at both sides."""
    pair.rows(Born, "tag", "x", "u", "b")
    return pair.rows(BornChild, "tag", "x", "p__tag")


def settled(pair: Pair) -> None:
    assert pair.differences() == {}
    assert records(pair.a) == records(pair.b) == []
    assert waiting(pair.a) == waiting(pair.b) == []


def forget_history(alias: str) -> None:
    """As if the rows had stood there before peersync came."""
    for table in ("journal", "rowstate", "origin"):
        sql(alias, f"DELETE FROM peersync_{table}")


def test_rows_of_one_number_are_two_rows(pair: Pair) -> None:
    for alias, first in ((pair.a, 10), (pair.b, 20)):
        for number in range(3):
            make(alias, first + number, 100 + first + number)
    pair.both()
    assert families(pair) == [(100 + tag, "", tag) for tag in (10, 11, 12, 20, 21, 22)]
    assert {row.pk for row in Born.objects.using(pair.a).filter(tag__lt=20)} == {1, 2, 3}
    assert {row.pk for row in Born.objects.using(pair.b).filter(tag__gte=20)} == {1, 2, 3}
    settled(pair)


def test_edits_and_deletions_find_their_rows(pair: Pair) -> None:
    make(pair.a, 1, 101)
    make(pair.b, 2, 102)
    make(pair.b, 3, 103)
    pair.both()
    Born.objects.using(pair.a).filter(tag=2).update(x="from a")
    Born.objects.using(pair.b).filter(tag=1).update(x="from b")
    BornChild.objects.using(pair.a).filter(tag=102).update(p=Born.objects.using(pair.a).get(tag=1))
    Born.objects.using(pair.b).filter(tag=3).delete()
    pulled, pushed = pair.both()
    assert pulled.models["zoo.Born"].deleted == pulled.models["zoo.BornChild"].deleted == 1
    assert (pushed.models["zoo.Born"].updated, pushed.models["zoo.BornChild"].updated) == (1, 1)
    assert families(pair) == [(101, "", 1), (102, "", 1)]
    assert pair.rows(Born, "tag", "x") == [(1, "from b"), (2, "from a")]
    settled(pair)


def test_a_free_number_is_kept(pair: Pair) -> None:
    """As the design says of every row that is created at the receiver."""
    make(pair.b, 5)
    Born.objects.using(pair.a).create(id=1000, tag=7)
    pair.push()
    assert Born.objects.using(pair.b).get(tag=7).pk == 1000
    assert make(pair.b, 8).pk > 1000
    pair.both()
    settled(pair)


def test_a_number_that_a_tombstone_has_is_not_taken(pair: Pair) -> None:
    """It belongs to the row that is gone: whoever still has that must hear of it."""
    make(pair.b, 1)
    numbering.number(pair.b)
    Born.objects.using(pair.b).all().delete()
    make(pair.a, 4)
    pair.push()
    assert Born.objects.using(pair.b).get(tag=4).pk == 2
    assert RowState.objects.using(pair.b).get(model="zoo.Born", pk_text="1").deleted
    pair.pull()
    assert pair.rows(Born, "tag") == [(4,)]
    settled(pair)


def test_two_births_and_a_base_row_of_one_number(pair: Pair) -> None:
    """A row that stood before keeps no entry, and its number is taken at the other side."""
    make(pair.a, 1, 101)
    forget_history(pair.a)
    make(pair.b, 2, 102)
    pair.both()
    assert families(pair) == [(101, "", 1), (102, "", 2)]
    assert Origin.objects.using(pair.a).filter(model="zoo.Born").count() == 1
    assert sorted(Origin.objects.using(pair.b).values_list("local", "there")) == [(1, 1), (1, 1), (2, 1), (2, 1)]
    settled(pair)


def test_a_first_sync_into_an_empty_table_leaves_no_trace(pair: Pair) -> None:
    for number in range(1, 30):
        make(pair.a, number, 100 + number)
    Born.objects.using(pair.a).filter(tag=17).delete()
    forget_history(pair.a)
    pair.push()
    assert len(families(pair)) == 28
    for model in (RowState, Origin):
        assert not model.objects.using(pair.a).exists()
        assert not model.objects.using(pair.b).exists()
    Born.objects.using(pair.b).filter(tag=5).update(x="changed")
    Born.objects.using(pair.b).filter(tag=6).delete()
    make(pair.b, 99)
    pair.both()
    assert (5, "changed") in pair.rows(Born, "tag", "x")
    assert (6,) not in pair.rows(Born, "tag")
    settled(pair)


def test_rows_that_stood_on_both_sides_are_one_row(pair: Pair) -> None:
    for alias in pair.aliases:
        make(alias, 1, 101)
        make(alias, 2, x=alias)
        forget_history(alias)
    pair.push()
    pair.pull()
    assert len(families(pair)) == 1
    assert pair.rows(Born, "tag", "x") == [(1, ""), (2, pair.a)]
    assert [kind for kind, _, _ in records(pair.b)] == ["conflict"]
    assert not Origin.objects.using(pair.a).exists()
    assert not Origin.objects.using(pair.b).exists()


def test_the_deletion_of_a_row_that_was_never_changed(pair: Pair) -> None:
    make(pair.a, 1, 101)
    make(pair.a, 2)
    forget_history(pair.a)
    pair.push()
    Born.objects.using(pair.b).filter(tag=1).delete()
    assert pair.pull().models["zoo.Born"].deleted == 1
    assert families(pair) == []
    assert pair.rows(Born, "tag") == [(2,)]
    settled(pair)


def test_a_row_made_again_under_its_number_is_that_row(pair: Pair) -> None:
    make(pair.a, 1)
    pair.both()
    Born.objects.using(pair.b).all().delete()
    Born.objects.using(pair.b).create(id=1, tag=1, x="again")
    figures = pair.pull().models["zoo.Born"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 0)
    assert pair.rows(Born, "tag", "x") == [(1, "again")]
    settled(pair)


def test_a_deletion_that_meets_an_edit(pair: Pair) -> None:
    """The row comes back, or stays gone: alike on both sides, under one name, and the loser is kept."""
    make(pair.a, 1)
    pair.both()
    Born.objects.using(pair.a).all().delete()
    make(pair.a, 2)
    time.sleep(0.003)  # stamps are milliseconds, and the edit is the later one
    Born.objects.using(pair.b).filter(tag=1).update(x="edited")
    pair.both()
    pair.both()
    assert pair.rows(Born, "tag", "x") == [(1, "edited"), (2, "")]
    assert {kind for kind, _, _ in [*records(pair.a), *records(pair.b)]} == {"conflict"}
    assert pair.differences() == {}


def test_trees_and_circles(pair: Pair) -> None:
    pair.configure("zoo.SelfRef", IDENTITY={"*": "origin"})
    for alias in pair.aliases:
        root = SelfRef.objects.using(alias).create(name=f"root {alias}")
        leaf = SelfRef.objects.using(alias).create(name=f"leaf {alias}", parent=root)
        one = SelfRef.objects.using(alias).create(name=f"one {alias}")
        two = SelfRef.objects.using(alias).create(name=f"two {alias}", parent=one)
        SelfRef.objects.using(alias).filter(pk=one.pk).update(parent=two)
        SelfRef.objects.using(alias).filter(pk=leaf.pk).update(name=f"leaf of {alias}")
    pair.both()
    assert len(pair.rows(SelfRef, "name", "parent__name")) == 8
    settled(pair)


def test_many_to_many(pair: Pair) -> None:
    pair.configure("zoo.Tag", "zoo.Tagged", IDENTITY={"zoo.Tag": ["name"], "zoo.Tagged": "origin"})
    for alias in pair.aliases:
        Tag.objects.using(alias).create(name=f"only {alias}").delete()
        for name in ("x", "y") if alias == pair.a else ("y", "x"):
            Tag.objects.using(alias).create(name=name)
        for name in ("x", "y"):
            thing = Tagged.objects.using(alias).create(name=f"{name} of {alias}")
            thing.tags.add(Tag.objects.using(alias).get(name=name))
    pair.both()
    expected = [(f"{n} of {alias}", n) for n in ("x", "y") for alias in sorted(pair.aliases)]
    assert pair.rows(Tagged, "name", "tags__name") == expected
    Tagged.objects.using(pair.b).get(name=f"x of {pair.a}").tags.set(Tag.objects.using(pair.b).all())
    Tagged.objects.using(pair.a).get(name=f"y of {pair.b}").tags.clear()
    pair.both()
    found = pair.rows(Tagged, "name", "tags__name")
    assert (f"x of {pair.a}", "y") in found
    assert (f"y of {pair.b}", None) in found
    settled(pair)


def test_a_number_that_is_changed_is_another_row(pair: Pair) -> None:
    make(pair.a, 1, x="old")
    pair.both()
    Born.objects.using(pair.a).filter(pk=1).update(id=900)
    figures = pair.push().models["zoo.Born"]
    assert (figures.created, figures.deleted) == (1, 1)
    assert pair.rows(Born, "tag", "x") == [(1, "old")]
    settled(pair)


def test_whoever_is_born_while_a_row_of_its_number_arrives(pair: Pair) -> None:
    """Between the handshake and the batch, a user makes a row under the number of one that stood at the source."""
    make(pair.a, 1, x="stood before")
    forget_history(pair.a)
    transfer = Transfer(DatabaseReplica(pair.a, peer=pair.b), DatabaseReplica(pair.b, peer=pair.a))
    while transfer.agreement is None:
        assert not transfer.step()
    make(pair.b, 2, x="born meanwhile")
    while not transfer.step():
        pass
    pair.both()
    assert pair.rows(Born, "tag", "x") == [(1, "stood before"), (2, "born meanwhile")]
    settled(pair)


def test_sequences_that_stand_behind_their_rows(pair: Pair) -> None:
    """Rows that somebody inserted with numbers of his own, ahead of the sequence."""
    for number in range(1, 6):
        sql(pair.b, "INSERT INTO zoo_born (id, tag, x, y, b, e) VALUES (%s, %s, '', '', 'n', '')", [number, number])
    for number in range(1, 4):
        make(pair.a, 100 + number)
    pair.push()
    pair.pull()
    assert len(pair.rows(Born, "tag")) == 8
    make(pair.a, 200)
    if connections[pair.b].vendor == "sqlite":
        make(pair.b, 201)
    pair.both()
    settled(pair)


def test_unique_values_change_hands(pair: Pair) -> None:
    make(pair.a, 1, u="one")
    make(pair.b, 2, u="two")
    pair.both()
    with transaction.atomic(using=pair.a):
        Born.objects.using(pair.a).filter(tag=1).update(u=None)
        Born.objects.using(pair.a).filter(tag=2).update(u="one")
        Born.objects.using(pair.a).filter(tag=1).update(u="two")
    pair.push()
    assert pair.rows(Born, "tag", "u") == [(1, "two"), (2, "one")]
    settled(pair)


def test_tables_that_were_named_by_their_numbers_before(pair: Pair) -> None:
    """IDENTITY is set on nodes that have been kept equal for long: the rows go on as they are, deletions too."""
    pair.configure(*MODELS)
    for number in range(1, 6):
        make(pair.a, number, number)
    pair.both()
    Born.objects.using(pair.b).filter(tag=1).delete()
    Born.objects.using(pair.a).filter(tag=2).update(x="from a")
    BornChild.objects.using(pair.b).filter(tag=3).update(x="from b")
    BornChild.objects.using(pair.a).create(tag=50, p=Born.objects.using(pair.a).get(tag=5))
    sql(pair.b, "INSERT INTO zoo_born (id, tag, x, y, b, e) VALUES (90, 90, '', '', 'n', '')")
    for alias in pair.aliases:
        numbering.number(alias)
    pair.configure(*MODELS, IDENTITY=ORIGIN)
    for alias, tag in ((pair.a, 300), (pair.b, 400)):
        make(alias, tag, tag)
    pair.both()
    pair.both()
    assert [tag for (tag,) in pair.rows(Born, "tag")] == [2, 3, 300, 4, 400, 5, 90]
    assert (2, "from a") in pair.rows(Born, "tag", "x")
    assert (3, "from b", 3) in families(pair)
    assert (50, "", 5) in families(pair)
    settled(pair)


def test_what_waits_from_before_its_rows_were_named_by_their_origin(pair: Pair) -> None:
    """It bears a name that nobody knows any more, and comes again under the new one."""
    pair.configure(*MODELS)
    parent = Born.objects.using(pair.a).create(tag=1, u="wanted")
    Born.objects.using(pair.b).create(id=77, tag=2, u="wanted")
    BornChild.objects.using(pair.a).create(tag=1, p=parent)
    pair.push()
    assert len(waiting(pair.b)) == 2
    pair.configure(*MODELS, IDENTITY=ORIGIN)
    pair.push()
    assert len(waiting(pair.b)) == 2
    Born.objects.using(pair.b).filter(tag=2).update(u="another")
    pair.push()
    assert waiting(pair.b) == []
    pair.both()
    assert families(pair) == [(1, "", 1)]
    settled(pair)
