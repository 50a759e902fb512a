"""The policy manual: a conflict stays open, nothing changes, and settling it by hand travels."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

import peersync
from peersync import histories, prune
from peersync.errors import CannotPutBack
from peersync.models import Conflict, Peer, RowState
from peersync.transactions import writing
from tests.state.tables import forget_history
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Child, Parent

MANUAL: dict[str, Any] = {"CONFLICT": {"*": "manual"}}


def edit(alias: str, **values: Any) -> None:
    time.sleep(0.005)
    Parent.objects.using(alias).filter(id=1).update(**values)


def contested(pair: Pair, **more: Any) -> None:
    """Both sides have changed the row, and both have met the other's version."""
    pair.configure("zoo.Parent", "zoo.Child", **MANUAL, **more)
    Parent.objects.using(pair.a).create(id=1, x="base", y="base")
    pair.both()
    edit(pair.a, x="of a", y="of a")
    edit(pair.b, x="of b")
    pair.both()


def still_open(alias: str) -> list[Conflict]:
    return list(Conflict.objects.using(alias).filter(open=True))


def the_open(alias: str) -> Conflict:
    (found,) = still_open(alias)
    return found


def quiet(pair: Pair) -> None:
    """Nothing is open or waits, both sides are equal, and another round finds nothing."""
    assert [still_open(alias) for alias in pair.aliases] == [[], []]
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}
    for report in pair.both():
        assert report.models["zoo.Parent"].conflicts == 0


def test_neither_side_changes(pair: Pair) -> None:
    contested(pair)
    assert pair.rows(Parent, "x", "y", alias=pair.a) == [("of a", "of a")]
    assert pair.rows(Parent, "x", "y", alias=pair.b) == [("of b", "base")]
    for alias, mine, theirs in ((pair.a, "of a", "of b"), (pair.b, "of b", "of a")):
        record = the_open(alias)
        assert (record.kind, record.policy, record.winner, record.settled) == ("conflict", "manual", "", None)
        assert json.loads(record.local or "")["x"] == mine
        assert json.loads(record.incoming or "")["x"] == theirs
        assert RowState.objects.using(alias).get(model="zoo.Parent").deleted is False


def test_more_transfers_make_no_more_records(pair: Pair) -> None:
    contested(pair)
    for report in (*pair.both(), *pair.both(), *pair.both(repair=True)):
        assert report.status == "ok", "an open conflict is no failure"
        assert report.models["zoo.Parent"].conflicts == 0
        assert report.models["zoo.Parent"].quarantined == 0
    assert [len(records(alias)) for alias in pair.aliases] == [1, 1]


def test_it_blocks_nothing_else(pair: Pair) -> None:
    contested(pair)
    Parent.objects.using(pair.a).create(id=2, x="another")
    Child.objects.using(pair.b).create(id=1, p_id=1, x="under it")
    pair.both()
    assert pair.rows(Child, "x") == [("under it",)]
    assert pair.rows(Parent, "id", "x", alias=pair.b) == [(1, "of b"), (2, "another")]


@pytest.mark.parametrize(
    ("side", "fields", "outcome"),
    [
        ("local", None, ("of a", "of a")),
        ("incoming", None, ("of b", "base")),
        (None, {"x": "incoming"}, ("of b", "of a")),
        ("incoming", ["y"], ("of a", "base")),
    ],
)
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_settlement_is_a_change_that_travels(
    pair: Pair, side: Any, fields: Any, outcome: tuple[str, str], where: str
) -> None:
    """This side, that side, or field by field; whichever side settles, and without another conflict."""
    contested(pair)
    if where == "there":
        swap = {"local": "incoming", "incoming": "local"}
        side = swap.get(side, side)
        if isinstance(fields, dict):
            fields = {name: swap[chosen] for name, chosen in fields.items()}
            fields["y"] = "incoming"
        elif fields is not None:
            side, fields = None, {"x": "incoming", "y": "local"}
    record = the_open(pair.a if where == "here" else pair.b)
    peersync.put_back(record, side, fields)
    record.refresh_from_db()
    assert not record.open
    assert record.settled is not None
    expected = {"local": "local", "incoming": "incoming"}.get(side if fields is None else "", "merged")
    assert record.winner == expected
    pair.both()
    assert pair.rows(Parent, "x", "y") == [outcome]
    quiet(pair)


def test_the_row_goes_on_changing_while_it_is_open(pair: Pair) -> None:
    """Its latest version is what counts, on either side; nothing of what came before is lost."""
    contested(pair)
    edit(pair.a, y="of a, again")
    edit(pair.b, y="of b, again")
    before = [records(alias) for alias in pair.aliases]
    pull, push = pair.both()
    assert (pull.models["zoo.Parent"].conflicts, push.models["zoo.Parent"].conflicts) == (1, 1)
    assert [records(alias) for alias in pair.aliases] == before, "the open record has the version that came last"
    record = the_open(pair.a)
    assert json.loads(record.incoming or "")["y"] == "of b, again"
    edit(pair.a, y="of a, at last")
    peersync.put_back(record, "local")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("of a", "of a, at last")]
    record.refresh_from_db()
    assert json.loads(record.local or "")["y"] == "of a, at last"
    quiet(pair)


def test_what_is_replaced_by_a_settlement_stands_in_its_record(pair: Pair) -> None:
    contested(pair)
    edit(pair.a, y="in no transfer yet")
    record = the_open(pair.a)
    peersync.put_back(record, "incoming")
    record.refresh_from_db()
    assert json.loads(record.local or "")["y"] == "in no transfer yet"
    pair.both()
    assert pair.rows(Parent, "x") == [("of b",)]
    quiet(pair)


@pytest.mark.parametrize("side", ["local", "incoming"])
@pytest.mark.parametrize("deletes", ["a", "b"])
def test_an_edit_against_a_deletion(pair: Pair, deletes: str, side: Any) -> None:
    pair.configure("zoo.Parent", "zoo.Child", **MANUAL)
    Parent.objects.using(pair.a).create(id=1, x="base")
    pair.both()
    gone, kept = (pair.a, pair.b) if deletes == "a" else (pair.b, pair.a)
    Parent.objects.using(gone).all().delete()
    edit(kept, x="edited")
    pair.both()
    assert pair.rows(Parent, "x", alias=gone) == []
    assert pair.rows(Parent, "x", alias=kept) == [("edited",)]
    assert [len(still_open(alias)) for alias in pair.aliases] == [1, 1]
    peersync.put_back(the_open(pair.a), side)
    pair.both()
    stays = (side == "incoming") == (deletes == "a")
    assert pair.rows(Parent, "x") == ([("edited",)] if stays else [])
    quiet(pair)


def test_a_row_that_is_deleted_while_it_is_open(pair: Pair) -> None:
    contested(pair)
    Parent.objects.using(pair.a).all().delete()
    pair.both()
    record = the_open(pair.a)
    assert the_open(pair.b).incoming is None
    peersync.put_back(record, "local")
    record.refresh_from_db()
    assert (record.local, record.winner) == (None, "local")
    pair.both()
    assert pair.rows(Parent, "x") == []
    quiet(pair)


def test_rows_born_on_both_sides(pair: Pair) -> None:
    pair.configure("zoo.Parent", **MANUAL)
    pair.both()
    Parent.objects.using(pair.a).create(id=1, x="of a")
    Parent.objects.using(pair.b).create(id=1, x="of b")
    pair.both()
    assert pair.rows(Parent, "x", alias=pair.b) == [("of b",)]
    peersync.put_back(the_open(pair.b), "local")
    pair.both()
    assert pair.rows(Parent, "x") == [("of b",)]
    quiet(pair)


def test_rows_that_differed_before_the_first_contact(pair: Pair) -> None:
    """The baseline may not hide that they are still open."""
    pair.configure("zoo.Parent", **MANUAL)
    for alias in pair.aliases:
        Parent.objects.using(alias).create(id=1, x=f"of {alias}")
        forget_history(connections[alias])
    pair.both()
    pair.both()
    edit(pair.b, y="edited")
    pair.both()
    assert pair.rows(Parent, "x", alias=pair.a) == [(f"of {pair.a}",)]
    peersync.put_back(the_open(pair.a), "local")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [(f"of {pair.a}", "")]
    quiet(pair)


def test_a_mirror_settles_it_too(pair: Pair) -> None:
    contested(pair)
    pair.push(mirror=True)
    pair.both()
    assert pair.rows(Parent, "x") == [("of a",)]
    quiet(pair)


def test_a_parent_is_not_brought_back_before_somebody_decided(pair: Pair) -> None:
    """Deleted here, edited there and given a child: the child waits, and the parent stays as it is on either side."""
    pair.configure("zoo.Parent", "zoo.Child", **MANUAL)
    Parent.objects.using(pair.a).create(id=1, x="base")
    pair.both()
    Parent.objects.using(pair.a).all().delete()
    edit(pair.b, x="edited")
    Child.objects.using(pair.b).create(id=1, p_id=1)
    pair.pull()
    assert waiting(pair.a) == [("zoo.Child", "[1]", "parent")]
    assert pair.rows(Parent, "x", alias=pair.a) == []
    peersync.put_back(the_open(pair.a), "incoming")
    pair.both()
    assert pair.rows(Child, "p_id") == [(1,)]
    quiet(pair)


def test_a_settlement_that_cannot_be_written_changes_nothing(pair: Pair) -> None:
    pair.configure("zoo.Parent", **MANUAL)
    Parent.objects.using(pair.a).create(id=1, x="base")
    pair.both()
    Parent.objects.using(pair.a).create(id=2, u="taken")
    edit(pair.a, x="of a")
    edit(pair.b, u="taken")
    pair.pull()
    record = the_open(pair.a)
    with pytest.raises(CannotPutBack, match="taken"):
        peersync.put_back(record, "incoming")
    record.refresh_from_db()
    assert record.open
    assert pair.rows(Parent, "x", alias=pair.a) == [("",), ("of a",)]
    assert Parent.objects.using(pair.a).get(id=1).u is None


def test_what_is_in_an_open_conflict_is_not_read_past(pair: Pair) -> None:
    """Its tombstone is kept where it was made, and where the conflict is open, until that is settled."""
    pair.configure("zoo.Parent", **MANUAL)
    Parent.objects.using(pair.a).create(id=1, x="base")
    Parent.objects.using(pair.a).create(id=2, x="goes")
    pair.both()
    Parent.objects.using(pair.a).all().delete()
    edit(pair.b, x="edited")
    pair.both()
    pair.both()
    state = RowState.objects.using(pair.a).get(pk_text="1")
    assert state.deleted
    told = Peer.objects.using(pair.a).get(name=pair.b).told
    assert state.seq is not None
    assert told < state.seq
    for alias in pair.aliases:
        with writing(alias) as node:
            prune.forget(node, state.seq + 10**9)
    assert RowState.objects.using(pair.a).filter(pk_text="1").exists()
    peersync.put_back(the_open(pair.b), "incoming")
    pair.both()
    pair.both()
    assert pair.rows(Parent, "x") == []
    quiet(pair)


def test_a_peer_with_a_new_id_opens_it_anew(pair: Pair) -> None:
    """It was restored or copied: what it had said under the old id is kept, and nobody has to settle that."""
    contested(pair)
    old, new = histories.renew(pair.b)
    pair.both()
    assert the_open(pair.a).source == new
    former = Conflict.objects.using(pair.a).get(source=old)
    assert not former.open
    assert json.loads(former.incoming or "")["x"] == "of b"
    peersync.put_back(the_open(pair.a), "incoming")
    pair.both()
    assert pair.rows(Parent, "x") == [("of b",)]
    quiet(pair)


def test_an_open_conflict_is_never_dropped(pair: Pair) -> None:
    contested(pair)
    Conflict.objects.using(pair.a).update(at=timezone.now() - timedelta(days=4000))
    pair.both()
    assert the_open(pair.a)


def test_the_signal_tells_of_it_once(pair: Pair) -> None:
    found: list[Any] = []

    def hear(conflicts: Any, **_: Any) -> None:
        found.extend(conflicts)

    peersync.conflict_found.connect(hear)
    try:
        contested(pair)
        pair.both()
    finally:
        peersync.conflict_found.disconnect(hear)
    assert [(one["policy"], one["open"], one["winner"]) for one in found] == [("manual", True, "")] * 2
    assert {one["local"]["x"] for one in found} == {"of a", "of b"}
