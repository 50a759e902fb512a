"""Rows that are named by an identity keep the number that they have at the source, where that is free at the receiver."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from peersync.apply import sequences
from peersync.errors import WireError
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support.api import caller_of
from tests.support.pairs import Pair, sql, waiting
from tests.zoo.models import Badge, Branch, Sku, SkuNote, Wide

IDENTITY = {"zoo.Sku": ["sku"], "zoo.SkuNote": ["sku", "text"], "zoo.Badge": ["code"]}


@pytest.fixture
def skus(pair: Pair) -> Pair:
    pair.configure("zoo.Sku", "zoo.SkuNote", "zoo.Badge", IDENTITY=IDENTITY)
    return pair


@pytest.fixture
def pg(pg_nodes: Any, settings: Any) -> Pair:
    pair = Pair(settings, "pg_a", "pg_b")
    pair.configure("zoo.Sku", IDENTITY=IDENTITY)
    return pair


def make(alias: str, **numbers: int) -> None:
    """Rows with these numbers, given by hand; the sequence is moved as a dump that was loaded leaves it."""
    for name, number in numbers.items():
        Sku.objects.using(alias).create(id=number, sku=name)
    if connections[alias].vendor == "postgresql":
        sql(alias, "SELECT setval('zoo_sku_id_seq', max(id)) FROM zoo_sku")


def numbers(alias: str) -> dict[str, int]:
    return dict(Sku.objects.using(alias).values_list("sku", "pk"))


def born(alias: str, name: str) -> int:
    """The number that the database gives to a new row."""
    return int(Sku.objects.using(alias).create(sku=name).pk)


# ---------------------------------------------------------------------- which numbers are kept


def test_two_sites_with_other_users(pair: Pair) -> None:
    """Both have users and groups 1 to 3: nobody is taken for another one, and memberships are right."""
    pair.configure("auth.User", "auth.Group", EXCLUDE={"auth.User": ["password", "last_login", "date_joined"]})
    for alias, names in ((pair.a, ("anna", "bert", "cleo")), (pair.b, ("dora", "emil", "fred"))):
        for name in names:
            user = User.objects.db_manager(alias).create_user(name)
            user.groups.add(Group.objects.using(alias).create(name=f"friends of {name}"))
    pair.both()
    members = pair.rows(User, "username", "groups__name")
    assert members == [(n, f"friends of {n}") for n in ("anna", "bert", "cleo", "dora", "emil", "fred")]
    for alias, names in ((pair.a, ["anna", "bert", "cleo"]), (pair.b, ["dora", "emil", "fred"])):
        first = User.objects.using(alias).filter(pk__lte=3).order_by("pk")
        assert [user.username for user in first] == names
        assert User.objects.db_manager(alias).create_user(f"new at {alias}").pk == 7
    pair.both()
    assert len(pair.rows(User, "username")) == 8


def test_an_empty_receiver_keeps_all_numbers(skus: Pair) -> None:
    make(skus.a, one=3, two=7, three=5000)
    SkuNote.objects.using(skus.a).create(id=41, sku_id=7, text="on two")
    Badge.objects.using(skus.a).create(code="b", holder_id=5000)
    skus.push()
    assert numbers(skus.b) == {"one": 3, "two": 7, "three": 5000}
    assert list(SkuNote.objects.using(skus.b).values_list("pk", "sku_id", "text")) == [(41, 7, "on two")]
    assert skus.rows(Badge, "pk", "code", "holder__sku") == [(Badge.objects.using(skus.a).get().pk, "b", "three")]
    assert born(skus.b, "mine") == 5001
    assert skus.pull().models["zoo.Sku"].created == 1
    assert numbers(skus.a) == numbers(skus.b)


def test_numbers_above_are_kept_and_those_in_use_are_not(skus: Pair) -> None:
    make(skus.a, a1=1, a2=2, a3=3, a4=4, a9=9)
    make(skus.b, b1=1, b2=2, b3=3)
    SkuNote.objects.using(skus.a).create(sku_id=1, text="on a1")
    skus.push()
    there = numbers(skus.b)
    assert {name: there[name] for name in ("b1", "b2", "b3", "a4", "a9")} == {
        "b1": 1,
        "b2": 2,
        "b3": 3,
        "a4": 4,
        "a9": 9,
    }
    assert sorted(there[name] for name in ("a1", "a2", "a3")) == [10, 11, 12]
    assert SkuNote.objects.using(skus.b).get().sku.sku == "a1"
    assert born(skus.b, "next") == 13
    assert skus.differences().keys() == {"zoo.Sku"}, "the new row, and nothing else"


def test_a_row_that_was_there_stays_under_its_number(skus: Pair) -> None:
    make(skus.a, one=5)
    make(skus.b, one=2)
    skus.both()
    assert (numbers(skus.a), numbers(skus.b)) == ({"one": 5}, {"one": 2})


def test_the_number_of_a_deleted_row_is_not_given_again(skus: Pair) -> None:
    make(skus.b, old=4)
    skus.push()
    Sku.objects.using(skus.b).all().delete()
    make(skus.a, other=4)
    skus.both()
    assert numbers(skus.b).keys() == {"other"}
    assert numbers(skus.b)["other"] != 4
    skus.both()
    assert skus.differences() == {}


def test_the_number_of_a_row_whose_deletion_nobody_looked_at_yet(skus: Pair) -> None:
    """It came and went since the last pass: neither row nor state says so, the journal does."""
    make(skus.a, other=6)
    batch = snapshot(skus)
    make(skus.b, brief=6)
    Sku.objects.using(skus.b).all().delete()
    DatabaseReplica(skus.b, peer=skus.a).apply(caller_of(skus.a), batch)
    assert numbers(skus.b)["other"] != 6
    skus.both()
    assert skus.rows(Sku, "sku") == [("other",)]


def test_the_number_of_a_row_that_is_older_than_peersync(skus: Pair) -> None:
    """It has no state."""
    make(skus.b, old=6)
    for table in ("journal", "rowstate"):
        sql(skus.b, f"DELETE FROM peersync_{table}")
    if connections[skus.b].vendor == "postgresql":
        sql(skus.b, "SELECT setval('zoo_sku_id_seq', 3)")  # written by hand, and the sequence forgotten
    make(skus.a, other=6, further=7)
    with CaptureQueriesContext(connections[skus.b]) as seen:
        skus.push()
    assert (numbers(skus.b)["old"], numbers(skus.b)["further"]) == (6, 7)
    assert numbers(skus.b)["other"] > 7
    refused = [q for q in seen.captured_queries if "ROLLBACK TO" in q["sql"]]
    assert not refused, "it was known before it was tried"


def test_a_row_comes_back_under_its_own_number(skus: Pair) -> None:
    make(skus.a, one=3, two=4)
    skus.both()
    Sku.objects.using(skus.b).filter(sku="one").delete()
    for name in ("edited later", "and once more"):  # clocks show milliseconds: two edits are later than one deletion
        time.sleep(0.002)
        Sku.objects.using(skus.a).filter(sku="one").update(name=name)
    skus.push()
    assert numbers(skus.b) == {"one": 3, "two": 4}
    assert born(skus.b, "next") == 5


def test_two_rows_want_one_number(skus: Pair) -> None:
    make(skus.a, one=3, two=4, three=5)
    batch = snapshot(skus)
    same = [replace(row, pk=8) for row in batch.rows]
    DatabaseReplica(skus.b, peer=skus.a).apply(caller_of(skus.a), replace(batch, rows=same))
    there = numbers(skus.b)
    assert len(there) == len(set(there.values())) == 3
    assert 8 in there.values()
    assert waiting(skus.b) == []


def test_keys_that_are_no_numbers(skus: Pair) -> None:
    first, second = Badge.objects.using(skus.a).create(code="a"), Badge.objects.using(skus.a).create(code="b")
    Badge.objects.using(skus.b).create(pk=second.pk, code="another")
    skus.both()
    assert Badge.objects.using(skus.b).get(code="a").pk == first.pk
    assert Badge.objects.using(skus.b).get(code="another").pk == second.pk
    assert Badge.objects.using(skus.b).get(code="b").pk not in (first.pk, second.pk)
    assert skus.rows(Badge, "code") == [("a",), ("another",), ("b",)]


def test_a_key_that_the_database_does_not_number(pair: Pair) -> None:
    """Without its number such a row could not be made at all."""
    pair.configure("zoo.Wide", IDENTITY={"zoo.Wide": ["number"]})
    Wide.objects.using(pair.a).create(id=17, number="n", placed="2024-01-01T00:00:00Z")
    Wide.objects.using(pair.a).create(id=18, number="m", placed="2024-01-01T00:00:00Z")
    Wide.objects.using(pair.b).create(id=18, number="taken", placed="2024-01-01T00:00:00Z")
    pair.push()
    assert pair.rows(Wide, "number", "pk", alias=pair.b) == [("n", 17), ("taken", 18)]
    assert [key for _, key, _ in waiting(pair.b)] == ['["m"]']


def test_a_row_that_waited_keeps_its_number(skus: Pair) -> None:
    """Its parent comes a batch later."""
    make(skus.a, one=3)
    SkuNote.objects.using(skus.a).create(id=50, sku_id=3, text="t")
    skus.push()
    SkuNote.objects.using(skus.a).create(id=60, sku_id=3, text="u")
    make(skus.a, two=4)
    SkuNote.objects.using(skus.a).filter(pk=60).update(sku_id=4)
    skus.push(batch_size=1)
    assert skus.rows(SkuNote, "pk", "sku__sku") == [(50, "one"), (60, "two")]


def test_rows_that_hang_on_each_other(pair: Pair) -> None:
    """The root's number is taken: it must not get the one that its child brings along."""
    pair.configure("zoo.Branch", IDENTITY={"zoo.Branch": ["name"]})
    Branch.objects.using(pair.b).create(name="taken")
    root = Branch.objects.using(pair.a).create(name="root")
    child = Branch.objects.using(pair.a).create(name="child", parent=root)
    circle = Branch.objects.using(pair.a).create(name="circle", parent=child)
    Branch.objects.using(pair.a).filter(pk=circle.pk).update(parent_id=circle.pk)
    pair.push()
    there = dict(Branch.objects.using(pair.b).values_list("name", "pk"))
    assert (there["taken"], there["child"], there["circle"]) == (1, 2, 3)
    assert there["root"] == 4
    assert pair.rows(Branch, "name", "parent__name", alias=pair.b) == [
        ("child", "root"),
        ("circle", "circle"),
        ("root", None),
        ("taken", None),
    ]
    assert waiting(pair.b) == []


def test_the_last_numbers_are_left_to_the_site(skus: Pair) -> None:
    """A peer cannot use up what a key can hold."""
    make(skus.a, one=2**63 - 2)
    skus.push()
    assert numbers(skus.b) == {"one": 1}
    assert born(skus.b, "next") == 2


def test_statements_do_not_grow_with_the_rows(skus: Pair) -> None:
    counts = []
    for start in (0, 1000):
        rows = [Sku(id=start + n, sku=f"s{start + n}") for n in range(1, 11 if start == 0 else 301)]
        Sku.objects.using(skus.a).bulk_create(rows)
        with CaptureQueriesContext(connections[skus.b]) as seen:
            skus.push()
        counts.append(len(seen))
        assert Sku.objects.using(skus.b).filter(pk__gt=start).count() == len(rows)
    assert counts[1] <= counts[0], counts


# ---------------------------------------------------------------------- what travels


def snapshot(pair: Pair, label: str = "zoo.Sku") -> Any:
    return DatabaseReplica(pair.a, peer=pair.b).snapshot(caller_of(pair.b), label, None, None, 100)


@pytest.mark.parametrize("forged", [{"pk": "three"}, {"pk": "3"}, {"pk": 1 << 70}])
def test_a_number_of_another_type_is_refused(skus: Pair, forged: dict[str, Any]) -> None:
    make(skus.a, one=3)
    batch = snapshot(skus)
    with pytest.raises(WireError, match="not of the type int"):
        DatabaseReplica(skus.b, peer=skus.a).apply(
            caller_of(skus.a), replace(batch, rows=[replace(row, **forged) for row in batch.rows])
        )
    assert numbers(skus.b) == {}


def test_a_number_beside_a_key_that_is_one_is_refused(pair: Pair) -> None:
    pair.configure("zoo.Sku")
    make(pair.a, one=3)
    batch = snapshot(pair)
    assert [row.pk for row in batch.rows] == [None]
    with pytest.raises(WireError, match="say already"):
        DatabaseReplica(pair.b, peer=pair.a).apply(
            caller_of(pair.a), replace(batch, rows=[replace(row, pk=3) for row in batch.rows])
        )


class OtherKeys:
    """A replica that says that its keys are of another type."""

    def __init__(self, replica: Any) -> None:
        self._replica = replica

    def __getattr__(self, name: str) -> Any:
        return getattr(self._replica, name)

    def describe(self, caller: Any) -> Any:
        said = self._replica.describe(caller)
        return replace(said, models=tuple(replace(model, pk="uuid") for model in said.models))


def test_keys_of_another_type_at_the_other_side(skus: Pair) -> None:
    make(skus.a, one=5)
    source, target = DatabaseReplica(skus.a, peer=skus.b), DatabaseReplica(skus.b, peer=skus.a)
    for pair in ((source, OtherKeys(target)), (OtherKeys(source), target)):
        report = Transfer(*pair).run()
        assert report.error is None
    assert numbers(skus.b) == {"one": 1}


def test_only_rows_in_view_bring_their_number(pair: Pair) -> None:
    view = {"zoo.Sku": {"name": "shown"}}
    pair.configure("zoo.Sku", IDENTITY=IDENTITY, PEERS={pair.b: {"FILTER": view}})
    make(pair.a, seen=3, hidden=4, left=5, gone=6)
    Sku.objects.using(pair.a).exclude(sku="hidden").update(name="shown")
    pair.push()
    Sku.objects.using(pair.a).filter(sku="left").update(name="not any more")
    Sku.objects.using(pair.a).filter(sku="gone").delete()
    replica = DatabaseReplica(pair.a, peer=pair.b)
    caller = caller_of(pair.b)
    cursor = DatabaseReplica(pair.b, peer=pair.a).checkpoint(caller_of(pair.a))["zoo.Sku"].cursor
    assert cursor is not None
    told = [*replica.changes(caller, ["zoo.Sku"], cursor, None, 100).rows]
    told += replica.rows(caller, "zoo.Sku", [("hidden",), ("left",), ("gone",), ("seen",)]).rows
    assert {(row.key[0], row.kind, row.pk) for row in told} == {
        ("left", "exit", None),
        ("gone", "row", None),
        ("hidden", "none", None),
        ("seen", "row", 3),
    }


def test_numbers_are_no_part_of_a_comparison(skus: Pair) -> None:
    make(skus.a, one=5)
    make(skus.b, one=2)
    assert skus.differences() == {}
    skus.both()
    assert skus.both()[0].models["zoo.Sku"].updated == 0


# ---------------------------------------------------------------------- PostgreSQL's sequences


@contextmanager
def open_transaction(alias: str) -> Iterator[Any]:
    connection = connections.create_connection(alias)
    connection.set_autocommit(False)
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    finally:
        connection.close()


def test_an_open_transaction_holds_its_numbers(pg: Pair) -> None:
    """A user's row that is not committed yet has the number that a row from the peer would like."""
    make(pg.a, one=1, two=2, three=3)
    with open_transaction(pg.b) as cursor:
        cursor.execute("INSERT INTO zoo_sku (sku, name, price) VALUES ('mine', '', 0) RETURNING id")
        mine = cursor.fetchone()[0]
        pg.push()
        assert mine == 1
    there = numbers(pg.b)
    assert (there["mine"], there["two"], there["three"]) == (1, 2, 3)
    assert there["one"] == 4


def test_a_number_that_was_drawn_and_not_used_yet(pg: Pair) -> None:
    make(pg.a, one=1, two=2)
    drawn = sql(pg.b, "SELECT nextval('zoo_sku_id_seq')")[0][0]
    pg.push()
    Sku.objects.using(pg.b).create(id=drawn, sku="mine")
    assert len(numbers(pg.b)) == 3


def test_users_insert_all_the_while(pg: Pair) -> None:
    """No insert fails, whatever numbers come in meanwhile."""
    errors: list[Exception] = []
    stop = threading.Event()

    def insert() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            try:
                born(pg.b, f"mine {count}")
            except Exception as error:
                errors.append(error)
        connections[pg.b].close()

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        for turn in range(12):
            last = max(numbers(pg.b).values(), default=0)
            start = last + 3
            rows = [Sku(id=start + 1_000_000 * turn + n, sku=f"{turn}-{n}") for n in range(50)]
            Sku.objects.using(pg.a).bulk_create(rows)
            pg.push()
    finally:
        stop.set()
        writer.join()
    assert errors == []
    assert Sku.objects.using(pg.b).exclude(sku__startswith="mine").count() == 600
    there = numbers(pg.b)
    assert sum(there[name] == number for name, number in numbers(pg.a).items()) > 500


def test_far_numbers_are_kept_and_the_sequence_jumps(pg: Pair) -> None:
    far = sequences.FAR * 3
    make(pg.a, near=5, far=far)
    pg.push()
    assert numbers(pg.b) == {"near": 5, "far": far}
    assert born(pg.b, "next") > far


def test_a_sequence_that_counts_in_steps_stays_in_step(pg: Pair) -> None:
    """Two sites that number even and odd rows, as many do who have two."""
    sql(pg.a, "ALTER SEQUENCE zoo_sku_id_seq INCREMENT 2 RESTART 1")
    sql(pg.b, "ALTER SEQUENCE zoo_sku_id_seq INCREMENT 2 RESTART 2")
    for _ in range(3):
        born(pg.a, f"a{_}"), born(pg.b, f"b{_}")
    Sku.objects.using(pg.a).create(id=41, sku="further")
    Sku.objects.using(pg.a).create(id=40, sku="even")
    pg.both()
    assert numbers(pg.a) == numbers(pg.b)
    assert born(pg.b, "next") == 42


def test_a_sequence_in_steps_under_plain_keys(pg: Pair) -> None:
    pg.configure("zoo.Sku")
    sql(pg.b, "ALTER SEQUENCE zoo_sku_id_seq INCREMENT 2 RESTART 2")
    Sku.objects.using(pg.a).create(id=7, sku="odd")
    pg.push()
    assert born(pg.b, "even") == 8


def test_a_column_that_takes_no_number(pg: Pair) -> None:
    sql(pg.b, "ALTER TABLE zoo_sku ALTER id SET GENERATED ALWAYS")
    make(pg.a, one=3)
    pg.push()
    assert numbers(pg.b) == {"one": 1}


def test_what_was_drawn_for_a_set_that_was_refused_is_still_ours(pg: Pair) -> None:
    """One row of the batch breaks a constraint of this side: the others are written again, under their numbers."""
    sql(pg.b, "ALTER TABLE zoo_sku ADD CONSTRAINT cheap CHECK (price < 10)")
    make(pg.a, one=1, two=2, three=3)
    Sku.objects.using(pg.a).filter(sku="two").update(price=50)
    pg.push()
    assert numbers(pg.b) == {"one": 1, "three": 3}
    assert [key for _, key, _ in waiting(pg.b)] == ['["two"]']
    sql(pg.b, "ALTER TABLE zoo_sku DROP CONSTRAINT cheap")
    pg.push()
    assert set(numbers(pg.b)) == {"one", "two", "three"}
    assert born(pg.b, "next") > 3


def test_numbers_without_the_right_to_set_the_sequence(pg: Pair) -> None:
    """Drawing needs no more than an insert does."""
    with transaction.atomic(using=pg.b):
        sql(pg.b, "CREATE TEMP TABLE unused (id int)")
    found = sequences.counter(connections[pg.b], registered("zoo.Sku"))
    assert found is not None
    near = replace(found, may_jump=False)
    assert sequences.own(connections[pg.b], near, {5, sequences.FAR * 2}) == {5}
    assert sequences.own(connections[pg.b], replace(near, may_draw=False, last=5), {9}) == set()


def registered(label: str) -> Any:
    from peersync.registry import registry

    return registry().models[label]


def test_a_uuid_is_its_own_text(skus: Pair) -> None:
    badge = Badge.objects.using(skus.a).create(pk=uuid.UUID(int=7), code="seven")
    assert [row.pk for row in snapshot(skus, "zoo.Badge").rows] == [str(badge.pk)]
