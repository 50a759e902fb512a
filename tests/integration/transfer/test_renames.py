"""Rows that are renamed while the other side knows them by their former names."""

import pytest
from django.db import transaction

from peersync import numbering
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Sku, SkuNote

IDENTITY = {"zoo.Sku": ["sku"], "zoo.SkuNote": ["sku", "text"]}


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY=IDENTITY)
    for name in ("shifted", "numbers"):
        sql(pair.b, "INSERT INTO zoo_sku (sku, name, price) VALUES (%s, '', 0)", [name])
    sql(pair.b, "DELETE FROM zoo_sku")


def rename(alias: str, old: str, new: str) -> None:
    assert Sku.objects.using(alias).filter(sku=old).update(sku=new) == 1


def settled(pair: Pair) -> None:
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


@pytest.mark.parametrize("first", ["push", "both"])
def test_a_child_is_born_under_the_former_name(pair: Pair, first: str) -> None:
    Sku.objects.using(pair.a).create(sku="old", name="thing")
    getattr(pair, first)()
    rename(pair.a, "old", "new")
    SkuNote.objects.using(pair.b).create(sku=Sku.objects.using(pair.b).get(), text="late")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("new", "thing")]
    assert pair.rows(SkuNote, "sku__sku", "text") == [("new", "late")]
    assert records(pair.a) == records(pair.b) == []
    settled(pair)


def test_two_rows_change_names_and_keep_what_hangs_on_them(pair: Pair) -> None:
    for name in ("one", "two"):
        sku = Sku.objects.using(pair.a).create(sku=name, name=f"was {name}")
        SkuNote.objects.using(pair.a).create(sku=sku, text=f"of {name}")
    pair.both()
    with transaction.atomic(using=pair.a):
        rename(pair.a, "one", "between")
        rename(pair.a, "two", "one")
        rename(pair.a, "between", "two")
    pair.push()
    assert pair.rows(Sku, "sku", "name") == [("one", "was two"), ("two", "was one")]
    assert pair.rows(SkuNote, "sku__sku", "text") == [("one", "of two"), ("two", "of one")]
    settled(pair)


def test_an_old_name_is_given_to_another_row(pair: Pair) -> None:
    """Long after the rename was read: what the row was called before means nothing any more."""
    Sku.objects.using(pair.a).create(sku="x", name="first")
    pair.both()
    rename(pair.a, "x", "y")
    pair.both()
    Sku.objects.using(pair.b).create(sku="x", name="second")
    Sku.objects.using(pair.a).filter(sku="y").update(name="edited")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("x", "second"), ("y", "edited")]
    assert records(pair.a) == records(pair.b) == []
    settled(pair)


def test_renamed_on_both_sides(pair: Pair) -> None:
    """One row still, under one of the names; the other name stands in the record."""
    sku = Sku.objects.using(pair.a).create(sku="old", name="thing")
    SkuNote.objects.using(pair.a).create(sku=sku, text="t")
    pair.both()
    rename(pair.a, "old", "of a")
    rename(pair.b, "old", "of b")
    pair.both()
    assert len(pair.rows(Sku, "sku", "name")) == 1
    assert len(pair.rows(SkuNote, "sku__sku", "text")) == 1
    assert len([*records(pair.a), *records(pair.b)]) == 1
    settled(pair)


def test_renamed_here_and_deleted_there(pair: Pair) -> None:
    Sku.objects.using(pair.a).create(sku="old", name="thing")
    pair.both()
    rename(pair.a, "old", "new")
    Sku.objects.using(pair.b).all().delete()
    pair.both()
    pair.both()
    assert len(pair.rows(Sku, "sku")) in (0, 1)
    assert len([*records(pair.a), *records(pair.b)]) == 1
    settled(pair)


def test_renamed_and_then_deleted(pair: Pair) -> None:
    """The other side never heard of the second name."""
    Sku.objects.using(pair.a).create(sku="old")
    pair.both()
    rename(pair.a, "old", "new")
    Sku.objects.using(pair.a).all().delete()
    assert pair.push().models["zoo.Sku"].deleted == 1
    assert pair.rows(Sku, "sku") == []
    settled(pair)


def test_a_number_is_used_again(pair: Pair) -> None:
    """The deletion was numbered and not read yet; another row takes its local key."""
    Sku.objects.using(pair.a).create(id=7, sku="gone")
    pair.both()
    Sku.objects.using(pair.a).all().delete()
    numbering.number(pair.a)
    Sku.objects.using(pair.a).create(id=7, sku="born")
    pair.push()
    assert pair.rows(Sku, "sku") == [("born",)]
    settled(pair)


def test_a_parent_is_renamed_with_its_children(pair: Pair) -> None:
    """Under a nested identity, in one batch: the parent's name is part of theirs."""
    sku = Sku.objects.using(pair.a).create(sku="old")
    for text in ("t1", "t2", "t3"):
        SkuNote.objects.using(pair.a).create(sku=sku, text=text)
    pair.both()
    rename(pair.a, "old", "new")
    SkuNote.objects.using(pair.a).filter(text="t1").update(text="changed")
    SkuNote.objects.using(pair.a).filter(text="t2").delete()
    figures = pair.push().models["zoo.SkuNote"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 1)
    assert pair.rows(SkuNote, "sku__sku", "text") == [("new", "changed"), ("new", "t3")]
    settled(pair)


def test_all_of_it_at_three_nodes(pair: Pair, nodes: object) -> None:
    """A name travels through a node in the middle."""
    c = nodes.c.alias  # type: ignore[attr-defined]
    from peersync import capture
    from peersync.replicas.database import DatabaseReplica
    from peersync.transfer import Transfer

    capture.install(c)

    def carry(source: str, target: str) -> None:
        report = Transfer(DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source)).run()
        assert report.error is None

    sku = Sku.objects.using(pair.a).create(sku="old", name="thing")
    SkuNote.objects.using(pair.a).create(sku=sku, text="t")
    for _ in range(2):
        carry(pair.a, pair.b)
        carry(pair.b, c)
        carry(c, pair.b)
        carry(pair.b, pair.a)
    rename(pair.a, "old", "new")
    Sku.objects.using(c).update(name="edited at c")
    for _ in range(2):
        carry(pair.a, pair.b)
        carry(pair.b, c)
        carry(c, pair.b)
        carry(pair.b, pair.a)
    rows = [pair.rows(Sku, "sku", "name", alias=alias) for alias in (pair.a, pair.b, c)]
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) == 1
    assert len(pair.rows(SkuNote, "sku__sku", "text", alias=c)) == 1


@pytest.mark.parametrize("steps", [("pull", "push"), ("push", "pull")])
def test_a_child_goes_from_a_parent_that_is_renamed_elsewhere(lite: Pair, steps: tuple[str, str]) -> None:
    """What its tombstone is called is as old as its deletion."""
    pair = lite
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY=IDENTITY)
    cat = Sku.objects.using(pair.a).create(sku="cat")
    SkuNote.objects.using(pair.a).create(sku=cat, text="note")
    pair.both()
    SkuNote.objects.using(pair.a).all().delete()
    rename(pair.b, "cat", "jay")
    for step in steps:
        getattr(pair, step)()
    assert pair.rows(SkuNote, "sku__sku", "text") == []
    settled(pair)


@pytest.mark.parametrize("steps", [("pull", "push"), ("push", "pull")])
def test_a_child_moves_away_from_a_parent_that_is_renamed_elsewhere(pair: Pair, steps: tuple[str, str]) -> None:
    """The child's former name is as old as its move: the parent in it bears a new one, which was read since."""
    cat, pig = (Sku.objects.using(pair.a).create(sku=name) for name in ("cat", "pig"))
    SkuNote.objects.using(pair.a).create(sku=cat, text="note")
    pair.both()
    SkuNote.objects.using(pair.a).update(sku=pig)
    rename(pair.b, "cat", "jay")
    for step in steps:
        getattr(pair, step)()
    assert pair.rows(SkuNote, "sku__sku", "text") == [("pig", "note")]
    settled(pair)
