"""DIRECTION: a model that travels one way only, beside others that travel both ways."""

from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent, Tag

WAYS = {"zoo.Parent": "master-to-slave", "zoo.Tag": "slave-to-master"}


def start(pair: Pair) -> None:
    """``a`` is the master."""
    pair.configure("zoo.Parent", "zoo.Child", "zoo.Tag", DIRECTION=WAYS)
    Parent.objects.using(pair.a).create(id=1, x="of a")
    Tag.objects.using(pair.b).create(id=1, name="of b")


def test_each_goes_its_way(pair: Pair) -> None:
    start(pair)
    pull, push = pair.both()
    assert pair.rows(Parent, "x") == [("of a",)]
    assert pair.rows(Tag, "name") == [("of b",)]
    assert set(pull.models) == {"zoo.Child", "zoo.Tag"}
    assert set(push.models) == {"zoo.Child", "zoo.Parent"}


def test_what_is_written_at_the_wrong_end_stays_there(pair: Pair) -> None:
    start(pair)
    pair.both()
    Parent.objects.using(pair.b).create(id=2, x="of b")
    Tag.objects.using(pair.a).create(id=2, name="of a")
    pair.both()
    pair.both()
    assert [row[0] for row in pair.rows(Parent, "x", alias=pair.a)] == ["of a"]
    assert [row[0] for row in pair.rows(Parent, "x", alias=pair.b)] == ["of a", "of b"]
    assert [row[0] for row in pair.rows(Tag, "name", alias=pair.b)] == ["of b"]


def test_an_edit_at_the_wrong_end_meets_one_at_the_right(pair: Pair) -> None:
    """A conflict like any other: recorded, and the later edit wins where it is found."""
    start(pair)
    pair.both()
    Parent.objects.using(pair.b).update(x="wrong end")
    for value in ("right", "right end"):
        Parent.objects.using(pair.a).update(x=value)
    pair.both()
    assert pair.rows(Parent, "x", alias=pair.a) == [("right end",)]
    assert [kind for kind, _, _ in records(pair.b)] == ["conflict"]
    assert records(pair.a) == []


def test_children_that_travel_both_ways_hang_on_them(pair: Pair) -> None:
    start(pair)
    pair.both()
    Child.objects.using(pair.b).create(id=7, p_id=1, x="born at the slave")
    pair.both()
    assert pair.rows(Child, "id", "p_id", "x") == [(7, 1, "born at the slave")]
    Parent.objects.using(pair.b).create(id=3)
    Child.objects.using(pair.b).create(id=8, p_id=3)
    pair.both()
    assert waiting(pair.a) == [("zoo.Child", "[8]", "parent")], "its parent stays at the slave"
    Child.objects.using(pair.b).filter(pk=8).update(p_id=1)
    pair.both()
    assert waiting(pair.a) == []
    assert pair.rows(Child, "id", "p_id") == [(7, 1), (8, 1)]
