"""An identity with a foreign key in it that holds another column than its target's primary key."""

import pytest

from tests.keyed.models import Box, Shelf
from tests.support.pairs import Pair, waiting

NAMED = ("shelf__name", "number")


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    identity = {"keyed.Shelf": ["name"], "keyed.Box": ["shelf", "number"]}
    pair.configure("keyed.Shelf", "keyed.Box", IDENTITY=identity)
    for number in (1, 2, 3):
        # codes that are other shelves' numbers
        shelf = Shelf.objects.using(pair.a).create(name=f"shelf {number}", code=str(4 - number))
        Box.objects.using(pair.a).create(shelf=shelf, number=1)
    pair.both()


def settled(pair: Pair) -> None:
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def test_a_renamed_row_is_found_under_its_earlier_key(pair: Pair) -> None:
    known = Box.objects.using(pair.b).get(shelf__name="shelf 1").pk
    Box.objects.using(pair.a).filter(shelf__name="shelf 1").update(number=7)
    figures = pair.push().models["keyed.Box"]
    assert (figures.created, figures.updated) == (0, 1)
    assert pair.rows(Box, *NAMED) == [("shelf 1", 7), ("shelf 2", 1), ("shelf 3", 1)]
    assert Box.objects.using(pair.b).get(number=7).pk == known
    settled(pair)


def test_a_deletion_takes_the_row_that_is_meant(pair: Pair) -> None:
    Box.objects.using(pair.a).filter(shelf__name="shelf 3").delete()
    assert pair.push().models["keyed.Box"].deleted == 1
    assert pair.rows(Box, *NAMED) == [("shelf 1", 1), ("shelf 2", 1)]
    settled(pair)
