"""PostgreSQL's own types: from one PostgreSQL to another as their text, and to SQLite not at all, in a sentence."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange, NumericRange
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from peersync import capture
from peersync.errors import SchemaDiffers
from peersync.syncing import compare
from tests.integration.fields.conftest import Between
from tests.integration.fields.strategies import INT64, datetimes, floats, scalars, texts
from tests.integration.fields.test_every_value import HYPOTHESIS
from tests.integration.fields.ways import WAYS, carry, quarantined
from tests.support.pairs import sql

pytestmark = pytest.mark.postgres
PREPARE = "; ".join(
    f"SET {name} = '{value}'"
    for name, value in {
        "datestyle": "SQL, DMY",
        "intervalstyle": "sql_standard",
        "extra_float_digits": "0",
        "bytea_output": "escape",
        "timezone": "Asia/Tokyo",
    }.items()
)


@contextmanager
def tables(between: Between, *names: str, **config: Any) -> Iterator[list[Any]]:
    """These models, installed, with their tables on both sides, and synchronised."""
    installed = [*between.settings.INSTALLED_APPS, "tests.native"]
    sync = {"AUTO_SYNC": "off", "MASTER": between.source, "SLAVE": between.target, **config}
    with override_settings(INSTALLED_APPS=installed, SYNC_CONFIG={**sync, "MODELS": [f"native.{n}" for n in names]}):
        models = [apps.get_model("native", name) for name in names]
        for alias in (between.source, between.target):
            with connections[alias].schema_editor() as editor:
                for model in models:
                    editor.create_model(model)
            capture.install(alias)
        yield models


@pytest.fixture
def pair(make_nodes: Any, settings: Any) -> Between:
    make_nodes("pg_a", "pg_b", "c")
    return Between("pg_a", "pg_b", settings)


def texts_of(alias: str, table: str) -> list[Any]:
    """The columns as PostgreSQL writes them, in a session that nobody has set up."""
    return sql(alias, f"SELECT t::text FROM {table} t ORDER BY id")


def ranges(values: st.SearchStrategy[Any], kind: Any = NumericRange) -> st.SearchStrategy[Any]:
    bounds = st.one_of(st.none(), values)
    return st.one_of(
        st.builds(
            lambda one, two, form: (
                kind(min(one, two), max(one, two), form) if None not in (one, two) else kind(one, two, form)
            ),
            bounds,
            bounds,
            st.sampled_from(["[]", "[)", "(]", "()"]),
        ),
        st.just(kind(empty=True)),
    )


small = st.integers(-(1 << 31) + 1, (1 << 31) - 2)
ROWS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "Ranges": {
        "ints": ranges(small),
        "bigs": ranges(st.integers(-INT64 + 1, INT64 - 2)),
        "decimals": ranges(st.decimals(allow_nan=False, allow_infinity=False, places=5)),
        "times": ranges(datetimes, DateTimeTZRange),
    },
    "Arrays": {
        "ints": st.lists(st.one_of(st.none(), small)),
        "texts": st.lists(st.one_of(st.none(), texts.map(lambda text: text[:20]))),
        "decimals": st.lists(st.decimals(-(10**20), 10**20, places=10)),
        "floats": st.lists(st.one_of(floats, st.sampled_from([float("nan"), float("inf"), -float("inf")]))),
        "times": st.lists(datetimes),
        "durations": st.lists(st.timedeltas(dt.timedelta(days=-100_000), dt.timedelta(days=100_000))),
        "blobs": st.lists(st.binary()),
        "uuids": st.lists(st.uuids()),
        "documents": st.lists(scalars),
        "nested": st.lists(st.lists(small, min_size=2, max_size=2)),
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROWS)
def test_every_value_of_arrays_and_ranges(pair: Between, name: str, way: str) -> None:
    """Also where a side's sessions write dates, intervals and floats in another way."""
    with tables(pair, name) as (model,):
        made: list[Any] = []

        @HYPOTHESIS
        @given(st.fixed_dictionaries({}, optional=ROWS[name]))
        def collect(values: dict[str, Any]) -> None:
            made.append(model(**values))

        collect()
        half = len(made) // 2
        for part in (made[:half], made[half:]):
            model.objects.using(pair.source).bulk_create(part)
            with connections[pair.source].cursor() as cursor:
                cursor.execute(PREPARE)
            report = carry(pair.source, pair.target, way)
            assert report.status == "ok", quarantined(pair.target)
            assert report.models[f"native.{name}"].created == len(part)
        assert {label: found.count for label, found in compare(pair.target).items()} == {f"native.{name}": 0}
        for alias in (pair.source, pair.target):
            connections[alias].close()
        table = model._meta.db_table
        assert texts_of(pair.target, table) == texts_of(pair.source, table)
        back = carry(pair.target, pair.source, way)
        assert not any(f.updated or f.conflicts for f in back.models.values())


@pytest.mark.parametrize("way", WAYS)
def test_enums_vectors_and_columns_of_a_project_s_own_type(pair: Between, way: str) -> None:
    for alias in (pair.source, pair.target):
        sql(alias, "CREATE TYPE mood AS ENUM ('sad', 'ok', 'very ''happy''')")
    with tables(pair, "Others"):
        for number, mood in enumerate(["sad", "ok", "very 'happy'", None], 1):
            sql(
                pair.source,
                "INSERT INTO native_others (id, words, mood, legacy) VALUES (%s, to_tsvector('simple', %s), %s, %s)",
                [number, "a cat's \\ 'mat' sat", mood, '{"b": 1, "a": null}'],
            )
        sql(pair.target, "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
        carry(pair.source, pair.target, way)
        here, there = (texts_of(alias, "native_others") for alias in (pair.source, pair.target))
        assert there == [row for place, row in enumerate(here) if place != 1]
        assert "mood" in quarantined(pair.target)["[2]"]


@pytest.mark.parametrize("way", WAYS)
def test_what_extensions_bring(pair: Between, way: str) -> None:
    for alias in (pair.source, pair.target):
        for name in ("hstore", "citext"):
            there = sql(alias, "SELECT 1 FROM pg_available_extensions WHERE name = %s", [name])
            # a domain goes the way that the type itself would go: by its name, as text
            sql(alias, f"CREATE EXTENSION {name}" if there else f"CREATE DOMAIN {name} AS text")
    with tables(pair, "Extension"):
        for number, pairs in enumerate(['"a"=>"1"', '"ü \\"q\\""=>NULL', '""=>""'], 1):
            sql(
                pair.source,
                "INSERT INTO native_extension (id, pairs, label) VALUES (%s, %s, %s)",
                [number, pairs, f"Ä{number}"],
            )
        assert carry(pair.source, pair.target, way).status == "ok"
        assert texts_of(pair.target, "native_extension") == texts_of(pair.source, "native_extension")


def test_defaults_of_an_array_that_does_not_travel(pair: Between) -> None:
    with tables(pair, "Arrays", EXCLUDE={"native.Arrays": ["home"]}) as (model,):
        for way in WAYS:
            model.objects.using(pair.source).create(ints=[1, None], home=["stays"])
            model.objects.using(pair.source).create(ints=[], home=["stays"])
            assert carry(pair.source, pair.target, way).status == "ok"
        assert list(model.objects.using(pair.target).order_by("id").values_list("ints", "home")) == [
            ([1, None], []),
            ([], []),
        ] * len(WAYS)


@pytest.mark.parametrize(("source", "target"), [("pg_a", "a"), ("a", "pg_a")])
def test_not_between_two_kinds(make_nodes: Any, settings: Any, source: str, target: str) -> None:
    """One sentence, and nothing written; what is left out on both sides travels not, and the rest does."""
    make_nodes(source, target, "c")
    pair = Between(source, target, settings)
    with tables(pair, "Ranges") as (_,):
        sql(source, "INSERT INTO native_ranges (id, text) VALUES (1, 'beside them')")
        report = carry(source, target)
        assert report.status == "incomplete"
        error = report.stopped["native.Ranges"]
        assert isinstance(error, SchemaDiffers)
        assert "native.Ranges.ints is a column of PostgreSQL's own type int4range" in str(error)
        assert '"native.Ranges": ["ints"]' in str(error.hint)
        assert sql(target, "SELECT id FROM native_ranges") == []
    config = {"EXCLUDE": {"native.Ranges": ["ints", "bigs", "decimals", "days", "times"]}}
    sync = {"AUTO_SYNC": "off", "MASTER": source, "SLAVE": target, "MODELS": ["native.Ranges"], **config}
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "tests.native"], SYNC_CONFIG=sync):
        for alias in (source, target):
            capture.install(alias)
        assert carry(source, target).status == "ok"
        assert sql(target, "SELECT id, text FROM native_ranges") == [(1, "beside them")]
