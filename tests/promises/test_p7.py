"""P7: no echo. A change never travels back to the node that it came from."""

from typing import Any

import pytest

from peersync import syncing
from peersync.reports import Options
from peersync.transfer import Transfer
from tests.support.ends import Ends
from tests.zoo.models import Parent


def travelled(ends: Ends, direction: str) -> list[tuple[str, Any]]:
    """The rows of every batch of one transfer."""
    near, far = syncing.own_replica(ends.peer), syncing.replica_for(ends.peer)
    source, target, local = (near, far, "source") if direction == "push" else (far, near, "target")
    transfer = Transfer(source, target, options=Options(), local=local)
    rows: list[tuple[str, Any]] = []
    seen = 0
    while not transfer.step():
        if transfer.log and id(transfer.log[-1]) != seen:
            seen = id(transfer.log[-1])
            rows += [(row.model, row.key) for row in transfer.log[-1][1].rows]
    return rows


@pytest.fixture
def met(ends: Ends) -> Ends:
    ends.configure("zoo.Parent")
    Parent.objects.using(ends.a).create(id=1, x="first")
    ends.sync("push")
    ends.sync("pull")
    return ends


def test_what_was_pushed_is_not_pulled(met: Ends) -> None:
    Parent.objects.using(met.a).filter(id=1).update(x="of a")
    Parent.objects.using(met.a).create(id=2, x="new")
    assert sorted(travelled(met, "push")) == [("zoo.Parent", (1,)), ("zoo.Parent", (2,))]
    assert travelled(met, "pull") == []
    assert travelled(met, "push") == []


def test_what_was_pulled_is_not_pushed(met: Ends) -> None:
    Parent.objects.using(met.b).filter(id=1).delete()
    Parent.objects.using(met.b).create(id=3, x="of b")
    assert sorted(travelled(met, "pull")) == [("zoo.Parent", (1,)), ("zoo.Parent", (3,))]
    assert travelled(met, "push") == []
    assert met.equal("zoo.Parent")
