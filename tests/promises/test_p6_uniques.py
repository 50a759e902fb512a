"""P6: rows that want one value, and values that a constraint refuses, wait with a sentence that says what is in the way."""

import json
from typing import Any

from django.db import connections, models

from peersync.models import Quarantine
from tests.support.commands import run
from tests.support.ends import Ends
from tests.support.pairs import sql
from tests.support.single import LABELS, SHAPES, prepare, rewrite
from tests.zoo.models import Parent

HERE, THERE = 101, 202
"""The primary keys of the rows that are born on each side with one value."""


def enforced(alias: str) -> dict[str, tuple[type[models.Model], list[dict[str, Any]]]]:
    """The shapes that this database knows."""
    unknown = () if connections[alias].vendor == "postgresql" else ("nulls not distinct", "deferrable")
    return {name: shape for name, shape in SHAPES.items() if name not in unknown}


def reasons(alias: str) -> dict[tuple[str, int], str]:
    found = Quarantine.objects.using(alias).filter(listed=True).values_list("model", "key", "detail")
    return {(model, json.loads(key)[0]): detail for model, key, detail in found}


def test_two_rows_with_one_value_stay_where_they_were_born(ends: Ends) -> None:
    ends.configure(*LABELS)
    prepare(ends.a)
    ends.sync("push")
    shapes = enforced(ends.a)
    for model, values in shapes.values():
        rewrite(ends.a, model, {HERE: values[0], HERE + 1: values[2]})
        rewrite(ends.b, model, {THERE: values[0], THERE + 1: values[4]})
    pull, push = ends.sync("both", status=1)
    for model, _ in shapes.values():
        label = model._meta.label
        assert pull[label]["quarantined"] == push[label]["quarantined"] == 1
        for alias, mine, other in ((ends.a, HERE, THERE), (ends.b, THERE, HERE)):
            standing = set(model._base_manager.using(alias).filter(pk__gt=100).values_list("pk", flat=True))
            assert standing == {mine, HERE + 1, THERE + 1}, "all others have arrived"
            assert reasons(alias)[label, other].endswith(f"is held by another row ({label} {mine})")
    assert len(reasons(ends.a)) == len(reasons(ends.b)) == len(shapes)
    assert run("sync_status", "--json").json["quarantined"] == len(shapes)
    label = "single.Product"
    assert (
        f"  {label} {THERE}: code = A-0 is held by another row ({label} {HERE})" in run("sync_status").out.splitlines()
    )
    for n, (model, values) in enumerate(shapes.values()):
        alias, mine = ((ends.a, HERE), (ends.b, THERE))[n % 2]  # one of the two changes, or goes
        rewrite(alias, model, {mine: values[3]} if n % 3 else {}, [mine])
    for _ in range(2):
        answer = ends.command("both")
    assert answer.status == 0, answer
    assert reasons(ends.a) == reasons(ends.b) == {}
    assert ends.equal(*(model._meta.label for model, _ in shapes.values()))


def test_what_a_check_constraint_of_the_target_refuses(ends: Ends) -> None:
    ends.configure("zoo.Parent")
    forbid = "CHECK (x <> 'never')"
    if connections[ends.b].vendor == "sqlite":
        _rebuilt(ends.b, forbid)
    else:
        sql(ends.b, f"ALTER TABLE zoo_parent ADD CONSTRAINT never_that {forbid}")
    ends.install()
    Parent.objects.using(ends.a).bulk_create(Parent(id=n, x="never" if n == 7 else "") for n in range(1, 20))
    [figures] = ends.sync("push", status=1)
    assert figures["zoo.Parent"] == {**figures["zoo.Parent"], "created": 18, "quarantined": 1}
    [detail] = reasons(ends.b).values()
    assert detail.startswith("a value is refused by the check constraint never_that")
    Parent.objects.using(ends.a).filter(id=7).update(x="now and then")
    ends.sync("push", "--retry")
    assert reasons(ends.b) == {}
    assert ends.equal("zoo.Parent")


def _rebuilt(alias: str, check: str) -> None:
    """SQLite adds no constraint to a table that stands."""
    [(create,)] = sql(alias, "SELECT sql FROM sqlite_master WHERE name = 'zoo_parent'")
    sql(alias, "DROP TABLE zoo_parent")
    sql(alias, f"{create.rstrip()[:-1]}, CONSTRAINT never_that {check})")
