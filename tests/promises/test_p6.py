"""P6: one bad row stops nobody. It waits with its reason, is tried again at every sync, and leaves by itself."""

from collections.abc import Iterator

import pytest
from django.db import connections

from peersync.models import Quarantine
from tests.support.commands import run
from tests.support.ends import Ends
from tests.support.pairs import sql
from tests.zoo.models import Child, Parent

LABELS = ["zoo.Parent", "zoo.Child"]


def forbid(alias: str, number: int) -> None:
    """A trigger of the owner's that raises at one row."""
    if connections[alias].vendor == "sqlite":
        sql(
            alias,
            f"CREATE TRIGGER poison BEFORE INSERT ON zoo_parent WHEN NEW.id = {number}"
            " BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        return
    sql(
        alias,
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF NEW.id = {number} THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$",
    )
    sql(alias, "CREATE TRIGGER poison BEFORE INSERT ON zoo_parent FOR EACH ROW EXECUTE FUNCTION poison()")


def allow(alias: str) -> None:
    if connections[alias].vendor == "sqlite":
        sql(alias, "DROP TRIGGER IF EXISTS poison")
    else:
        sql(alias, "DROP FUNCTION IF EXISTS poison() CASCADE")


@pytest.fixture
def poisoned(ends: Ends) -> Iterator[Ends]:
    """The other node takes every row but number 3, on which a child hangs."""
    ends.configure(*LABELS)
    forbid(ends.b, 3)
    Parent.objects.using(ends.a).bulk_create(Parent(id=n, x=f"row {n}") for n in range(1, 51))
    Child.objects.using(ends.a).create(id=1, p_id=1)
    Child.objects.using(ends.a).create(id=3, p_id=3)
    yield ends
    allow(ends.b)


def ids(alias: str) -> set[int]:
    return set(Parent.objects.using(alias).values_list("id", flat=True))


def test_all_others_arrive_and_it_is_listed_with_its_reason(poisoned: Ends) -> None:
    [models] = poisoned.sync("push", status=1)
    assert ids(poisoned.b) == set(range(1, 51)) - {3}
    assert models["zoo.Parent"]["quarantined"] == 1
    assert models["zoo.Child"]["quarantined"] == 1
    reasons = dict(Quarantine.objects.using(poisoned.b).values_list("model", "detail"))
    assert "not this one" in reasons["zoo.Parent"]
    assert list(Child.objects.using(poisoned.b).values_list("id", flat=True)) == [1]
    assert "quarantine" in poisoned.command("push").error
    if not poisoned.http:
        assert run("sync_status", "--json").json["quarantined"] == 0  # it waits there, not here


def test_later_changes_pass_it_by(poisoned: Ends) -> None:
    poisoned.sync("push", status=1)
    Parent.objects.using(poisoned.a).filter(id=7).update(x="later")
    poisoned.sync("push", status=1)
    assert Parent.objects.using(poisoned.b).get(id=7).x == "later"


@pytest.mark.parametrize("how", [(), ("--retry",)], ids=["sync", "retry"])
def test_it_leaves_by_itself_when_its_cause_is_gone(poisoned: Ends, how: tuple[str, ...]) -> None:
    poisoned.sync("push", status=1)
    tried = Quarantine.objects.using(poisoned.b).get(model="zoo.Parent").tried
    poisoned.sync("push", *how, status=1)
    assert Quarantine.objects.using(poisoned.b).get(model="zoo.Parent").tried > tried
    allow(poisoned.b)
    poisoned.sync("push", *how)
    assert not Quarantine.objects.using(poisoned.b).exists()
    assert poisoned.equal(*LABELS)
