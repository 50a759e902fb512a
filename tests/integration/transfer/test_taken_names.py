"""Under an identity: a row gets the name of one that was deleted, or that somebody else just made."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from tests.keyed.models import Book, Chapter
from tests.single.models import Letter
from tests.support.pairs import Pair, records, waiting
from tests.support.single import DAY
from tests.zoo.models import Branch, Sku, SkuNote


@pytest.fixture
def named(lite: Pair) -> Pair:
    return _prepared(lite)


def _prepared(pair: Pair) -> Pair:
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY={"zoo.Sku": ["sku"], "zoo.SkuNote": "origin"})
    for name in ("one", "nine"):
        sku = Sku.objects.using(pair.a).create(sku=name, name=name)
        SkuNote.objects.using(pair.a).create(sku=sku, text=f"on {name}")
    pair.both()
    return pair


def check(pair: Pair) -> None:
    pair.rows(Sku, "sku", "name")
    pair.rows(SkuNote, "sku__sku", "text")
    assert (waiting(pair.a), waiting(pair.b)) == ([], [])
    assert pair.differences() == {}


def _takes(skus: Any) -> None:
    skus.filter(sku="nine").delete()
    skus.filter(sku="one").update(sku="nine")


def _takes_with_what_hung_on_it(skus: Any) -> None:
    SkuNote.objects.using(skus.db).filter(sku__sku="nine").update(sku=skus.get(sku="one"))
    _takes(skus)


def _passes_on(skus: Any) -> None:
    _takes(skus)
    skus.create(sku="one", name="another")


def _goes_round(skus: Any) -> None:
    skus.filter(sku="one").delete()
    skus.create(sku="two", name="two")
    skus.filter(sku="nine").update(sku="one")
    skus.filter(sku="two").update(sku="nine")


@pytest.mark.parametrize("does", [_takes, _takes_with_what_hung_on_it, _passes_on, _goes_round])
def test_a_deleted_row_leaves_its_name_to_another(named: Pair, does: Callable[[Any], None]) -> None:
    stays = Sku.objects.using(named.b).get(sku="nine" if does is _goes_round else "one").pk
    does(Sku.objects.using(named.a))
    named.push()
    check(named)
    assert Sku.objects.using(named.b).get(pk=stays).sku == ("one" if does is _goes_round else "nine")


def test_it_is_seen_on_postgresql_too(pg: Pair) -> None:
    _prepared(pg)
    _takes(Sku.objects.using(pg.a))
    figures = pg.push().models["zoo.Sku"]
    assert (figures.created, figures.updated, figures.deleted) == (0, 1, 1)
    check(pg)


def test_what_was_edited_meanwhile_is_recorded(named: Pair) -> None:
    """The row that was deleted there, and the one that got its name, are one row now: an edit of it is a conflict."""
    Sku.objects.using(named.b).filter(sku="nine").update(name="edited")
    SkuNote.objects.using(named.b).create(sku=Sku.objects.using(named.b).get(sku="nine"), text="late")
    _takes(Sku.objects.using(named.a))
    named.both()
    named.both()
    check(named)
    assert ("nine", "late") in named.rows(SkuNote, "sku__sku", "text")
    assert [kind for kind, *_ in (*records(named.a), *records(named.b))] == ["conflict"]


def _meets(pair: Pair) -> tuple[Any, Any]:
    """At a "one" is called "ten", and b, which has not heard of it, makes a "ten" of its own."""
    here, there = Sku.objects.using(pair.a), Sku.objects.using(pair.b)
    ten = there.create(sku="ten", name="b's")
    SkuNote.objects.using(pair.b).create(sku=ten, text="of b's")
    one = here.get(sku="one")
    here.filter(pk=one.pk).update(sku="ten", name="a's")
    SkuNote.objects.using(pair.a).create(sku=one, text="of a's")
    return here, there


def test_a_name_that_the_other_side_gave_to_a_new_row_waits(named: Pair) -> None:
    _meets(named)
    assert named.push().models["zoo.Sku"].quarantined == 1
    assert [(label, reason) for label, _, reason in waiting(named.b)] == [
        ("zoo.Sku", "unique"),
        ("zoo.SkuNote", "parent"),
    ]
    assert sorted(Sku.objects.using(named.b).values_list("sku", "name")) == [
        ("nine", "nine"),
        ("one", "one"),
        ("ten", "b's"),
    ]


@pytest.mark.parametrize("pull_first", [True, False])
def test_two_rows_of_one_name_become_one(named: Pair, pull_first: bool) -> None:
    """As two rows do that are born under one name: one version wins, the other is recorded."""
    _meets(named)
    if not pull_first:
        named.push()
    named.both()
    check(named)
    assert {("ten", "of a's"), ("ten", "of b's"), ("ten", "on one")} <= set(named.rows(SkuNote, "sku__sku", "text"))
    assert "conflict" in {kind for kind, *_ in (*records(named.a), *records(named.b))}


@pytest.mark.parametrize("waited", [True, False])
def test_the_new_row_is_renamed_before_they_meet(named: Pair, waited: bool) -> None:
    _, there = _meets(named)
    if waited:
        named.push()
    there.filter(name="b's").update(sku="eleven")
    named.push()
    named.both()
    check(named)
    notes = named.rows(SkuNote, "sku__sku", "text")
    assert {("ten", "of a's"), ("eleven", "of b's"), ("ten", "on one")} <= set(notes)


def test_the_renamed_row_is_renamed_again_before_they_meet(named: Pair) -> None:
    here, _ = _meets(named)
    named.push()
    here.filter(name="a's").update(sku="twelve")
    named.both()
    check(named)
    notes = named.rows(SkuNote, "sku__sku", "text")
    assert {("twelve", "of a's"), ("ten", "of b's"), ("twelve", "on one")} <= set(notes)


@pytest.mark.parametrize("moves", [False, True])
def test_a_tree_whose_names_go_round(lite: Pair, moves: bool) -> None:
    """Each row keeps its primary key at the other side, and what is excluded with it; also where one hangs on another."""
    lite.configure("zoo.Branch", IDENTITY={"zoo.Branch": ["name"]})
    here = Branch.objects.using(lite.a)
    rows = [here.create(name=f"s{n}") for n in range(4)]
    lite.push()
    there = [Branch.objects.using(lite.b).get(name=row.name).pk for row in rows]
    with transaction.atomic(using=lite.a):
        here.filter(pk=rows[1].pk).update(name="between")
        here.filter(pk=rows[2].pk).update(name="s1")
        here.filter(pk=rows[3].pk).update(name="s2")
        here.filter(pk=rows[1].pk).update(name="s3", parent=rows[2] if moves else None)
    lite.push()
    assert [Branch.objects.using(lite.b).get(pk=pk).name for pk in there] == ["s0", "s3", "s1", "s2"]
    lite.rows(Branch, "name", "parent__name")
    assert (waiting(lite.b), lite.differences()) == ([], {})


@pytest.fixture
def books(lite: Pair) -> Pair:
    """Chapters are known by their book and their number: a renamed book renames them without a word."""
    lite.configure(
        "keyed.Book", "keyed.Chapter", IDENTITY={"keyed.Book": ["isbn"], "keyed.Chapter": ["book", "number"]}
    )
    for isbn in ("one", "nine"):
        book = Book.objects.using(lite.a).create(shelf_mark=isbn, isbn=isbn)
        for number in (1, 2):
            Chapter.objects.using(lite.a).create(book=book, number=number, title=f"{isbn} {number}")
    lite.both()
    return lite


def chapters(pair: Pair) -> list[tuple[Any, ...]]:
    assert (waiting(pair.a), waiting(pair.b), pair.differences()) == ([], [], {})
    pair.rows(Book, "isbn", "shelf_mark")
    return pair.rows(Chapter, "book__isbn", "number", "title")


@pytest.mark.parametrize("push_between", [False, True])
def test_what_is_named_below_a_deleted_row_goes_and_what_is_below_the_other_stays(
    books: Pair, settings: Any, push_between: bool
) -> None:
    Book.objects.using(books.a).get(isbn="nine").delete()
    if push_between:
        books.push()
    Book.objects.using(books.a).filter(isbn="one").update(isbn="nine")
    books.push()
    assert chapters(books) == [("nine", 1, "one 1"), ("nine", 2, "one 2")]
    for late in (books, Pair(settings, books.a, "c")):  # and who comes later is not told that the others ended
        late.configure(
            "keyed.Book", "keyed.Chapter", IDENTITY={"keyed.Book": ["isbn"], "keyed.Chapter": ["book", "number"]}
        )
        late.both()
        assert len(chapters(late)) == 2


def test_what_is_edited_below_rows_that_change_names(books: Pair) -> None:
    here = Book.objects.using(books.a)
    one, nine = here.get(isbn="one").pk, here.get(isbn="nine").pk
    with transaction.atomic(using=books.a):
        for pk, isbn in ((one, "between"), (nine, "one"), (one, "nine")):
            here.filter(pk=pk).update(isbn=isbn)
        Chapter.objects.using(books.a).filter(book_id=one, number=1).update(title="edited")
        Chapter.objects.using(books.a).filter(book_id=nine, number=2).delete()
    books.push()
    assert chapters(books) == [("nine", 1, "edited"), ("nine", 2, "one 2"), ("one", 1, "nine 1")]


@pytest.mark.parametrize("fits", [True, False])
def test_a_row_that_waits_and_is_renamed_is_one_row(lite: Pair, fits: bool) -> None:
    """What waited under the former name would come in later, as a row that nobody made, and travel on."""
    lite.configure("single.Letter", IDENTITY={"single.Letter": ["sign"]})
    first, second, third = (DAY + dt.timedelta(days) for days in range(3))
    Letter.objects.using(lite.b).create(sign="x", day=first, share=1)
    Letter.objects.using(lite.a).create(sign="b", day=first, share=2)
    assert lite.push().models["single.Letter"].quarantined == 1
    Letter.objects.using(lite.a).update(sign="a", day=second if fits else first)
    assert lite.push().models["single.Letter"].quarantined == (0 if fits else 1)
    Letter.objects.using(lite.b).filter(sign="x").update(day=third)
    lite.both()
    assert lite.rows(Letter, "sign", "day") == [("a", second if fits else first), ("x", third)]
    assert (waiting(lite.a), waiting(lite.b), lite.differences()) == ([], [], {})
