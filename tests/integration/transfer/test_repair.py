"""`--repair`: what changed behind capture is mended; in one direction the source is right."""

import json
from typing import Any

import pytest
from django.db import connections, transaction

from peersync import capture
from peersync.models import Conflict
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options
from peersync.syncing import sync
from peersync.transfer import Transfer
from tests.support.pairs import Pair, records
from tests.zoo.models import Parent

SPOILT = ("AAA", "zzz")
"""Smaller and larger than what they replace: a larger text must not win for being larger."""


def spoil(alias: str, **values: str) -> None:
    """A change that nobody notes, as behind a disabled trigger."""
    with transaction.atomic(using=alias), capture.off(connections[alias], ["zoo_parent"]):
        Parent.objects.using(alias).filter(pk=1).update(**values)


@pytest.fixture(params=["untracked", "edited", "there and back"])
def equal(request: Any, pair: Pair) -> Pair:
    """Two nodes that are equal, with more or less of a history."""
    pair.configure("zoo.Parent")
    for pk in (1, 2, 3):
        Parent.objects.using(pair.a).create(id=pk, x="middle")
    if request.param == "untracked":
        with connections[pair.a].cursor() as cursor:
            cursor.execute("DELETE FROM peersync_journal")
    pair.push()
    if request.param == "there and back":
        pair.both()
        Parent.objects.using(pair.b).filter(pk=1).update(x="middle", y="of b")
        pair.both()
    return pair


@pytest.mark.parametrize("text", SPOILT)
def test_what_was_spoilt_at_the_target_is_as_the_source_has_it(equal: Pair, text: str) -> None:
    before = equal.rows(Parent, "pk", "x", "y")
    spoil(equal.b, x=text)
    assert equal.push().models["zoo.Parent"].updated == 0
    assert equal.differences()["zoo.Parent"].count == 1
    figures = equal.push(repair=True).models["zoo.Parent"]
    assert (figures.updated, figures.unchanged, figures.conflicts) == (1, 2, 1)
    assert equal.rows(Parent, "pk", "x", "y") == before
    equal.both()
    assert equal.rows(Parent, "pk", "x", "y") == before
    assert equal.push(repair=True).models["zoo.Parent"].updated == 0


@pytest.mark.parametrize("text", SPOILT)
def test_what_was_changed_unseen_at_the_source_arrives(equal: Pair, text: str) -> None:
    spoil(equal.a, x=text)
    assert equal.push(repair=True).models["zoo.Parent"].updated == 1
    equal.both()
    assert (1, text) in equal.rows(Parent, "pk", "x")


@pytest.mark.parametrize("text", SPOILT)
def test_a_pull_takes_the_peer_for_right(equal: Pair, text: str) -> None:
    spoil(equal.b, x=text)
    assert equal.pull(repair=True).models["zoo.Parent"].updated == 1
    assert (1, text) in equal.rows(Parent, "pk", "x")


def test_p3_what_it_replaces_is_recorded_whole(equal: Pair) -> None:
    spoil(equal.b, x="zzz", u="lost?")
    equal.push(repair=True)
    assert [kind for kind, _, _ in records(equal.b)] == ["repair"]
    lost = json.loads(str(Conflict.objects.using(equal.b).get().local))
    assert (lost["x"], lost["u"]) == ("zzz", "lost?")


def test_a_change_that_the_source_has_not_seen_stays(equal: Pair) -> None:
    """It is no mistake, and travels the other way."""
    Parent.objects.using(equal.b).filter(pk=1).update(x="a real edit")
    assert equal.push(repair=True).models["zoo.Parent"].updated == 0
    equal.pull()
    assert (1, "a real edit") in equal.rows(Parent, "pk", "x")
    assert records(equal.a) == records(equal.b) == []


@pytest.mark.parametrize("text", SPOILT)
def test_in_both_directions_no_side_is_right_and_both_end_alike(equal: Pair, text: str) -> None:
    equal.both()  # each has taken the other's rows in: else the one that did has seen more
    spoil(equal.b, x=text)
    assert [report.error for report in sync(equal.b, Options(repair=True))] == [None, None]
    [(_, kept)] = [row for row in equal.rows(Parent, "pk", "x") if row[0] == 1]
    assert kept in (text, "middle")
    assert len([*records(equal.a), *records(equal.b)]) == 1


def test_a_dry_run_tells_it_and_writes_nothing(equal: Pair) -> None:
    spoil(equal.b, x="zzz")
    assert equal.push(repair=True, dry_run=True).models["zoo.Parent"].updated == 1
    assert (1, "zzz") in equal.rows(Parent, "pk", "x", alias=equal.b)


def test_a_third_node_that_took_the_spoilt_row_is_mended_too(equal: Pair, nodes: Any) -> None:
    """It holds the same version: only what is a change of its own reaches it."""
    c = nodes.c.alias
    capture.install(c)
    spoil(equal.b, x="zzz")

    def carry(source: str, target: str) -> None:
        report = Transfer(DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source)).run()
        assert report.error is None

    carry(equal.b, c)
    assert (1, "zzz") in equal.rows(Parent, "pk", "x", alias=c)
    equal.push(repair=True)
    for _ in range(2):
        for way in ((equal.b, c), (c, equal.b)):
            carry(*way)
        equal.both()
    for alias in (*equal.aliases, c):
        assert (1, "middle") in equal.rows(Parent, "pk", "x", alias=alias)
