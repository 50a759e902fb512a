"""Which fields a change changed: noted for models whose policy looks at that, in both modes, through migrations too."""

import datetime as dt
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.test.utils import CaptureQueriesContext

from peersync import capture, numbering
from peersync.capture import installing, plans
from peersync.models import Journal, RowState
from tests.integration.test_capture_migrations import CHANGES, Change, begin, versions
from tests.support import evolving
from tests.support.capturing import clear, events, fresh
from tests.zoo.models import AllFields, Child, Parent, Sku, Wide

CONFIG: dict[str, Any] = {
    "MODELS": ["zoo.*"],
    "EXCLUDE": {"zoo.Parent": ["e"], "zoo.Child": ["e"]},
    "IDENTITY": {"zoo.Sku": ["sku"]},
    "AUTO_SYNC": "off",
    "CONFLICT": {"*": "merge"},
}


@pytest.fixture(params=["a", pytest.param("pg_a", marks=pytest.mark.postgres)])
def alias(
    request: pytest.FixtureRequest,
    _node_databases: Any,
    django_db_blocker: Any,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    settings.SYNC_CONFIG = CONFIG
    with fresh(_node_databases, django_db_blocker, request.param):
        capture.install(request.param)
        yield request.param


@pytest.fixture(params=["triggers", "signals"])
def mode(request: pytest.FixtureRequest, alias: str, settings: Any) -> str:
    settings.SYNC_CONFIG = {**CONFIG, "CAPTURE": request.param}
    capture.install(alias)
    return str(request.param)


def noted(alias: str) -> list[tuple[str, Any]]:
    """What happened, and the columns that the journal names for it."""
    found = Journal.objects.using(alias).order_by("id").values_list("what", "fields")
    return [(what, None if fields is None else sorted(json.loads(fields))) for what, fields in found]


def parent(alias: str) -> Parent:
    Parent.objects.using(alias).create(id=1, x="before", u="once")
    clear(alias)
    return Parent.objects.using(alias).get()


def test_a_save_names_the_columns_that_it_changed(alias: str, mode: str) -> None:
    row = parent(alias)
    row.x = "after"
    row.save()
    row.x, row.u, row.y = "again", None, "y"
    row.save()
    assert noted(alias) == [("c", ["x"]), ("c", ["u", "x", "y"])]


def test_excluded_columns_are_not_named(alias: str, mode: str) -> None:
    row = parent(alias)
    row.e = "stays home"
    row.save()
    row.x, row.e = "after", "too"
    row.save()
    assert noted(alias) == [("c", ["x"])]


def test_a_foreign_key_is_named_by_its_column(alias: str, mode: str) -> None:
    one, two = (Parent.objects.using(alias).create(id=number) for number in (1, 2))
    Child.objects.using(alias).create(id=1, p=one)
    clear(alias)
    child = Child.objects.using(alias).get()
    child.p = two
    child.save()
    assert noted(alias) == [("c", ["p_id"])]
    numbering.number(alias)
    state = RowState.objects.using(alias).get(model="zoo.Child")
    assert set(json.loads(state.fields or "{}")) == {"p"}


def test_births_and_deletions_name_none(alias: str, mode: str) -> None:
    row = Parent.objects.using(alias).create(id=1)
    row.delete()
    assert noted(alias) == [("b", None), ("g", None)]


def test_every_kind_of_field_is_noticed(alias: str, mode: str) -> None:
    """Each field by itself, from null to a value and back."""
    row = AllFields.objects.using(alias).create(id=1)
    values: dict[str, Any] = {
        **dict.fromkeys(("big", "integer", "positive", "positive_big", "positive_small", "small"), 1),
        **dict.fromkeys(("char", "email", "file", "file_path", "slug", "text", "url"), "ä'\"\\"),
        "binary": b"\x00\xff",
        "boolean": False,
        "date": dt.date(1, 1, 1),
        "datetime": dt.datetime(2024, 1, 1, 0, 0, 0, 1, dt.UTC),
        "decimal": Decimal("1.5"),
        "duration": dt.timedelta(seconds=1),
        "float": 0.1,
        "ip": "10.0.0.1",
        "json": {"a": None},
        "time": dt.time(0, 0, 0, 1),
        "uuid": uuid.UUID(int=1),
    }
    assert set(values) == {f.name for f in AllFields._meta.fields} - {"id"}
    for name, value in values.items():
        for given in (value, None):
            clear(alias)
            setattr(row, name, given)
            row.save()
            assert noted(alias) == [("c", [name])]


def test_sql_of_every_sort_names_its_columns(alias: str) -> None:
    Parent.objects.using(alias).bulk_create([Parent(id=n, x="a", y="b") for n in (1, 2)])
    clear(alias)
    Parent.objects.using(alias).update(x="c")
    with connections[alias].cursor() as cursor:
        cursor.execute("UPDATE zoo_parent SET x = 'c', y = 'd' WHERE id = 1")
        cursor.execute("UPDATE zoo_parent SET x = x")
    assert noted(alias) == [("c", ["x"]), ("c", ["x"]), ("c", ["y"])]


def test_a_row_that_is_renamed_notes_both_its_former_name_and_the_columns(alias: str, mode: str) -> None:
    Sku.objects.using(alias).create(id=1, sku="old", name="n")
    clear(alias)
    row = Sku.objects.using(alias).get()
    row.sku, row.name = "new", "m"
    row.save()
    (entry,) = Journal.objects.using(alias).all()
    assert json.loads(entry.before or "") == {"sku": "old"}
    assert sorted(json.loads(entry.fields or "")) == ["name", "sku"]


def test_a_row_that_changes_its_primary_key_is_born_anew(alias: str) -> None:
    parent(alias)
    Parent.objects.using(alias).filter(id=1).update(id=2, x="after")
    assert sorted(what for what, _ in noted(alias)) == ["b", "g"]
    numbering.number(alias)
    assert RowState.objects.using(alias).get(pk_text="2").fields is None


@pytest.mark.parametrize("policy", ["latest", "source", "manual"])
def test_nothing_is_named_where_no_policy_asks(alias: str, mode: str, settings: Any, policy: str) -> None:
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "CONFLICT": {"*": policy}}
    capture.install(alias)
    row = parent(alias)
    row.x = "after"
    row.save()
    assert noted(alias) == [("c", None)]
    numbering.number(alias)
    assert RowState.objects.using(alias).get().fields is None


@pytest.mark.parametrize(
    "conflict",
    [
        {"CONFLICT": {"zoo.Parent": "shop.sync.settle"}},
        {"CONFLICT": {}, "PEERS": {"branch": {"CONFLICT": {"zoo.Parent": "merge"}}}},
    ],
)
def test_functions_and_the_policy_of_one_peer_ask_too(
    alias: str, mode: str, settings: Any, conflict: dict[str, Any]
) -> None:
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, **conflict}
    capture.install(alias)
    row = parent(alias)
    row.x = "after"
    row.save()
    assert noted(alias) == [("c", ["x"])]


def test_another_policy_is_another_trigger(alias: str, settings: Any) -> None:
    assert capture.check(alias) == []
    settings.SYNC_CONFIG = {**CONFIG, "CONFLICT": {"*": "latest", "zoo.Wide": "merge"}}
    assert {problem.label for problem in capture.check(alias)} == set(plans.models_on(alias)) - {"zoo.Wide"}
    assert not any(problem.lost for problem in capture.check(alias))
    assert set(capture.install(alias)) == set(plans.models_on(alias)) - {"zoo.Wide"}
    assert capture.check(alias) == []


def test_capture_is_one_plain_insert(alias: str) -> None:
    """Whatever the policy: the writer's statement, and one row in the journal. No other statement of ours is run."""
    row = parent(alias)
    row.x = "after"
    with CaptureQueriesContext(connections[alias]) as queries:
        row.save()
    statements = [query["sql"] for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]
    assert len(statements) == 1, statements
    assert Journal.objects.using(alias).count() == 1
    made = _made(alias, "zoo.Wide")
    body = made.statements[0] if connections[alias].vendor == "postgresql" else made.statements[1]
    assert body.count("INSERT INTO") == (5 if connections[alias].vendor == "postgresql" else 2), "one for each event"
    journal = connections[alias].ops.quote_name("peersync_journal")
    named = {table._meta.db_table for table in (Wide, Parent, Journal)}
    assert {name for name in named if name in body} <= {"peersync_journal", "zoo_wide"}
    assert journal in body


def _made(alias: str, label: str) -> plans.Made:
    connection = connections[alias]
    ((_, model, standing),) = installing._standings(connection, {label: plans.models_on(alias)[label]})
    planned = plans.plan(model, standing)
    assert planned is not None
    return installing._made(connection, planned)


def test_in_the_middle_of_an_upgrade_no_save_fails(alias: str) -> None:
    """The journal has no column for names yet, and a migration of the project remakes triggers: they do without."""
    connection = connections[alias]
    with connection.schema_editor() as editor:
        editor.remove_field(Journal, Journal._meta.get_field("fields"))
    capture.install(alias)
    Parent.objects.using(alias).create(id=1)
    Parent.objects.using(alias).update(x="after")
    assert [what for _, _, what in events(alias)] == ["b", "c"]
    with connection.schema_editor() as editor:
        editor.add_field(Journal, Journal._meta.get_field("fields"))
    capture.install(alias)
    clear(alias)
    Parent.objects.using(alias).update(x="later")
    assert noted(alias) == [("c", ["x"])]


# ---------------------------------------------------------------------- what numbering makes of it


def states(alias: str) -> Callable[[], dict[str, list[Any]] | None]:
    def fields() -> dict[str, list[Any]] | None:
        numbering.number(alias)
        text = RowState.objects.using(alias).get(model="zoo.Parent").fields
        return None if text is None else json.loads(text)

    return fields


def test_numbering_keeps_of_each_field_the_event_that_changed_it_last(alias: str, mode: str) -> None:
    fields, row = states(alias), Parent.objects.using(alias).create(id=1)
    assert fields() is None, "it was born: the row's own stamp says it of all fields"
    born = RowState.objects.using(alias).get()
    row.x = "x"
    row.save()
    first = fields()
    state = RowState.objects.using(alias).get()
    assert first == {"*": [born.stamp, born.author, born.seq], "x": [state.stamp, state.author, state.seq]}
    row.y = "y"
    row.save()
    second = fields()
    assert second is not None
    assert {name: second[name] for name in first} == first
    row.save()
    assert fields() == second, "a save that changes nothing is no event"
    row.delete()
    assert fields() == second, "a deletion changes no field"


def test_entries_that_are_folded_together_keep_stamps_of_their_own(alias: str) -> None:
    fields, row = states(alias), parent(alias)
    for name, stamp in (("x", 5_000), ("y", 7_000), ("x", 6_000)):
        setattr(row, name, f"{name}{stamp}")
        row.save()
        last = Journal.objects.using(alias).order_by("-id").first()
        assert last is not None
        Journal.objects.using(alias).filter(id=last.id).update(stamp=stamp)
    found = fields()
    state = RowState.objects.using(alias).get()
    assert found == {"x": [6_000, state.author, state.seq], "y": [7_000, state.author, state.seq]}
    assert state.stamp == 7_000


def test_a_change_that_nobody_could_name_counts_for_every_field(alias: str) -> None:
    fields, row = states(alias), parent(alias)
    row.x = "x"
    row.save()
    assert set(fields() or {}) == {"x"}
    row.y = "y"
    row.save()
    Journal.objects.using(alias).update(fields=None)
    assert fields() is None


def test_a_column_that_the_model_has_no_more_counts_for_every_field(alias: str) -> None:
    fields, row = states(alias), parent(alias)
    row.x = "x"
    row.save()
    Journal.objects.using(alias).update(fields='["x", "was_renamed"]')
    assert fields() is None


def test_a_policy_that_does_not_look_forgets(alias: str, settings: Any) -> None:
    """What is changed meanwhile is noted nowhere: marks from before would be wrong afterwards."""
    fields, row = states(alias), parent(alias)
    row.x = "x"
    row.save()
    assert fields()
    settings.SYNC_CONFIG = {**CONFIG, "CONFLICT": {}}
    capture.install(alias)
    row.y = "y"
    row.save()
    assert fields() is None


# ---------------------------------------------------------------------- migrations

MERGE: dict[str, Any] = {"MODELS": ["zoo.*"], "AUTO_SYNC": "off", "CONFLICT": {"*": "merge"}}


@pytest.mark.parametrize("change", [c for c in CHANGES if c.name != "by hand"], ids=str)
def test_names_are_right_again_after_a_migration(alias: str, tmp_path: Path, change: Change) -> None:
    """On the way they may not be known; a name that is wrong would lose an edit."""
    old, new = versions(tmp_path, change, apart=True)
    begin(alias, old, MERGE)
    with new.running(django_settings.INSTALLED_APPS, MERGE):
        evolving.migrate(alias)
        label = f"evolving.{change.model}"
        meta = evolving.model(change.model)._meta
        columns = {field.column for field in meta.local_concrete_fields}
        for entry in Journal.objects.using(alias).filter(model=label, what="c"):
            names = set(columns if entry.fields is None else json.loads(entry.fields))
            assert meta.get_field(change.field).column in names
        assert capture.check(alias) == []
        clear(alias)
        thing = evolving.model(change.model).objects.using(alias).get(pk=1)
        setattr(thing, change.field, "afterwards")
        thing.save()
        assert noted(alias) == [("c", [meta.get_field(change.field).column])]
