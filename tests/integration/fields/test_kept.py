"""Columns that Django or a database fills in by itself, and columns under another name: the sent value is what counts."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from peersync.models import Conflict
from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import WAYS, carry, quarantined, stored
from tests.support.pairs import sql
from tests.typed.models import Auto, Kept, Ordered, SmallAuto

LONG_AGO = dt.datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=dt.UTC)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_filled_in_at_the_source_stands_at_the_target(between: Between, way: str) -> None:
    """Neither ``auto_now`` nor a default of the database runs for a row that came; a generated column is its own."""
    between.configure("typed.Kept")
    Kept.objects.using(between.source).create(name="ünï", hidden="not for forms")
    Kept.objects.using(between.source).create(name="b", count=9)
    Kept.objects.using(between.source).update(
        made=LONG_AGO, changed=LONG_AGO, day=LONG_AGO.date(), clock=LONG_AGO.time()
    )
    carry(between.source, between.target, way)
    here, there = stored(Kept, between.source), stored(Kept, between.target)
    generated = [row.pop("upper") for row in there.values()], [row.pop("upper") for row in here.values()]
    assert there == here
    assert generated[0][1] == generated[1][1] == "B"  # of ü, each database has its own idea
    for row in there.values():
        assert (row["made"], row["changed"], row["day"]) == (LONG_AGO, LONG_AGO, LONG_AGO.date())
    Kept.objects.using(between.target).get(name="b").save()
    edited = Kept.objects.using(between.target).get(name="b")
    assert edited.changed > LONG_AGO
    carry(between.target, between.source, way)
    assert Kept.objects.using(between.source).get(name="b").changed == edited.changed
    assert Kept.objects.using(between.source).get(name="b").made == LONG_AGO


def test_a_default_of_the_database_stands_in_for_what_does_not_travel(between: Between) -> None:
    between.configure("typed.Kept", EXCLUDE={"typed.Kept": ["count", "since", "changed", "hidden"]})
    before = timezone.now()
    for way in WAYS:
        Kept.objects.using(between.source).create(name=way, count=9, since=LONG_AGO)
        assert carry(between.source, between.target, way).status == "ok"
    for row in Kept.objects.using(between.target).all():
        assert row.count == 7
        assert row.since > LONG_AGO
        assert row.changed >= before
        assert row.hidden == ""


def test_a_generated_column_alone_makes_no_event(between: Between) -> None:
    """It changes with others only: with those that stay home, too."""
    between.configure("typed.Kept", EXCLUDE={"typed.Kept": ["changed", "day", "clock", "hidden"]})
    Kept.objects.using(between.source).create(name="a")
    carry(between.source, between.target)
    sql(between.source, "UPDATE typed_kept SET hidden = 'x'")
    report = carry(between.source, between.target)
    assert sum(sum(f.as_dict().values()) for f in report.models.values()) == 0


@pytest.mark.parametrize("way", WAYS)
def test_order_with_respect_to(between: Between, way: str) -> None:
    between.configure("typed.Auto", "typed.Ordered", "typed.SmallAuto")
    auto = Auto.objects.using(between.source).create(name="parent")
    SmallAuto.objects.using(between.source).create(name="small")
    rows = [Ordered.objects.using(between.source).create(auto=auto, name=name) for name in "abc"]
    auto.set_ordered_order([rows[2].pk, rows[0].pk, rows[1].pk], using=between.source)
    carry(between.source, between.target, way)
    assert [row.name for row in Ordered.objects.using(between.target).all()] == ["c", "a", "b"]
    there = Auto.objects.using(between.target).get()
    there.set_ordered_order([row.pk for row in rows], using=between.target)
    carry(between.target, between.source, way)
    assert [row.name for row in Ordered.objects.using(between.source).all()] == ["a", "b", "c"]
    assert SmallAuto.objects.using(between.target).create(name="next").pk == 2


# ---------------------------------------------------------------------- zones


def naive(alias: str) -> list[Any]:
    return sql(alias, "SELECT id, CAST(datetime AS text) FROM typed_every ORDER BY id")


@pytest.mark.parametrize("way", WAYS)
def test_a_project_that_does_not_use_zones(between: Between, way: str, settings: Any) -> None:
    """Local times are instants on their way; one that the zone left out stays where it is held, and says so elsewhere."""
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    between.configure("typed.Every")
    from tests.typed.models import Every

    times = [
        dt.datetime(2026, 7, 1, 12, 0, 0, 123456),
        dt.datetime(2026, 1, 1, 12, 0),
        dt.datetime(2026, 10, 25, 2, 30),
        dt.datetime(1900, 1, 1),
        dt.datetime(1, 1, 2),
        dt.datetime(9999, 12, 31, 22, 59, 59, 999999),
    ]
    for number, value in enumerate(times, 1):
        Every.objects.using(between.source).create(id=number, datetime=value)
    assert carry(between.source, between.target, way).status == "ok"
    found = list(Every.objects.using(between.target).order_by("id").values_list("datetime", flat=True))
    assert found == times
    back = carry(between.target, between.source, way)
    assert not any(f.updated or f.conflicts for f in back.models.values())


def test_a_local_time_that_never_was(from_sqlite: Between, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    between = from_sqlite
    between.configure("typed.Every")
    sql(
        between.source,
        "INSERT INTO typed_every (id, datetime) VALUES (1, '2026-03-29 02:30:00'), (2, '2026-03-29 03:30:00')",
    )
    carry(between.source, between.target)
    assert "2026-03-29 02:30:00" in quarantined(between.target)["[1]"]
    assert len(naive(between.target)) == 1


def test_two_sqlites_that_store_in_zones_of_their_own(make_nodes: Any, settings: Any) -> None:
    """DATABASES has a TIME_ZONE for each: instants travel, not what the clock there shows."""
    from django.db import connections

    from tests.typed.models import Every

    make_nodes("a", "b", "c")
    between = Between("a", "b", settings)
    zones = {"a": "Asia/Tokyo", "b": "America/New_York"}
    for alias, zone in zones.items():
        connections[alias].settings_dict["TIME_ZONE"] = zone
        for name in ("timezone", "timezone_name"):
            connections[alias].__dict__.pop(name, None)
    try:
        between.configure("typed.Every")
        at = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
        for number, way in enumerate(WAYS, 1):
            Every.objects.using("a").create(id=number, datetime=at)
            assert carry("a", "b", way).status == "ok"
        assert naive("a") == [(n, "2026-07-01 21:00:00") for n in (1, 2, 3)]
        assert naive("b") == [(n, "2026-07-01 08:00:00") for n in (1, 2, 3)]
        assert set(Every.objects.using("b").values_list("datetime", flat=True)) == {at}
        assert not Conflict.objects.using("b").exists()
    finally:
        for alias in zones:
            connections[alias].settings_dict["TIME_ZONE"] = None
            for name in ("timezone", "timezone_name"):
                connections[alias].__dict__.pop(name, None)
