"""The judge himself: he must see what is wrong, and nothing that is right."""

from typing import Any

import pytest

from tests.state import tables
from tests.state.failure import Failure
from tests.state.oracle import Oracle, Value, differences
from tests.state.tables import Stored
from tests.state.workloads import WORKLOADS
from tests.state.world import World

A, B, C = ("a", "y", None, "n"), ("b", "y", None, "n"), ("c", "y", None, "n")


def rows(**found: tuple[Any, ...]) -> dict[str, Stored]:
    return {key: Stored(content, "dflt") for key, content in found.items()}


def test_what_was_seen_by_the_writer_may_go() -> None:
    oracle = Oracle()
    oracle.began("P1", A)
    oracle.wrote("P1", A, B)
    oracle.wrote("P1", B, C)
    assert not oracle.lost([rows(P1=C)])
    assert oracle.lost([rows(P1=A)]) == {Value("P1", B), Value("P1", C)}


def test_what_nobody_saw_must_stand_in_a_record() -> None:
    oracle = Oracle()
    oracle.began("P1", A)
    oracle.wrote("P1", None, B)
    assert oracle.lost([rows(P1=A)]) == {Value("P1", B)}
    oracle.learn([tables.Record("P1", "conflict", (B,), open=False)])
    assert not oracle.lost([rows(P1=A)])


def test_what_was_deleted_knowingly_may_go() -> None:
    oracle = Oracle()
    oracle.wrote("P1", None, A)
    oracle.wrote("P1", A, B)
    oracle.wrote("P1", B, None)
    assert not oracle.lost([{}])
    assert oracle.invented([rows(P1=C)]) == {Value("P1", C)}


def test_an_edit_that_loses_to_its_ancestor_is_seen() -> None:
    oracle = Oracle()
    oracle.wrote("P1", None, A)
    oracle.wrote("P1", A, B)
    oracle.learn([tables.Record("P1", "conflict", (B,), open=False)])
    assert oracle.inverted([rows(P1=A)])
    assert not oracle.inverted([rows(P1=B)])


def test_differences() -> None:
    assert differences(rows(P1=A, P2=B), rows(P1=B, P2=B)) == {"P1": (A, B)}
    assert not differences(rows(P1=A), rows(P1=B), listed=["P1"])
    assert differences(rows(P1=A), {}) == {"P1": (A, None)}


def test_users_write_as_users_do(nodes: Any) -> None:
    with World(nodes) as world:
        world.begin([{"P1": {"u": "U"}, "Q1": {"p": "P1"}}, {}])
        for line in ("edit A P2", "move A Q1 P2", "delete A P1", "unique A P2 U", "touch A P2"):
            world.play(line)
        site = world.site("A")
        assert site.rows() == {
            "P2": Stored(("w1", "w1", "U", "n"), "touched1"),
            "Q1": Stored(("a", "P2"), "own"),
        }
        with site.connection.cursor() as cursor:
            cursor.execute("SELECT model, pk_text, what FROM peersync_journal ORDER BY id")
            noted = [tuple(row) for row in cursor.fetchall()]
            cursor.execute("SELECT min(stamp), max(stamp) FROM peersync_journal")
            assert cursor.fetchone() == (world.now - 40, world.now - 10)
        assert noted == [
            ("zoo.Parent", "2", "b"),
            ("zoo.Child", "1", "c"),
            ("zoo.Parent", "1", "g"),
            ("zoo.Parent", "2", "c"),
        ]
        assert not world.oracle.lost(world.rows())


def test_a_restore_takes_what_nobody_else_had(nodes: Any) -> None:
    with World(nodes) as world:
        world.play("edit A P1")
        world.play("backup A")
        world.play("edit A P1")
        world.play("restore A")
        assert world.site("A").rows()["P1"].content[0] == "w1"
        assert not world.oracle.lost(world.rows())
        world.play("clone A B")
        if nodes.a.vendor == nodes.b.vendor:
            assert world.rows()[1] == world.rows()[0]


def test_a_loss_is_told(sqlite_nodes: Any) -> None:
    with World(sqlite_nodes) as world:
        world.play("edit A P1")
        tables.delete(world.site("A").connection, "P1")
        with pytest.raises(Failure, match="P3 lost: P1=w1"):
            world.judge.nothing_lost()


def test_random_histories_are_the_same_each_time() -> None:
    for name, workload in WORKLOADS.items():
        assert workload.history(name) == workload.history(name)
        assert len(workload.history(name).lines) >= 3
