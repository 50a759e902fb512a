"""Capture through migrations: whatever they do to a captured table, and what they write on the way."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.executor import MigrationExecutor

from peersync import capture
from peersync.models import Journal, MissedCapture
from peersync.registry import registry
from tests.support import evolving
from tests.support.capturing import clear, events, fresh
from tests.zoo.models import Parent, Tag

CONFIG: dict[str, Any] = {"MODELS": ["zoo.*"], "AUTO_SYNC": "off"}


@pytest.fixture(params=["a", pytest.param("pg_a", marks=pytest.mark.postgres)])
def alias(
    request: pytest.FixtureRequest,
    _node_databases: Any,
    django_db_blocker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with fresh(_node_databases, django_db_blocker, request.param):
        yield request.param


THING = """
class Owner(models.Model):
    id = models.BigIntegerField(primary_key=True)

class Thing(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=20)
    extra = models.CharField(max_length=20, default="")
    owner = models.ForeignKey(Owner, models.CASCADE, null=True)

class Part(models.Model):
    id = models.BigIntegerField(primary_key=True)
    thing = models.ForeignKey(Thing, models.CASCADE)
"""

INITIAL = """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Owner", [("id", models.BigIntegerField(primary_key=True))]),
        migrations.CreateModel("Thing", [
            ("id", models.BigIntegerField(primary_key=True)),
            ("name", models.CharField(max_length=20)),
            ("extra", models.CharField(max_length=20, default="")),
            ("owner", models.ForeignKey("evolving.Owner", models.CASCADE, null=True)),
        ]),
        migrations.CreateModel("Part", [
            ("id", models.BigIntegerField(primary_key=True)),
            ("thing", models.ForeignKey("evolving.Thing", models.CASCADE)),
        ]),
    ]
"""

WRITE = """
    objects = apps.get_model("evolving", "{model}").objects.using(editor.connection.alias)
    row = objects.get(pk=1)
    row.{field} = "by migration"
    row.save()
    objects.filter(pk=2).delete()
    objects.create(pk=3, {field}="three")
"""
CHANGE = """
def write(apps, editor):{write}

class Migration(migrations.Migration):
    dependencies = [("evolving", "0001_initial")]
    operations = [{operations}]
"""

LATER = """
{change}

class Migration(migrations.Migration):
    dependencies = [("evolving", "0002_change")]
    operations = [migrations.RunPython(write)]
"""


@dataclass(frozen=True)
class Change:
    """A migration of Thing: its operations, the models afterwards, and where a data migration writes."""

    name: str
    operations: str
    replace: tuple[tuple[str, str], ...] = ()
    model: str = "Thing"
    field: str = "name"
    write: str = WRITE

    def __str__(self) -> str:
        return self.name


NAME = "name = models.CharField(max_length=20)"
EXTRA = 'extra = models.CharField(max_length=20, default="")'
ID = "class Thing(models.Model):\n    id = models.BigIntegerField(primary_key=True)"
CHANGES = [
    Change(
        "add a nullable field",
        'migrations.AddField("Thing", "more", models.CharField(max_length=9, null=True))',
        ((NAME, NAME + "\n    more = models.CharField(max_length=9, null=True)"),),
    ),
    Change(
        "add a nullable field and fill it",
        'migrations.AddField("Thing", "more", models.CharField(max_length=20, null=True))',
        ((NAME, NAME + "\n    more = models.CharField(max_length=20, null=True)"),),
        field="more",
    ),
    Change(
        "add a field with a default",
        'migrations.AddField("Thing", "more", models.CharField(max_length=9, default="d"))',
        ((NAME, NAME + '\n    more = models.CharField(max_length=9, default="d")'),),
    ),
    Change(
        "alter a field",
        'migrations.AlterField("Thing", "name", models.TextField())',
        ((NAME, "name = models.TextField()"),),
    ),
    Change(
        "rename a field",
        'migrations.RenameField("Thing", "name", "title")',
        ((NAME, "title = models.CharField(max_length=20)"),),
        field="title",
    ),
    Change("remove a field", 'migrations.RemoveField("Thing", "extra")', ((EXTRA, ""),)),
    Change(
        "remove a field after another was added",
        'migrations.AddField("Thing", "more", models.CharField(max_length=9, null=True)),'
        ' migrations.RemoveField("Thing", "extra")',
        ((EXTRA, "more = models.CharField(max_length=9, null=True)"),),
    ),
    Change(
        "remove a relation",
        'migrations.RemoveField("Thing", "owner")',
        (("    owner = models.ForeignKey(Owner, models.CASCADE, null=True)\n", ""),),
    ),
    Change(
        "add an index",
        'migrations.AddIndex("Thing", models.Index(fields=["name"], name="thing_name"))',
        (
            (
                EXTRA,
                EXTRA + '\n    class Meta:\n        indexes = [models.Index(fields=["name"], name="thing_name")]',
            ),
        ),
    ),
    Change(
        "add a constraint",
        'migrations.AddConstraint("Thing", models.UniqueConstraint(fields=["name"], name="thing_once"))',
    ),
    Change("unique together", 'migrations.AlterUniqueTogether("Thing", {("name", "extra")})'),
    Change(
        "rename the model",
        'migrations.RenameModel("Thing", "Item")',
        (("class Thing(", "class Item("), ("ForeignKey(Thing", "ForeignKey(Item")),
        model="Item",
    ),
    Change(
        "rename the table",
        'migrations.AlterModelTable("Thing", "other_things")',
        ((EXTRA, EXTRA + '\n    class Meta:\n        db_table = "other_things"'),),
    ),
    Change(
        "rename the table after a field was removed",
        'migrations.RemoveField("Thing", "extra"), migrations.AlterModelTable("Thing", "other_things")',
        ((EXTRA, 'class Meta:\n        db_table = "other_things"'),),
    ),
    Change(
        "rename the primary key",
        'migrations.RenameField("Thing", "id", "number")',
        ((ID, ID.replace(" id =", " number =")),),
    ),
    Change(
        "alter the primary key",
        'migrations.AlterField("Thing", "id", models.CharField(max_length=9, primary_key=True))',
        ((ID, "class Thing(models.Model):\n    id = models.CharField(max_length=9, primary_key=True)"),),
    ),
    Change(
        "alter the primary key of the parent",
        'migrations.AlterField("Owner", "id", models.CharField(max_length=9, primary_key=True))',
    ),
    Change(
        "by hand",
        'migrations.RunSQL("alter table evolving_thing rename column name to title;'
        ' alter table evolving_thing drop column extra")',
        ((NAME, 'name = models.CharField(max_length=20, db_column="title")'), (EXTRA, "")),
        write="\n    editor.execute(\"UPDATE evolving_thing SET title = 'x' WHERE id = 1\")\n",
    ),
]


def versions(directory: Path, change: Change, *, apart: bool) -> tuple[evolving.Version, evolving.Version]:
    """The app before and after. ``apart``: the data migration is a migration of its own."""
    old = evolving.Version(directory, THING, {"0001_initial": INITIAL})
    after = THING
    for before, now in change.replace:
        assert before in after
        after = after.replace(before, now)
    text = CHANGE.format(
        write=change.write.format(model=change.model, field=change.field),
        operations=change.operations + ("" if apart else ", migrations.RunPython(write)"),
    )
    migrations = {"0001_initial": INITIAL, "0002_change": text}
    if apart:
        write = text.partition("class Migration")[0]
        migrations["0003_data"] = LATER.format(change=write)
    return old, evolving.Version(directory, after, migrations)


def begin(alias: str, old: evolving.Version, config: dict[str, Any] = CONFIG) -> None:
    """Run the old version for a while."""
    with old.running(django_settings.INSTALLED_APPS, config):
        evolving.migrate(alias)
        assert capture.check(alias) == []
        for number in (1, 2):
            evolving.model("Thing").objects.using(alias).create(id=number, name=str(number))
        evolving.model("Part").objects.using(alias).create(id=1, thing_id=1)
        assert len(events(alias)) == 3
        clear(alias)


@pytest.mark.parametrize("apart", [False, True], ids=["same migration", "next migration"])
@pytest.mark.parametrize("change", [c for c in CHANGES if c.name != "by hand"], ids=str)
def test_a_migration_leaves_capture_as_it_was_and_its_data_migration_is_captured(
    alias: str, tmp_path: Path, change: Change, apart: bool
) -> None:
    old, new = versions(tmp_path, change, apart=apart)
    begin(alias, old)
    with new.running(django_settings.INSTALLED_APPS, CONFIG):
        evolving.migrate(alias)
        label = f"evolving.{change.model}"
        noted = {event for event in events(alias) if event[0] == label}
        assert {(label, "1", "c"), (label, "2", "g"), (label, "3", "b")} <= noted
        assert capture.check(alias) == []
        assert not MissedCapture.objects.using(alias).exists()
        clear(alias)
        thing = evolving.model(change.model).objects.using(alias).get(pk=1)
        setattr(thing, change.field, "afterwards")
        thing.save()
        thing.save()
        assert events(alias) == [(label, "1", "c")]
        evolving.model("Part").objects.using(alias).create(id=2, thing_id=1)
        assert ("evolving.Part", "2", "b") in events(alias)


def test_a_table_altered_by_hand_is_captured(alias: str, tmp_path: Path) -> None:
    (change,) = (c for c in CHANGES if c.name == "by hand")
    old, new = versions(tmp_path, change, apart=True)
    begin(alias, old)
    with new.running(django_settings.INSTALLED_APPS, CONFIG):
        evolving.migrate(alias)
        assert events(alias) == [("evolving.Thing", "1", "c")]
        assert capture.check(alias) == []


def test_tests_of_migrations_that_send_no_signals_still_work(alias: str, tmp_path: Path) -> None:
    (change,) = (c for c in CHANGES if c.name == "remove a field")
    old, new = versions(tmp_path, change, apart=True)
    begin(alias, old)
    with new.running(django_settings.INSTALLED_APPS, CONFIG):
        executor = MigrationExecutor(connections[alias])
        executor.migrate([("evolving", "0003_data")])
        assert {(pk, what) for _, pk, what in events(alias)} >= {("1", "c"), ("2", "g"), ("3", "b")}
        assert not any(problem.lost for problem in capture.check(alias))
        executor = MigrationExecutor(connections[alias])


def test_new_tables_are_captured_from_their_first_migrate_on(alias: str, tmp_path: Path) -> None:
    old, _ = versions(tmp_path, CHANGES[0], apart=False)
    begin(alias, old)
    assert not MissedCapture.objects.using(alias).exists()


def test_an_app_migrated_by_itself_is_captured(alias: str, tmp_path: Path) -> None:
    old, _ = versions(tmp_path, CHANGES[0], apart=False)
    with old.running(django_settings.INSTALLED_APPS, CONFIG):
        evolving.migrate(alias, "evolving", "0001")
        evolving.model("Owner").objects.using(alias).create(id=1)
        assert events(alias) == [("evolving.Owner", "1", "b")]
        evolving.migrate(alias, "evolving", "zero")
        assert capture.check(alias) == []
        evolving.migrate(alias)
        assert not MissedCapture.objects.using(alias).exists()


def test_a_column_that_an_identity_names_may_come_and_go(alias: str, tmp_path: Path) -> None:
    change = Change(
        "",
        'migrations.RenameField("Thing", "name", "title"), migrations.RemoveField("Thing", "extra")',
        ((NAME, "title = models.CharField(max_length=20)"), (EXTRA, "")),
        field="title",
    )
    old, new = versions(tmp_path, change, apart=True)
    config = {**CONFIG, "IDENTITY": {"evolving.Thing": ["extra", "name"]}}
    with old.running(django_settings.INSTALLED_APPS, config):
        evolving.migrate(alias)
        for number in (1, 2):
            evolving.model("Thing").objects.using(alias).create(id=number, name=str(number))
        clear(alias)
    with new.running(django_settings.INSTALLED_APPS, {**CONFIG, "IDENTITY": {"evolving.Thing": ["title"]}}):
        evolving.migrate(alias)
        found = dict(Journal.objects.using(alias).values_list("what", "before"))
        assert set(found) == {"b", "c", "g"}
        assert capture.check(alias) == []


def test_migrate_zero_takes_the_triggers_and_leaves_the_tables_as_they_were(alias: str) -> None:
    Parent.objects.using(alias).create(id=1, x="stays")
    evolving.migrate(alias, "peersync", "zero")
    with connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            cursor.execute(r"SELECT tgname FROM pg_trigger WHERE tgname LIKE 'peersync\_%%'", [])
            triggers = cursor.fetchall()
            cursor.execute(r"SELECT proname FROM pg_proc WHERE proname LIKE 'peersync\_%%'", [])
            triggers += cursor.fetchall()
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' OR sql LIKE '%peersync%'", None)
            triggers = cursor.fetchall()
    assert triggers == []
    assert not [t for t in connections[alias].introspection.table_names() if t.startswith("peersync")]
    parent = Parent.objects.using(alias).get()
    assert parent.x == "stays"
    parent.x = "can be saved"
    parent.save()
    parent.delete()
    with connections[alias].schema_editor() as editor:
        field = models.CharField(max_length=9, default="x")
        field.set_attributes_from_name("new")
        editor.add_field(Tag, field)
    evolving.migrate(alias, "peersync")
    Tag.objects.using(alias).bulk_create([])
    Parent.objects.using(alias).create(id=2)
    assert events(alias) == [("zoo.Parent", "2", "b")]


def test_settings_that_are_wrong_do_not_stop_a_migrate(alias: str, settings: Any) -> None:
    settings.SYNC_CONFIG = {"MODLES": ["zoo.*"]}
    registry.cache_clear()
    with connections[alias].schema_editor() as editor:
        field = models.CharField(max_length=9, default="x")
        field.set_attributes_from_name("new")
        editor.add_field(Tag, field)
    call_command("migrate", database=alias, verbosity=0, interactive=False)
