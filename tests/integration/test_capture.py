"""What capture notes, and what it does not: by triggers and by signals, on SQLite and on PostgreSQL."""

import datetime as dt
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, models, transaction
from django.test.utils import isolate_apps

from peersync import capture
from peersync.capture import installing, plans, postgres, sqlite
from peersync.codec import key_text
from peersync.errors import PeersyncError
from peersync.models import InstalledTrigger, Journal, MissedCapture
from peersync.registry import SyncModel, sync_field
from tests.support.capturing import clear, events, fresh, kinds
from tests.zoo.models import Child, Parent, Sku, Tag, Tagged

CONFIG = {
    "MODELS": ["zoo.*"],
    "EXCLUDE": {"zoo.Parent": ["e"], "zoo.Child": ["e"]},
    "IDENTITY": {"zoo.Sku": ["sku"]},
    "AUTO_SYNC": "off",
}
pytestmark = pytest.mark.filterwarnings("error::DeprecationWarning")


@pytest.fixture(params=["a", pytest.param("pg_a", marks=pytest.mark.postgres)])
def alias(request: pytest.FixtureRequest, _node_databases: Any, django_db_blocker: Any, settings: Any) -> Iterator[str]:
    settings.SYNC_CONFIG = CONFIG
    with fresh(_node_databases, django_db_blocker, request.param):
        capture.install(request.param)
        yield request.param


@pytest.fixture(params=["triggers", "signals"])
def mode(request: pytest.FixtureRequest, alias: str, settings: Any) -> str:
    settings.SYNC_CONFIG = {**CONFIG, "CAPTURE": request.param}
    capture.install(alias)
    return str(request.param)


@pytest.fixture
def pg(_node_databases: Any, django_db_blocker: Any, settings: Any) -> Iterator[str]:
    settings.SYNC_CONFIG = CONFIG
    with fresh(_node_databases, django_db_blocker, "pg_a"):
        capture.install("pg_a")
        yield "pg_a"


@pytest.fixture
def lite(_node_databases: Any, django_db_blocker: Any, settings: Any) -> Iterator[str]:
    settings.SYNC_CONFIG = CONFIG
    with fresh(_node_databases, django_db_blocker, "a"):
        capture.install("a")
        yield "a"


def populate(alias: str) -> None:
    for number in (1, 2):
        parent = Parent.objects.using(alias).create(id=number, x="before")
        Child.objects.using(alias).create(id=number, p=parent)
        tagged = Tagged.objects.using(alias).create(id=number, name=str(number))
        tag = Tag.objects.using(alias).create(id=number, name=str(number))
        tagged.tags.add(tag)
    Sku.objects.using(alias).create(id=1, sku="one")
    clear(alias)


def parents(alias: str) -> Any:
    return Parent.objects.using(alias)


def tagged(alias: str) -> Tagged:
    return Tagged.objects.using(alias).get(id=1)


def tags(alias: str) -> list[Tag]:
    return list(Tag.objects.using(alias).order_by("id"))


def execute(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def save(alias: str) -> None:
    parent = parents(alias).get(id=1)
    parent.x = "after"
    parent.save()


def bulk_update(alias: str) -> None:
    found = list(parents(alias).all())
    for parent in found:
        parent.x = "after"
    parents(alias).bulk_update(found, ["x"])


@dataclass(frozen=True)
class Write:
    """Something that a project does, and what the journal must hold afterwards."""

    name: str
    act: Callable[[str], Any]
    noted: list[str]
    by_signals: list[str] | None = None
    """What signals tell of it, where that is less."""
    only: str = ""


WRITES = [
    Write("create", lambda a: parents(a).create(id=9), ["zoo.Parent b"]),
    Write("save", save, ["zoo.Parent c"]),
    Write("delete", lambda a: Sku.objects.using(a).get().delete(), ["zoo.Sku g"]),
    Write("cascade", lambda a: parents(a).get(id=1).delete(), ["zoo.Child g", "zoo.Parent g"]),
    Write("delete with tags", lambda a: tagged(a).delete(), ["zoo.Tagged g", "zoo.Tagged_tags g"]),
    Write("delete a tag", lambda a: tags(a)[0].delete(), ["zoo.Tag g", "zoo.Tagged_tags g"]),
    Write("queryset delete", lambda a: parents(a).all().delete(), ["zoo.Child g"] * 2 + ["zoo.Parent g"] * 2),
    Write("update", lambda a: parents(a).update(x="after"), ["zoo.Parent c"] * 2, []),
    Write(
        "bulk_create",
        lambda a: parents(a).bulk_create([Parent(id=8), Parent(id=9)]),
        ["zoo.Parent b"] * 2,
        [],
    ),
    Write("bulk_update", bulk_update, ["zoo.Parent c"] * 2, []),
    Write(
        "update_or_create, there",
        lambda a: parents(a).update_or_create(id=1, defaults={"x": "after"}),
        ["zoo.Parent c"],
    ),
    Write("update_or_create, new", lambda a: parents(a).update_or_create(id=9), ["zoo.Parent b"]),
    Write("m2m add", lambda a: tagged(a).tags.add(*tags(a)), ["zoo.Tagged_tags b"]),
    Write("m2m add, other end", lambda a: tags(a)[1].tagged.add(tagged(a)), ["zoo.Tagged_tags b"]),
    Write("m2m remove", lambda a: tagged(a).tags.remove(*tags(a)), ["zoo.Tagged_tags g"]),
    Write("m2m remove, other end", lambda a: tags(a)[0].tagged.remove(tagged(a)), ["zoo.Tagged_tags g"]),
    Write("m2m set", lambda a: tagged(a).tags.set(tags(a)[1:]), ["zoo.Tagged_tags b", "zoo.Tagged_tags g"]),
    Write("m2m clear", lambda a: tagged(a).tags.clear(), ["zoo.Tagged_tags g"]),
    Write("raw SQL", lambda a: execute(a, "UPDATE zoo_parent SET x = 'raw' WHERE id = 1"), ["zoo.Parent c"], []),
    Write("delete all by SQL", lambda a: execute(a, "DELETE FROM zoo_child"), ["zoo.Child g"] * 2, []),
    Write("TRUNCATE", lambda a: execute(a, "TRUNCATE zoo_child"), ["zoo.Child g"] * 2, [], only="postgresql"),
    Write(
        "TRUNCATE CASCADE",
        lambda a: execute(a, "TRUNCATE zoo_tag CASCADE"),
        ["zoo.Tag g"] * 2 + ["zoo.Tagged_tags g"] * 2,
        [],
        only="postgresql",
    ),
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.name)
def test_every_write_is_noted(write: Write, alias: str, mode: str) -> None:
    if write.only not in ("", connections[alias].vendor):
        pytest.skip(f"{write.only} only")
    populate(alias)
    write.act(alias)
    expected = write.by_signals if mode == "signals" and write.by_signals is not None else write.noted
    assert kinds(alias) == sorted(expected)
    assert all(pk.isdigit() for _, pk, _ in events(alias))


def test_a_save_that_changes_nothing_is_no_event(alias: str, mode: str) -> None:
    populate(alias)
    parents(alias).get(id=1).save()
    assert events(alias) == []


def test_a_change_of_excluded_fields_alone_is_no_event(alias: str, mode: str) -> None:
    populate(alias)
    parent = parents(alias).get(id=1)
    parent.e = "stays home"
    parent.save()
    assert events(alias) == []
    parents(alias).filter(id=1).update(e="again")
    assert events(alias) == []
    parent.x = "travels"
    parent.save()
    assert events(alias) == [("zoo.Parent", "1", "c")]


def test_a_change_of_letter_case_is_an_event(alias: str) -> None:
    populate(alias)
    parents(alias).filter(id=1).update(x="BEFORE")
    assert events(alias) == [("zoo.Parent", "1", "c")]


def test_null_and_empty_are_two_values(alias: str) -> None:
    populate(alias)
    parents(alias).filter(id=1).update(u="")
    parents(alias).filter(id=1).update(u=None)
    assert events(alias) == [("zoo.Parent", "1", "c")] * 2


def test_what_is_applied_is_not_captured_but_other_tables_are(alias: str, mode: str) -> None:
    populate(alias)
    with transaction.atomic(using=alias), capture.off(connections[alias], ["zoo_parent"]):
        save(alias)
        parents(alias).create(id=9)
        Child.objects.using(alias).create(id=9, p_id=9)
    assert events(alias) == [("zoo.Child", "9", "b")]
    save(alias)
    parents(alias).get(id=9).delete()
    assert events(alias) == [("zoo.Child", "9", "b"), ("zoo.Child", "9", "g"), ("zoo.Parent", "9", "g")]


def test_capture_is_on_again_after_the_block_in_the_same_transaction(alias: str, mode: str) -> None:
    with transaction.atomic(using=alias):
        with capture.off(connections[alias], ["zoo_parent", "zoo_child"]):
            with capture.off(connections[alias], ["zoo_parent", "zoo_tag"]):
                parents(alias).create(id=1)
                Tag.objects.using(alias).create(id=1, name="1")
            parents(alias).create(id=2)
            Tag.objects.using(alias).create(id=2, name="2")
        parents(alias).create(id=3)
    assert events(alias) == [("zoo.Parent", "3", "b"), ("zoo.Tag", "2", "b")]


@pytest.mark.parametrize("savepoint", ["inside", "around", "none"])
def test_capture_is_on_again_after_an_error(alias: str, mode: str, savepoint: str) -> None:
    def fail() -> None:
        execute(alias, "SELECT * FROM there_is_no_such_table")

    connection = connections[alias]
    with transaction.atomic(using=alias):
        try:
            if savepoint == "around":
                with transaction.atomic(using=alias), capture.off(connection, ["zoo_parent"]):
                    fail()
            elif savepoint == "inside":
                with capture.off(connection, ["zoo_parent"]), transaction.atomic(using=alias):
                    fail()
            else:
                with capture.off(connection, ["zoo_parent"]):
                    raise LookupError
        except Exception:
            pass
        parents(alias).create(id=1)
    assert events(alias) == [("zoo.Parent", "1", "b")]
    parents(alias).create(id=2)
    assert len(events(alias)) == 2


def test_off_needs_a_transaction(alias: str) -> None:
    with (
        pytest.raises(PeersyncError, match="inside of a transaction"),
        capture.off(connections[alias], ["zoo_parent"]),
    ):
        pass


def test_a_rollback_leaves_nothing(alias: str, mode: str) -> None:
    populate(alias)
    with transaction.atomic(using=alias):
        save(alias)
        transaction.set_rollback(True, using=alias)
    assert events(alias) == []
    with transaction.atomic(using=alias):
        try:
            with transaction.atomic(using=alias):
                save(alias)
                raise LookupError
        except LookupError:
            pass
        Tag.objects.using(alias).create(id=9, name="9")
    assert events(alias) == [("zoo.Tag", "9", "b")]


def test_a_row_that_gets_another_key_is_gone_and_born(alias: str) -> None:
    parents(alias).bulk_create([Parent(id=n) for n in (2, 3)])
    clear(alias)
    parents(alias).filter(id=3).update(id=30)
    assert events(alias) == [("zoo.Parent", "3", "g"), ("zoo.Parent", "30", "b")]


def test_the_identity_before_the_change_is_kept(alias: str, mode: str) -> None:
    sku = Sku.objects.using(alias).create(id=1, sku="first", name="x")
    clear(alias)
    sku.name = "y"
    sku.save()
    sku.sku = "second"
    sku.save()
    sku.delete()
    entries = Journal.objects.using(alias).order_by("id").values_list("what", "before")
    assert [(what, before and json.loads(before)) for what, before in entries] == [
        ("c", None),
        ("c", {"sku": "first"}),
        ("g", {"sku": "second"}),
    ]


def test_the_stamp_is_the_time_of_the_statement(alias: str, mode: str) -> None:
    with transaction.atomic(using=alias):
        early = time.time_ns() // 1_000_000
        parents(alias).create(id=1)
        time.sleep(0.05)
        late = time.time_ns() // 1_000_000
        parents(alias).create(id=2)
    first, second = Journal.objects.using(alias).order_by("id").values_list("stamp", flat=True)
    assert early <= first < late <= second <= time.time_ns() // 1_000_000


def test_a_users_own_trigger_goes_on_and_what_it_writes_is_captured(alias: str) -> None:
    populate(alias)
    if connections[alias].vendor == "postgresql":
        execute(
            alias,
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " UPDATE zoo_parent SET x = 'by trigger' WHERE id = NEW.p_id; RETURN NEW; END $$",
        )
        execute(alias, "CREATE TRIGGER mine AFTER UPDATE ON zoo_child FOR EACH ROW EXECUTE FUNCTION mine()")
    else:
        execute(
            alias,
            "CREATE TRIGGER mine AFTER UPDATE ON zoo_child BEGIN"
            " UPDATE zoo_parent SET x = 'by trigger' WHERE id = NEW.p_id; END",
        )
    with transaction.atomic(using=alias), capture.off(connections[alias], ["zoo_child"]):
        Child.objects.using(alias).filter(id=1).update(x="came from a peer")
    assert events(alias) == [("zoo.Parent", "1", "c")]
    capture.remove(alias)
    Child.objects.using(alias).filter(id=2).update(x="2")
    assert parents(alias).get(id=2).x == "by trigger"


KEYS: list[tuple[Any, Any, Any]] = [
    (models.BigIntegerField, -(2**63), -(2**63)),
    (models.UUIDField, uuid.UUID(int=7), str(uuid.UUID(int=7))),
    (lambda **k: models.CharField(max_length=50, **k), 'it\'s a "☃"', 'it\'s a "☃"'),
    (models.DateField, dt.date(2025, 1, 2), "2025-01-02"),
    (
        models.DateTimeField,
        dt.datetime(2025, 1, 2, 3, 4, 5, 60, tzinfo=dt.UTC),
        "2025-01-02T03:04:05.000060Z",
    ),
    (models.DateTimeField, dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2025-01-02T03:04:05.000000Z"),
    (models.TimeField, dt.time(1, 2, 3), "01:02:03.000000"),
    (models.DurationField, dt.timedelta(seconds=1), 1_000_000),
    (models.BooleanField, True, True),
    (models.BinaryField, b"\x00\xff", "00ff"),
    (models.GenericIPAddressField, "10.0.0.1", "10.0.0.1"),
]


@pytest.mark.parametrize(("field", "value", "wire"), KEYS, ids=[str(wire) for *_, wire in KEYS])
def test_the_text_of_a_key_is_that_of_its_wire_value(alias: str, field: Any, value: Any, wire: Any) -> None:
    connection = connections[alias]
    with isolate_apps("tests.zoo"):

        class Keyed(models.Model):
            k = field(primary_key=True)

            class Meta:
                app_label = "zoo"

    described = SyncModel("zoo.Keyed", Keyed, (sync_field(Keyed._meta.pk),), (), "latest", "both", None, False)  # type: ignore[arg-type]
    with connection.schema_editor() as editor:
        editor.create_model(Keyed)
    backend: Any = postgres if connection.vendor == "postgresql" else sqlite
    planned = plans.plan(described, backend.look(connection, [described])["zoo.Keyed"])
    assert planned is not None
    more = ["public"] if connection.vendor == "postgresql" else []
    for statement in backend.make(connection, planned, *more).statements:
        execute(alias, statement)
    if connection.vendor == "postgresql":
        execute(
            alias,
            "SET timezone = 'Asia/Tokyo'; SET search_path = pg_catalog, public",
        )
    row = Keyed(k=value)
    row.save(using=alias, force_insert=True)
    execute(alias, "DELETE FROM zoo_keyed")
    assert events(alias) == [("zoo.Keyed", key_text(wire), "b"), ("zoo.Keyed", key_text(wire), "g")]


def test_a_lost_trigger_is_named_and_owes_a_comparison_and_comes_back(alias: str) -> None:
    assert capture.check(alias) == []
    quote = connections[alias].ops.quote_name
    if connections[alias].vendor == "postgresql":
        execute(alias, f"DROP TRIGGER {postgres.ROW} ON zoo_parent")
    else:
        execute(alias, f"DROP TRIGGER {quote(sqlite.trigger_name('zoo_parent', 'UPDATE'))}")
    (problem,) = capture.check(alias)
    assert (problem.label, problem.lost) == ("zoo.Parent", True)
    assert "missing" in problem.reason
    assert capture.install(alias) == ["zoo.Parent"]
    assert capture.check(alias) == []
    assert list(MissedCapture.objects.using(alias).values_list("model", flat=True)) == ["zoo.Parent"]
    assert capture.install(alias) == []


def test_an_altered_trigger_is_named(alias: str) -> None:
    if connections[alias].vendor == "postgresql":
        execute(
            alias,
            "CREATE OR REPLACE FUNCTION peersync_zoo_parent() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NULL; END $$",
        )
    else:
        execute(alias, "DROP TRIGGER peersync_zoo_parent_u")
        execute(
            alias,
            "CREATE TRIGGER peersync_zoo_parent_u AFTER UPDATE ON zoo_parent WHEN 0"
            " BEGIN DELETE FROM peersync_journal; END",
        )
    (problem,) = capture.check(alias)
    assert (problem.label, problem.lost, problem.reason.split()[-1]) == ("zoo.Parent", True, "altered")
    assert capture.install(alias) == ["zoo.Parent"]
    assert capture.check(alias) == []


def test_a_first_install_owes_nothing(alias: str) -> None:
    assert InstalledTrigger.objects.using(alias).filter(model="zoo.Parent").exists()
    assert not MissedCapture.objects.using(alias).exists()


def test_a_model_that_is_not_listed_any_more_loses_its_trigger_and_owes_a_comparison_later(
    alias: str, settings: Any
) -> None:
    settings.SYNC_CONFIG = {**CONFIG, "MODELS": ["zoo.Tag"]}
    capture.install(alias)
    save_all = [parents(alias).create(id=1), Tag.objects.using(alias).create(id=1, name="1")]
    assert len(save_all) == 2
    assert kinds(alias) == ["zoo.Tag b"]
    settings.SYNC_CONFIG = {**CONFIG, "MODELS": ["zoo.Tag", "zoo.Parent"]}
    assert capture.install(alias) == ["zoo.Parent"]
    assert list(MissedCapture.objects.using(alias).values_list("model", flat=True)) == ["zoo.Parent"]


def test_other_settings_make_another_trigger_and_owe_nothing(alias: str, settings: Any) -> None:
    settings.SYNC_CONFIG = {**CONFIG, "EXCLUDE": {"zoo.Parent": ["e", "b"]}}
    assert ("zoo.Parent", False) in {(p.label, p.lost) for p in capture.check(alias)}
    assert "zoo.Parent" in capture.install(alias, ["zoo.Parent"])
    populate(alias)
    parents(alias).update(b="not seen")
    assert events(alias) == []
    assert not MissedCapture.objects.using(alias).exists()


def test_remove_takes_everything(alias: str) -> None:
    capture.remove(alias)
    populate(alias)
    save(alias)
    assert events(alias) == []
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute(r"SELECT count(*) FROM pg_proc WHERE proname LIKE 'peersync\_%%'", [])
            assert cursor.fetchone() == (0,)


def test_a_long_table_name_has_a_function(pg: str) -> None:
    assert len(postgres.function_name("t" * 63).encode()) <= 63
    assert postgres.function_name("t" * 63) != postgres.function_name("t" * 62 + "u")


def test_no_trigger_where_the_tables_are_missing(make_nodes: Any) -> None:
    node = make_nodes("a", "b", "c").a
    node.create_empty()
    assert capture.check("a") == []
    assert capture.install("a") == []
    capture.remove("a")


def test_flush_breaks_nothing(alias: str) -> None:
    populate(alias)
    call_command("flush", database=alias, interactive=False, verbosity=0)
    clear(alias)
    parents(alias).create(id=1)
    assert events(alias) == [("zoo.Parent", "1", "b")]
    assert capture.check(alias) == []


# PostgreSQL only


def test_a_disabled_trigger_is_named(pg: str) -> None:
    execute(pg, "ALTER TABLE zoo_parent DISABLE TRIGGER ALL")
    (problem,) = capture.check(pg)
    assert problem.reason.endswith("disabled")
    assert problem.lost
    assert capture.install(pg) == ["zoo.Parent"]
    assert capture.check(pg) == []
    assert MissedCapture.objects.using(pg).get().model == "zoo.Parent"


def test_enable_always_is_kept(pg: str, settings: Any) -> None:
    execute(pg, f"ALTER TABLE zoo_parent ENABLE ALWAYS TRIGGER {postgres.ROW}")
    assert capture.check(pg) == []
    settings.SYNC_CONFIG = {**CONFIG, "EXCLUDE": {}}
    assert "zoo.Parent" in capture.install(pg)
    execute(pg, "SET session_replication_role = replica")
    parents(pg).create(id=1)
    assert events(pg) == [("zoo.Parent", "1", "b")]


def test_partitions_are_captured_and_can_be_switched_off(pg: str) -> None:
    populate(pg)
    execute(pg, "ALTER TABLE zoo_secret RENAME TO aside")
    execute(
        pg,
        "CREATE TABLE zoo_secret (id bigint PRIMARY KEY, name varchar, password varchar) PARTITION BY RANGE (id)",
    )
    execute(pg, "CREATE TABLE low PARTITION OF zoo_secret FOR VALUES FROM (0) TO (10)")
    capture.install(pg)
    execute(pg, "CREATE TABLE high PARTITION OF zoo_secret FOR VALUES FROM (10) TO (20)")
    execute(pg, "INSERT INTO zoo_secret VALUES (1, 'a', ''), (11, 'b', '')")
    with transaction.atomic(using=pg), capture.off(connections[pg], ["zoo_secret"]):
        execute(pg, "INSERT INTO zoo_secret VALUES (2, 'a', ''), (12, 'b', '')")
    assert events(pg) == [("zoo.Secret", "1", "b"), ("zoo.Secret", "11", "b")]
    clear(pg)
    execute(pg, "UPDATE zoo_secret SET id = 15 WHERE id = 1")
    assert events(pg) == [("zoo.Secret", "1", "g"), ("zoo.Secret", "15", "b")]


@pytest.fixture
def runtime(pg: str) -> Iterator[str]:
    """A role that may write the project's tables and nothing else."""
    role = f"runtime_{uuid.uuid4().hex[:8]}"
    execute(pg, f"CREATE ROLE {role}")
    execute(pg, f"GRANT USAGE ON SCHEMA public TO {role}")
    execute(pg, f"GRANT SELECT, INSERT, UPDATE, DELETE ON zoo_parent, zoo_child TO {role}")
    yield role
    execute(pg, "RESET ROLE")
    execute(pg, f"DROP OWNED BY {role}")
    execute(pg, f"DROP ROLE {role}")


def test_a_role_without_rights_on_our_tables_is_captured(pg: str, runtime: str) -> None:
    execute(pg, f"SET ROLE {runtime}")
    parents(pg).create(id=1)
    execute(pg, "CREATE TEMP TABLE peersync_journal (LIKE public.zoo_parent)") if _may_temp(pg) else None
    execute(pg, "SET search_path = ''")
    execute(pg, "UPDATE public.zoo_parent SET x = 'y'")
    execute(pg, "RESET ROLE")
    execute(pg, "SET search_path = public, pg_temp")
    assert events(pg) == [("zoo.Parent", "1", "b"), ("zoo.Parent", "1", "c")]


def _may_temp(pg: str) -> bool:
    with connections[pg].cursor() as cursor:
        cursor.execute("SELECT has_database_privilege(current_database(), 'TEMP')")
        return bool(cursor.fetchone()[0])


def test_a_role_without_rights_checks_but_may_not_install(pg: str, runtime: str) -> None:
    execute(pg, f"DROP TRIGGER {postgres.ROW} ON zoo_parent")
    execute(pg, f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {runtime}")
    execute(pg, f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {runtime}")
    execute(pg, f"SET ROLE {runtime}")
    assert [p.label for p in capture.check(pg)] == ["zoo.Parent"]
    with pytest.raises(PeersyncError, match=r"may not make triggers.*sync_peer install"):
        capture.install(pg)


def test_install_behind_a_long_transaction_holds_nobody_up(
    pg: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(installing, "LOCK_TIMEOUT_MS", 500)
    execute(pg, f"DROP TRIGGER {postgres.ROW} ON zoo_parent; DROP TRIGGER {postgres.ROW} ON zoo_tag")
    began, over = threading.Event(), threading.Event()
    waits: list[float] = []

    def long() -> None:
        with transaction.atomic(using=pg):
            parents(pg).create(id=1)
            began.set()
            over.wait(30)
        connections.close_all()

    def insert() -> None:
        for number in range(100, 1000):
            if over.is_set():
                break
            start = time.monotonic()
            parents(pg).create(id=number)
            waits.append(time.monotonic() - start)
            time.sleep(0.02)
        connections.close_all()

    threads = [threading.Thread(target=long), threading.Thread(target=insert)]
    try:
        threads[0].start()
        assert began.wait(10)
        threads[1].start()
        assert capture.install(pg) == ["zoo.Tag"]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert 0.2 < max(waits) < 1.5
    assert "zoo.Parent is busy" in caplog.text
    assert [p.label for p in capture.check(pg)] == ["zoo.Parent"]
    assert capture.install(pg) == ["zoo.Parent"]
    assert {m.model for m in MissedCapture.objects.using(pg).all()} == {"zoo.Parent", "zoo.Tag"}


# SQLite only


def test_the_forms_of_an_insert_that_only_sqlite_has(lite: str) -> None:
    populate(lite)
    execute(lite, "INSERT OR IGNORE INTO zoo_tag (id, name) VALUES (1, 'taken')")
    assert events(lite) == []
    execute(lite, "INSERT OR REPLACE INTO zoo_tag (id, name) VALUES (9, '9')")
    execute(lite, "REPLACE INTO zoo_tag (id, name) VALUES (9, '99')")
    assert events(lite) == [("zoo.Tag", "9", "b")] * 2
