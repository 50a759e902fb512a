"""Data migrations: each node writes for itself, without a time; a user's edit beats it, and what is equal is no conflict."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections

from peersync.models import Applying, Journal
from peersync.reports import Options
from peersync.syncing import sync
from tests.support import evolving
from tests.support.capturing import clear, fresh
from tests.support.pairs import records

MODELS = """
class Thing(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=20)
"""
INITIAL = """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Thing", [
            ("id", models.BigIntegerField(primary_key=True)), ("name", models.CharField(max_length=20)),
        ]),
    ]
"""
DATA = """
from django.apps import apps as real
from django.db import connection as own
from django.db.models.functions import Upper

def write(apps, editor):
    things = {get}("evolving", "Thing").objects.using(editor.connection.alias)
{body}

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("evolving", "0001_initial")]
    operations = [{operations}]
"""
EVERY_WAY = """
    one = things.get(pk=1)
    one.name = "saved"
    one.save()
    things.filter(pk=2).update(name="updated")
    things.filter(pk=3).delete()
    things.bulk_create([things.model(pk=8, name="born"), things.model(pk=9, name="born")])
    editor.execute("/* by hand */ UPDATE evolving_thing SET name = 'sql' WHERE id = 6")
"""
SQL = "migrations.RunSQL(\"-- a script\\nUPDATE evolving_thing SET name = 'x' WHERE id = 7; SELECT 1;\")"


@pytest.fixture
def aliases(
    request: pytest.FixtureRequest,
    _node_databases: Any,
    django_db_blocker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[str, str]]:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with fresh(_node_databases, django_db_blocker, *request.param):
        yield request.param


ON = pytest.mark.parametrize(
    "aliases",
    [("a", "b"), pytest.param(("pg_a", "pg_b"), marks=pytest.mark.postgres)],
    indirect=True,
    ids=["sqlite", "pg"],
)


def config(aliases: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"MODELS": [], "AUTO_SYNC": "off", "MASTER": aliases[0], "SLAVE": aliases[1], **more}


def release(directory: Path, body: str, *, atomic: bool = True, get: str = "apps.get_model", more: str = "") -> Any:
    text = DATA.format(body=body, atomic=atomic, get=get, operations=f"migrations.RunPython(write), {more}")
    return evolving.Version(directory, MODELS, {"0001_initial": INITIAL, "0002_data": text})


def begin(directory: Path, aliases: tuple[str, ...], settings: dict[str, Any], rows: int = 7) -> None:
    old = evolving.Version(directory, MODELS, {"0001_initial": INITIAL})
    with old.running(django_settings.INSTALLED_APPS, settings):
        for alias in aliases:
            evolving.migrate(alias)
        thing = evolving.model("Thing")
        for number in range(1, rows + 1):
            thing.objects.using(aliases[0]).create(pk=number, name="first")
        if len(aliases) > 1:
            sync(aliases[1])
    for alias in aliases:
        clear(alias)


def stamps(alias: str) -> dict[str, int]:
    return dict(Journal.objects.using(alias).values_list("pk_text", "stamp"))


@ON
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
def test_a_data_migration_writes_without_a_time(aliases: tuple[str, str], tmp_path: Path, atomic: bool) -> None:
    alias = aliases[0]
    begin(tmp_path, aliases[:1], config(aliases))
    with release(tmp_path, EVERY_WAY, atomic=atomic, more=SQL).running(django_settings.INSTALLED_APPS, config(aliases)):
        evolving.migrate(alias)
        assert stamps(alias) == dict.fromkeys("1236789", 0)
        clear(alias)
        evolving.model("Thing").objects.using(alias).filter(pk__in=(1, 2)).update(name="by a user")
        assert all(stamp > 10**12 for stamp in stamps(alias).values())
        assert not Applying.objects.using(alias).exists()


@pytest.mark.postgres
@pytest.mark.parametrize("aliases", [("pg_a", "pg_b")], indirect=True)
def test_who_writes_meanwhile_is_stamped_as_ever(aliases: tuple[str, str], tmp_path: Path) -> None:
    alias = aliases[0]
    begin(tmp_path, aliases[:1], config(aliases))
    meanwhile = f"""
    from tests.support import postgres
    things.filter(pk=1).update(name="by the migration")
    user = postgres.connect({str(connections.databases[alias]["NAME"])!r})
    with user, user.cursor() as cursor:
        cursor.execute("UPDATE evolving_thing SET name = 'by a user' WHERE id = 2")
    user.close()
"""
    with release(tmp_path, meanwhile).running(django_settings.INSTALLED_APPS, config(aliases)):
        evolving.migrate(alias)
    found = stamps(alias)
    assert found["1"] == 0
    assert found["2"] > 10**12


@ON
def test_a_migrate_that_failed_leaves_nothing_behind(aliases: tuple[str, str], tmp_path: Path) -> None:
    alias = aliases[0]
    begin(tmp_path, aliases[:1], config(aliases))
    with release(tmp_path, "    things.update(name='x')\n    raise ZeroDivisionError").running(
        django_settings.INSTALLED_APPS, config(aliases)
    ):
        with pytest.raises(ZeroDivisionError) as error:
            evolving.migrate(alias)
        del error
        gc.collect()
        assert stamps(alias) == {}
        evolving.model("Thing").objects.using(alias).filter(pk=1).update(name="by a user")
        assert stamps(alias)["1"] > 10**12
        assert not Applying.objects.using(alias).exists()


@ON
def test_by_signals_too(aliases: tuple[str, str], tmp_path: Path) -> None:
    """Where the migration uses the project's own classes: the historical ones send no signals to anybody."""
    alias, by_signals = aliases[0], config(aliases, CAPTURE="signals")
    begin(tmp_path, aliases[:1], by_signals)
    body = "    one = things.get(pk=1)\n    one.name = 'saved'\n    one.save()\n"
    with release(tmp_path, body, get="real.get_model").running(django_settings.INSTALLED_APPS, by_signals):
        evolving.migrate(alias)
        assert stamps(alias) == {"1": 0}
        one = evolving.model("Thing").objects.using(alias).get(pk=1)
        one.name = "by a user"
        one.save()
        assert max(Journal.objects.using(alias).values_list("stamp", flat=True)) > 10**12


@ON
def test_a_users_edit_beats_it_and_equal_writes_are_no_conflict(aliases: tuple[str, str], tmp_path: Path) -> None:
    a, b = aliases
    begin(tmp_path, aliases, config(aliases))
    body = "    things.exclude(name__startswith='by').update(name=Upper('name'))\n"
    new = release(tmp_path, body)
    with new.running(django_settings.INSTALLED_APPS, config(aliases)):
        things = evolving.model("Thing").objects
        things.using(b).filter(pk=1).update(name="by a user")
        evolving.migrate(a)
        evolving.migrate(b)
        reports = sync(b, Options())
        assert [report.status for report in reports] == ["ok", "ok"]
        for alias in aliases:
            names = dict(things.using(alias).values_list("pk", "name"))
            assert names == {1: "by a user", **dict.fromkeys(range(2, 8), "FIRST")}
        kept = [*records(a), *records(b)]
        assert kept == [("conflict", "evolving.Thing", "incoming")]
