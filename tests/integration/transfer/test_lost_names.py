"""Both nodes renamed one row: what hangs on it speaks of a name that the other node never had."""

import pytest

from peersync import numbering
from tests.support.pairs import Pair, waiting
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
