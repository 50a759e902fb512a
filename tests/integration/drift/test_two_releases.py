"""Peers on two releases: what one side only has is left out, what differs waits or is stopped, and the rest travels."""

from collections.abc import Callable

import pytest

from tests.support.releases import Release, Running, operations

THING = """
class Thing(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=200, null=True)
    number = models.IntegerField(default=0)

class Other(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=20)
"""
FIRST = operations(
    """
    migrations.CreateModel("Thing", [
        ("id", models.BigIntegerField(primary_key=True)),
        ("name", models.CharField(max_length=200, null=True)),
        ("number", models.IntegerField(default=0)),
    ]),
    migrations.CreateModel("Other", [
        ("id", models.BigIntegerField(primary_key=True)), ("name", models.CharField(max_length=20)),
    ]),
    """
)
OLD = Release(THING, {"0001_first": FIRST})
Node = Callable[..., Running]


def later(models: str, change: str, head: str = "") -> Release:
    return Release(models, {"0001_first": FIRST, "0002_second": operations(change, "0001_first", head)})


def test_what_one_side_only_has_is_left_out_and_said_once(node: Node) -> None:
    more = THING + '    color = models.CharField(max_length=9, default="white")\n'
    more += "class Extra(models.Model):\n    id = models.BigIntegerField(primary_key=True)\n"
    change = (
        'migrations.AddField("Other", "color", models.CharField(max_length=9, default="white")),'
        'migrations.CreateModel("Extra", [("id", models.BigIntegerField(primary_key=True))]),'
    )
    a, b = node("a", later(more, change)), node("b", OLD)
    a.meet("b", b)
    a.run("INSERT INTO store_other (id, name, color) VALUES (1, 'one', 'red')")
    b.run("INSERT INTO store_other (id, name) VALUES (2, 'two')")
    _, said = a.sync_with("b")
    assert said.count("store.Other: color") == 1
    assert said.count("store.Extra is synchronised at one side only") == 1
    assert a.rows("store_other", "id", "name", "color") == [[1, "one", "red"], [2, "two", "white"]]
    assert b.rows("store_other", "id", "name") == [[1, "one"], [2, "two"]]
    _, said = a.sync_with("b")
    assert "color" not in said
    assert "Extra" not in said
    a.do("answer = run('sync_status')")
    assert "store.Other: color" in a.do("answer.out")
    # and the side that is called says what it lacks there, too
    b.meet("a", a)
    _, said = b.sync_with("a")
    assert "store.Other: color" in said
    a.do("answer = run('sync_status')")
    assert "from_b: store.Other: color do not come from this peer: left out." in a.do("answer.out")


def test_a_field_whose_type_differs_stops_its_model_alone(node: Node) -> None:
    """Where values of the two types cannot be each other's; all else goes on in the same sync."""
    change = (
        'migrations.RemoveField("Other", "name"), migrations.AddField("Other", "name", models.DurationField(null=True))'
    )
    new = THING.replace("name = models.CharField(max_length=20)", "name = models.DurationField(null=True)")
    a, b = node("a", OLD), node("b", later(new, change))
    a.meet("b", b)
    a.run("INSERT INTO store_other (id, name) VALUES (1, 'one')")
    a.run("INSERT INTO store_thing (id, name, number) VALUES (1, 'one', 1)")
    _, said = a.sync_with("b", "both", status=1)
    assert "store.Other was left as it is: The field store.Other.name is text(20) at the " in said
    assert "Migrate both sides to one release" in said
    assert b.rows("store_thing", "id", "name") == [[1, "one"]]
    assert b.rows("store_other", "id") == []
    b.run("INSERT INTO store_thing (id, name, number) VALUES (2, 'two', 1)")
    found, _ = a.sync_with("b", "both", "--json", status=1)
    assert '"status": "incomplete"' in found
    assert '"code": "schema_differs"' in found
    assert a.rows("store_thing", "id", "name") == [[1, "one"], [2, "two"]]
    a.sync_with("b", "both", status=1)
    a.do("answer = run('sync_data', '--direction=push', '--peer=b', '--verify')")
    assert a.do("answer.status") == 1, "nobody is to take the two sides for equal"
    assert "store.Other.name" in a.do("answer.error")
    before = a.rows("peersync_run", "id")
    a.sync_with("b", "both", status=1)
    assert a.rows("peersync_run", "id") == before, "the same again is no new run"
    a.deploy(later(new, change))
    a.sync_with("b", "both")
    assert b.rows("store_other", "id") == [[1]]


@pytest.mark.postgres
def test_narrowed_and_made_not_null_rows_that_fit_travel(node: Node) -> None:
    change = 'migrations.AlterField("Thing", "name", models.CharField(max_length=5)),'
    new = THING.replace("name = models.CharField(max_length=200, null=True)", "name = models.CharField(max_length=5)")
    a, b = node("a", OLD), node("b", later(new, change), pg=True)
    a.meet("b", b)
    for number, name in {1: "'fits'", 2: "'too long'", 3: "NULL"}.items():
        a.run(f"INSERT INTO store_thing (id, name, number) VALUES ({number}, {name}, 0)")
    a.sync_with("b", status=1)
    assert b.rows("store_thing", "id", "name") == [[1, "fits"]]
    waits = {key: why for _, key, why in b.quarantine()}
    assert set(waits) == {"[2]", "[3]"}
    assert "name" in waits["[2]"]
    assert "8" in waits["[2]"], waits
    assert "5" in waits["[2]"], waits
    assert "name" in waits["[3]"]
    assert "NULL" in waits["[3]"]
    widened = later(THING, change)
    widened.apps["store"][1]["0003_third"] = operations(
        'migrations.AlterField("Thing", "name", models.CharField(max_length=200, null=True))', "0002_second"
    )
    b.deploy(widened)
    a.sync_with("b")
    assert b.rows("store_thing", "id", "name") == [[1, "fits"], [2, "too long"], [3, None]]
    assert b.quarantine() == []


def test_values_that_can_be_of_the_other_type_travel(node: Node) -> None:
    """A number became a text at B: both ways, what is no number waits at A, and arrives when A has changed too."""
    change = 'migrations.AlterField("Thing", "number", models.CharField(max_length=20, default="0"))'
    new = THING.replace("models.IntegerField(default=0)", 'models.CharField(max_length=20, default="0")')
    a, b = node("a", OLD), node("b", later(new, change))
    a.meet("b", b)
    a.run("INSERT INTO store_thing (id, name, number) VALUES (1, 'of a', 41)")
    b.run("INSERT INTO store_thing (id, name, number) VALUES (2, 'of b', '42')")
    b.run("INSERT INTO store_thing (id, name, number) VALUES (3, 'of b', 'forty')")
    a.sync_with("b", status=1)
    assert a.rows("store_thing", "id", "number") == [[1, 41], [2, 42]]
    assert b.rows("store_thing", "id", "number") == [[1, "41"], [2, "42"], [3, "forty"]]
    assert [why for _, _, why in a.quarantine()] == ["number: 'forty' is no int, its type here"]
    a.deploy(later(new, change))
    a.sync_with("b")
    assert a.rows("store_thing", "id", "number") == [[1, "41"], [2, "42"], [3, "forty"]]
    assert b.rows("store_thing", "id", "number") == a.rows("store_thing", "id", "number")
    assert a.rows("peersync_conflict", "id") == b.rows("peersync_conflict", "id") == []


def test_a_row_that_waits_outlives_the_removal_of_its_field(node: Node) -> None:
    check = "models.CheckConstraint(condition=~models.Q(name='bad'), name='good')"
    b_first = later(
        THING.replace("class Other", f"    class Meta:\n        constraints = [{check}]\n\nclass Other"),
        'migrations.AddConstraint("Thing", models.CheckConstraint(condition=~models.Q(name="bad"), name="good"))',
    )
    a, b = node("a", OLD), node("b", b_first)
    a.meet("b", b)
    a.run("INSERT INTO store_thing (id, name, number) VALUES (1, 'bad', 7)")
    a.sync_with("b", status=1)
    assert len(b.quarantine()) == 1
    second = Release(THING.replace("    number = models.IntegerField(default=0)\n", ""), dict(b_first.apps["store"][1]))
    second.apps["store"][1]["0003_third"] = operations(
        'migrations.RemoveField("Thing", "number"), migrations.RemoveConstraint("Thing", "good")', "0002_second"
    )
    b.deploy(second)
    a.sync_with("b")
    assert b.rows("store_thing", "id", "name") == [[1, "bad"]]
    assert b.quarantine() == []


def test_the_second_side_opens_a_field_later(node: Node) -> None:
    """The comparison is made when the second side has changed, too; of values that nobody touched since."""
    closed = {"EXCLUDE": {"store.Thing": ["name"]}}
    a, b = node("a", OLD, **closed), node("b", OLD, **closed)
    a.meet("b", b)
    a.run("INSERT INTO store_thing (id, name, number) VALUES (1, 'of a', 1)")
    a.sync_with("b")
    a.configure(EXCLUDE={})
    a.sync_with("b")
    assert b.rows("store_thing", "id", "name") == [[1, None]]
    b.configure(EXCLUDE={})
    a.sync_with("b")
    assert b.rows("store_thing", "id", "name") == a.rows("store_thing", "id", "name") == [[1, "of a"]]
