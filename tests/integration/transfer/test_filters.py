"""FILTER: rows that enter and leave a peer's view, with what hangs on them, by look-ups and by functions."""

from typing import Any

import pytest

from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support import filters
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Child, Parent, SelfRef, Tag, Tagged, Wide

FILTERS: list[Any] = [{"b": "n"}, "tests.support.filters.shown"]


@pytest.fixture(params=FILTERS, ids=["look-up", "function"])
def seen(request: Any, pair: Pair) -> Pair:
    """``b`` sees the parents with ``b="n"`` of ``a``, and their children."""
    peers = {pair.b: {"FILTER": {"zoo.Parent": request.param}}}
    pair.configure("zoo.Parent", "zoo.Child", "zoo.Wide", PEERS=peers)
    for pk, flag in ((1, "n"), (2, "s"), (3, "n")):
        Parent.objects.using(pair.a).create(id=pk, b=flag)
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.both()
    return pair


def ids(pair: Pair, model: Any, alias: str) -> list[int]:
    return [pk for (pk,) in pair.rows(model, "pk", alias=alias)]


def test_only_rows_in_view_arrive(seen: Pair) -> None:
    assert ids(seen, Parent, seen.b) == [1, 3]
    assert ids(seen, Child, seen.b) == [10, 30]
    assert seen.differences() == {}


def test_rows_enter_and_leave_with_their_children(seen: Pair) -> None:
    Parent.objects.using(seen.a).filter(pk=2).update(b="n")
    Parent.objects.using(seen.a).filter(pk=3).update(b="s")
    seen.push()
    assert ids(seen, Parent, seen.b) == [1, 2]
    assert ids(seen, Child, seen.b) == [10, 20]
    assert ids(seen, Parent, seen.a) == [1, 2, 3], "leaving a view is no deletion"
    seen.both()
    assert ids(seen, Child, seen.a) == [10, 20, 30]
    Parent.objects.using(seen.a).filter(pk=3).update(b="n")
    seen.both()
    assert ids(seen, Parent, seen.b) == [1, 2, 3]
    assert ids(seen, Child, seen.b) == [10, 20, 30]
    assert records(seen.a) == records(seen.b) == []


def test_a_child_moves_out_of_view(seen: Pair) -> None:
    Child.objects.using(seen.a).filter(pk=10).update(p_id=2)
    seen.both()
    assert ids(seen, Child, seen.b) == [30]
    assert ids(seen, Child, seen.a) == [10, 20, 30]


def test_p3_a_row_made_anew_where_one_left_the_view(seen: Pair) -> None:
    """What the row says now at the source is not replaced by somebody who never saw it."""
    Parent.objects.using(seen.a).filter(pk=1).update(b="s", x="secret")
    Child.objects.using(seen.a).filter(pk=10).delete()
    seen.push()
    assert ids(seen, Parent, seen.b) == [3]
    Parent.objects.using(seen.b).create(id=1, x="anew")
    seen.pull()
    x = Parent.objects.using(seen.a).get(pk=1).x
    kept = sql(seen.a, "SELECT local FROM peersync_conflict WHERE model = 'zoo.Parent'")
    assert x == "secret" or '"secret"' in str(kept)


def test_p3_a_row_made_anew_where_one_left_for_what_it_hangs_on(lite: Pair) -> None:
    """The row itself did not change, so whoever had it has seen all that it says; yet it is none of his any more."""
    lite.configure("zoo.Parent", "zoo.Child", PEERS={lite.b: {"FILTER": {"zoo.Child": {"p__b": "n"}}}})
    Parent.objects.using(lite.a).create(id=1)
    Child.objects.using(lite.a).create(id=10, p_id=1, x="the owner's")
    lite.both()
    Parent.objects.using(lite.a).filter(pk=1).update(b="s")
    lite.push()
    assert ids(lite, Child, lite.b) == []
    Child.objects.using(lite.b).create(id=10, p_id=1, x="anew")
    lite.pull()
    assert Child.objects.using(lite.a).get(pk=10).x == "the owner's"
    assert waiting(lite.a) == [("zoo.Child", "[10]", "not_open")]


def test_what_the_peer_writes_reaches_the_source(seen: Pair) -> None:
    Parent.objects.using(seen.b).filter(pk=1).update(x="edited at b")
    Parent.objects.using(seen.b).create(id=9, x="born at b")
    Child.objects.using(seen.b).filter(pk=30).delete()
    seen.both()
    assert Parent.objects.using(seen.a).get(pk=1).x == "edited at b"
    assert ids(seen, Parent, seen.a) == [1, 2, 3, 9]
    assert ids(seen, Child, seen.a) == [10, 20]


def test_a_key_that_is_taken_by_a_hidden_row(seen: Pair) -> None:
    """The peer cannot know: it hears nothing, and the hidden row stays as it is."""
    Parent.objects.using(seen.b).create(id=2, x="of b")
    seen.both()
    assert Parent.objects.using(seen.a).get(pk=2).x == ""
    assert waiting(seen.a) == [("zoo.Parent", "[2]", "not_open")]


def test_a_nullable_reference_to_a_hidden_row_leaves_what_stands_there(seen: Pair) -> None:
    for pk, parent in ((1, 1), (2, 2)):
        Wide.objects.using(seen.a).create(id=pk, number=str(pk), parent_id=parent, placed="2024-01-01T00:00:00Z")
    seen.push()
    assert seen.rows(Wide, "pk", "parent_id", alias=seen.b) == [(1, 1), (2, None)]
    Wide.objects.using(seen.a).filter(pk=1).update(parent_id=2, text="moved")
    seen.push()
    assert seen.rows(Wide, "pk", "parent_id", "text", alias=seen.b)[0] == (1, 1, "moved")
    seen.pull()
    assert Wide.objects.using(seen.a).get(pk=1).parent_id == 2, "the peer's key to what it has is no change"


def test_a_filter_through_a_relation(pair: Pair) -> None:
    """A change of the row that it looks at takes those that hang on it in or out."""
    view = {"zoo.Child": {"p__b": "n"}}
    pair.configure("zoo.Parent", "zoo.Child", PEERS={pair.b: {"FILTER": view}})
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(pair.a).create(id=pk, b=flag)
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.push()
    assert ids(pair, Child, pair.b) == [10]
    Parent.objects.using(pair.a).filter(pk=1).update(b="s")
    Parent.objects.using(pair.a).filter(pk=2).update(b="n")
    pair.push()
    assert ids(pair, Parent, pair.b) == [1, 2]
    assert ids(pair, Child, pair.b) == [20]


def test_a_view_that_changes_by_itself(pair: Pair, monkeypatch: Any) -> None:
    """No row was written: those that entered or left travel in the next transfer all the same, and then none."""
    monkeypatch.setattr(filters, "LISTED", {1, 2})
    pair.configure(
        "zoo.Parent", "zoo.Child", PEERS={pair.b: {"FILTER": {"zoo.Parent": "tests.support.filters.listed"}}}
    )
    for pk in (1, 2, 3):
        Parent.objects.using(pair.a).create(id=pk)
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.push()
    assert ids(pair, Child, pair.b) == [10, 20]
    monkeypatch.setattr(filters, "LISTED", {2, 3})
    pair.push()
    assert ids(pair, Parent, pair.b) == [2, 3]
    assert ids(pair, Child, pair.b) == [20, 30]
    pair.both()
    transfer = Transfer(DatabaseReplica(pair.a, peer=pair.b), DatabaseReplica(pair.b, peer=pair.a))
    assert transfer.run().error is None
    assert transfer.sent == 0


def test_many_to_many_under_a_filter(pair: Pair) -> None:
    """A through row is in view if both its ends are."""
    pair.configure("zoo.Tag", "zoo.Tagged", PEERS={pair.b: {"FILTER": {"zoo.Tag": {"name__startswith": "open"}}}})
    tags = [Tag.objects.using(pair.a).create(name=name) for name in ("open 1", "closed", "open 2")]
    Tagged.objects.using(pair.a).create(name="thing").tags.add(*tags)
    pair.both()
    assert pair.rows(Tagged, "tags__name", alias=pair.b) == [("open 1",), ("open 2",)]
    Tag.objects.using(pair.a).filter(name="open 1").update(name="closed too")
    pair.both()
    assert pair.rows(Tagged, "tags__name", alias=pair.b) == [("open 2",)]
    assert len(pair.rows(Tagged, "tags__name", alias=pair.a)) == 3


def test_a_tree_under_a_filter(pair: Pair) -> None:
    view = {"zoo.SelfRef": {"name__startswith": "open"}}
    pair.configure("zoo.SelfRef", PEERS={pair.b: {"FILTER": view}})
    root = SelfRef.objects.using(pair.a).create(name="closed root")
    middle = SelfRef.objects.using(pair.a).create(name="open middle", parent=root)
    SelfRef.objects.using(pair.a).create(name="open leaf", parent=middle)
    pair.both()
    assert pair.rows(SelfRef, "name", "parent__name", alias=pair.b) == [
        ("open leaf", "open middle"),
        ("open middle", None),
    ]
    assert waiting(pair.b) == []
