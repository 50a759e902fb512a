"""P3: what is put back is a change of this node like any other, over both versions, however changes are captured."""

import json
from typing import Any

import pytest
from django.db.models.signals import post_save, pre_save

import peersync
from peersync.delivery import receivers
from peersync.models import Conflict, Node, RowState
from peersync.numbering import number
from peersync.settling.kept import read
from peersync.transactions import writing
from tests.support.pairs import Pair, records
from tests.support.putting import edited_on_both_sides, loser, settled_and_quiet, the_record
from tests.zoo.models import Child, Parent


@pytest.mark.parametrize("side", ["local", "incoming"])
def test_p3_an_open_conflict_is_settled_over_both_versions(pair: Pair, side: Any) -> None:
    """As a policy leaves one that decides nothing: no version was joined yet, so the choice itself takes both in."""
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    record = open_conflict(pair, 1)
    done = peersync.put_back(record, side)
    assert done.action == ("nothing" if side == "local" else "updated")
    pair.push()
    pair.pull()
    assert pair.rows(Parent, "id", "x") == [(1, "of b" if side == "local" else "of a")]
    settled_and_quiet(pair, record)


def test_p3_a_deletion_that_is_chosen_has_seen_both_versions_too(pair: Pair) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    record = open_conflict(pair, 1)
    Conflict.objects.using(pair.b).filter(pk=record.pk).update(incoming=None)
    assert peersync.put_back(record, "incoming").action == "deleted"
    state = RowState.objects.using(pair.b).get(model="zoo.Parent", pk_text="1")
    assert state.deleted
    assert json.loads(state.others).items() >= json.loads(record.incoming_version).items()
    pair.both()
    assert pair.rows(Parent, "id") == []
    settled_and_quiet(pair, record)


def open_conflict(pair: Pair, pk: int) -> Conflict:
    """At b, about a's version of the row."""
    number(pair.a)
    theirs = RowState.objects.using(pair.a).get(model="zoo.Parent", pk_text=str(pk))
    node = Node.objects.using(pair.a).get().node
    sides = {
        alias: json.dumps(Parent.objects.using(alias).values("id", "x", "y", "u", "b", "e").get(pk=pk))
        for alias in pair.aliases
    }
    version = json.loads(theirs.others) | {node: theirs.own}
    return Conflict.objects.using(pair.b).create(
        model="zoo.Parent",
        key=f"[{pk}]",
        pk_text=str(pk),
        kind="conflict",
        policy="manual",
        winner="local",
        source=node,
        local=sides[pair.b],
        incoming=sides[pair.a],
        incoming_version=json.dumps(version),
        open=True,
    )


def test_p3_with_capture_by_signals(pair: Pair, monkeypatch: Any) -> None:
    pair.configure("zoo.Parent", "zoo.Child", CAPTURE="signals", CONFLICT={"*": "source"})
    for pk in (1, 2):
        Parent.objects.using(pair.a).create(id=pk)
    Child.objects.using(pair.a).create(id=1, p_id=2)
    pair.both()
    for pk in (1, 2):
        there = Parent.objects.using(pair.b).get(pk=pk)
        there.x = "edited at b"
        there.save()
    Parent.objects.using(pair.a).get(pk=1).delete()
    here = Parent.objects.using(pair.a).get(pk=2)
    here.x = "edited at a"
    here.save()
    pair.push()
    pair.both()
    gone, replaced = the_record(pair, key="[1]"), the_record(pair, key="[2]")
    peersync.put_back(gone, "local")
    peersync.put_back(replaced, "local")
    pair.both()
    assert pair.rows(Parent, "id", "x") == [(1, "edited at b"), (2, "edited at b")]
    peersync.put_back(gone, "incoming")
    pair.both()
    assert pair.rows(Parent, "id", "x") == [(2, "edited at b")]
    settled_and_quiet(pair, gone)


def test_p3_it_wakes_the_delivery_and_runs_no_code_of_the_models(lite: Pair, monkeypatch: Any) -> None:
    lite.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(lite)
    lite.push()
    record = the_record(lite)
    woken: list[Any] = []
    heard: list[Any] = []
    ran: list[Any] = []

    def listen(sender: Any, **kwargs: Any) -> None:
        heard.append(kwargs["rows"])

    def run(*args: Any, **kwargs: Any) -> None:
        ran.append(kwargs.get("sender"))

    monkeypatch.setattr(receivers.gate, "mode", lambda: "background")
    monkeypatch.setattr(receivers.process, "wake", lambda: woken.append(1))
    monkeypatch.setattr(Parent, "save", run)
    peersync.rows_applied.connect(listen)
    pre_save.connect(run, sender=Parent)
    post_save.connect(run, sender=Parent)
    try:
        peersync.put_back(record, "local", dry_run=True)
        assert woken == heard == []
        peersync.put_back(record, "local")
        assert woken == [1]
        assert heard == [{"zoo.Parent": ["1"]}]
        peersync.put_back(record, "local")
        assert woken == [1], "nothing was written"
        assert ran == []
    finally:
        peersync.rows_applied.disconnect(listen)
        pre_save.disconnect(run, sender=Parent)
        post_save.disconnect(run, sender=Parent)


def test_p3_a_third_node_comes_to_the_same(sqlite_nodes: Any, settings: Any) -> None:
    """It has seen the version that lost, or the one that won: both are in what was put back."""
    ab, ac, bc = Pair(settings, "a", "b"), Pair(settings, "a", "c"), Pair(settings, "b", "c")
    for pair in (ab, ac):
        pair.configure("zoo.Parent")
        if pair is ab:
            Parent.objects.using("a").create(id=1, x="base")
        pair.both()
    Parent.objects.using("b").update(x="of b")
    bc.configure("zoo.Parent")
    bc.both()
    Parent.objects.using("a").update(x="of a")
    ab.configure("zoo.Parent")
    ab.both()
    record = the_record(ab, kind="conflict")
    assert ab.rows(Parent, "x") == [("of a",)]
    peersync.put_back(record, loser(record))
    for pair in (ab, ac, bc, ab, ac):
        pair.configure("zoo.Parent")
        pair.both()
    assert ac.rows(Parent, "x") == bc.rows(Parent, "x") == [("of b",)]
    assert sum(len(records(alias)) for alias in "abc") == 1


def test_p3_rows_that_went_and_travel_to_others(sqlite_nodes: Any, settings: Any) -> None:
    """What stays home for the peer that deleted their parent comes back as a change that the other peers hear of."""
    ab, ac = Pair(settings, "a", "b"), Pair(settings, "a", "c")
    narrow = {"PEERS": {"b": {"MODELS": ["zoo.Parent"]}}}
    for pair in (ac, ab):
        pair.configure("zoo.Parent", "zoo.Child", **narrow)
        if pair is ac:
            Parent.objects.using("a").create(id=1)
            Child.objects.using("a").create(id=1, p_id=1, x="of a")
        pair.both()
    Parent.objects.using("b").all().delete()
    ab.both()
    record = the_record(ab, kind="cascade")
    ac.configure("zoo.Parent", "zoo.Child", **narrow)
    ac.both()
    assert ac.rows(Child, "id") == []
    assert peersync.put_back(record, "local").returned == {"zoo.Child": 1}
    ac.both()
    assert ac.rows(Child, "id", "x", "p") == [(1, "of a", 1)]
    settled_and_quiet(ac, record)
    ab.configure("zoo.Parent", "zoo.Child", **narrow)
    ab.both()
    assert ab.rows(Parent, "id") == [(1,)]
    assert ab.rows(Child, "id", alias="b") == []


def test_p3_places_that_were_given_up_are_not_claimed(lite: Pair) -> None:
    """A record may name a place of a history that was given up since: another change bears that number now."""
    lite.configure("zoo.Parent")
    edited_on_both_sides(lite)
    lite.both()
    record = the_record(lite)
    alias = record._state.db
    with writing(alias) as node:
        ours = node.node
        record.incoming_version = f'{{"{ours}": {node.last_seq + 5}, "lost": 7, "known": 3}}'
        record.local_version = '{"lost": 5}'
        Conflict.objects.using(alias).filter(pk=record.pk).update(
            incoming_version=record.incoming_version, local_version=record.local_version
        )
        node.retired = [{"id": "lost", "seq": 6, "nonce": "", "install": "x"}]
        assert dict(read(node, record.pk).version) == {"known": 3, "lost": 5}
