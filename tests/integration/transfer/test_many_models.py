"""A project has hundreds of models, most of them empty: what is asked once is not asked for each."""

from collections import Counter
from typing import Any

import pytest

from peersync.replicas.database import DatabaseReplica
from peersync.syncing import compare
from tests.shapes.models import Country, Person
from tests.support.pairs import Pair, sql


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each verb was called, of both sides together."""
    found: Counter[str] = Counter()

    def count(name: str) -> Any:
        real = getattr(DatabaseReplica, name)

        def counted(*args: Any, **more: Any) -> Any:
            found[name] += 1
            return real(*args, **more)

        return counted

    for name in ("checkpoint", "digests"):
        monkeypatch.setattr(DatabaseReplica, name, count(name))
    return found


def test_empty_models_are_not_compared(lite: Pair, calls: Counter[str]) -> None:
    lite.configure("shapes.*", "!shapes.Outsider")
    Country.objects.using(lite.a).create(text="c", code="c")
    differences = lite.compare()
    assert len(differences) > 20
    assert {label for label, one in differences.items() if one.count} == {"shapes.Country"}
    assert calls["digests"] == 4  # the only model with rows: ranges, and rows, at either side


def test_the_source_is_asked_once_how_far_it_has_read(lite: Pair, calls: Counter[str]) -> None:
    lite.configure("shapes.*", "!shapes.Outsider")
    for alias in lite.aliases:
        Person.objects.using(alias).create(text="p", value=alias)
    lite.both()
    for alias in lite.aliases:  # as after deletions that were forgotten: what is certainly deleted has to be proven
        sql(alias, "UPDATE peersync_node SET pruned_seq = 1")
    calls.clear()
    models = lite.pull(repair=True).models
    assert len(models) > 20
    # the target's for each model whose deletions are owed, and before and after all; the source's once
    assert calls["checkpoint"] <= len(models) + 5


def test_who_compares_hears_that_a_copy_took_a_new_id(lite: Pair) -> None:
    lite.configure("shapes.Person")
    node = sql(lite.a, "SELECT node, secret FROM peersync_node")[0]
    lite.both()
    sql(lite.b, "UPDATE peersync_node SET node = %s, secret = %s", list(node))
    said: list[str] = []
    compare(lite.b, warn=said.append)
    assert any("it bears a node id of its own now" in text for text in said)
