"""The same between two processes, over a real socket."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from peersync.reports import Options, TransferReport
from peersync.syncing import compare
from peersync.transfer import Transfer
from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import plain, quarantined, stored
from tests.keyed.models import Seat
from tests.support.api import made_token
from tests.support.live import Server
from tests.support.pairs import sql
from tests.typed.models import BytesKey, DatetimeKey, Every, TextKey

NOON = dt.datetime(2026, 2, 28, 12, 0, 0, 123456, tzinfo=dt.UTC)
DEEP: Any = "bottom"
for _ in range(300):
    DEEP = [DEEP, {"down": 1}]
ROWS: list[dict[str, Any]] = [
    {},
    {"text": "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x11000), *range(0x1F000, 0x1FFFF)]))},
    {"text": "".join(map(chr, range(0x10F000, 0x110000))), "char": "\\N\t\r\n\u2028", "slug": ""},
    {"binary": bytes(range(256)) * 2000, "uuid": uuid.UUID(int=2**128 - 1)},
    {"json": DEEP, "encoded": {"at": NOON, "amount": Decimal("1.10")}},
    {"json": {str(n): [n, n / 7, None, "ü" * 50] for n in range(20_000)}},
    {"big": -(2**63), "positive_big": 2**63 - 1, "small": -32768, "float": 5e-324},
    {"decimal": Decimal("-12345.0123456789"), "amount": Decimal("9999999999.99"), "share": Decimal("0.000001")},
    {"datetime": dt.datetime(1, 1, 1, tzinfo=dt.UTC), "date": dt.date.min, "time": dt.time.max},
    {
        "datetime": dt.datetime.max.replace(tzinfo=dt.UTC),
        "date": dt.date.max,
        "duration": -dt.timedelta(microseconds=1),
    },
    {"float": float("inf"), "ip": "::ffff:1.2.3.4", "boolean": False},
]


@contextmanager
def served(between: Between, *models: str, settings: str = "tests.support.site_settings") -> Iterator[HttpReplica]:
    """The target, as a process of its own."""
    between.configure(*models)
    key = made_token(between.target, between.source)
    env = {
        "PEERSYNC_TEST_DEFAULT": between.target,
        "PEERSYNC_TEST_SYNC": json.dumps({"MODELS": list(models), "AUTO_SYNC": "off"}),
    }
    with Server(env, settings=settings) as server:
        yield HttpReplica(between.target, server.url, key)


def push(between: Between, target: HttpReplica) -> TransferReport:
    report = Transfer(DatabaseReplica(between.source, peer=between.target), target).run()
    assert report.error is None, report.error
    return report


def pull(between: Between, source: HttpReplica) -> TransferReport:
    own = DatabaseReplica(between.source, peer=between.target)
    report = Transfer(source, own, local="target").run()
    assert report.error is None, report.error
    return report


def test_edges_of_all_types_there_and_back(between: Between) -> None:
    """A first push, in runs where both are PostgreSQL; then the feed, row by row; then a pull of what was edited there."""
    with served(between, "typed.Every") as target:
        for values in ROWS:
            Every.objects.using(between.source).create(**values)
        assert push(between, target).models["typed.Every"].created == len(ROWS)
        for values in ROWS:
            Every.objects.using(between.source).create(**values)
        assert push(between, target).models["typed.Every"].created == len(ROWS)
        assert stored(Every, between.target) == stored(Every, between.source)
        sql(between.target, "UPDATE typed_every SET url = 'edited'")
        figures = pull(between, target).models["typed.Every"]
        assert (figures.updated, figures.conflicts) == (2 * len(ROWS), 0)
        assert stored(Every, between.target) == stored(Every, between.source)
        assert quarantined(between.target) == quarantined(between.source) == {}


def test_a_row_that_cannot_be_held_over_http(between: Between) -> None:
    odd = ("integer", "'twelve'") if between.from_sqlite else ("float", "'NaN'")
    with served(between, "typed.Every") as target:
        Every.objects.using(between.source).create(id=1, text="before")
        sql(between.source, f"INSERT INTO typed_every (id, {odd[0]}) VALUES (2, {odd[1]})")
        Every.objects.using(between.source).create(id=3, text="behind")
        report = push(between, target)
        held = between.from_sqlite == between.to_sqlite
        assert report.status == ("ok" if held else "incomplete")
        assert len(sql(between.target, "SELECT id FROM typed_every")) == (3 if held else 2)
        assert list(quarantined(between.target)) == ([] if held else ["[2]"])


def test_a_key_with_u0000_stops_no_other_row(from_sqlite: Between) -> None:
    """Nor does a row that points to one, nor a comparison of both sides."""
    between = from_sqlite
    models = ("typed.TextKey", "typed.TextKeyChild")
    with served(between, *models) as target:
        for name in ("a", "z"):
            TextKey.objects.using(between.source).create(pk=name)
        push(between, target)
        sql(between.source, "INSERT INTO typed_textkey SELECT 'n'||char(0), note FROM typed_textkey WHERE id = 'a'")
        TextKey.objects.using(between.source).create(pk="y")
        assert push(between, target).status == "incomplete"
        assert sql(between.target, "SELECT id FROM typed_textkey ORDER BY id") == [("a",), ("y",), ("z",)]
        [reason] = quarantined(between.target).values()
        assert reason.startswith("invalid: its key: it has the character U+0000")
        found = compare(target, Options())["typed.TextKey"]
        assert (found.count, list(found.keys)) == (1, ["n\x00"])
        sql(between.source, "DELETE FROM typed_textkey WHERE length(CAST(id AS BLOB)) = 2")
        assert push(between, target).status == "ok"
        assert quarantined(between.target) == {}


@pytest.mark.parametrize("kind", ["rows", "runs"])
def test_an_older_release_has_narrower_columns(between: Between, kind: str) -> None:
    """Nothing is rounded or cut off there in silence: a row that does not fit waits, and runs are not taken."""
    if not between.to_sqlite:
        with connections[between.target].cursor() as cursor:
            cursor.execute('ALTER TABLE typed_every ALTER amount TYPE numeric(12, 1), ALTER "char" TYPE varchar(5)')
            cursor.execute("ALTER TABLE typed_every ALTER integer TYPE smallint")
    with served(between, "typed.Every", settings="tests.support.narrow_settings") as target:
        if kind == "rows":
            push(between, target)
        values: list[dict[str, Any]] = [
            {"amount": Decimal("1.50"), "char": "short", "integer": 3},
            {"amount": Decimal("1.55")},
            {"char": "longer"},
            {"char": "abc   "},
            {"integer": 40_000},
        ]
        for number, row in enumerate(values, 1):
            Every.objects.using(between.source).create(id=number, text="t", **row)
        report = push(between, target)
        assert any("big" in sentence for sentence in report.left_out)
        waits = quarantined(between.target)
        assert "'1.55' has more than 1 decimal places" in waits["[2]"]
        if between.to_sqlite:
            assert sorted(waits) == ["[2]"]  # it counts no characters, and its integers are all of one size
        else:
            assert sorted(waits) == ["[2]", "[3]", "[4]", "[5]"]
            assert "6 characters are more than the 5" in waits["[3]"]
        found = sql(
            between.target, "SELECT amount, char, integer FROM typed_every WHERE id = 1".replace("char", '"char"')
        )
        assert [(Decimal(str(found[0][0])), *found[0][1:])] == [(Decimal("1.5"), "short", 3)]


def everything(model: Any, alias: str) -> list[dict[str, Any]]:
    names = [field.attname for field in model._meta.concrete_fields]
    rows = model.objects.using(alias).values(*names)
    return sorted(({name: plain(value) for name, value in row.items()} for row in rows), key=repr)


def test_keys_of_every_kind(within: Between) -> None:
    """In pages, by key, as tombstones and in digests: keys stand in addresses and in bodies."""
    texts = ["", "a/b", "..", "it's", 'say "x"', "?a=b&c#d", "%2F", "50 %", "a\nb", "é ☃ 😀", "a,b", " "]
    keys: dict[Any, list[Any]] = {
        TextKey: texts,
        BytesKey: [b"", b"/", bytes(range(1, 256)), b"%", b"\n"],
        DatetimeKey: [NOON, dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)],
    }
    for model, values in keys.items():
        model.objects.using(within.source).bulk_create([model(id=value) for value in values])
    Seat.objects.using(within.source).bulk_create([Seat(row=text, number=-1, since=NOON) for text in texts])
    models = [*keys, Seat]
    with served(within, *(model._meta.label for model in models)) as peer:
        own = DatabaseReplica(within.source, peer=within.target)
        assert Transfer(own, peer, options=Options(batch_size=2)).run().status == "ok"
        for model in models:
            assert everything(model, within.target) == everything(model, within.source)
            model.objects.using(within.target).all()[1:2].get().delete()
            model.objects.using(within.target).update(note="edited")
        report = Transfer(peer, own, local="target", options=Options(batch_size=2)).run()
        assert report.status == "ok"
        assert [report.models[model._meta.label].deleted for model in models] == [1] * len(models)
        for model in models:
            assert everything(model, within.target) == everything(model, within.source)
            assert set(model.objects.using(within.source).values_list("note", flat=True)) == {"edited"}
        assert not any(found.count for found in compare(peer).values())
