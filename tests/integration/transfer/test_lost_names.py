"""Both nodes renamed one row: what hangs on it speaks of a name that the other node never had."""

import pytest

from peersync import numbering
from tests.kin.models import Box, Label, Shelf
from tests.support.pairs import Pair, sql, waiting
from tests.zoo.models import Sku, SkuNote

IDENTITY = {"zoo.Sku": ["sku"], "zoo.SkuNote": ["sku", "text"]}


def rename(alias: str, old: str, new: str) -> None:
    assert Sku.objects.using(alias).filter(sku=old).update(sku=new) == 1


@pytest.mark.parametrize("change", ["delete", "move", "edit"])
@pytest.mark.parametrize("steps", [("pull", "push"), ("push", "pull")])
def test_a_child_under_a_name_that_loses_a_conflict(lite: Pair, steps: tuple[str, str], change: str) -> None:
    """Its tombstone, or its former name, bears a name of the parent's that the other node never has: `pig` gives way."""
    pair = lite
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY=IDENTITY)
    cat, dog = (Sku.objects.using(pair.a).create(sku=name) for name in ("cat", "dog"))
    SkuNote.objects.using(pair.a).create(sku=cat, text="note")
    pair.both()
    rename(pair.a, "cat", "pig")
    numbering.number(pair.a)
    notes = SkuNote.objects.using(pair.a)
    if change == "delete":
        notes.all().delete()
    else:
        notes.update(**({"sku": dog} if change == "move" else {"text": "other"}))
    rename(pair.b, "cat", "jay")
    for step in steps:
        getattr(pair, step)()
    left = {"delete": [], "move": [("dog", "note")], "edit": [("jay", "other")]}[change]
    assert pair.rows(Sku, "sku") == [("dog",), ("jay",)]
    assert pair.rows(SkuNote, "sku__sku", "text") == left
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


def link(alias: str, label: str) -> None:
    Box.objects.using(alias).get().labels.add(Label.objects.using(alias).get(text=label))


def relink(alias: str, old: str, new: str) -> None:
    """As a script does that puts one label in the place of another."""
    sets, where = (f"(SELECT id FROM kin_label WHERE text = '{text}')" for text in (new, old))
    sql(alias, f"UPDATE kin_box_labels SET label_id = {sets} WHERE label_id = {where}")


@pytest.fixture
def boxes(lite: Pair) -> Pair:
    lite.configure("kin.Shelf", "kin.Box", "kin.Label", IDENTITY={"kin.Label": ["text"]})
    shelf = Shelf.objects.using(lite.a).create(text="s")
    Box.objects.using(lite.a).create(text="b", shelf=shelf)
    for text in ("x", "y", "z"):
        Label.objects.using(lite.a).create(text=text)
    link(lite.a, "x")
    lite.both()
    return lite


def labels(pair: Pair) -> list[str]:
    return [text for (text,) in pair.rows(Box.labels.through, "label__text")]


@pytest.mark.parametrize("steps", [("pull", "push"), ("push", "pull")])
def test_a_pair_that_became_one_that_the_other_node_made(boxes: Pair, steps: tuple[str, str]) -> None:
    """Two rows of a many-to-many table that meet under one pair are one; it goes on as another pair, and nothing stays."""
    relink(boxes.a, "x", "y")
    link(boxes.b, "y")
    for step in steps:
        getattr(boxes, step)()
    assert labels(boxes) == ["y"]
    relink(boxes.a, "y", "z")
    for step in steps:
        getattr(boxes, step)()
    assert labels(boxes) == ["z"]
    assert waiting(boxes.a) == waiting(boxes.b) == []
    assert boxes.differences() == {}


@pytest.mark.parametrize("steps", [("pull", "push"), ("push", "pull")])
def test_pairs_that_become_one_pair_at_both_nodes(boxes: Pair, steps: tuple[str, str]) -> None:
    link(boxes.a, "y")
    boxes.both()
    relink(boxes.a, "x", "z")
    relink(boxes.b, "y", "z")
    for step in steps:
        getattr(boxes, step)()
    assert labels(boxes) == ["z"]
    assert waiting(boxes.a) == waiting(boxes.b) == []
    assert boxes.differences() == {}


def test_a_pair_that_moves_and_ends_before_a_pass(boxes: Pair) -> None:
    relink(boxes.a, "x", "y")
    sql(boxes.a, "DELETE FROM kin_box_labels")
    boxes.push()
    assert labels(boxes) == []
    boxes.pull()
    assert boxes.differences() == {}


def test_a_pair_that_moves_under_a_filter(boxes: Pair) -> None:
    """The peer loses the pair that it had, and hears of the new one only where it sees what that points to."""
    seen = {"kin.Label": {"text__in": ["x", "y"]}}
    boxes.configure("kin.Shelf", "kin.Box", "kin.Label", IDENTITY={"kin.Label": ["text"]}, FILTER=seen)
    boxes.push()
    for now, told in (("y", ["y"]), ("z", []), ("x", ["x"])):
        sql(boxes.a, f"UPDATE kin_box_labels SET label_id = (SELECT id FROM kin_label WHERE text = '{now}')")
        boxes.push()
        assert [text for (text,) in boxes.rows(Box.labels.through, "label__text", alias=boxes.b)] == told
        assert waiting(boxes.b) == []
