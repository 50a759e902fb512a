"""P8 while the filters themselves change: what was born, or deleted, out of a peer's view is never told it, then or later."""

from typing import Any

import pytest

from peersync import numbering
from peersync.models import FilterMemory, RowState
from peersync.records import Caller
from peersync.relabelling import relabel
from peersync.replicas.database import DatabaseReplica
from tests.support.filters import Heard
from tests.support.pairs import Pair
from tests.zoo.models import Child, Parent

OPEN = {"zoo.Parent": {"b": "n"}}


def narrow(pair: Pair, view: dict[str, Any]) -> None:
    """With one who never reads: no tombstone is pruned."""
    pair.configure("zoo.Parent", "zoo.Child", PEERS={pair.b: {"FILTER": view} if view else {}, "nobody": {}})


def fill(pair: Pair, *rows: tuple[int, str]) -> None:
    for pk, flag in rows:
        Parent.objects.using(pair.a).create(id=pk, b=flag)
        Child.objects.using(pair.a).create(id=pk, p_id=pk)


def delete(pair: Pair, *pks: int) -> None:
    Child.objects.using(pair.a).filter(p_id__in=pks).delete()
    Parent.objects.using(pair.a).filter(id__in=pks).delete()


def as_b(pair: Pair) -> Caller:
    me = DatabaseReplica(pair.b, peer=pair.a).describe()
    return Caller(node=me.node, install=me.install, about=me.about, told=me.told)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_filter_that_is_taken_away(pair: Pair, told_before: bool) -> None:
    """``told_before``: the deletions were numbered, and read past, while the filter stood."""
    narrow(pair, OPEN)
    fill(pair, (1, "n"), (2, "n"), (66, "s"), (77, "s"), (88, "s"))
    Heard(pair.a, pair.b)
    delete(pair, 66)
    if told_before:
        Heard(pair.a, pair.b)
    delete(pair, 77)
    narrow(pair, {})
    heard = Heard(pair.a, pair.b)
    assert heard.keys("row") == [1, 2, 88], "what stands is open now"
    assert heard.keys("gone", "exit", "busy", "none") == []
    assert heard.keys("gone", "exit", "busy", "none", model="zoo.Child") == []
    replica = DatabaseReplica(pair.a, peer=pair.b)
    answers = replica.rows(as_b(pair), "zoo.Parent", [(66,), (77,), (99,)]).rows
    assert [row.kind for row in answers] == ["none"] * 3
    delete(pair, 2, 88)
    heard = Heard(pair.a, pair.b)
    assert heard.keys("gone") == [2, 88]
    assert sorted(heard.told) == sorted(
        ("gone", model, (pk,)) for pk in (2, 88) for model in ("zoo.Parent", "zoo.Child")
    )
    assert list(Parent.objects.using(pair.b).values_list("pk", flat=True)) == [1]
    # once those are pruned nothing is left of the filter
    RowState.objects.using(pair.a).filter(deleted=True).delete()
    Heard(pair.a, pair.b)
    remembered = FilterMemory.objects.using(pair.a).exclude(model="*")
    assert not remembered.exists()
    assert not DatabaseReplica(pair.a, peer=pair.b).view.filtered("zoo.Parent")


def test_a_filter_that_is_taken_away_from_a_model_that_was_renamed(pair: Pair) -> None:
    narrow(pair, OPEN)
    fill(pair, (1, "n"), (66, "s"))
    Heard(pair.a, pair.b)
    delete(pair, 66)
    Heard(pair.a, pair.b)
    views = FilterMemory.objects.using(pair.a).filter(model="*")
    relabel(pair.a, {"zoo.Parent": "zoo.Former"})
    assert {"zoo.Former", "zoo.Child"} == set(views.values_list("pk_text", flat=True))
    relabel(pair.a, {"zoo.Former": "zoo.Parent"})
    narrow(pair, {})
    assert Heard(pair.a, pair.b).keys("gone", "exit", "busy", "none") == []


def test_a_filter_that_is_put_in(pair: Pair) -> None:
    """What the peer had, and may see no more, it must let go of; what was born since is none of its business."""
    narrow(pair, {})
    fill(pair, (1, "n"), (2, "s"), (3, "s"), (4, "s"))
    Heard(pair.a, pair.b)
    fill(pair, (55, "s"))
    numbering.number(pair.a)  # it was open to the peer, though it has not read it yet
    Parent.objects.using(pair.a).filter(pk=3).update(x="edited before")
    delete(pair, 4)
    narrow(pair, OPEN)
    fill(pair, (66, "s"), (5, "n"))
    heard = Heard(pair.a, pair.b)
    assert heard.keys("row") == [1, 5]
    assert heard.keys("exit") == [2, 3, 55]
    assert heard.keys("gone") == [4]
    assert 66 not in heard.keys("row", "exit", "gone", model="zoo.Child")
    assert sorted(Parent.objects.using(pair.b).values_list("pk", flat=True)) == [1, 5]
    delete(pair, 66, 2)
    assert [key for key in Heard(pair.a, pair.b).keys("gone", "exit") if key == 66] == []


def test_who_never_read_hears_of_nothing(pair: Pair) -> None:
    narrow(pair, {})
    fill(pair, (1, "n"), (2, "s"))
    DatabaseReplica(pair.a, peer=pair.b).describe(as_b(pair))
    narrow(pair, OPEN)
    heard = Heard(pair.a, pair.b)
    assert (heard.keys("row"), heard.keys("exit", "gone")) == ([1], [])
