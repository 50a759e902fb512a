"""A field or a model that is renamed, or a model that is moved to another app: nothing is lost, doubled or deleted."""

from collections.abc import Callable

import pytest

from tests.support.releases import Release, Running, operations

Node = Callable[..., Running]
THING = """
class {name}(models.Model):
    id = models.BigIntegerField(primary_key=True)
    {field} = models.CharField(max_length=50)
    others = models.ManyToManyField("self", symmetrical=False)

    class Meta:
        db_table = "{table}"

class Part(models.Model):
    id = models.BigIntegerField(primary_key=True)
    thing = models.ForeignKey({target}, models.CASCADE)
"""
FIRST = operations(
    """
    migrations.CreateModel("Thing", [
        ("id", models.BigIntegerField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("others", models.ManyToManyField("store.Thing", symmetrical=False)),
    ], options={"db_table": "store_thing"}),
    migrations.CreateModel("Part", [
        ("id", models.BigIntegerField(primary_key=True)),
        ("thing", models.ForeignKey("store.Thing", models.CASCADE)),
    ]),
    """
)


def models(name: str = "Thing", field: str = "name", table: str = "store_thing", target: str = "") -> str:
    return THING.format(name=name, field=field, table=table, target=target or f'"{name}"')


OLD = Release(models(), {"0001_first": FIRST})


def renamed() -> Release:
    change = 'migrations.RenameModel("Thing", "Item"), migrations.AlterModelTable("Item", "items")'
    return Release(
        models("Item", table="items"), {"0001_first": FIRST, "0002_second": operations(change, "0001_first")}
    )


def moved() -> Release:
    """To the app "depot", as the documentation of Django has it: the table stays."""
    store = """
class Part(models.Model):
    id = models.BigIntegerField(primary_key=True)
    thing = models.ForeignKey("depot.Thing", models.CASCADE)
"""
    depot = (
        models()
        .partition("class Part")[0]
        .replace('"self"', '"depot.Thing"')
        .replace("symmetrical=False", 'symmetrical=False, db_table="store_thing_others"')
    )
    made = """
    migrations.SeparateDatabaseAndState(state_operations=[migrations.CreateModel("Thing", [
        ("id", models.BigIntegerField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("others", models.ManyToManyField("depot.Thing", symmetrical=False, db_table="store_thing_others")),
    ], options={"db_table": "store_thing"})]),
    """
    away = """
    migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField("Part", "thing", models.ForeignKey("depot.Thing", models.CASCADE)),
        migrations.DeleteModel("Thing"),
    ]),
    """
    second = operations(away, "0001_first").replace(
        'dependencies = [("store", "0001_first")]', 'dependencies = [("store", "0001_first"), ("depot", "0001_first")]'
    )
    depot_first = operations(made).replace("dependencies = []", 'dependencies = [("store", "0001_first")]')
    return Release(store, {"0001_first": FIRST, "0002_second": second}, depot=(depot, {"0001_first": depot_first}))


CASES = {"renamed": (renamed, "items", "store.Item"), "moved": (moved, "store_thing", "depot.Thing")}


@pytest.mark.parametrize("case", [pytest.param("renamed", marks=pytest.mark.postgres), "moved"])
def test_a_model_with_another_label(node: Node, case: str) -> None:
    """One node after the other, with changes on both sides that were never synchronised, and a deletion among them."""
    release, table, label = CASES[case]
    settings = {"MODELS": ["store.*", "depot.*"] if case == "moved" else ["store.*"]}
    a, b = node("a", OLD, pg=case == "renamed"), node("b", OLD)
    a.meet("b", b)
    a.run("INSERT INTO store_thing (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')")
    a.run("INSERT INTO store_thing_others (from_thing_id, to_thing_id) VALUES (1, 2)")
    a.run("INSERT INTO store_part (id, thing_id) VALUES (1, 1)")
    a.sync_with("b")
    a.run("UPDATE store_thing SET name = 'of a' WHERE id = 1")
    a.run("DELETE FROM store_thing WHERE id = 3")
    b.run("UPDATE store_thing SET name = 'of b' WHERE id = 2")
    a.sync = {**a.sync, **settings}
    b.sync = {**b.sync, **settings}
    a.deploy(release())
    a.run(f"UPDATE {table} SET name = 'later' WHERE id = 4")
    _, said = a.sync_with("b", status=1)
    assert f"The field store.Part.thing is key:{label} at the source and key:store.Thing at the target" in said
    assert f"{label} is synchronised at one side only" in said
    assert "travels on when the other side is migrated too" in said, "and what points to it is stopped, with its mend"
    assert [name for _, name in b.rows("store_thing", "id", "name")] == ["one", "of b", "three", "four"]
    b.deploy(release())
    a.sync_with("b")
    expected = [[1, "of a"], [2, "of b"], [4, "later"]]
    assert a.rows(table, "id", "name") == b.rows(table, "id", "name") == expected
    assert len(a.rows("store_part", "id")) == len(b.rows("store_part", "id")) == 1
    for one in (a, b):
        labels = {model for model, _ in one.rows("peersync_rowstate", "model", "pk_text")}
        assert label in labels
        assert "store.Thing" not in labels
        assert one.rows("peersync_conflict", "id") == []
        assert one.quarantine() == []
    links = [one.rows("store_thing_others" if case == "moved" else "items_others", "id") for one in (a, b)]
    assert [len(found) for found in links] == [1, 1]
    b.run(f"DELETE FROM {table} WHERE id = 4")
    a.sync_with("b")
    assert a.rows(table, "id") == [[1], [2]]


def test_a_field_with_another_name(node: Node) -> None:
    """What either side wrote under its own name of the field stands at both sides in the end."""
    change = 'migrations.RenameField("Thing", "name", "title")'
    new = Release(models(field="title"), {"0001_first": FIRST, "0002_second": operations(change, "0001_first")})
    a, b = node("a", OLD), node("b", OLD)
    a.meet("b", b)
    a.run("INSERT INTO store_thing (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    a.sync_with("b")
    a.deploy(new)
    a.run("UPDATE store_thing SET title = 'of a' WHERE id = 1")
    b.run("UPDATE store_thing SET name = 'of b' WHERE id = 2")
    _, said = a.sync_with("b")
    assert "store.Thing: name, title travel at one side only" in said
    assert b.rows("store_thing", "id", "name") == [[1, "one"], [2, "of b"], [3, "three"]]
    b.deploy(new)
    a.sync_with("b")
    expected = [[1, "of a"], [2, "of b"], [3, "three"]]
    assert a.rows("store_thing", "id", "title") == b.rows("store_thing", "id", "title") == expected
