"""P8, ACCEPT: a push makes, changes and leaves behind only rows that match; each row by itself, and whichever way it comes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from tests.shapes.models import Cafe, Place
from tests.state.tables import forget_history
from tests.support.ends import Ends
from tests.support.filters import Heard
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent, Sku, Tag, Tagged

MODELS = ("zoo.Parent", "zoo.Child")
NORTH: dict[str, Any] = {"zoo.Parent": {"b": "n"}, "zoo.Child": {"p__b": "n"}}


def refused(alias: str) -> list[tuple[str, str]]:
    return [(model, key) for model, key, reason in waiting(alias) if reason == "not_accepted"]


def there(pair: Pair, model: Any = Parent, *names: str) -> list[Any]:
    return pair.rows(model, *(names or ("pk", "x", "b")), alias=pair.b)


def met(pair: Pair, accept: Any = NORTH, models: tuple[str, ...] = MODELS, **more: Any) -> None:
    """Both sides have row 1, which ``b`` accepts, and row 2, which it does not; each with a child."""
    pair.configure(*models, **more)
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(pair.a).create(id=pk, b=flag, x="old")
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.both()
    pair.configure(*models, ACCEPT=accept, **more)
    pair.both()


def mine(pair: Pair, pk: int, **values: Any) -> None:
    Parent.objects.using(pair.a).filter(pk=pk).update(**values)


def test_rows_are_refused_row_by_row(pair: Pair) -> None:
    pair.configure(*MODELS, ACCEPT=NORTH)
    for pk, flag in ((1, "n"), (2, "s"), (3, "n")):
        Parent.objects.using(pair.a).create(id=pk, b=flag)
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    report = pair.push()
    assert there(pair) == [(1, "", "n"), (3, "", "n")]
    assert there(pair, Child, "pk") == [(10,), (30,)]
    assert refused(pair.b) == [("zoo.Child", "[20]"), ("zoo.Parent", "[2]")]
    figures = report.models["zoo.Parent"]
    assert (figures.created, figures.quarantined, report.status) == (2, 1, "incomplete")
    assert any("1 rows of zoo.Parent were not accepted" in text for text in report.warnings)
    mine(pair, 2, b="n")
    pair.push()
    assert len(there(pair)) == len(there(pair, Child, "pk")) == 3
    assert waiting(pair.b) == []


EDITS: dict[str, Callable[[Pair], Any]] = {
    "moved out of it": lambda pair: mine(pair, 1, b="s"),
    "changed where it does not match": lambda pair: mine(pair, 2, x="new"),
    "made to match by the push itself": lambda pair: mine(pair, 2, b="n"),
    "deleted": lambda pair: (
        Child.objects.using(pair.a).filter(p_id=2).delete(),
        Parent.objects.using(pair.a).filter(pk=2).delete(),
    ),
    "a child moved away from one": lambda pair: Child.objects.using(pair.a).filter(pk=20).update(p_id=1),
    "a child moved to one": lambda pair: Child.objects.using(pair.a).filter(pk=10).update(p_id=2),
    "a new child of one": lambda pair: Child.objects.using(pair.a).create(id=30, p_id=2),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_may_not_be_written(lite: Pair, what: str) -> None:
    met(lite)
    stood = there(lite), there(lite, Child, "pk", "p_id")
    EDITS[what](lite)
    Parent.objects.using(lite.a).create(id=5, x="beside it")
    lite.push()
    assert there(lite)[:2] == stood[0]
    assert there(lite, Child, "pk", "p_id") == stood[1]
    assert there(lite)[2:] == [(5, "beside it", "n")], "it stops no other"
    assert refused(lite.b)
    lite.pull()
    lite.push()
    lite.push(repair=True)
    assert (there(lite)[:2], there(lite, Child, "pk", "p_id")) == stood, "nor does it slip in later"
    assert records(lite.b) == []


def test_what_may(pair: Pair) -> None:
    met(pair)
    mine(pair, 1, x="edited")
    Child.objects.using(pair.a).filter(pk=10).delete()
    Parent.objects.using(pair.a).create(id=3)
    Child.objects.using(pair.a).create(id=30, p_id=3)
    pair.push()
    assert there(pair) == [(1, "edited", "n"), (2, "old", "s"), (3, "", "n")]
    assert there(pair, Child, "pk") == [(20,), (30,)]
    assert waiting(pair.b) == []


def test_deleted_and_made_again(lite: Pair) -> None:
    """In two pushes, or in one: a new row is judged like any other."""
    met(lite)
    Child.objects.using(lite.a).filter(pk=10).delete()
    Parent.objects.using(lite.a).filter(pk=1).delete()
    lite.push()
    assert there(lite) == [(2, "old", "s")]
    Parent.objects.using(lite.a).create(id=1, b="s")
    lite.push()
    assert there(lite) == [(2, "old", "s")]
    assert refused(lite.b) == [("zoo.Parent", "[1]")]


@pytest.mark.parametrize("policy", ["latest", "source", "merge"])
def test_a_conflict_is_no_way_round(lite: Pair, policy: str) -> None:
    met(lite, CONFLICT={"*": policy})
    Parent.objects.using(lite.b).filter(pk=1).update(y="theirs")
    time.sleep(0.003)  # stamps are milliseconds, and this edit is the later one
    mine(lite, 1, b="s", x="mine")
    lite.push()
    assert there(lite, Parent, "pk", "x", "y", "b")[0] == (1, "old", "theirs", "n")
    assert refused(lite.b) == [("zoo.Parent", "[1]")]
    assert records(lite.b) == []


def test_a_renamed_row(lite: Pair) -> None:
    identity = {"IDENTITY": {"zoo.Sku": ["sku"]}}
    lite.configure("zoo.Sku", **identity)
    for name in ("n-1", "s-1"):
        Sku.objects.using(lite.a).create(sku=name, name="old")
    lite.both()
    lite.configure("zoo.Sku", ACCEPT={"zoo.Sku": {"sku__startswith": "n"}}, **identity)
    Sku.objects.using(lite.a).filter(sku="n-1").update(sku="x-1", name="out of it")
    Sku.objects.using(lite.a).filter(sku="s-1").update(sku="n-2", name="into it")
    lite.push()
    assert there(lite, Sku, "sku", "name") == [("n-1", "old"), ("s-1", "old")]
    assert len(refused(lite.b)) == 2


def test_rows_between_two(pair: Pair) -> None:
    """Of a many-to-many field; and the fields of a child table, whose parent's row is bounded."""
    pair.configure(
        "zoo.Tag", "zoo.Tagged", ACCEPT={"zoo.Tag": {"name__startswith": "open"}, "zoo.Tagged": {"name": "mine"}}
    )
    for alias in pair.aliases:
        Tag.objects.using(alias).create(pk=1, name="open")
        Tag.objects.using(alias).create(pk=2, name="closed")
        for pk, name in ((1, "mine"), (2, "theirs")):
            Tagged.objects.using(alias).create(pk=pk, name=name)
    for pk in (1, 2):
        Tagged.objects.using(pair.a).get(pk=pk).tags.set([1, 2])
    pair.push()
    assert there(pair, Tagged, "pk", "tags__name") == [(1, "open"), (2, None)]
    assert sorted(model for model, _ in refused(pair.b)) == ["zoo.Tagged_tags"] * 3


def test_a_child_table(lite: Pair) -> None:
    """What a row of the parent is more than that is part of it."""
    lite.configure("shapes.Place", "shapes.Cafe", ACCEPT={"shapes.Place": {"town": "north"}})
    for alias in lite.aliases:
        for pk, town in ((1, "north"), (2, "south")):
            Place.objects.using(alias).create(pk=pk, town=town)
    for pk in (1, 2):
        Cafe(where_id=pk).save_base(raw=True, using=lite.a)
    lite.push()
    assert there(lite, Cafe, "pk") == [(1,)]
    assert refused(lite.b) == [("shapes.Cafe", "[2]")]


def test_what_waits_is_judged_when_it_is_tried(lite: Pair) -> None:
    """Its parent comes later, and it is tried while another peer is read: it was pushed all the same."""
    lite.configure("zoo.Child", ACCEPT={"zoo.Child": {"p__b": "n"}})
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(lite.a).create(id=pk, b=flag)
        Child.objects.using(lite.a).create(id=pk * 10, p_id=pk)
    lite.push()
    assert [reason for _, _, reason in waiting(lite.b)] == ["parent", "parent"]
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(lite.b).create(id=pk, b=flag)
    Heard("c", lite.b, drive="target")
    assert there(lite, Child, "pk") == [(10,)]
    assert refused(lite.b) == [("zoo.Child", "[20]")]


def test_what_is_fetched_is_not_bounded(lite: Pair) -> None:
    lite.configure(*MODELS, ACCEPT=NORTH)
    Parent.objects.using(lite.a).create(id=1, b="s")
    Heard(lite.a, lite.b, drive="target")
    assert there(lite) == [(1, "", "s")]


def test_a_run_of_rows(pair: Pair) -> None:
    """A first contact of rows that stood there before travels as the databases write it; not where each is to be judged."""
    pair.configure(*MODELS, ACCEPT={"zoo.Parent": "tests.support.filters.shown"})
    Parent.objects.using(pair.a).bulk_create(Parent(id=pk, b="ns"[pk % 2]) for pk in range(40))
    forget_history(connections[pair.a])
    pair.push()
    assert [pk for pk, *_ in there(pair)] == sorted(range(0, 40, 2), key=lambda pk: repr((pk, "", "n")))
    assert len(refused(pair.b)) == 20


def test_a_trial_says_what_would_be_refused(pair: Pair) -> None:
    met(pair)
    mine(pair, 1, x="edited")
    mine(pair, 2, x="edited")
    Parent.objects.using(pair.a).create(id=3, b="s")
    Parent.objects.using(pair.a).create(id=4, b="n")
    figures = pair.push(dry_run=True).models["zoo.Parent"]
    assert (figures.created, figures.updated, figures.quarantined) == (1, 1, 2)
    assert there(pair) == [(1, "old", "n"), (2, "old", "s")]
    assert waiting(pair.b) == []


def test_for_one_peer_by_its_token(wired: Ends) -> None:
    """PEERS of the node that is called; what it lacks in its settings comes from those for all."""
    wired.configure(*MODELS, there={"ACCEPT": NORTH}, ACCEPT={"zoo.Parent": {"b": "nobody's"}})
    for pk, flag in ((1, "n"), (2, "s")):
        Parent.objects.using(wired.a).create(id=pk, b=flag)
    wired.sync("push", status=1)
    assert list(Parent.objects.using(wired.b).values_list("pk", "b")) == [(1, "n")]
    assert refused(wired.b) == [("zoo.Parent", "[2]")]
    Parent.objects.using(wired.b).create(id=3, b="s")
    wired.sync("pull")
    assert Parent.objects.using(wired.a).filter(pk=3).exists(), "what is fetched is not bounded"
