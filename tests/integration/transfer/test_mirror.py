"""`--mirror`: the target becomes exactly the source; what that replaced or deleted there is recorded, and counted once."""

import json

import pytest

from peersync.models import Conflict
from peersync.reports import TransferReport
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent


def figures(report: TransferReport) -> dict[str, dict[str, int]]:
    """Without zeros."""
    return {label: {k: v for k, v in f.as_dict().items() if v} for label, f in report.models.items()}


@pytest.fixture
def apart(pair: Pair) -> Pair:
    """Two nodes that were equal, and of which the target was changed in every way."""
    pair.configure("zoo.Parent", "zoo.Child")
    for number in range(1, 6):
        Parent.objects.using(pair.a).create(id=number, x="a")
    pair.push()
    Parent.objects.using(pair.b).filter(id=2).update(x="b")
    Parent.objects.using(pair.b).filter(id=4).delete()
    Parent.objects.using(pair.b).create(id=9, x="only at b")
    Child.objects.using(pair.b).create(id=1, p_id=9)
    Child.objects.using(pair.b).create(id=2, p_id=3)
    return pair


WHAT_IT_DOES = {
    "zoo.Parent": {"created": 1, "updated": 1, "deleted": 1, "unchanged": 3, "conflicts": 3},
    "zoo.Child": {"deleted": 2, "conflicts": 2},
}


def test_each_row_is_counted_once(apart: Pair) -> None:
    assert figures(apart.push(mirror=True)) == WHAT_IT_DOES
    assert apart.rows(Parent, "id", "x") == [(number, "a") for number in range(1, 6)]
    assert apart.rows(Child, "id") == []
    assert figures(apart.push(mirror=True)) == {"zoo.Parent": {"unchanged": 5}, "zoo.Child": {}}


def test_a_dry_run_tells_the_same_and_writes_nothing(apart: Pair) -> None:
    before = apart.rows(Parent, "id", "x", alias=apart.b)
    assert figures(apart.push(mirror=True, dry_run=True)) == WHAT_IT_DOES
    assert apart.rows(Parent, "id", "x", alias=apart.b) == before
    assert records(apart.b) == []
    assert figures(apart.push(mirror=True)) == WHAT_IT_DOES


def test_p3_what_it_replaced_and_deleted_is_kept_whole(apart: Pair) -> None:
    apart.push(mirror=True)
    lost = {
        (model, key): json.loads(local) if local else None
        for model, key, local in Conflict.objects.using(apart.b).values_list("model", "key", "local")
    }
    assert set(lost) == {("zoo.Parent", "[2]"), ("zoo.Parent", "[4]"), ("zoo.Parent", "[9]")} | {
        ("zoo.Child", "[1]"),
        ("zoo.Child", "[2]"),
    }
    assert lost["zoo.Parent", "[2]"] is not None
    assert lost["zoo.Parent", "[2]"]["x"] == "b"
    assert lost["zoo.Parent", "[9]"] is not None
    assert lost["zoo.Parent", "[9]"]["x"] == "only at b"
    assert lost["zoo.Child", "[1]"] == {"id": 1, "x": "", "p": 9, "e": "dflt"}
    assert lost["zoo.Parent", "[4]"] is None  # it was deleted there: that is what the mirror undid


def test_its_deletions_are_events_of_the_target(apart: Pair) -> None:
    """They travel back to the source, and change nothing there."""
    apart.push(mirror=True)
    apart.pull()
    assert apart.rows(Parent, "id", "x") == [(number, "a") for number in range(1, 6)]
    assert apart.differences() == {}


def test_rows_that_stay_are_counted_without_a_mirror(apart: Pair) -> None:
    assert figures(apart.push(repair=True))["zoo.Parent"]["kept_at_target"] == 1


def test_rows_of_the_target_that_wait_at_the_source_are_deleted_too(pair: Pair) -> None:
    """Two rows with one unique value, each of which waits at the other side: a mirror says which one stays."""
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1, u="one", x="a")
    Parent.objects.using(pair.b).create(id=2, u="one", x="b")
    pair.both()
    assert (len(waiting(pair.a)), len(waiting(pair.b))) == (1, 1)
    assert figures(pair.push(mirror=True)) == {"zoo.Parent": {"created": 1, "deleted": 1, "conflicts": 1}}
    assert pair.rows(Parent, "id", "u") == [(1, "one")]
    pair.both()
    assert pair.rows(Parent, "id", "u") == [(1, "one")]
    assert (waiting(pair.a), waiting(pair.b), pair.differences()) == ([], [], {})
