"""A field that was left out and is opened reaches the peer, whichever way the first sync goes, and takes nothing away."""

from typing import Any

import pytest

from peersync.models import Conflict, Journal
from tests.support.pairs import Pair, records, sql
from tests.zoo.models import Parent

CLOSED: dict[str, Any] = {"EXCLUDE": {"zoo.Parent": ["e"]}}


def both_ways(pair: Pair, first: str) -> None:
    for step in ("pull", "push") if first == "pull" else ("push", "pull"):
        getattr(pair, step)()


@pytest.mark.parametrize("first", ["push", "pull"])
@pytest.mark.parametrize("tracked", [True, False], ids=["changed", "untracked"])
def test_values_of_an_opened_field_reach_the_peer(mixed_or_lite: Pair, first: str, tracked: bool) -> None:
    """Each side said something somewhere; what nobody gave a value takes nothing away."""
    pair = mixed_or_lite
    pair.configure("zoo.Parent", **CLOSED)
    for alias, number in ((pair.a, 1), (pair.b, 2)):
        Parent.objects.using(alias).create(id=number, x="first", e=f"of {alias}")
        Parent.objects.using(alias).create(id=number + 2, x="untouched", e=f"of {alias}")
    if not tracked:
        for alias in pair.aliases:
            Journal.objects.using(alias).all().delete()
    both_ways(pair, first)
    # the other side was the last to change the row, and knew nothing of the field
    Parent.objects.using(pair.b).filter(id=1).update(x="edited")
    Parent.objects.using(pair.a).filter(id=2).update(x="edited")
    both_ways(pair, first)
    assert [e for (e,) in pair.rows(Parent, "e", alias=pair.a)].count("dflt") == 2
    pair.configure("zoo.Parent")
    both_ways(pair, first)
    of = {1: pair.a, 2: pair.b, 3: pair.a, 4: pair.b}
    expected = [(n, "edited" if n < 3 else "untouched", f"of {alias}") for n, alias in of.items()]
    assert pair.rows(Parent, "id", "x", "e") == expected
    assert [*records(pair.a), *records(pair.b)] == []
    both_ways(pair, first)
    assert pair.rows(Parent, "id", "x", "e") == expected
    assert pair.differences() == {}


@pytest.mark.parametrize("first", ["push", "pull"])
def test_where_both_sides_said_something_the_last_to_change_the_row_is_right(pair: Pair, first: str) -> None:
    pair.configure("zoo.Parent", **CLOSED)
    Parent.objects.using(pair.a).create(id=1, x="first", e="of a")
    both_ways(pair, first)
    Parent.objects.using(pair.b).filter(id=1).update(x="edited", e="of b")
    both_ways(pair, first)
    pair.configure("zoo.Parent")
    both_ways(pair, first)
    assert pair.rows(Parent, "x", "e") == [("edited", "of b")]
    kept = [*Conflict.objects.using(pair.a), *Conflict.objects.using(pair.b)]
    assert [(one.kind, "of a" in f"{one.local}{one.incoming}") for one in kept] == [("opened field", True)]


def test_an_edit_at_the_same_time_keeps_both(pair: Pair) -> None:
    """A conflict over another field, while the field is opened: the loser of the one still gives its value for the other."""
    pair.configure("zoo.Parent", **CLOSED)
    Parent.objects.using(pair.a).create(id=1, x="first", e="of a")
    both_ways(pair, "push")
    Parent.objects.using(pair.a).filter(id=1).update(x="by a")
    Parent.objects.using(pair.b).filter(id=1).update(x="by b")
    pair.configure("zoo.Parent")
    both_ways(pair, "push")
    ((x, e),) = pair.rows(Parent, "x", "e")
    assert x in ("by a", "by b")
    assert e == "of a"


@pytest.mark.parametrize("capture", ["triggers", "signals"])
def test_a_model_that_was_left_out_for_a_time_is_compared_when_it_is_back(pair: Pair, capture: str) -> None:
    pair.configure("zoo.Parent", "zoo.Tag", CAPTURE=capture)
    Parent.objects.using(pair.a).create(id=1, x="first")
    both_ways(pair, "push")
    pair.configure("zoo.Tag", CAPTURE=capture)
    pair.push()
    Parent.objects.using(pair.a).create(id=2, x="unseen")
    one = Parent.objects.using(pair.a).get(id=1)
    one.x = "unseen"
    one.save()
    assert not Journal.objects.using(pair.a).exists(), "nothing is noted of it meanwhile"
    pair.configure("zoo.Parent", "zoo.Tag", CAPTURE=capture)
    both_ways(pair, "push")
    assert pair.rows(Parent, "id", "x") == [(1, "unseen"), (2, "unseen")]


def test_what_is_noted_of_a_model_that_this_process_does_not_know_is_owed(pair: Pair) -> None:
    """As an older process does that still runs after a deploy: it can't fold what it has no model for."""
    pair.configure("zoo.Parent", "zoo.Tag")
    Parent.objects.using(pair.a).create(id=1, x="first")
    both_ways(pair, "push")
    Parent.objects.using(pair.a).filter(id=1).update(x="edited")
    pair.settings.SYNC_CONFIG = {**pair.settings.SYNC_CONFIG, "MODELS": ["zoo.Tag"]}  # without a migrate
    pair.push()
    assert not Journal.objects.using(pair.a).exists()
    pair.settings.SYNC_CONFIG = {**pair.settings.SYNC_CONFIG, "MODELS": ["zoo.Parent", "zoo.Tag"]}
    both_ways(pair, "push")
    assert pair.rows(Parent, "x") == [("edited",)]
    assert sql(pair.a, "SELECT count(*) FROM zoo_parent") == [(1,)]
