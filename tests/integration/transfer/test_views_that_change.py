"""FILTER: whatever takes a row into a peer's view or out of it is found: through relations, without events, by the settings."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from peersync import watching
from peersync.registry import registry
from tests.shapes.models import Cafe, Outsider, Place, Pointer
from tests.support import filters
from tests.support.filters import Heard
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent, Tag, Tagged, Wide


def ids(pair: Pair, model: Any, alias: str | None = None) -> list[int]:
    return [pk for (pk,) in pair.rows(model, "pk", alias=alias or pair.b)]


def narrow(pair: Pair, models: tuple[str, ...], view: dict[str, Any], **more: Any) -> None:
    peer = {"FILTER": view} if view else {}
    pair.configure(*models, PEERS={pair.b: {**peer, **more.pop("peer", {})}}, **more)


# ---------------------------------------------------------------------- changes that are no event of the row


def test_a_field_that_does_not_travel(pair: Pair) -> None:
    """Capture does not note it: it would tell every peer of what none may have."""
    narrow(pair, ("zoo.Parent", "zoo.Child"), {"zoo.Parent": {"b": "n"}}, EXCLUDE={"zoo.Parent": ["b"]})
    parents = Parent.objects.using(pair.a)
    for pk, flag in ((1, "n"), (2, "s")):
        parents.create(id=pk, b=flag)
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.push()
    assert (ids(pair, Parent), ids(pair, Child)) == ([1], [10])
    parents.filter(pk=1).update(b="s")
    parents.filter(pk=2).update(b="n")
    pair.push()
    assert (ids(pair, Parent), ids(pair, Child)) == ([2], [20])
    assert Heard(pair.a, pair.b).told == [], "and nothing more"


def test_rows_of_a_many_to_many_field(pair: Pair) -> None:
    narrow(pair, ("zoo.Tag", "zoo.Tagged"), {"zoo.Tagged": {"tags__name": "open"}})
    tag = Tag.objects.using(pair.a).create(name="open")
    first, second = (Tagged.objects.using(pair.a).create(name=name) for name in ("first", "second"))
    first.tags.add(tag)
    pair.push()
    assert pair.rows(Tagged, "name", alias=pair.b) == [("first",)]
    first.tags.remove(tag)
    second.tags.add(tag)
    pair.push()
    assert pair.rows(Tagged, "name", "tags__name", alias=pair.b) == [("second", "open")]


def test_rows_that_point_here(pair: Pair) -> None:
    """A child that is moved or deleted takes the parent that it stood under out of the view."""
    narrow(pair, ("zoo.Parent", "zoo.Child"), {"zoo.Parent": {"children__x": "open"}})
    for pk in (1, 2, 3):
        Parent.objects.using(pair.a).create(id=pk)
    Child.objects.using(pair.a).create(id=10, p_id=1, x="open")
    Child.objects.using(pair.a).create(id=20, p_id=2, x="open")
    pair.push()
    assert ids(pair, Parent) == [1, 2]
    Child.objects.using(pair.a).filter(pk=10).update(p_id=3)
    Child.objects.using(pair.a).filter(pk=20).delete()
    pair.push()
    assert (ids(pair, Parent), ids(pair, Child)) == ([3], [10])


def test_a_field_of_an_inherited_table(pair: Pair) -> None:
    narrow(pair, ("shapes.Place", "shapes.Cafe"), {"shapes.Cafe": {"town": "north"}})
    for name, town in (("one", "north"), ("two", "south")):
        Cafe.objects.using(pair.a).create(text=name, town=town)
    pair.push()
    assert pair.rows(Cafe, "text", alias=pair.b) == [("one",)]
    Place.objects.using(pair.a).filter(text="one").update(town="south")
    Place.objects.using(pair.a).filter(text="two").update(town="north")
    assert not watching.unseen(registry(pair.b).models["shapes.Cafe"]), "the parent's row tells of it"
    pair.push()
    assert pair.rows(Cafe, "text", alias=pair.b) == [("two",)]


def test_a_table_that_is_not_synchronised(pair: Pair) -> None:
    narrow(pair, ("shapes.Pointer",), {"shapes.Pointer": {"outsider__text": "open"}})
    for alias in pair.aliases:
        for pk, text in ((1, "open"), (2, "closed")):
            Outsider.objects.using(alias).create(pk=pk, text=text)
    for pk in (1, 2):
        Pointer.objects.using(pair.a).create(text=f"to {pk}", outsider_id=pk)
    pair.push()
    assert pair.rows(Pointer, "text", alias=pair.b) == [("to 1",)]
    Outsider.objects.using(pair.a).filter(pk=1).update(text="closed")
    Outsider.objects.using(pair.a).filter(pk=2).update(text="open")
    pair.push()
    assert pair.rows(Pointer, "text", alias=pair.b) == [("to 2",)]


def test_a_value_that_is_worked_out(lite: Pair, monkeypatch: Any) -> None:
    """No row was written, and the settings are the same."""
    narrow(lite, ("zoo.Wide",), {"zoo.Wide": {"placed__gte": filters.moment}})
    for day in (1, 2, 3):
        Wide.objects.using(lite.a).create(id=day, number=str(day), placed=datetime(2026, 1, day, tzinfo=UTC))
    monkeypatch.setattr(filters, "MOMENT", [datetime(2026, 1, 2, tzinfo=UTC)])
    lite.push()
    assert ids(lite, Wide) == [2, 3]
    filters.MOMENT[0] = datetime(2026, 1, 3, tzinfo=UTC)
    lite.push()
    assert ids(lite, Wide) == [3]
    filters.MOMENT[0] = datetime(2026, 1, 1, tzinfo=UTC)
    lite.pull()
    lite.push()
    assert ids(lite, Wide) == [1, 2, 3]


@pytest.mark.parametrize("path", ["of_open_parents", "of_shown_model"])
def test_a_function_that_says_what_it_depends_on(lite: Pair, path: str) -> None:
    narrow(lite, ("zoo.Parent", "zoo.Child"), {"zoo.Child": f"tests.support.filters.{path}"})
    assert not watching.unseen(registry(lite.b).models["zoo.Child"])
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(lite.a).create(id=pk, b=flag)
        Child.objects.using(lite.a).create(id=pk * 10, p_id=pk)
    lite.push()
    assert ids(lite, Child) == [10]
    Parent.objects.using(lite.a).filter(pk=1).update(b="s")
    Parent.objects.using(lite.a).filter(pk=2).update(b="n")
    lite.push()
    assert ids(lite, Child) == [20]


@pytest.mark.parametrize(
    ("view", "unseen"),
    [
        ({"b": "n"}, False),
        ({"x": F("y")}, False),
        ({"x": F("e")}, True),
        ({"e": "x"}, True),
        ({"pk__gte": 3}, False),
        ({"x__in": ["a", "b"]}, False),
        ({"x__lt": Now()}, True),
        ({"x__in": ["a", Now()]}, True),
        ({"children__x": "a"}, True),
        ("tests.support.filters.shown", True),
    ],
)
def test_what_is_worked_out_anew(lite: Pair, view: Any, unseen: bool) -> None:
    narrow(lite, ("zoo.Parent", "zoo.Child"), {"zoo.Parent": view}, EXCLUDE={"zoo.Parent": ["e"]})
    assert watching.unseen(registry(lite.b).models["zoo.Parent"]) is unseen


def test_a_row_that_names_one_that_enters(pair: Pair) -> None:
    """While it was hidden the key said nothing; now it names the row that came."""
    narrow(pair, ("zoo.Parent", "zoo.Wide"), {"zoo.Parent": {"b": "n"}})
    Parent.objects.using(pair.a).create(id=1, b="s")
    Wide.objects.using(pair.a).create(id=1, number="1", parent_id=1, placed=datetime(2026, 1, 1, tzinfo=UTC))
    pair.both()
    assert pair.rows(Wide, "pk", "parent_id", alias=pair.b) == [(1, None)]
    Wide.objects.using(pair.b).filter(pk=1).update(text="edited there")
    pair.both()
    assert pair.rows(Wide, "text", "parent_id", alias=pair.a) == [("edited there", 1)], "it never knew the key"
    Parent.objects.using(pair.a).filter(pk=1).update(b="n")
    pair.both()
    assert pair.rows(Wide, "pk", "parent_id") == [(1, 1)]
    Parent.objects.using(pair.a).filter(pk=1).update(x="edited")
    assert Heard(pair.a, pair.b).told == [("row", "zoo.Parent", (1,))], "later edits do not send it again"


# ---------------------------------------------------------------------- settings that change


VIEWS: list[Any] = [{"b": "n"}, {"b__in": ["m", "s"]}, "tests.support.filters.shown", {}]


@pytest.mark.parametrize(("first", "then"), [(0, 1), (1, 2), (0, 3), (3, 0), (2, 3), (3, 2)])
@pytest.mark.parametrize("direction", ["push", "both"])
def test_a_filter_that_is_edited_put_in_or_taken_out(lite: Pair, first: int, then: int, direction: str) -> None:
    changed_settings(lite, VIEWS[first], VIEWS[then], direction)


def test_a_filter_that_is_put_in_and_taken_out(pair: Pair) -> None:
    changed_settings(pair, VIEWS[0], VIEWS[3], "both")
    changed_settings(pair, VIEWS[3], VIEWS[0], "both")


def changed_settings(pair: Pair, first: Any, then: Any, direction: str) -> None:
    models = ("zoo.Parent", "zoo.Child")
    parents = Parent.objects.using(pair.a)
    narrow(pair, models, {"zoo.Parent": first} if first else {})
    if not parents.exists():
        for pk, flag in ((1, "n"), (2, "s"), (3, "m"), (4, "n")):
            parents.create(id=pk, b=flag, x=f"old {pk}")
            Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.both()
    parents.filter(pk=4).update(x="edited, and not sent yet")
    narrow(pair, models, {"zoo.Parent": then} if then else {})
    pair.both() if direction == "both" else pair.push()
    view = {"tests.support.filters.shown": {"b": "n"}}.get(str(then), then)
    wanted = sorted(parents.filter(**view).values_list("pk", flat=True))
    assert ids(pair, Parent) == wanted
    assert ids(pair, Child) == [pk * 10 for pk in wanted]
    assert parents.count() == Child.objects.using(pair.a).count() == 4, "nothing is deleted"
    assert records(pair.a) == records(pair.b) == waiting(pair.a) == waiting(pair.b) == []
    assert Heard(pair.a, pair.b).told == []


def test_a_filter_of_the_rows_that_are_named(lite: Pair) -> None:
    """It decides what a nullable key says, too."""
    models = ("zoo.Parent", "zoo.Wide")
    narrow(lite, models, {"zoo.Parent": {"b": "n"}})
    Parent.objects.using(lite.a).create(id=1, b="s")
    Wide.objects.using(lite.a).create(id=1, number="1", parent_id=1, placed=datetime(2026, 1, 1, tzinfo=UTC))
    lite.both()
    narrow(lite, models, {"zoo.Parent": {"b": "s"}})
    lite.push()
    assert lite.rows(Wide, "pk", "parent_id", alias=lite.b) == [(1, 1)]


def test_models_that_are_closed_and_opened_again(lite: Pair) -> None:
    """PEERS narrows MODELS for a time; what is out of view then goes, and what came is sent."""
    models = ("zoo.Parent", "zoo.Tag")
    view = {"zoo.Parent": {"b": "n"}}
    narrow(lite, models, view)
    parents = Parent.objects.using(lite.a)
    for pk, flag in ((1, "n"), (2, "n"), (3, "s")):
        parents.create(id=pk, b=flag)
    lite.both()
    narrow(lite, models, {}, peer={"MODELS": ["zoo.Tag"]})
    lite.both()
    parents.filter(pk=2).update(b="s")
    parents.filter(pk=3).update(b="n")
    narrow(lite, models, view)
    lite.both()
    assert ids(lite, Parent) == [1, 3]


def test_a_peer_that_is_put_back(pair: Pair, nodes: Any) -> None:
    """It comes under a new id, and has again what had left its view, and what was deleted."""
    # with one who never reads, no tombstone is pruned meanwhile
    pair.configure("zoo.Parent", PEERS={pair.b: {"FILTER": {"zoo.Parent": {"b": "n"}}}, "nobody": {}})
    parents = Parent.objects.using(pair.a)
    for pk in (1, 2, 3):
        parents.create(id=pk)
    pair.both()
    backup = nodes.b.backup()
    parents.filter(pk=1).update(b="s")
    parents.filter(pk=2).delete()
    parents.create(id=4)
    pair.both()
    assert ids(pair, Parent) == [3, 4]
    Parent.objects.using(pair.b).filter(pk=3).update(x="edited, and lost")
    pair.push()
    pair.pull()
    nodes.b.restore(backup)
    assert ids(pair, Parent) == [1, 2, 3]
    pair.both()
    assert ids(pair, Parent) == [3, 4]
    assert sorted(parents.values_list("pk", "b")) == [(1, "s"), (3, "n"), (4, "n")]
    Parent.objects.using(pair.b).filter(pk=4).update(x="it may still be written there")
    pair.both()
    assert parents.get(pk=4).x == "it may still be written there"
