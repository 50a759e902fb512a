"""P4, the other half: no writer fails because rows of a peer are taken in, and what a writer holds is not lost."""

import random
import threading
import time
from typing import Any

import psycopg2
import pytest
from django.db import connections, transaction

from peersync.errors import Busy
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options, TransferReport
from peersync.transactions import writing
from peersync.transfer import Transfer
from tests.support.crowd import Crowd, held, put, session
from tests.support.databases import contents
from tests.zoo.models import Child, Parent

LABELS = ("zoo.Parent", "zoo.Child")


def moved(source: str, target: str, **options: Any) -> TransferReport:
    """A whole transfer of parents and children; what stopped it is in the report."""
    found = Transfer(
        DatabaseReplica(source, peer=target),
        DatabaseReplica(target, peer=source),
        options=Options(models=LABELS, **options),
        local="source",
    )
    return found.run()


def equal(a: str, b: str) -> bool:
    return contents(a, *LABELS) == contents(b, *LABELS)


@pytest.fixture
def synced(pg_nodes: Any) -> Any:
    """a and b with sixty equal parents, with a child each."""
    for number in range(1, 61):
        Parent.objects.using(pg_nodes.a.alias).create(id=number, x="first", e="")
        Child.objects.using(pg_nodes.a.alias).create(id=number, p_id=number, x="first", e="")
    assert moved(pg_nodes.a.alias, pg_nodes.b.alias).status == "ok"
    assert moved(pg_nodes.b.alias, pg_nodes.a.alias).status == "ok"
    Parent.objects.using(pg_nodes.b.alias).update(e="")
    Child.objects.using(pg_nodes.b.alias).update(e="")
    return pg_nodes


def test_a_row_that_a_writer_holds_waits_and_comes_with_the_next_transfer(synced: Any) -> None:
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).filter(id__in=[1, 2]).update(x="from a")
    writer = session(b)
    with writer.cursor() as cursor:
        cursor.execute("UPDATE zoo_parent SET y = 'held' WHERE id = 1")
    report = moved(a, b)
    assert report.error is None
    assert report.status == "incomplete"
    assert report.models["zoo.Parent"].quarantined == 1
    assert report.models["zoo.Parent"].updated == 1
    assert Parent.objects.using(b).get(id=2).x == "from a"
    writer.rollback()
    report = moved(a, b)
    assert report.status == "ok"
    assert report.models["zoo.Parent"].quarantined == 0
    assert Parent.objects.using(b).get(id=1).x == "from a"
    assert moved(a, b).status == "ok"


def test_a_row_that_a_writer_holds_for_a_moment_comes_with_the_same_transfer(synced: Any) -> None:
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).filter(id=1).update(x="from a")
    writer = session(b)
    with writer.cursor() as cursor:
        cursor.execute("UPDATE zoo_parent SET y = 'held' WHERE id = 1")
    threading.Timer(0.4, writer.rollback).start()
    report = moved(a, b)
    assert report.status == "ok"
    assert report.models["zoo.Parent"].updated == 1
    assert Parent.objects.using(b).get(id=1).x == "from a"


def test_what_the_writer_did_meanwhile_is_a_change_of_its_own(synced: Any) -> None:
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).filter(id=1).update(x="from a")
    writer = session(b)
    with writer.cursor() as cursor:
        cursor.execute("UPDATE zoo_parent SET x = 'from b' WHERE id = 1")
    threading.Timer(0.3, writer.commit).start()
    report = moved(a, b)
    assert report.status == "ok"
    assert report.models["zoo.Parent"].conflicts == 1
    assert moved(b, a).status == "ok"
    assert equal(a, b)


def test_a_row_that_a_writer_is_about_to_insert(synced: Any) -> None:
    """It has nothing that could be locked: the unique index makes us wait, and we give up."""
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).create(id=100, x="from a", e="")
    Parent.objects.using(a).create(id=101, x="from a", e="")
    writer = session(b)
    put(writer, 100, "from b")
    report = moved(a, b)
    assert report.status == "incomplete"
    assert report.models["zoo.Parent"].quarantined == 1
    assert Parent.objects.using(b).get(id=101).x == "from a"
    writer.commit()
    report = moved(a, b)
    assert report.status == "ok"
    assert report.models["zoo.Parent"].conflicts == 1
    assert moved(b, a).status == "ok"
    assert equal(a, b)


def test_a_parent_that_a_writer_is_about_to_delete_holds_its_children_alone(synced: Any) -> None:
    a, b = synced.a.alias, synced.b.alias
    with transaction.atomic(using=a):
        for number in range(200, 230):
            Child.objects.using(a).create(id=number, p_id=1 + number % 2, e="")
    writer = session(b)
    with writer.cursor() as cursor:
        cursor.execute("DELETE FROM zoo_child WHERE p_id = 1")
        cursor.execute("DELETE FROM zoo_parent WHERE id = 1")
    report = moved(a, b)
    assert report.status == "incomplete"
    assert report.models["zoo.Child"].quarantined == 15
    assert report.models["zoo.Child"].created == 15
    writer.rollback()
    assert moved(a, b).status == "ok"
    assert equal(a, b)


def asleep(connection: Any) -> bool:
    """Whether the trigger holds somebody's batch open just now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        found = cursor.fetchone() is not None
    connection.commit()
    return found


def test_a_writer_waits_for_the_same_row_only(synced: Any) -> None:
    """A batch that is held open: other rows are saved at once, the same row when it ends."""
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).filter(id__lte=30).update(x="from a")
    other, same = session(b, lock_timeout="300ms"), session(b, lock_timeout="10s")
    with connections[b].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF NEW.id = 30 THEN PERFORM pg_sleep(0.7); END IF; RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER slow BEFORE UPDATE ON zoo_parent FOR EACH ROW EXECUTE FUNCTION slow()")
    with Crowd() as crowd:
        crowd.start(lambda: moved(a, b))
        while not asleep(other):
            time.sleep(0.02)
        for number in range(31, 61):
            with other.cursor() as cursor:
                cursor.execute("UPDATE zoo_parent SET y = 'own' WHERE id = %s", [number])
            other.commit()
        put(other, 500, "own")
        other.commit()
        began = time.monotonic()
        with same.cursor() as cursor:
            cursor.execute("UPDATE zoo_parent SET y = 'own' WHERE id = 30")
        same.commit()
        assert time.monotonic() - began < 3
    assert Parent.objects.using(b).get(id=30).x == "from a"


def test_a_deadlock_is_never_laid_at_the_door_of_a_writer_who_waits_already(synced: Any) -> None:
    """The writer has waited for us for nearly as long as PostgreSQL lets it before we come to wait for the writer."""
    a, b = synced.a.alias, synced.b.alias
    with connections[b].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.8); RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER slow BEFORE UPDATE ON zoo_parent FOR EACH ROW EXECUTE FUNCTION slow()")
    Parent.objects.using(a).filter(id=1).update(x="from a")
    Child.objects.using(a).create(id=900, p_id=2, e="")
    writer, failed = session(b), []
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO zoo_child (id, x, p_id, e) VALUES (900, 'from b', 2, '')")

    def wait_for_us() -> None:
        try:
            with writer.cursor() as cursor:
                cursor.execute("UPDATE zoo_parent SET y = 'from b' WHERE id = 1")
            writer.commit()
        except psycopg2.Error as error:
            failed.append(error.pgcode)

    with Crowd() as crowd:
        applying = crowd.start(lambda: moved(a, b))
        time.sleep(0.3)
        crowd.start(wait_for_us)
        applying.join(30)
    assert not failed
    with connections[b].cursor() as cursor:
        cursor.execute("DROP TRIGGER slow ON zoo_parent")
    for _ in range(2):
        assert moved(a, b).status == "ok"
        assert moved(b, a).status == "ok"
    assert equal(a, b)


def test_a_row_that_the_database_refused_is_tried_at_each_later_transfer(synced: Any) -> None:
    """The source knows nothing of the reason, so nobody asks it for the row: the end of a transfer tries it."""
    a, b = synced.a.alias, synced.b.alias
    with connections[b].cursor() as cursor:
        cursor.execute("ALTER TABLE zoo_parent ADD CONSTRAINT no_bad CHECK (x <> 'bad')")
    Parent.objects.using(a).filter(id__lte=3).update(x="bad")
    Parent.objects.using(a).filter(id=4).update(x="good")
    for _ in range(2):
        report = moved(a, b)
        assert report.status == "incomplete"
        assert report.models["zoo.Parent"].quarantined == 3
    assert Parent.objects.using(b).get(id=4).x == "good"
    with connections[b].cursor() as cursor:
        cursor.execute("ALTER TABLE zoo_parent DROP CONSTRAINT no_bad")
    report = moved(a, b)
    assert report.status == "ok"
    assert report.models["zoo.Parent"].updated == 3
    assert equal(a, b)


class Clerk:
    """Changes rows of its own in an order of its own, several in one transaction: without us it never fails."""

    def __init__(self, alias: str, rows: list[int], number: int) -> None:
        self.connection = session(alias)
        self.rows, self.random = rows, random.Random(number)
        self.fresh = iter(range(1000 + number, 100_000, 10))
        self.failed: list[str] = []
        self.longest = 0.0

    def work(self) -> None:
        chosen = self.random.sample(self.rows, 4)
        began = time.monotonic()
        try:
            with self.connection.cursor() as cursor:
                for place, number in enumerate(chosen):
                    table = self.random.choice(["zoo_parent", "zoo_child"])
                    cursor.execute(f"UPDATE {table} SET x = %s WHERE id = %s", [str(self.random.random()), number])
                    if place == 1 and self.random.random() < 0.5:
                        put(self.connection, next(self.fresh), "clerk")
                    if self.random.random() < 0.1:
                        time.sleep(0.05)
            self.connection.commit()
        except psycopg2.Error as error:
            self.failed.append(f"{error.pgcode} {error}")
            self.connection.rollback()
        self.longest = max(self.longest, time.monotonic() - began)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_writers_in_any_order_against_batches_of_the_same_rows(synced: Any, seed: int) -> None:
    a, b = synced.a.alias, synced.b.alias
    rows = list(range(1, 61))
    clerks = [Clerk(b, rows[i::3], seed * 3 + i) for i in range(3)]
    far = [Clerk(a, rows[i::2], seed * 3 + i) for i in range(2)]
    reports: list[TransferReport] = []
    with Crowd() as crowd:
        for clerk in clerks:
            crowd.repeat(clerk.work, pause=0.002)
        for clerk in far:
            crowd.repeat(clerk.work, pause=0.02)
        crowd.repeat(lambda: reports.append(moved(a, b, batch_size=40)))
        time.sleep(6)
    assert [clerk.failed for clerk in [*clerks, *far]] == [[]] * 5
    assert [r.error for r in reports if r.error is not None] == []
    assert sum(r.models["zoo.Parent"].updated for r in reports) > 20
    assert max(clerk.longest for clerk in clerks) < 3
    for _ in range(2):
        assert [moved(a, b).status, moved(b, a).status] == ["ok", "ok"]
    assert equal(a, b)


# ---------------------------------------------------------------------- a replica that is busy


class Unwilling:
    """A replica that is busy at the first calls of each verb."""

    def __init__(self, replica: DatabaseReplica, times: int) -> None:
        self._replica, self._times = replica, times
        self.refused: dict[str, int] = {}
        self.name = replica.name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._replica, name)
        if name in ("renew", "alias", "view", "peer"):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.refused[name] = self.refused.get(name, 0) + 1
            if self.refused[name] <= self._times:
                raise Busy("The database is busy.")
            return found(*args, **kwargs)

        return call


def test_a_busy_replica_is_asked_again(sqlite_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peersync.patience.PAUSES", (0.0,) * 3)
    a, b = sqlite_nodes.a.alias, sqlite_nodes.b.alias
    Parent.objects.using(a).create(id=1)
    source, target = (Unwilling(DatabaseReplica(x, peer=y), 3) for x, y in ((a, b), (b, a)))
    report = Transfer(source, target, options=Options(models=LABELS), local="source").run()
    assert report.status == "ok"
    assert report.models["zoo.Parent"].created == 1
    assert target.refused["apply"] > 3


def test_but_not_for_ever(sqlite_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peersync.patience.PAUSES", (0.0,) * 3)
    a, b = sqlite_nodes.a.alias, sqlite_nodes.b.alias
    source, target = (Unwilling(DatabaseReplica(x, peer=y), 4) for x, y in ((a, b), (b, a)))
    report = Transfer(source, target, options=Options(models=LABELS), local="source").run()
    assert isinstance(report.error, Busy)
    assert report.status == "failed"
    assert source.refused == {"describe": 4}


def test_two_applies_at_once_take_turns(synced: Any) -> None:
    """Whoever comes second waits for the first; a transaction of ours that hangs makes it Busy, not an error of SQL."""
    a, b = synced.a.alias, synced.b.alias
    Parent.objects.using(a).filter(id=1).update(x="from a")
    with held(writing(b)) as leave:
        threading.Timer(0.5, leave).start()
        assert moved(a, b).status == "ok"
