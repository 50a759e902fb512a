"""Primary keys of every type: rows are found, edited, deleted, pointed to, filtered, and swept along by them."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django.apps import apps

from peersync.models import RowState
from peersync.syncing import compare
from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import WAYS, carry, quarantined, stored

KEYS: dict[str, list[Any]] = {
    "IntKey": [-(2**31), -1, 0, 1, 10, 9, 2**31 - 1],
    "BigKey": [-(2**63), -1, 0, 1, 10, 9, 2**63 - 1],
    "UuidKey": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID("6f9619ff-8b86-4011-b42d-00cf4fc964ff")],
    "TextKey": [
        "",
        "a/b",
        "it's",
        'say "x"',
        "a,b",
        "a\\,b",
        "~[1]",
        "%s {} ?",
        "é",
        "e\u0301",
        "😀",
        "\t\n",
        "x" * 500,
    ],
    "CharKey": ["sqlite:t:x", "sqlite:b:00", "..", "?a=b&c#d", " ", "null", "[1]"],
    "BytesKey": [b"", b"\x01", bytes(range(1, 256)), b"\xff\xfe", b"/'\"\\"],
    "DateKey": [dt.date.min, dt.date(2026, 2, 28), dt.date.max],
    "DatetimeKey": [
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 2, 28, 12, 0, tzinfo=dt.UTC),
        dt.datetime(2026, 2, 28, 12, 0, 0, 1, tzinfo=dt.UTC),
        dt.datetime.max.replace(tzinfo=dt.UTC),
    ],
    "TimeKey": [dt.time.min, dt.time(12, 30), dt.time(12, 30, 0, 1), dt.time.max],
    "DurationKey": [
        dt.timedelta(0),
        -dt.timedelta(microseconds=1),
        dt.timedelta(days=400, hours=25),
        dt.timedelta(days=1),
    ],
    "DecimalKey": [Decimal("0.000"), Decimal("-1.500"), Decimal("10.000"), Decimal("123456789.123")],
    "IpKey": ["10.0.0.1", "10.0.0.2", "2001:db8::1", "::ffff:1.2.3.4"],
    "BoolKey": [True, False],
}


FIRST = ((True, True), (True, False), (False, True), (False, False))
"""To and from SQLite: where the types' ways begin to be counted."""


def names(between: Between, name: str, **config: Any) -> tuple[Any, Any]:
    between.configure(f"typed.{name}", f"typed.{name}Child", **config)
    return apps.get_model("typed", name), apps.get_model("typed", f"{name}Child")


def equal(between: Between, *models: Any) -> None:
    for model in models:
        assert stored(model, between.target) == stored(model, between.source)
    assert quarantined(between.source) == quarantined(between.target) == {}
    assert {label: found.count for label, found in compare(between.target).items() if found.count} == {}


def test_rows_are_known_by_them(between: Between) -> None:
    """Each type goes another way on another pair of databases."""
    first = list(FIRST).index((between.to_sqlite, between.from_sqlite))
    for place, name in enumerate(KEYS, first):
        known(between, name, WAYS[place % len(WAYS)])


def known(between: Between, name: str, way: str) -> None:
    model, child = names(between, name)
    keys = KEYS[name]
    for key in keys:
        model.objects.using(between.source).create(id=key, note="first")
        child.objects.using(between.source).create(to_id=key)
    report = carry(between.source, between.target, way)
    assert report.models[f"typed.{name}"].created == len(keys)
    assert report.models[f"typed.{name}Child"].created == len(keys)
    equal(between, model, child)
    # an edit at either side finds the row, and a deletion too
    model.objects.using(between.target).filter(pk=keys[0]).update(note="edited there")
    model.objects.using(between.source).filter(pk=keys[1]).update(note="edited here")
    back = carry(between.target, between.source, way).models[f"typed.{name}"]
    there = carry(between.source, between.target, way).models[f"typed.{name}"]
    assert (back.updated, there.updated) == (1, 1)
    model.objects.using(between.target).get(pk=keys[0]).delete()
    back = carry(between.target, between.source, way).models[f"typed.{name}"]
    assert (back.deleted, back.conflicts) == (1, 0)
    equal(between, model, child)
    assert len(stored(child, between.source)) == len(keys) - 1
    # born again under the key of a tombstone
    model.objects.using(between.source).create(id=keys[0], note="again")
    assert carry(between.source, between.target, way).models[f"typed.{name}"].created == 1
    equal(between, model, child)
    assert not RowState.objects.using(between.source).filter(model=f"typed.{name}", deleted=True).exists()


def test_under_a_filter(within: Between) -> None:
    """Rows in view travel, with those that hang on them; one that leaves the view goes; others are not told of."""
    for name in KEYS:
        filtered(within, name)


def filtered(between: Between, name: str) -> None:
    model, child = names(between, name, FILTER={f"typed.{name}": {"note": "seen"}})
    keys = KEYS[name]
    for place, key in enumerate(keys):
        model.objects.using(between.source).create(id=key, note="hidden" if place == 1 else "seen")
        child.objects.using(between.source).create(to_id=key)
    carry(between.source, between.target)
    seen = [key for key in keys if key != keys[1]]
    assert set(stored(model, between.target)) == set(seen)
    assert child.objects.using(between.target).count() == len(seen)
    model.objects.using(between.target).filter(pk=keys[0]).update(note="seen")
    model.objects.using(between.source).filter(pk=keys[0]).update(note="left")
    carry(between.source, between.target)
    assert set(stored(model, between.target)) == set(seen[1:])
    model.objects.using(between.source).filter(pk=keys[1]).update(note="seen")
    carry(between.source, between.target)
    assert model.objects.using(between.target).filter(pk=keys[1]).exists()
    assert child.objects.using(between.target).filter(to_id=keys[1]).exists()
    assert quarantined(between.target) == {}


def test_what_stays_home_goes_with_its_parent(within: Between) -> None:
    for name in KEYS:
        swept_along(within, name)


def swept_along(between: Between, name: str) -> None:
    between.configure(f"typed.{name}")
    model, child = apps.get_model("typed", name), apps.get_model("typed", f"{name}Child")
    keys = KEYS[name]
    for key in keys:
        model.objects.using(between.source).create(id=key)
    carry(between.source, between.target)
    for key in keys:
        child.objects.using(between.target).create(to_id=key)
    model.objects.using(between.source).filter(pk=keys[0]).delete()
    assert carry(between.source, between.target).models[f"typed.{name}"].deleted == 1
    assert child.objects.using(between.target).count() == len(keys) - 1
    assert not child.objects.using(between.target).filter(to_id=keys[0]).exists()


def test_a_key_that_the_other_side_cannot_hold(from_sqlite: Between) -> None:
    """Each waits by itself; its deletion is nothing, since no such row can stand there."""
    between = from_sqlite
    model, _ = names(between, "TextKey")
    for key in ("a\x00b", "a", "b"):
        model.objects.using(between.source).create(id=key, note="n")
    report = carry(between.source, between.target)
    assert report.status == "incomplete"
    assert "U+0000" in quarantined(between.target)['["a\\u0000b"]']
    assert set(model.objects.using(between.target).values_list("pk", flat=True)) == {"a", "b"}
    model.objects.using(between.source).filter(pk="a\x00b").delete()
    model.objects.using(between.source).filter(pk="b").update(note="edited")
    assert carry(between.source, between.target).status == "ok"
    equal(between, model)
    assert model.objects.using(between.target).get(pk="a").note == "n"


def test_a_number_that_the_other_side_has_no_room_for(from_sqlite: Between) -> None:
    between = from_sqlite
    model, _ = names(between, "IntKey")
    for key in (1, 2**40):
        model.objects.using(between.source).create(id=key)
    carry(between.source, between.target)
    if between.to_sqlite:
        equal(between, model)
    else:
        assert list(model.objects.using(between.target).values_list("pk", flat=True)) == [1]
        assert "1099511627776 is not between" in quarantined(between.target)["[1099511627776]"]
