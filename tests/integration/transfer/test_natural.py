"""IDENTITY "natural": rows are named by the fields that natural_key() is made of, rows that they point to among them."""

import pytest

from tests.keyed.models import Book, Chapter
from tests.support.pairs import Pair, records, waiting


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure("keyed.Book", "keyed.Chapter", IDENTITY={"*": "natural"})
    Book.objects.using(pair.b).create(shelf_mark="b", isbn="of b")


def test_rows_meet_by_their_natural_keys(pair: Pair) -> None:
    """The number, and another unique field, differ: it is one book."""
    for alias, text in ((pair.a, "of a"), (pair.b, "of b")):
        book = Book.objects.using(alias).create(shelf_mark=text, isbn="1")
        Chapter.objects.using(alias).create(book=book, number=1, title="same")
        Chapter.objects.using(alias).create(book=book, number=2 if text == "of a" else 3, title=text)
    pair.both()
    assert pair.rows(Chapter, "book__isbn", "number", "title") == [
        ("1", 1, "same"),
        ("1", 2, "of a"),
        ("1", 3, "of b"),
    ]
    assert Book.objects.using(pair.a).get(isbn="1").pk != Book.objects.using(pair.b).get(isbn="1").pk
    assert {model for _, model, _ in records(pair.a) + records(pair.b)} == {"keyed.Book"}  # its mark differed
    assert len(pair.rows(Book, "isbn", "shelf_mark")) == 2
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def test_a_renamed_row_is_an_update_and_its_parts_stay(pair: Pair) -> None:
    book = Book.objects.using(pair.a).create(shelf_mark="c", isbn="1")
    Chapter.objects.using(pair.a).create(book=book, number=1)
    pair.both()
    known = Book.objects.using(pair.b).get(isbn="1").pk
    Book.objects.using(pair.a).filter(isbn="1").update(isbn="2")
    Chapter.objects.using(pair.b).update(number=7, title="renamed at b")
    pull, push = pair.both()
    assert (pull.models["keyed.Chapter"].updated, push.models["keyed.Book"].updated) == (1, 1)
    assert push.models["keyed.Book"].created == push.models["keyed.Book"].deleted == 0
    assert pair.rows(Chapter, "book__isbn", "number", "title") == [("2", 7, "renamed at b")]
    assert Book.objects.using(pair.b).get(isbn="2").pk == known
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}
