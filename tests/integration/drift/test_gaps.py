"""A node of the older release loses nothing of what it does not know: it is kept beside the row, sent on, and filled in."""

import json
from collections.abc import Callable

import pytest

from tests.support.releases import Release, Running, operations

OLD_MODELS = """
class Owner(models.Model):
    id = models.BigIntegerField(primary_key=True)

class Thing(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    number = models.IntegerField(default=0)
"""
FIRST = operations(
    """
    migrations.CreateModel("Owner", [("id", models.BigIntegerField(primary_key=True))]),
    migrations.CreateModel("Thing", [
        ("id", models.BigIntegerField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("number", models.IntegerField(default=0)),
    ]),
    """
)
FIELDS = {
    "color": 'models.CharField(max_length=20, default="white")',
    "owner": 'models.ForeignKey("store.Owner", models.SET_NULL, null=True)',
    "price": "models.DecimalField(max_digits=9, decimal_places=2, null=True)",
}
OLD = Release(OLD_MODELS, {"0001_first": FIRST})


def new(head: str = "", more: str = "") -> Release:
    models = OLD_MODELS + "".join(f"    {name} = {field}\n" for name, field in FIELDS.items())
    changes = ", ".join(f'migrations.AddField("Thing", "{name}", {field})' for name, field in FIELDS.items())
    return Release(models, {"0001_first": FIRST, "0002_second": operations(changes + more, "0001_first", head)})


COLUMNS = ("id", "name", "number", "color", "owner_id", "price")
Node = Callable[..., Running]


def rows(node: Running) -> list[list[object]]:
    found = node.rows("store_thing", *COLUMNS[:5], "CAST(price AS VARCHAR(9)) AS price")
    return [[*row[:5], None if row[5] is None else f"{float(str(row[5])):.2f}"] for row in found]


def carried(node: Running) -> dict[str, dict[str, object]]:
    """Row → what is kept for others."""
    found = node.rows("peersync_rowstate", "pk_text", "gaps")
    return {pk: {n: v for gap in json.loads(text) for n, v in gap[0].items()} for pk, text in found if text}


@pytest.mark.parametrize("pg", [False, pytest.param(True, marks=pytest.mark.postgres)], ids=["sqlite", "pg"])
def test_an_old_node_carries_what_it_does_not_know_and_fills_it_in(node: Node, pg: bool) -> None:
    """A and C run the new release, B in between the old one; everybody edits; B is migrated at last."""
    data = 'def white(apps, editor):\n    apps.get_model("store", "Thing").objects.update(color="by migration")\n'
    a, b, c = node("a", new(), pg=pg), node("b", OLD), node("c", new())
    a.meet("b", b)
    c.meet("b", b)
    a.run("INSERT INTO store_owner (id) VALUES (7)")
    a.run("INSERT INTO store_thing VALUES (1, 'one', 0, 'red', 7, 1.50), (2, 'two', 0, 'blue', NULL, NULL)")
    a.run("INSERT INTO store_thing VALUES (4, 'never changed', 0, 'gold', NULL, NULL)")
    a.run("DELETE FROM peersync_journal WHERE pk_text = '4'")
    a.sync_with("b")
    assert carried(b).pop("4") == {"color": "gold", "owner": None, "price": None}
    assert {pk: values for pk, values in carried(b).items() if pk != "4"} == {
        "1": {"color": "red", "owner": 7, "price": "1.50"},
        "2": {"color": "blue", "owner": None, "price": None},
    }
    c.sync_with("b")
    base = [4, "never changed", 0, "gold", None, None]
    assert rows(c) == [[1, "one", 0, "red", 7, "1.50"], [2, "two", 0, "blue", None, None], base]
    # B edits what it knows, A at the same time what only A and C know; then C
    b.run("UPDATE store_thing SET number = 5 WHERE id = 1")
    a.run("UPDATE store_thing SET color = 'green' WHERE id = 2")
    b.run("INSERT INTO store_thing VALUES (3, 'of b', 0)")
    a.sync_with("b")
    c.sync_with("b")
    expected = [
        [1, "one", 5, "red", 7, "1.50"],
        [2, "two", 0, "green", None, None],
        [3, "of b", 0, "white", None, None],
        base,
    ]
    assert rows(a) == rows(c) == expected
    c.run("UPDATE store_thing SET color = 'of c' WHERE id = 1")
    b.run("UPDATE store_thing SET name = 'edited' WHERE id = 2")
    b.run("DELETE FROM store_thing WHERE id = 3")
    c.sync_with("b")
    a.sync_with("b")
    expected = [[1, "one", 5, "of c", 7, "1.50"], [2, "edited", 0, "green", None, None], base]
    assert rows(a) == rows(c) == expected
    assert "3" not in carried(b)
    # B is migrated: what it carried goes into its columns, and beats what its data migration wrote
    b.deploy(new(head=data, more=", migrations.RunPython(white)"))
    assert rows(b) == expected
    assert carried(b) == {}
    for one in (a, c, a):
        one.sync_with("b")
    assert rows(a) == rows(b) == rows(c) == expected
    for one in (a, b, c):
        kinds = [kind for _, kind in one.rows("peersync_conflict", "id", "kind")]
        assert set(kinds) <= {"conflict"}, kinds


def test_an_edit_here_and_a_value_that_only_the_other_knows_both_survive(node: Node) -> None:
    """Both sides change one row, neither having seen the other: whoever loses keeps what only he knows."""
    a, b = node("a", new()), node("b", OLD)
    a.meet("b", b)
    a.run("INSERT INTO store_thing VALUES (1, 'one', 0, 'red', NULL, NULL)")
    a.sync_with("b")
    a.run("UPDATE store_thing SET color = 'green' WHERE id = 1")
    b.run("UPDATE store_thing SET name = 'of b' WHERE id = 1")
    a.sync_with("b")
    assert rows(a) == [[1, "of b", 0, "green", None, None]]
    assert b.rows("store_thing", "id", "name") == [[1, "of b"]]
    assert carried(b)["1"]["color"] == "green"
    b.deploy(new())
    a.sync_with("b")
    assert rows(b) == rows(a) == [[1, "of b", 0, "green", None, None]]


def test_what_a_node_leaves_out_is_neither_sent_to_it_nor_kept_by_it(node: Node) -> None:
    a, b = node("a", new()), node("b", new(), EXCLUDE={"store.Thing": ["color"]})
    a.meet("b", b)
    a.run("INSERT INTO store_thing VALUES (1, 'one', 0, 'red', NULL, NULL)")
    a.sync_with("b")
    assert rows(b) == [[1, "one", 0, "white", None, None]]
    assert carried(b) == {}


COLOR = FIELDS["color"]


def colored(field: str = COLOR) -> Release:
    """The release whose only new field is the color, as text or as something else."""
    change = operations(f'migrations.AddField("Thing", "color", {field})', "0001_first")
    return Release(OLD_MODELS + f"    color = {field}\n", {"0001_first": FIRST, "0002_second": change})


def test_a_hub_that_is_migrated_and_leaves_the_field_out_sends_nothing_of_what_it_carried(node: Node) -> None:
    """What it kept before it knew the field is a value of a field that stays home now."""
    a, b, c = node("a", colored()), node("b", OLD), node("c", colored())
    a.meet("b", b)
    c.meet("b", b)
    a.run("INSERT INTO store_thing VALUES (1, 'one', 0, 'red')")
    a.sync_with("b")
    kept = b.rows("peersync_rowstate", "pk_text", "gaps")
    b.sync["EXCLUDE"] = {"store.Thing": ["color"]}
    b.deploy(colored())
    assert carried(b) == {}
    # a process of the former release may have kept it after that
    b.run(f"UPDATE peersync_rowstate SET gaps = '{kept[0][1]}' WHERE pk_text = '1'")
    c.sync_with("b")
    assert c.rows("store_thing", "id", "name", "color") == [[1, "one", "white"]]


def test_what_is_carried_as_another_type_stops_its_row_alone(node: Node) -> None:
    """A's color is a text and C's a number; B in between knows neither, and so stops nothing."""
    a, b, c = node("a", colored()), node("b", OLD), node("c", colored("models.IntegerField(default=0)"))
    a.meet("b", b)
    c.meet("b", b)
    a.run("INSERT INTO store_thing VALUES (1, 'one', 0, 'red'), (2, 'two', 0, '12')")
    a.sync_with("b")
    b.run("INSERT INTO store_thing VALUES (3, 'of b', 0)")
    c.sync_with("b", status=1)
    assert c.rows("store_thing", "id", "name", "color") == [[2, "two", 12], [3, "of b", 0]]
    assert c.quarantine() == [["store.Thing", "[1]", "A value of store.Thing.color is not of the type int."]]
