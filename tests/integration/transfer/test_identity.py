"""Models that are named by their own fields: each side numbers the rows as it likes."""

from decimal import Decimal

import pytest
from django.db import transaction

from peersync import numbering
from peersync.models import RowState
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Sku, SkuNote, Tag, Tagged

IDENTITY = {"zoo.Sku": ["sku"], "zoo.SkuNote": ["sku", "text"]}


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY=IDENTITY)


def shift(alias: str) -> None:
    """The next rows get other numbers here than elsewhere."""
    for number in range(3):
        Sku.objects.using(alias).create(sku=f"gone{number}").delete()


def test_both_sides_number_as_they_like(pair: Pair) -> None:
    shift(pair.b)
    Sku.objects.using(pair.a).create(id=2, sku="one", name="first")
    Sku.objects.using(pair.b).create(id=2, sku="two", name="second")
    note = SkuNote.objects.using(pair.a).create(sku_id=2, text="on one")
    SkuNote.objects.using(pair.b).create(id=note.pk, sku_id=2, text="on two")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("one", "first"), ("two", "second")]
    assert pair.rows(SkuNote, "sku__sku", "text") == [("one", "on one"), ("two", "on two")]
    assert Sku.objects.using(pair.a).get(sku="one").pk == 2
    assert Sku.objects.using(pair.b).get(sku="two").pk == 2
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


def test_the_number_travels_not(pair: Pair) -> None:
    """Under an identity the primary key stays home: an edit on either side finds its row."""
    Sku.objects.using(pair.a).create(id=1, sku="one")
    Sku.objects.using(pair.b).create(id=5, sku="one")
    pair.both()
    Sku.objects.using(pair.b).filter(pk=5).update(name="from b")
    report = pair.pull()
    assert report.models["zoo.Sku"].updated == 1
    assert list(Sku.objects.using(pair.a).values_list("pk", "sku", "name")) == [(1, "one", "from b")]
    assert list(Sku.objects.using(pair.b).values_list("pk", "sku", "name")) == [(5, "one", "from b")]


def test_equal_rows_born_on_both_sides_are_no_conflict(pair: Pair) -> None:
    Sku.objects.using(pair.a).create(sku="one", name="same", price=Decimal("1.50"))
    shift(pair.b)
    Sku.objects.using(pair.b).create(sku="one", name="same", price=Decimal("1.5"))
    pair.both()
    assert records(pair.a) == records(pair.b) == []
    assert pair.rows(Sku, "sku", "name", "price") == [("one", "same", Decimal("1.50"))]


def test_a_renamed_row_is_an_update(pair: Pair) -> None:
    shift(pair.b)
    sku = Sku.objects.using(pair.a).create(sku="old", name="thing")
    SkuNote.objects.using(pair.a).create(sku=sku, text="hangs on it")
    pair.push()
    there = Sku.objects.using(pair.b).get().pk
    sku.sku = "new"
    sku.save()
    report = pair.push()
    figures = report.models["zoo.Sku"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 0)
    assert list(Sku.objects.using(pair.b).values_list("pk", "sku")) == [(there, "new")]
    assert pair.rows(SkuNote, "sku__sku", "text") == [("new", "hangs on it")]
    assert pair.differences() == {}


def test_two_renames_before_a_sync(pair: Pair) -> None:
    sku = Sku.objects.using(pair.a).create(sku="first", name="thing")
    pair.push()
    for name in ("second", "third"):
        Sku.objects.using(pair.a).filter(pk=sku.pk).update(sku=name)
    figures = pair.push().models["zoo.Sku"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 0)
    assert pair.rows(Sku, "sku") == [("third",)]


def test_a_rename_meets_an_edit(pair: Pair) -> None:
    """The other side edited the row under its former name: one row, both versions known."""
    sku = Sku.objects.using(pair.a).create(sku="old", name="thing")
    pair.both()
    Sku.objects.using(pair.a).filter(pk=sku.pk).update(sku="new")
    Sku.objects.using(pair.b).update(name="edited")
    pair.both()
    pair.both()
    assert len(pair.rows(Sku, "sku", "name")) == 1
    assert len({*records(pair.a), *records(pair.b)}) >= 1
    assert pair.differences() == {}


def test_rename_and_its_name_to_another(pair: Pair) -> None:
    """The name is free again, and somebody else takes it in the same transaction."""
    sku = Sku.objects.using(pair.a).create(sku="x", name="first")
    pair.push()
    there = Sku.objects.using(pair.b).get().pk
    with transaction.atomic(using=pair.a):
        Sku.objects.using(pair.a).filter(pk=sku.pk).update(sku="y")
        Sku.objects.using(pair.a).create(sku="x", name="another")
    pair.push()
    assert pair.rows(Sku, "sku", "name") == [("x", "another"), ("y", "first")]
    assert Sku.objects.using(pair.b).get(sku="y").pk == there
    pair.pull()
    assert pair.differences() == {}


def test_two_rows_change_names(pair: Pair) -> None:
    one = Sku.objects.using(pair.a).create(sku="one", name="1")
    two = Sku.objects.using(pair.a).create(sku="two", name="2")
    pair.push()
    with transaction.atomic(using=pair.a):
        for pk, name in ((one.pk, "between"), (two.pk, "one"), (one.pk, "two")):
            Sku.objects.using(pair.a).filter(pk=pk).update(sku=name)
    pair.push()
    assert pair.rows(Sku, "sku", "name") == [("one", "2"), ("two", "1")]
    assert pair.differences() == {}


def test_tombstone_and_rebirth_under_one_name(pair: Pair) -> None:
    Sku.objects.using(pair.a).create(sku="one", name="before")
    pair.both()
    Sku.objects.using(pair.a).all().delete()
    pair.both()
    assert pair.rows(Sku, "sku") == []
    Sku.objects.using(pair.b).create(sku="one", name="again")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("one", "again")]
    assert records(pair.a) == records(pair.b) == []
    Sku.objects.using(pair.a).all().delete()
    Sku.objects.using(pair.a).create(sku="one", name="at once")
    figures = pair.push().models["zoo.Sku"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 0)
    assert pair.rows(Sku, "sku", "name") == [("one", "at once")]
    states = RowState.objects.using(pair.a).filter(model="zoo.Sku")
    assert not states.filter(deleted=True).exists(), "the row that was born took over what the tombstone knew"


def test_deleted_there_born_again_here(pair: Pair) -> None:
    """A deletion and a new row under the same name, neither having seen the other."""
    Sku.objects.using(pair.a).create(sku="one", name="before")
    pair.both()
    Sku.objects.using(pair.b).all().delete()
    with transaction.atomic(using=pair.a):
        Sku.objects.using(pair.a).all().delete()
        Sku.objects.using(pair.a).create(sku="one", name="reborn")
    pair.both()
    pair.both()
    assert pair.differences() == {}
    assert pair.rows(Sku, "sku") in ([], [("one",)])
    assert len([*records(pair.a), *records(pair.b)]) == 1


def test_a_nested_identity(pair: Pair) -> None:
    """A note is named by its row's name and its text; the row is renamed: the notes are the same ones."""
    shift(pair.b)
    sku = Sku.objects.using(pair.a).create(sku="old")
    SkuNote.objects.using(pair.a).create(sku=sku, text="t1")
    SkuNote.objects.using(pair.a).create(sku=sku, text="t2")
    pair.push()
    before = sorted(SkuNote.objects.using(pair.b).values_list("pk", flat=True))
    Sku.objects.using(pair.a).filter(pk=sku.pk).update(sku="new")
    SkuNote.objects.using(pair.b).filter(text="t1").delete()
    SkuNote.objects.using(pair.a).filter(text="t2").update(text="t3")
    pair.both()
    pair.both()
    assert pair.rows(SkuNote, "sku__sku", "text") == [("new", "t3")]
    assert set(SkuNote.objects.using(pair.b).values_list("pk", flat=True)) <= set(before)
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


def test_a_row_and_its_notes_are_deleted(pair: Pair) -> None:
    shift(pair.b)
    sku = Sku.objects.using(pair.a).create(sku="one")
    for text in ("t1", "t2"):
        SkuNote.objects.using(pair.a).create(sku=sku, text=text)
    pair.both()
    sku.delete()
    report = pair.push()
    assert report.models["zoo.SkuNote"].deleted == 2
    assert report.models["zoo.Sku"].deleted == 1
    assert pair.rows(Sku, "sku") == pair.rows(SkuNote, "text") == []
    assert pair.differences() == {}
    assert records(pair.b) == []


def test_a_row_goes_with_more_notes_than_a_pass_takes_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes are noted first: when they are numbered, what the row was called stands in the journal alone."""
    monkeypatch.setattr(numbering, "BITE", 2)
    sku = Sku.objects.using(pair.a).create(sku="one")
    for number in range(5):
        SkuNote.objects.using(pair.a).create(sku=sku, text=str(number))
    pair.both()
    sku.delete()
    report = pair.push()
    assert report.models["zoo.SkuNote"].deleted == 5
    assert report.models["zoo.Sku"].deleted == 1
    assert pair.rows(Sku, "sku") == []
    assert pair.rows(SkuNote, "text") == []
    assert records(pair.a) == records(pair.b) == []


def test_a_row_and_its_notes_are_deleted_over_several_passes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass takes so many notes and no more: the child's comes first, and what names it stands behind it."""
    shift(pair.b)
    sku = Sku.objects.using(pair.a).create(sku="one")
    SkuNote.objects.using(pair.a).create(sku=sku, text="t1")
    pair.both()
    monkeypatch.setattr("peersync.numbering.BITE", 1)
    sku.delete()
    pair.push()
    assert pair.rows(Sku, "sku") == pair.rows(SkuNote, "text") == []
    assert records(pair.b) == []


def test_a_row_is_deleted_by_sql(pair: Pair) -> None:
    sku = Sku.objects.using(pair.a).create(sku="one")
    pair.push()
    sql(pair.a, "DELETE FROM zoo_sku WHERE id = %s", [sku.pk])
    assert pair.push().models["zoo.Sku"].deleted == 1
    assert pair.rows(Sku, "sku") == []


def test_many_to_many_of_rows_with_other_numbers(pair: Pair) -> None:
    pair.configure("zoo.Tag", "zoo.Tagged", IDENTITY={"zoo.Tag": ["name"]})
    for name in ("z", "y", "x"):
        Tag.objects.using(pair.b).create(name=name)
    thing = Tagged.objects.using(pair.a).create(id=1, name="thing")
    thing.tags.add(*(Tag.objects.using(pair.a).create(name=name) for name in ("x", "y")))
    pair.both()
    assert pair.rows(Tagged, "name", "tags__name") == [("thing", "x"), ("thing", "y")]
    thing.tags.remove(Tag.objects.using(pair.a).get(name="x"))
    assert pair.push().models["zoo.Tagged_tags"].deleted == 1
    assert pair.rows(Tagged, "name", "tags__name") == [("thing", "y")]
    assert pair.differences() == {}
