"""FILTER_EXIT "keep": rows that leave the view stay at the receiver, which hears no more of them until they come back."""

from typing import Any

import pytest

from peersync.models import FilterMemory
from tests.support.filters import Heard
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent

MODELS = ("zoo.Parent", "zoo.Child")
OPEN = {"zoo.Parent": {"b": "n"}}
KEEP: Any = {"*": "keep"}


def configure(pair: Pair, *, exits: Any = KEEP, view: Any = OPEN, **more: Any) -> None:
    peer = {"FILTER": view, **({"FILTER_EXIT": exits} if exits else {})}
    pair.configure(*MODELS, PEERS={pair.b: peer, "nobody": {}}, **more)


@pytest.fixture
def kept(pair: Pair) -> Pair:
    """Row 1 left the view, and stays at ``b`` with its child; row 2 is in view."""
    begin(pair)
    return pair


def begin(pair: Pair) -> None:
    configure(pair)
    for pk in (1, 2):
        Parent.objects.using(pair.a).create(id=pk, x="old")
        Child.objects.using(pair.a).create(id=pk * 10, p_id=pk)
    pair.both()
    Parent.objects.using(pair.a).filter(pk=1).update(b="s", x="not for b")
    assert Heard(pair.a, pair.b).told == []


def there(pair: Pair) -> list[Any]:
    return pair.rows(Parent, "pk", "x", alias=pair.b)


def test_a_row_that_leaves_stays_as_it_was(kept: Pair) -> None:
    kept.both()
    kept.push(repair=True)
    assert there(kept) == [(1, "old"), (2, "old")]
    assert kept.rows(Child, "pk", alias=kept.b) == [(10,), (20,)]
    assert records(kept.a) == records(kept.b) == waiting(kept.a) == waiting(kept.b) == []


def test_it_comes_back_and_is_updated(kept: Pair) -> None:
    Parent.objects.using(kept.a).filter(pk=1).update(b="n", x="open again")
    kept.both()
    assert there(kept) == [(1, "open again"), (2, "old")]
    assert records(kept.b) == []
    Parent.objects.using(kept.b).filter(pk=1).update(x="edited there")
    kept.both()
    assert Parent.objects.using(kept.a).get(pk=1).x == "edited there", "it may be written again"


def test_its_deletion_is_not_told(kept: Pair) -> None:
    Child.objects.using(kept.a).filter(pk=10).delete()
    Parent.objects.using(kept.a).filter(pk=1).delete()
    assert Heard(kept.a, kept.b).told == []
    kept.both(repair=True)
    assert there(kept) == [(1, "old"), (2, "old")]
    configure(kept, exits={"zoo.Parent": "remove"})
    assert Heard(kept.a, kept.b).keys("gone", "exit", "none") == [], "not when the setting changes either"
    assert there(kept) == [(1, "old"), (2, "old")]


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("what", ["edit", "deletion"])
def test_what_is_done_to_it_there(lite: Pair, what: str, deleted: bool) -> None:
    """It is answered as a row is that does not exist; the owner sees it in quarantine, and keeps what is his."""
    begin(lite)
    if deleted:
        Child.objects.using(lite.a).filter(pk=10).delete()
        Parent.objects.using(lite.a).filter(pk=1).delete()
        lite.both()
    mine = list(Parent.objects.using(lite.a).order_by("pk").values_list())
    if what == "edit":
        Parent.objects.using(lite.b).filter(pk=1).update(x="edited there")
    else:
        Child.objects.using(lite.b).filter(pk=10).delete()
        Parent.objects.using(lite.b).filter(pk=1).delete()
    pulled, _ = lite.both()
    figures = pulled.models["zoo.Parent"]
    assert (figures.created, figures.updated, figures.conflicts, figures.quarantined) == (what == "edit", 0, 0, 0)
    assert list(Parent.objects.using(lite.a).order_by("pk").values_list()) == mine
    # a deletion says nothing that the owner lacks
    assert (("zoo.Parent", "[1]", "not_open") in waiting(lite.a)) is (what == "edit")
    assert there(lite) == ([(1, "edited there"), (2, "old")] if what == "edit" else [(2, "old")])
    assert records(lite.b) == []


def test_both_edit_it_and_it_comes_back(lite: Pair) -> None:
    """P3: what was written at either side meanwhile is a conflict like any other, and both end equal."""
    begin(lite)
    Parent.objects.using(lite.b).filter(pk=1).update(x="edited there")
    lite.both()
    Parent.objects.using(lite.a).filter(pk=1).update(b="n", x="edited here")
    lite.both()
    lite.both()
    assert lite.rows(Parent, "pk", "x") == [(1, "edited here"), (2, "old")]
    assert [kind for kind, _, _ in records(lite.b)] == ["conflict"]
    assert waiting(lite.a) == waiting(lite.b) == []


def test_keep_becomes_remove(kept: Pair) -> None:
    configure(kept, exits=None)
    kept.both()
    assert there(kept) == [(2, "old")]
    assert kept.rows(Child, "pk", alias=kept.b) == [(20,)]
    assert Parent.objects.using(kept.a).count() == 2


def test_a_filter_that_is_narrowed_keeps_too(lite: Pair) -> None:
    begin(lite)
    configure(lite, view={"zoo.Parent": {"b": "another"}})
    assert Heard(lite.a, lite.b).keys("exit", "gone") == []
    Child.objects.using(lite.a).filter(pk=20).delete()
    Parent.objects.using(lite.a).filter(pk=2).delete()
    assert Heard(lite.a, lite.b).told == []
    assert there(lite) == [(1, "old"), (2, "old")]


def test_for_one_model_and_one_peer(lite: Pair) -> None:
    configure(lite, exits={"zoo.Parent": "keep"}, FILTER_EXIT={"zoo.Parent": "remove"})
    Parent.objects.using(lite.a).create(id=1)
    Child.objects.using(lite.a).create(id=10, p_id=1)
    lite.both()
    Parent.objects.using(lite.a).filter(pk=1).update(b="s")
    lite.both()
    assert (there(lite), lite.rows(Child, "pk", alias=lite.b)) == ([(1, "")], [])


def test_a_dry_run_lets_no_row_go(pair: Pair) -> None:
    """It reads page after page, and what it reads it does not have: the rows that leave are told again, and go."""
    configure(pair, exits=None)
    for pk in range(1, 7):
        Parent.objects.using(pair.a).create(id=pk, x="old")
    pair.both()
    Parent.objects.using(pair.a).filter(pk__lt=5).update(b="s")
    Parent.objects.using(pair.a).filter(pk=6).update(x="new")
    memory = list(
        FilterMemory.objects.using(pair.a).order_by("model", "pk_text").values_list("model", "pk_text", "place")
    )
    pair.push(dry_run=True, batch_size=1)
    again = FilterMemory.objects.using(pair.a).order_by("model", "pk_text").values_list("model", "pk_text", "place")
    assert list(again) == memory
    pair.push()
    assert there(pair) == [(5, "old"), (6, "new")]
