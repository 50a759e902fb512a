"""Who wins where both sides changed a row: per policy and way, with the loser whole in a record, and both sides equal."""

import json
import time
from typing import Any

import pytest

from peersync.models import Conflict
from tests.support.pairs import Pair, records
from tests.zoo.models import Parent

WINNERS = [
    # policy, who sends in the transfer that finds it, who wins (b edited last)
    ("latest", "push", "b"),
    ("latest", "pull", "b"),
    ("source", "push", "a"),
    ("source", "pull", "b"),
    ("target", "push", "b"),
    ("target", "pull", "a"),
    ("master", "push", "a"),
    ("master", "pull", "a"),
    ("slave", "push", "b"),
    ("slave", "pull", "b"),
]
"""``a`` is the master."""


@pytest.fixture(params=WINNERS, ids=lambda found: f"{found[0]}-{found[1]}")
def decided(request: Any, pair: Pair) -> tuple[Pair, str, str]:
    """A pair under the policy that was equal; the way to sync first; who wins."""
    policy, way, winner = request.param
    pair.configure("zoo.Parent", "zoo.Child", CONFLICT={"*": policy})
    Parent.objects.using(pair.a).create(id=1, x="before")
    pair.both()
    return pair, way, winner


def edited(pair: Pair, alias: str, **values: str) -> None:
    time.sleep(0.003)  # stamps are milliseconds
    assert Parent.objects.using(alias).filter(pk=1).update(**values) == 1


def settled(pair: Pair, way: str) -> None:
    getattr(pair, way)()
    pair.both()
    pair.both()
    assert pair.differences() == {}
    assert len([*records(pair.a), *records(pair.b)]) == 1, "found once"


def lost(pair: Pair) -> set[str | None]:
    """What the records hold of both sides."""
    found: set[str | None] = set()
    for alias in pair.aliases:
        for record in Conflict.objects.using(alias):
            found |= {json.loads(side)["x"] if side else None for side in (record.local, record.incoming)}
    return found


def test_edit_against_edit(decided: tuple[Pair, str, str]) -> None:
    pair, way, winner = decided
    edited(pair, pair.a, x="of a")
    edited(pair, pair.b, x="of b")
    settled(pair, way)
    assert pair.rows(Parent, "x") == [(f"of {winner}",)]
    assert lost(pair) == {"of a", "of b"}


def test_edit_against_deletion(decided: tuple[Pair, str, str]) -> None:
    pair, way, winner = decided
    edited(pair, pair.a, x="of a")
    time.sleep(0.003)
    Parent.objects.using(pair.b).all().delete()
    settled(pair, way)
    assert pair.rows(Parent, "x") == ([("of a",)] if winner == "a" else [])
    assert lost(pair) == {"of a", None}


def test_a_policy_of_one_model(pair: Pair) -> None:
    """The others have that of the star."""
    pair.configure("zoo.Parent", "zoo.Tag", CONFLICT={"*": "source", "zoo.Parent": "target"})
    Parent.objects.using(pair.a).create(id=1, x="before")
    pair.both()
    edited(pair, pair.a, x="of a")
    edited(pair, pair.b, x="of b")
    pair.push()
    assert pair.rows(Parent, "x", alias=pair.b) == [("of b",)]
    assert Conflict.objects.using(pair.b).get().policy == "target"
