"""Rows whose primary key points at another row: multi-table inheritance at any depth, and one-to-one keys."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import models

from peersync.models import Conflict, RowState
from tests.support import evolving
from tests.support.capturing import fresh
from tests.support.pairs import Pair, waiting

MODELS = """
class Being(models.Model):
    name = models.CharField(max_length=20, unique=True)

class Person(Being):
    job = models.CharField(max_length=20)

class Chief(Person):
    car = models.CharField(max_length=20)

class Card(models.Model):
    being = models.OneToOneField(Being, models.CASCADE, primary_key=True)
    text = models.CharField(max_length=20)
"""
POINTER = "models.OneToOneField('evolving.{}', models.CASCADE, parent_link={}, primary_key=True, serialize=False)"
INITIAL = f"""
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Being", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=20, unique=True)),
        ]),
        migrations.CreateModel("Person", [
            ("being_ptr", {POINTER.format("Being", True)}),
            ("job", models.CharField(max_length=20)),
        ], bases=("evolving.being",)),
        migrations.CreateModel("Chief", [
            ("person_ptr", {POINTER.format("Person", True)}),
            ("car", models.CharField(max_length=20)),
        ], bases=("evolving.person",)),
        migrations.CreateModel("Card", [
            ("being", {POINTER.format("Being", False)}),
            ("text", models.CharField(max_length=20)),
        ]),
    ]
"""
NAMES = ("Being", "Person", "Chief", "Card")


@pytest.fixture(params=[("a", "b"), pytest.param(("pg_a", "pg_b"), marks=pytest.mark.postgres)], ids="-".join)
def aliases(
    request: pytest.FixtureRequest, _node_databases: Any, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        for alias in request.param:
            stack.enter_context(fresh(_node_databases, django_db_blocker, alias))
        yield request.param


@pytest.fixture(params=[{}, {"evolving.Being": ["name"]}], ids=["by number", "by name"])
def pair(
    request: pytest.FixtureRequest,
    aliases: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> Iterator[Pair]:
    """Both hold `chief` (a chief with a card) and `plain` (a being alone); under an identity with other numbers."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    a, b = aliases
    config = {"MODELS": [], "AUTO_SYNC": "off", "MASTER": a, "SLAVE": b, "IDENTITY": request.param}
    version = evolving.Version(tmp_path, MODELS, {"0001_initial": INITIAL})
    with version.running(list(django_settings.INSTALLED_APPS), config):
        for alias in aliases:
            evolving.migrate(alias)
        if request.param:
            of("Being", b).create(name="only there")
        chief = of("Chief", a).create(name="chief", job="boss", car="van")
        of("Card", a).create(being_id=chief.pk, text="a card")
        of("Being", a).create(name="plain")
        found = Pair(settings, a, b)
        found.both()
        assert counts(a) == counts(b)
        yield found


def of(name: str, alias: str) -> Any:
    return evolving.model(name).objects.using(alias)


def counts(alias: str) -> dict[str, int]:
    return {name: models.QuerySet(evolving.model(name), using=alias).count() for name in NAMES}


def test_all_of_a_row_is_deleted_together(pair: Pair) -> None:
    of("Chief", pair.b).get(name="chief").delete()
    report = pair.pull()
    assert {label: figures.deleted for label, figures in report.models.items() if figures.deleted} == {
        "evolving.Being": 1,
        "evolving.Person": 1,
        "evolving.Chief": 1,
        "evolving.Card": 1,
    }
    pair.push()
    assert counts(pair.a) == counts(pair.b)
    assert counts(pair.a)["Chief"] == 0
    assert not pair.differences()
    assert not Conflict.objects.using(pair.a).exists()
    assert waiting(pair.a) == []


def test_a_part_of_a_row_is_deleted_alone(pair: Pair) -> None:
    of("Chief", pair.b).get(name="chief").delete(keep_parents=True)
    of("Card", pair.b).all().delete()
    pair.pull()
    assert counts(pair.a) == counts(pair.b)
    assert of("Person", pair.a).get().name == "chief"
    assert not pair.differences()


def test_a_row_that_is_deleted_child_first_over_several_passes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes the child's note alone finds whose it was in the notes that stand behind it."""
    monkeypatch.setattr("peersync.numbering.BITE", 1)
    of("Chief", pair.b).get(name="chief").delete()
    pair.pull()
    assert counts(pair.a) == counts(pair.b)
    tombstones = RowState.objects.using(pair.b).filter(deleted=True, model__startswith="evolving.")
    assert tombstones.count() == 4
    assert len(set(tombstones.values_list("key", flat=True))) == 1


def test_a_deletion_loses_against_a_part_that_its_deleter_had_not_seen(pair: Pair) -> None:
    of("Being", pair.b).get(name="plain").delete()
    plain = of("Being", pair.a).get(name="plain")
    of("Card", pair.a).create(being_id=plain.pk, text="new")
    pair.both()
    pair.both()
    assert counts(pair.a) == counts(pair.b)
    assert sorted(of("Card", pair.b).values_list("being__name", flat=True)) == ["chief", "plain"]
    assert not pair.differences()
