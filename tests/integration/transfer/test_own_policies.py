"""Policies that are functions of the project: what they see, what they decide, and what they may get wrong."""

import time
from typing import Any

import pytest

from peersync.models import Conflict, Quarantine
from peersync.policies import digest
from tests.support import settling
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Parent


def path(name: str) -> str:
    return f"tests.support.settling.{name}"


def configured(pair: Pair, name: str) -> None:
    settling.SEEN.clear()
    pair.configure("zoo.Parent", "zoo.Child", CONFLICT={"zoo.Parent": path(name)})


def edit(alias: str, **values: Any) -> None:
    time.sleep(0.005)
    Parent.objects.using(alias).filter(id=1).update(**values)


def contested(pair: Pair, name: str) -> None:
    configured(pair, name)
    Parent.objects.using(pair.a).create(id=1, x="base", y="base")
    pair.both()
    edit(pair.a, x="of a")
    edit(pair.b, x="of b", y="of b")


def quiet(pair: Pair) -> None:
    assert pair.differences() == {}
    for report in pair.both():
        assert report.status == "ok"
        assert report.models["zoo.Parent"].conflicts == 0


def test_a_function_says_who_wins(pair: Pair) -> None:
    contested(pair, "larger_x")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of b", "of b")]
    assert Conflict.objects.using(pair.a).get().policy == path("larger_x")
    assert records(pair.a) == [("conflict", "zoo.Parent", "incoming")]
    quiet(pair)


def test_it_sees_both_rows_what_each_side_changed_and_what_they_began_with(pair: Pair) -> None:
    contested(pair, "larger_x")
    pair.pull()
    (contest,) = settling.SEEN
    assert (contest.model, contest.key, contest.local_is_master) == ("zoo.Parent", (1,), True)
    assert contest.local.row == {"id": 1, "x": "of a", "y": "base", "u": None, "b": "n", "e": "dflt"}
    assert contest.incoming.row is not None
    assert contest.incoming.row["y"] == "of b"
    assert (contest.local.changed, contest.incoming.changed) == ({"x"}, {"x", "y"})
    assert contest.ancestor is not None
    assert (contest.ancestor["x"], contest.ancestor["y"]) == (None, digest("base"))
    assert contest.local.stamp < contest.incoming.stamp
    assert (
        set(contest.local.version) - set(contest.incoming.version) or contest.local.version != contest.incoming.version
    )


def test_a_function_settles_field_by_field(pair: Pair) -> None:
    contested(pair, "by_field")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of a and of b", "of b")]
    assert records(pair.a) == [("conflict", "zoo.Parent", "merged")]
    quiet(pair)


def test_a_deletion_has_no_row(pair: Pair) -> None:
    configured(pair, "larger_x")
    Parent.objects.using(pair.a).create(id=1, x="base")
    pair.both()
    Parent.objects.using(pair.a).all().delete()
    edit(pair.b, x="edited")
    pair.both()
    assert settling.SEEN[0].local.row is None
    assert pair.rows(Parent, "x") == [("edited",)]
    quiet(pair)


def test_a_function_may_leave_it_to_a_person(pair: Pair) -> None:
    contested(pair, "left_open")
    pair.both()
    assert [Conflict.objects.using(alias).filter(open=True).count() for alias in pair.aliases] == [1, 1]
    assert pair.rows(Parent, "x", alias=pair.a) == [("of a",)]
    assert pair.rows(Parent, "x", alias=pair.b) == [("of b",)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "ZeroDivisionError: as projects do"),
        ("breaks_the_transaction", "nowhere"),
        ("nonsense", "'whoever'"),
        ("nothing", "None"),
        ("unknown_field", "'colour'"),
        ("wrong_type", "x a value that is not of the type text"),
        ("null_where_none_may_be", "x a value"),
        ("another_name", "names the row"),
    ],
)
def test_what_a_function_gets_wrong_stops_one_row(pair: Pair, name: str, says: str) -> None:
    """P6: it waits with that reason, the others arrive, and it leaves by itself once the function is mended."""
    contested(pair, name)
    Parent.objects.using(pair.b).create(id=2, x="another")
    report = pair.pull()
    assert report.status == "incomplete"
    assert waiting(pair.a) == [("zoo.Parent", "[1]", "policy")]
    detail = Quarantine.objects.using(pair.a).get().detail
    assert path(name) in detail
    assert says in detail
    assert pair.rows(Parent, "id", "x", alias=pair.a) == [(1, "of a"), (2, "another")]
    pair.configure("zoo.Parent", "zoo.Child", CONFLICT={"zoo.Parent": path("larger_x")})
    pair.both()
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.rows(Parent, "id", "x") == [(1, "of b"), (2, "another")]
    quiet(pair)


def test_a_value_of_a_deletion_cannot_be_taken(pair: Pair) -> None:
    configured(pair, "from_a_deletion")
    Parent.objects.using(pair.a).create(id=1, x="base")
    pair.both()
    edit(pair.a, x="edited")
    Parent.objects.using(pair.b).all().delete()
    pair.pull()
    assert waiting(pair.a) == [("zoo.Parent", "[1]", "policy")]
    assert "deletion" in Quarantine.objects.using(pair.a).get().detail
    assert pair.rows(Parent, "x", alias=pair.a) == [("edited",)]


def test_a_first_contact_asks_it_too(pair: Pair) -> None:
    configured(pair, "larger_x")
    for alias, text in ((pair.a, "small"), (pair.b, "taller")):
        Parent.objects.using(alias).create(id=1, x=text)
    pair.both()
    assert pair.rows(Parent, "x") == [("taller",)]
    quiet(pair)
