"""Rows that stood on both sides before peersync: which of them are one row (MATCH, and --match)."""

from dataclasses import replace
from typing import Any

import pytest

from peersync import capture, numbering
from peersync.comparing import Side
from peersync.errors import MatchNeeded
from peersync.handshake import shake_hands
from peersync.meeting import Meeting
from peersync.models import Origin, OriginBase, RowState
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options, TransferReport
from peersync.transfer import Transfer
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Born, BornChild, SelfRef

MODELS = ("zoo.Born", "zoo.BornChild")
ORIGIN = dict.fromkeys(MODELS, "origin")


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure(*MODELS, IDENTITY=ORIGIN)


def stood(alias: str, *rows: tuple[int, str], children: dict[int, int] | None = None) -> None:
    """These parents (number and text) stood there before peersync came; `children`: number → parent."""
    for number, text in rows:
        Born.objects.using(alias).create(id=number, tag=number, x=text)
    for number, parent in (children or {}).items():
        BornChild.objects.using(alias).create(id=number, tag=number, p_id=parent)
    forget_history(alias)


def forget_history(alias: str) -> None:
    for table in ("journal", "rowstate", "origin"):
        sql(alias, f"DELETE FROM peersync_{table}")


def texts(pair: Pair) -> list[str]:
    return [text for (text,) in pair.rows(Born, "x")]


def settled(pair: Pair) -> None:
    assert pair.differences() == {}
    assert records(pair.a) == records(pair.b) == []
    assert waiting(pair.a) == waiting(pair.b) == []


def bases(alias: str) -> dict[str, str | None]:
    return dict(OriginBase.objects.using(alias).values_list("model", "name"))


@pytest.mark.parametrize("first", ["push", "pull"])
def test_never(pair: Pair, first: str) -> None:
    for alias in pair.aliases:
        stood(alias, (1, "same"), (2, f"2 of {alias}"), children={1: 1, 2: 2})
    getattr(pair, first)(match="never")
    pair.both()  # what was said once is remembered
    assert texts(pair) == sorted(["same", "same", f"2 of {pair.a}", f"2 of {pair.b}"])
    assert len(pair.rows(BornChild, "tag", "p__x")) == 4
    assert bases(pair.a)["zoo.Born"] != bases(pair.b)["zoo.Born"]
    Born.objects.using(pair.b).filter(x=f"2 of {pair.a}").update(x="edited")
    Born.objects.using(pair.a).filter(x=f"2 of {pair.b}").delete()
    pair.both()
    assert texts(pair) == ["edited", "same", "same"]
    settled(pair)


@pytest.mark.parametrize("first", ["push", "pull"])
def test_content(pair: Pair, first: str) -> None:
    """Equal rows are one, with what hangs on them; a child of a row that is not is another one."""
    stood(pair.a, (1, "same"), (2, "of a"), (3, "only a"), children={1: 1, 2: 2, 4: 1})
    stood(pair.b, (1, "same"), (2, "of b"), (4, "only b"), children={1: 1, 2: 2, 5: 1})
    getattr(pair, first)(match="content")
    pair.both()
    assert texts(pair) == ["of a", "of b", "only a", "only b", "same"]
    assert pair.rows(BornChild, "tag", "p__x") == [(1, "same"), (2, "of a"), (2, "of b"), (4, "same"), (5, "same")]
    settled(pair)
    Born.objects.using(pair.a).filter(x="same").update(y="from a")
    BornChild.objects.using(pair.b).filter(tag=1).update(x="from b")
    BornChild.objects.using(pair.a).filter(tag=4).delete()
    pair.both()
    assert pair.rows(Born, "x", "y")[-1] == ("same", "from a")
    assert (1, "from b", "same") in pair.rows(BornChild, "tag", "x", "p__x")
    assert (4,) not in pair.rows(BornChild, "tag")
    settled(pair)
    Born.objects.using(pair.b).filter(x="same").delete()
    pair.both()
    assert texts(pair) == ["of a", "of b", "only a", "only b"]
    settled(pair)


def test_content_of_rows_that_point_at_each_other(pair: Pair) -> None:
    pair.configure("zoo.SelfRef", IDENTITY={"zoo.SelfRef": "origin"}, MATCH={"*": "content"})
    for alias in pair.aliases:
        for number in range(1, 6):
            SelfRef.objects.using(alias).create(id=number, name=f"{number}")
        for child, parent in ((1, 2), (2, 1), (3, 5), (4, 4)):
            SelfRef.objects.using(alias).filter(pk=child).update(parent_id=parent)
    SelfRef.objects.using(pair.b).filter(pk=5).update(name="five")
    for alias in pair.aliases:
        forget_history(alias)
    pair.push(batch_size=2)
    pair.pull(batch_size=2)
    found = pair.rows(SelfRef, "name", "parent__name")
    assert found == [("1", "2"), ("2", "1"), ("3", "5"), ("3", "five"), ("4", "4"), ("5", None), ("five", None)]
    settled(pair)


def test_content_leaves_no_states(pair: Pair) -> None:
    for alias in pair.aliases:
        stood(alias, *((number, "x") for number in range(1, 20)))
    pair.push(match="content")
    assert not RowState.objects.using(pair.a).exists()
    assert not RowState.objects.using(pair.b).exists()
    assert Origin.objects.using(pair.b).filter(main=True).count() == 19
    assert pair.differences() == {}
    pair.pull()
    assert len(texts(pair)) == 19
    settled(pair)


def test_a_birth_is_never_matched(pair: Pair) -> None:
    """It has its origin, whatever its number and its contents."""
    for how in ("pk", "content"):
        for alias in pair.aliases:
            sql(alias, "DELETE FROM zoo_born")
            forget_history(alias)
            Born.objects.using(alias).create(id=1, tag=1, x="same")
        pair.push(match=how)
        pair.pull(match=how)
        assert texts(pair) == ["same", "same"]


def test_an_empty_side_takes_over_what_the_other_calls_its_rows(pair: Pair) -> None:
    """So no entry is needed for any of them."""
    stood(pair.a, *((number, "x") for number in range(1, 20)))
    pair.push(match="never")
    assert bases(pair.a) == bases(pair.b)
    assert bases(pair.a)["zoo.Born"]
    assert not Origin.objects.using(pair.b).exists()
    assert not RowState.objects.using(pair.b).exists()
    pair.pull(match="never")
    assert len(texts(pair)) == 19
    settled(pair)


def test_what_was_deleted_before_the_first_contact(pair: Pair) -> None:
    """Its tombstone is called as the base is, once that has a name."""
    for alias in pair.aliases:
        stood(alias, (1, alias), (2, alias), children={1: 1, 2: 2})
    Born.objects.using(pair.a).filter(pk=1).delete()
    numbering.number(pair.a)
    pair.push(match="never")
    keys = list(RowState.objects.using(pair.a).filter(deleted=True).values_list("key", flat=True))
    pair.pull(match="never")
    assert texts(pair) == sorted([pair.a, pair.b, pair.b])
    assert sorted(keys) == sorted(f'["{bases(pair.a)["zoo.Born"]}",1]' for _ in range(2))
    settled(pair)


def test_two_that_were_matched_with_others_cannot_be_matched_any_more(pair: Pair, nodes: Any) -> None:
    """Each was met by somebody else, under another name: the refusal comes before anything is written."""
    c = nodes.c.alias
    capture.install(c)
    for alias in (pair.a, pair.b, c):
        stood(alias, (1, alias), children={1: 1})
    report = carry(pair.a, c, match="never")
    assert report.error is None
    report = carry(pair.b, c, match="never")
    assert report.error is None
    error = pair.failed("push", match="pk")
    assert isinstance(error, MatchNeeded)
    assert "--match never" in str(error)
    assert Born.objects.using(pair.b).count() == 1
    pair.push()
    pair.pull()
    assert texts(pair) == sorted(pair.aliases)


def carry(source: str, target: str, **options: Any) -> TransferReport:
    one, other = DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source)
    return Transfer(one, other, options=Options(**options)).run()


def test_a_copy_joins_those_that_were_kept_apart(pair: Pair, nodes: Any) -> None:
    """The third one is a copy of the first: it takes over the name that the first one's rows have by now."""
    c = nodes.c.alias
    capture.install(c)
    for alias in (pair.a, pair.b):
        stood(alias, (1, alias), (2, alias))
    stood(c, (1, pair.a), (2, pair.a))
    pair.push(match="never")
    pair.pull()
    for source, target in ((pair.a, c), (c, pair.a), (pair.b, c), (c, pair.b)):
        assert carry(source, target).error is None
    found = [sorted(Born.objects.using(alias).values_list("x", flat=True)) for alias in (pair.a, pair.b, c)]
    assert found == [sorted([pair.a, pair.a, pair.b, pair.b])] * 3
    Born.objects.using(c).filter(pk=1).update(x="from c")
    for source, target in ((c, pair.b), (pair.b, pair.a)):
        assert carry(source, target).error is None
    assert Born.objects.using(pair.a).get(pk=1).x == "from c"
    settled(pair)


def test_settings_that_say_different_things(pair: Pair) -> None:
    """Seen by the command where the two sides have settings of their own: here they are told apart by hand."""
    near, far = DatabaseReplica(pair.a, peer=pair.b), DatabaseReplica(pair.b, peer=pair.a)
    (*_, agreement) = shake_hands(near, far, local="source", models=None)
    assert agreement is not None
    for name, how in (("source", "pk"), ("target", "never")):
        description = getattr(agreement, name)
        models = tuple(replace(info, match=how) for info in description.models)
        setattr(agreement, name, replace(description, models=models))
    sides = Side(near, agreement.as_target()), Side(far, agreement.as_source())
    with pytest.raises(MatchNeeded, match="'never' at one side and 'pk' at the other"):
        Meeting(agreement, Options(), *sides, remote=True).how("zoo.Born")
    assert Meeting(agreement, Options(match="content"), *sides, remote=True).how("zoo.Born") == "content"


def test_three_nodes_match_by_content(pair: Pair, nodes: Any) -> None:
    """In a row: the middle one has learned the names of both ends, and all come to the same."""
    c = nodes.c.alias
    capture.install(c)
    for alias in (pair.a, pair.b, c):
        stood(alias, (1, "same"), (2, f"of {alias}"), children={1: 1})
    for source, target in ((pair.a, pair.b), (pair.b, c), (c, pair.b), (pair.b, pair.a)) * 2:
        assert carry(source, target, match="content").error is None
    for alias in (pair.a, pair.b, c):
        assert sorted(Born.objects.using(alias).values_list("x", flat=True)) == sorted(
            ["same", *(f"of {one}" for one in (pair.a, pair.b, c))]
        )
        assert BornChild.objects.using(alias).count() == 1
    names = [
        sorted(Origin.objects.using(alias).filter(model="zoo.BornChild", main=True).values_list("origin", "there"))
        for alias in (pair.a, pair.b, c)
    ]
    assert names[0] == names[1] == names[2]
    Born.objects.using(c).filter(x="same").update(y="from c")
    Born.objects.using(pair.a).filter(x=f"of {c}").delete()
    for source, target in ((c, pair.b), (pair.b, pair.a), (pair.a, pair.b), (pair.b, c)):
        assert carry(source, target).error is None
    for alias in (pair.a, pair.b, c):
        assert Born.objects.using(alias).get(x="same").y == "from c"
        assert Born.objects.using(alias).count() == 3
