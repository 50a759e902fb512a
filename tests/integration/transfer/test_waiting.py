"""Several rows wait under one key, from several peers: none of them keeps another from its turn."""

import json
import time
from typing import Any

import pytest

from peersync import capture
from peersync.models import Conflict, Quarantine
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent


def carry(source: str, target: str) -> None:
    report = Transfer(DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source)).run()
    assert report.error is None, report.error


@pytest.fixture
def three(nodes: Any, settings: Any) -> tuple[str, str, str]:
    """``b`` is in the middle."""
    a, b, c = (node.alias for node in nodes)
    Pair(settings, a, b).configure("zoo.Parent", "zoo.Child", PEERS={"nobody": {}})
    capture.install(c)
    return a, b, c


def waits_from(alias: str) -> int:
    """How many rows wait under the one key."""
    return Quarantine.objects.using(alias).count()


def test_the_younger_can_be_written_and_the_older_cannot(three: tuple[str, str, str], settings: Any) -> None:
    a, b, c = three
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "MODELS": ["zoo.Child"]}
    for alias, parent in ((a, 5), (c, 6)):
        time.sleep(0.003)  # stamps are milliseconds
        Parent.objects.using(alias).create(id=parent)
        Child.objects.using(alias).create(id=1, p_id=parent, x=f"under {parent}")
        carry(alias, b)
    assert waits_from(b) == 2
    Parent.objects.using(b).create(id=6)
    carry(a, b)  # what came from another peer is tried too
    assert list(Child.objects.using(b).values_list("id", "p_id", "x")) == [(1, 6, "under 6")]
    assert waiting(b) == []
    assert [kind for kind, _, _ in records(b)] == ["conflict"], "the older one lost against it, and is kept whole"


def test_a_deletion_is_decided_though_an_older_row_waits_under_its_key(three: tuple[str, str, str]) -> None:
    a, b, c = three
    Parent.objects.using(b).create(id=1)
    for alias in (a, c):
        carry(b, alias)
        carry(alias, b)
    Parent.objects.using(b).create(id=9, u="U")
    Parent.objects.using(c).filter(pk=1).update(u="U")
    time.sleep(0.003)
    Parent.objects.using(a).filter(pk=1).delete()
    Child.objects.using(b).create(id=7, p_id=1)
    carry(c, b)
    assert waiting(b) == [("zoo.Parent", "[1]", "unique")]
    carry(a, b)
    assert [kind for kind, _, _ in records(b)] == ["deletion lost", "conflict"]
    assert waiting(b) == [], "c's row lost against the row that came back, which is later"
    kept = Conflict.objects.using(b).get(kind="conflict")
    assert json.loads(str(kept.incoming))["u"] == "U"
    for _ in range(2):
        for alias in (a, c):
            carry(alias, b)
            carry(b, alias)
    assert [waiting(alias) for alias in three] == [[], [], []]
    rows = [list(Parent.objects.using(alias).order_by("pk").values_list("pk", "u")) for alias in three]
    assert rows[0] == rows[1] == rows[2]
    assert rows[0] == [(1, None), (9, "U")]
