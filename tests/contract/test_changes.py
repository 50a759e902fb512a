"""``changes``: the feed behind a cursor. No change is passed by, none travels back to where it came from."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from peersync.errors import CursorUnknown
from peersync.models import Node
from peersync.records import START, Point
from tests.support.bulk import untracked
from tests.support.subjects import NEAR_ALIAS, THIRD_ALIAS, Subject, caller_of, keys
from tests.zoo.models import Child, Parent, Sku, Tag

PARENT, CHILD = "zoo.Parent", "zoo.Child"


def make(alias: str, *numbers: int, x: str = "x") -> None:
    for number in numbers:
        Parent.objects.using(alias).create(id=number, x=x)


def change(alias: str, number: int, x: str) -> None:
    assert Parent.objects.using(alias).filter(id=number).update(x=x) == 1


# ---------------------------------------------------------------------- order and cursors


def test_each_changed_row_once_at_its_latest_change(subject: Subject) -> None:
    make(subject.alias, 3, 1, 2)
    first = subject.feed(PARENT)
    for number in range(20):
        change(subject.alias, 3, f"x{number}")
    change(subject.alias, 1, "again")
    batch = subject.feed(PARENT, cursor=first.end["cursor"])
    assert sorted((row.key, (row.content or ())[1]) for row in batch.rows) == [((1,), "again"), ((3,), "x19")]
    whole = subject.feed(PARENT)
    assert sorted(keys([whole])) == [(1,), (2,), (3,)]
    places = [row.seq for row in whole.rows]
    assert places == sorted(set(places))
    assert whole.rows[0].key == (2,)
    assert all(row.version == {subject.me.node: row.seq} for row in whole.rows)


def test_what_a_batch_says_of_itself(subject: Subject) -> None:
    make(subject.alias, 1)
    batch = subject.feed(PARENT, CHILD)
    assert (batch.kind, batch.source, batch.source_install) == ("feed", subject.me.node, subject.me.install)
    assert (batch.target, batch.models, batch.points) == (subject.caller.node, (PARENT, CHILD), ())
    assert batch.fields == {PARENT: ("id", "x", "y", "u", "b"), CHILD: ("id", "x", "p", "e")}
    assert (batch.start, batch.end, batch.done) == ({"cursor": START}, {"cursor": batch.head}, True)
    assert batch.head.seq == Node.objects.using(subject.alias).get().last_seq


def test_pages_lead_from_cursor_to_cursor(subject: Subject) -> None:
    make(subject.alias, *range(1, 8))
    cursor, seen = START, []
    while True:
        batch = subject.feed(PARENT, cursor=cursor, limit=3)
        assert batch.start == {"cursor": cursor}
        assert batch.end["cursor"] > cursor
        seen.append(keys([batch]))
        cursor = batch.end["cursor"]
        if batch.done:
            break
    assert [len(page) for page in seen] == [3, 3, 1]
    assert sorted(key for page in seen for key in page) == [(n,) for n in range(1, 8)]
    after = subject.feed(PARENT, cursor=cursor)
    assert (list(after.rows), after.done, after.end) == ([], True, {"cursor": cursor})


def test_any_place_that_was_given_is_a_cursor(subject: Subject) -> None:
    """A page that was cut off is read again from where the one before it ended; the answer is the same."""
    make(subject.alias, *range(1, 6))
    first = subject.feed(PARENT, limit=2)
    rest = subject.feed(PARENT, cursor=first.end["cursor"])
    assert subject.feed(PARENT, cursor=first.end["cursor"]) == rest
    assert sorted(keys([first, rest])) == [(n,) for n in range(1, 6)]


def test_a_head_bounds_it(subject: Subject) -> None:
    """What came later is for the next transfer: otherwise none would end on a busy site."""
    make(subject.alias, 1, 2)
    head = subject.end(PARENT)
    make(subject.alias, 3)
    change(subject.alias, 1, "later")
    batch = subject.feed(PARENT, head=head)
    assert (keys([batch]), batch.done, batch.end["cursor"]) == ([(2,)], True, head)
    assert batch.head > head
    assert sorted(keys([subject.feed(PARENT, cursor=head)])) == [(1,), (3,)]


def test_only_the_models_that_were_asked_for(subject: Subject) -> None:
    make(subject.alias, 1)
    Child.objects.using(subject.alias).create(id=1, p_id=1)
    Tag.objects.using(subject.alias).create(name="t")
    batch = subject.feed(CHILD)
    assert [(row.model, row.key) for row in batch.rows] == [(CHILD, (1,))]
    assert [row.model for row in subject.feed(PARENT, "zoo.Tag").rows] == [PARENT, "zoo.Tag"]


# ---------------------------------------------------------------------- what is in it


def test_deletions_are_in_it(subject: Subject) -> None:
    make(subject.alias, 1, 2)
    with untracked(subject.alias):
        make(subject.alias, 3)
    cursor = subject.end(PARENT)
    Parent.objects.using(subject.alias).filter(id__in=[1, 3]).delete()
    make(subject.alias, 4)
    Parent.objects.using(subject.alias).get(id=4).delete()
    rows = {row.key: row for row in subject.feed(PARENT, cursor=cursor).rows}
    assert rows.keys() == {(1,), (3,), (4,)}
    assert all(row.deleted and row.kind == "row" for row in rows.values())
    assert rows[1,].version == {subject.me.node: rows[1,].seq}
    assert rows[3,].version == {subject.me.node: rows[3,].seq, subject.me.install: 0}


def test_a_row_without_a_change_is_not_in_it(subject: Subject) -> None:
    with untracked(subject.alias):
        make(subject.alias, 1)
    cursor = subject.end(PARENT)
    Parent.objects.using(subject.alias).update(e="an excluded field alone")
    assert list(subject.feed(PARENT).rows) == list(subject.feed(PARENT, cursor=cursor).rows) == []


def test_a_renamed_row_says_what_it_was_called(subject: Subject) -> None:
    Sku.objects.using(subject.alias).create(sku="old")
    cursor = subject.end("zoo.Sku")
    Sku.objects.using(subject.alias).update(sku="new")
    (row,) = subject.feed("zoo.Sku", cursor=cursor).rows
    assert (row.key, row.earlier) == (("new",), (("old",),))


def test_no_echo(subject: Subject) -> None:
    """What came from the asker is left out, for him alone; what was done to it here afterwards is not."""
    make(NEAR_ALIAS, 1, 2)
    make(subject.alias, 3)
    subject.push()
    assert keys([subject.feed(PARENT)]) == [(3,)]
    third = subject.third().changes(caller_of(THIRD_ALIAS), [PARENT], START, None, 100)
    assert sorted(keys([third])) == [(1,), (2,), (3,)]
    cursor = subject.end(PARENT)
    change(subject.alias, 2, "edited here")
    batch = subject.feed(PARENT, cursor=cursor)
    assert keys([batch]) == [(2,)]
    assert batch.rows[0].version.keys() == {subject.caller.node, subject.me.node}


def test_the_outcome_of_a_conflict_is_no_echo(subject: Subject) -> None:
    """The asker's row won, and yet what stands here now is more than what he sent."""
    make(subject.alias, 1, x="far")
    time.sleep(0.002)  # his stamp is the later one
    make(NEAR_ALIAS, 1, x="near")
    subject.push()
    assert subject.rows(Parent, "x") == [("near",)]
    (row,) = subject.feed(PARENT).rows
    assert row.version.keys() == {subject.caller.node, subject.me.node}


# ---------------------------------------------------------------------- late commits


def test_a_late_commit_gets_a_later_place(subject: Subject) -> None:
    """Who began first commits last, after the cursor was handed out."""
    make(subject.alias, 1)
    subject.end(PARENT)
    with open_transaction(subject) as commit:
        others = [3] if subject.vendor == "postgresql" else []  # SQLite has one writer at a time
        make(subject.alias, *others)
        early = subject.feed(PARENT)
        assert keys([early]) == [(n,) for n in (1, *others)]
        commit()
    late = subject.feed(PARENT, cursor=early.end["cursor"])
    assert keys([late]) == [(2,)]
    assert late.rows[0].seq > early.end["cursor"].seq


class open_transaction:  # noqa: N801  # a context manager
    """On a connection of its own: row 2 is written, and not committed before the block says so, or ends."""

    def __init__(self, subject: Subject) -> None:
        self.alias = subject.alias
        self.written, self.may_commit = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            with transaction.atomic(using=self.alias):
                make(self.alias, 2)
                self.written.set()
                assert self.may_commit.wait(20)
        finally:
            connections[self.alias].close()

    def __enter__(self) -> Callable[[], None]:
        self.thread.start()
        assert self.written.wait(20)
        return self.commit

    def commit(self) -> None:
        self.may_commit.set()
        self.thread.join(20)

    def __exit__(self, *error: object) -> None:
        self.commit()


def test_what_a_writer_has_just_done_comes_with_a_later_place(subject: Subject) -> None:
    """He was faster than the pass: the row is left out, at its old place too, and found behind the cursor."""
    make(subject.alias, 1, 2)
    subject.end(PARENT)
    with subject.writer_was_faster():
        change(subject.alias, 1, "new")
        make(subject.alias, 3)
        batch = subject.feed(PARENT)
    assert keys([batch]) == [(2,)]
    later = subject.feed(PARENT, cursor=batch.end["cursor"])
    assert sorted(keys([later])) == [(1,), (3,)]


# ---------------------------------------------------------------------- waiting


class Later(threading.Thread):
    """Writes row 9 after a while, on a connection of its own."""

    def __init__(self, alias: str, seconds: float) -> None:
        super().__init__()
        self.alias, self.seconds = alias, seconds

    def run(self) -> None:
        time.sleep(self.seconds)
        make(self.alias, 9)
        connections[self.alias].close()


def test_a_long_poll_is_woken_by_a_change(subject: Subject) -> None:
    make(subject.alias, 1)
    cursor = subject.end(PARENT)
    writer = Later(subject.alias, 0.3)
    began = time.monotonic()
    writer.start()
    batch = subject.replica.changes(subject.caller, [PARENT], cursor, None, 100, wait=20)
    took = time.monotonic() - began
    writer.join()
    assert keys([batch]) == [(9,)]
    assert 0.25 < took < 10


def test_a_long_poll_without_a_change_ends_in_time(subject: Subject) -> None:
    cursor = subject.end(PARENT)
    began = time.monotonic()
    batch = subject.replica.changes(subject.caller, [PARENT], cursor, None, 100, wait=1)
    assert 0.9 < time.monotonic() - began < 10
    assert (list(batch.rows), batch.done, batch.end) == ([], True, {"cursor": cursor})


def test_nobody_waits_where_there_is_something(subject: Subject) -> None:
    make(subject.alias, 1)
    began = time.monotonic()
    batch = subject.replica.changes(subject.caller, [PARENT], START, None, 100, wait=20)
    assert keys([batch]) == [(1,)]
    assert time.monotonic() - began < 10


# ---------------------------------------------------------------------- cursors that are none


def test_a_cursor_of_another_history(subject: Subject) -> None:
    make(subject.alias, 1, 2)
    end = subject.end(PARENT)
    for cursor in (Point(end.seq, "f" * 16 + "." + "0" * 24), Point(end.seq + 1, end.nonce), Point(1, end.nonce)):
        with pytest.raises(CursorUnknown):
            subject.feed(PARENT, cursor=cursor)


def test_a_cursor_before_what_was_pruned(subject: Subject) -> None:
    make(subject.alias, 1)
    early = subject.end(PARENT)
    make(subject.alias, 2)
    late = subject.end(PARENT)
    Node.objects.using(subject.alias).update(pruned_seq=late.seq)
    for cursor in (START, early):
        with pytest.raises(CursorUnknown):
            subject.feed(PARENT, cursor=cursor)
    assert subject.feed(PARENT, cursor=late).done


def test_a_cursor_of_what_was_lost_with_a_restore(subject: Subject) -> None:
    make(subject.alias, 1)
    copy = subject.backup()
    make(subject.alias, 2)
    lost = subject.end(PARENT)
    subject.restore(copy)
    make(subject.alias, 3)
    with pytest.raises(CursorUnknown):
        subject.feed(PARENT, cursor=lost)
