"""P3 under merge, manual and a function of the project's: with the commands, by alias and over HTTP, on both databases."""

import time
from typing import Any

import pytest

import peersync
from peersync.models import Conflict, Quarantine
from tests.support.databases import contents
from tests.support.ends import Ends
from tests.zoo.models import Parent

LABELS = ["zoo.Parent", "zoo.Child"]


def begin(ends: Ends, policy: str, **more: Any) -> None:
    """A row that both sides have."""
    ends.configure(*LABELS, CONFLICT={"zoo.Parent": policy}, **more)
    Parent.objects.using(ends.a).create(id=1, x="base", y="base", e="base")
    ends.sync("both")


def edit(alias: str, **values: Any) -> None:
    time.sleep(0.005)
    Parent.objects.using(alias).filter(id=1).update(**values)


def row(alias: str) -> tuple[str, str]:
    return Parent.objects.using(alias).values_list("x", "y").get(id=1)


def conflicts(ends: Ends, direction: str, status: int = 0) -> int:
    return sum(models["zoo.Parent"]["conflicts"] for models in ends.sync(direction, status=status))


@pytest.mark.parametrize("direction", ["master-to-slave", "slave-to-master"])
def test_fields_that_each_side_changed_are_merged(ends: Ends, direction: str) -> None:
    begin(ends, "merge")
    edit(ends.a, x="of a")
    edit(ends.b, y="of b")
    other = {"master-to-slave": "slave-to-master"}.get(direction, "master-to-slave")
    assert conflicts(ends, direction) == 1
    assert conflicts(ends, other) == 0
    assert row(ends.a) == row(ends.b) == ("of a", "of b")
    met_at = ends.b if direction == "master-to-slave" else ends.a
    assert Conflict.objects.using(met_at).get().winner == "merged"
    assert conflicts(ends, "both") == 0
    assert ends.equal(*LABELS)


def test_marks_of_fields_go_over_the_wire_and_names_that_stay_home_do_not(wired: Ends) -> None:
    begin(wired, "merge", tap=True, here={"EXCLUDE": {"zoo.Parent": ["e"]}}, there={"EXCLUDE": {"zoo.Parent": ["e"]}})
    edit(wired.a, x="of a", e="secret of a")
    edit(wired.b, y="of b", e="secret of b")
    wired.sync("both")
    assert row(wired.a) == row(wired.b) == ("of a", "of b")
    assert wired.wire is not None
    messages = [m for one in wired.wire.exchanges for m in (one.request, one.answer) if m is not None]
    marked = [found["fields"] for message in messages for found in message.rows if "fields" in found]
    assert {"x", "y"} <= {name for fields in marked for name in fields}
    assert all("e" not in fields for fields in marked)
    assert not any(b"secret of" in message.body for message in messages)


@pytest.mark.parametrize(("side", "outcome"), [("local", ("of a", "base")), ("incoming", ("base", "of b"))])
def test_an_open_conflict_is_settled_by_hand(ends: Ends, side: Any, outcome: tuple[str, str]) -> None:
    """It is no failure, changes neither side, and the settlement travels like any change."""
    begin(ends, "manual")
    edit(ends.a, x="of a")
    edit(ends.b, y="of b")
    assert conflicts(ends, "both") == 2
    assert conflicts(ends, "both") == 0
    assert (row(ends.a), row(ends.b)) == (("of a", "base"), ("base", "of b"))
    peersync.put_back(Conflict.objects.using(ends.a).get(open=True), side)
    assert conflicts(ends, "both") == 0
    assert row(ends.a) == row(ends.b) == outcome
    assert not any(Conflict.objects.using(alias).filter(open=True).exists() for alias in (ends.a, ends.b))
    assert ends.equal(*LABELS)


def test_a_function_decides_alike_wherever_it_is_called(ends: Ends) -> None:
    begin(ends, "tests.support.settling.by_field")
    edit(ends.a, x="of a")
    edit(ends.b, x="of b", y="of b")
    ends.sync("both")
    assert row(ends.a) == row(ends.b) == ("of a and of b", "of b")
    assert conflicts(ends, "both") == 0


def test_a_function_that_raises_stops_one_row(ends: Ends) -> None:
    """P6: exit status 1, the reason where it waits, and everything else arrives."""
    begin(ends, "tests.support.settling.raises")
    edit(ends.a, x="of a")
    edit(ends.b, x="of b")
    Parent.objects.using(ends.b).create(id=2, x="another")
    (models,) = ends.sync("slave-to-master", status=1)
    assert models["zoo.Parent"]["quarantined"] == 1
    assert "as projects do" in Quarantine.objects.using(ends.a).get().detail
    assert row(ends.a)[0] == "of a"
    assert len(contents(ends.a, "zoo.Parent")["zoo.Parent"]) == 2
