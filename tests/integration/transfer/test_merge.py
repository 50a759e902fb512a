"""The policy merge, in whole transfers: fields that one side changed, on every pair of databases."""

import json
import time
from typing import Any

import pytest
from django.db import connections

from peersync import capture, numbering
from peersync.models import Conflict, RowState
from peersync.records import Caller, Point
from peersync.replicas.database import DatabaseReplica
from peersync.syncing import Transfer
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Child, Parent, Sku

MERGE: dict[str, Any] = {"CONFLICT": {"*": "merge"}}


def started(pair: Pair, **more: Any) -> None:
    """A row that both sides have, and that nobody has changed since."""
    pair.configure("zoo.Parent", "zoo.Child", **MERGE, **more)
    Parent.objects.using(pair.a).create(id=1, x="base", y="base", u="base")
    pair.both()


def edit(alias: str, **values: Any) -> None:
    """Later than whatever was written before: stamps are milliseconds."""
    time.sleep(0.005)
    Parent.objects.using(alias).filter(id=1).update(**values)


def conflict(alias: str) -> Conflict:
    return Conflict.objects.using(alias).get()


def test_edits_of_different_fields_both_stand(pair: Pair) -> None:
    started(pair)
    edit(pair.a, x="of a")
    edit(pair.b, y="of b")
    pair.both()
    assert pair.rows(Parent, "x", "y", "u") == [("of a", "of b", "base")]
    assert records(pair.a) == [("conflict", "zoo.Parent", "merged")]
    assert records(pair.b) == []
    record = conflict(pair.a)
    assert (record.policy, record.open) == ("merge", False)
    assert record.settled is not None, "whatever either side changed stands: there is nothing to look at"
    assert (json.loads(record.local or "")["x"], json.loads(record.incoming or "")["y"]) == ("of a", "of b")


def test_of_one_field_the_later_edit_stays(pair: Pair) -> None:
    started(pair)
    edit(pair.a, x="of a", y="of a")
    edit(pair.b, x="of b")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of b", "of a")]
    assert conflict(pair.a).settled is None, "a's edit of x is lost"


def test_a_later_edit_of_another_field_takes_nothing_along(pair: Pair) -> None:
    """b's row is the later one as a whole, but its x is older than a's."""
    started(pair)
    edit(pair.b, x="of b")
    edit(pair.a, x="of a, later")
    edit(pair.b, y="of b, last")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of a, later", "of b, last")]


def test_merged_rows_are_quiet(pair: Pair) -> None:
    started(pair)
    edit(pair.a, x="of a")
    edit(pair.b, y="of b")
    pair.both()
    for report in pair.both():
        figures = report.models["zoo.Parent"]
        assert (figures.updated, figures.conflicts) == (0, 0)
    assert pair.differences() == {}


@pytest.mark.parametrize("later", ["a", "b"])
def test_an_edit_against_a_deletion_goes_by_the_later_one(pair: Pair, later: str) -> None:
    started(pair)
    steps = {"a": lambda: edit(pair.a, x="of a"), "b": lambda: Parent.objects.using(pair.b).all().delete()}
    for name in sorted(steps, key=lambda one: one == later):
        time.sleep(0.005)
        steps[name]()
    pair.both()
    assert pair.rows(Parent, "x") == ([("of a",)] if later == "a" else [])
    assert sum(len(records(alias)) for alias in pair.aliases) == 1


def test_rows_born_on_both_sides_go_by_the_later_one(pair: Pair) -> None:
    pair.configure("zoo.Parent", **MERGE)
    pair.both()
    Parent.objects.using(pair.a).create(id=1, x="of a", y="of a")
    time.sleep(0.005)
    Parent.objects.using(pair.b).create(id=1, x="of b", y="of b")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of b", "of b")]
    assert sum(len(records(alias)) for alias in pair.aliases) == 1


def test_a_child_that_is_moved_and_edited(pair: Pair) -> None:
    started(pair)
    Parent.objects.using(pair.a).create(id=2)
    Child.objects.using(pair.a).create(id=1, x="base", p_id=1)
    pair.both()
    Child.objects.using(pair.a).update(p_id=2)
    Child.objects.using(pair.b).update(x="of b")
    pair.both()
    assert pair.rows(Child, "x", "p_id") == [("of b", 2)]


def test_a_renamed_row_and_an_edit_of_it(pair: Pair) -> None:
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]}, **MERGE)
    Sku.objects.using(pair.a).create(sku="old", name="base")
    pair.both()
    Sku.objects.using(pair.a).update(sku="new")
    Sku.objects.using(pair.b).update(name="of b")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("new", "of b")]
    assert pair.differences() == {}
    Sku.objects.using(pair.b).update(name="afterwards")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("new", "afterwards")]


def test_a_row_that_both_sides_renamed_stays_one_row(pair: Pair) -> None:
    """The later name stays, with the other side's edit; and the side whose name lost finds its row again."""
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]}, **MERGE)
    Sku.objects.using(pair.a).create(sku="old", name="base")
    pair.both()
    Sku.objects.using(pair.b).update(sku="of b")
    Sku.objects.using(pair.b).update(name="edited at b")
    time.sleep(0.005)
    Sku.objects.using(pair.a).update(sku="of a")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("of a", "edited at b")]
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def test_what_cannot_be_written_waits_as_it_came(pair: Pair) -> None:
    """The merged row would take a unique value that another row holds; it is merged once that lets it go."""
    started(pair)
    edit(pair.a, x="of a")
    Parent.objects.using(pair.a).create(id=2, u="wanted")
    edit(pair.b, u="wanted")
    pair.pull()
    assert waiting(pair.a) == [("zoo.Parent", "[1]", "unique")]
    assert pair.rows(Parent, "x", alias=pair.a)[-1:] == [("of a",)]
    Parent.objects.using(pair.a).filter(id=2).update(u=None)
    pair.both()
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.rows(Parent, "id", "x", "u") == [(1, "of a", "wanted"), (2, "", None)]


def test_marks_tell_a_peer_nothing_of_what_it_does_not_get(pair: Pair) -> None:
    """P8: neither names nor stamps of fields that stay home for it."""
    pair.configure("zoo.Parent", PEERS={pair.b: {"EXCLUDE": {"zoo.Parent": ["y"]}}}, **MERGE)
    Parent.objects.using(pair.a).create(id=1)
    edit(pair.a, x="of a")
    pair.both()
    edit(pair.a, x="seen", y="hidden")
    replica = DatabaseReplica(pair.a, peer=pair.b)
    batch = replica.changes(Caller("", ""), ["zoo.Parent"], Point(0, ""), None, 100)
    (row,) = batch.rows
    assert row.fields is not None
    assert set(row.fields) <= {"*", "x"}
    stored = json.loads(RowState.objects.using(pair.a).get().fields or "{}")
    assert "y" in stored


def test_under_another_policy_no_marks_travel(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1)
    edit(pair.a, x="of a")
    batch = DatabaseReplica(pair.a).changes(Caller("", ""), ["zoo.Parent"], Point(0, ""), None, 100)
    assert [row.fields for row in batch.rows] == [None]


def test_a_contradiction_of_policies_stops_the_model(pair: Pair) -> None:
    pair.configure("zoo.Parent", "zoo.Tag", PEERS={pair.b: {"CONFLICT": {"zoo.Parent": "merge"}}})
    Parent.objects.using(pair.a).create(id=1)
    report = pair.push()
    assert report.status == "incomplete"
    assert {label: error.code for label, error in report.stopped.items()} == {"zoo.Parent": "role_conflict"}
    assert set(report.models) == {"zoo.Tag"}
    assert sql(pair.b, "SELECT count(*) FROM zoo_parent") == [(0,)]


def test_a_change_of_policy_leaves_what_was_changed_before_in_its_order(pair: Pair) -> None:
    """Edits from before are known by their rows' stamps alone, and go as under latest."""
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1, x="base", y="base")
    pair.both()
    edit(pair.a, x="of a, earlier")
    edit(pair.b, y="of b, later")
    for alias in pair.aliases:
        numbering.number(alias)
    pair.configure("zoo.Parent", **MERGE)
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("base", "of b, later")]
    assert json.loads(conflict(pair.a).local or "")["x"] == "of a, earlier"
    edit(pair.a, x="x of a")
    edit(pair.b, y="y of b")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("x of a", "y of b")]


def test_a_third_node_that_sees_both_versions_comes_to_the_same(nodes: Any, settings: Any) -> None:
    aliases = [node.alias for node in nodes]
    settings.SYNC_CONFIG = {"MODELS": ["zoo.Parent"], "AUTO_SYNC": "off", "MASTER": aliases[0], **MERGE}
    for alias in aliases:
        capture.install(alias)

    def move(source: str, target: str) -> None:
        report = Transfer(DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source)).run()
        assert report.error is None

    a, b, c = aliases
    Parent.objects.using(a).create(id=1, x="base", y="base", b="base")
    for source, target in ((a, b), (b, a), (a, c), (c, a), (b, c), (c, b)):
        move(source, target)
    edit(a, x="of a", b="earlier")
    edit(b, y="of b", b="later")
    move(a, c)  # c merges for itself, and so does a
    move(b, c)
    move(b, a)
    for source, target in ((a, b), (a, c), (c, b), (b, c), (c, a)):
        move(source, target)
    found = {tuple(Parent.objects.using(alias).values_list("x", "y", "b").get()) for alias in aliases}
    assert found == {("of a", "of b", "later")}
    for connection in (connections[alias] for alias in aliases):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM peersync_conflict WHERE open")
            assert cursor.fetchone() == (0,)
