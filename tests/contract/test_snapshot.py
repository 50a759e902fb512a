"""``snapshot``: all rows and tombstones of a model, page by page, from any page on."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest

from peersync.errors import CursorUnknown
from peersync.models import Node, NumberingPass
from peersync.records import Point, Row
from tests.support.bulk import untracked
from tests.support.subjects import Subject, keys, rows_of
from tests.zoo.models import Parent, Secret, Sku, SkuNote, Wide

PARENT = "zoo.Parent"


def make(alias: str, *numbers: int, x: str = "x") -> None:
    for number in numbers:
        Parent.objects.using(alias).create(id=number, x=x, e="stays home")


def delete(alias: str, *numbers: int) -> None:
    for number in numbers:
        Parent.objects.using(alias).get(id=number).delete()


# ---------------------------------------------------------------------- pages


def test_an_empty_model_is_one_page(subject: Subject) -> None:
    page = subject.page(PARENT)
    assert (list(page.rows), page.bulk, page.done, page.models) == ([], None, True, (PARENT,))


def test_pages_are_in_the_order_of_keys_and_each_begins_where_the_last_one_ended(subject: Subject) -> None:
    make(subject.alias, 12, 3, 101, -4, 7, 100, 11)
    for limit in (1, 3, 7, 8):
        found = subject.pages(PARENT, limit)
        assert keys(found) == [(-4,), (3,), (7,), (11,), (12,), (100,), (101,)]
        assert max(len(page.rows) for page in found) == min(limit, 7)
        assert [page.done for page in found] == [False] * (len(found) - 1) + [True]
        assert found[0].start == {"head": None, "after": None}
        assert [page.start for page in found[1:]] == [page.end for page in found[:-1]]
        assert len({page.end["head"] for page in found}) == 1
        assert found[-1].end["after"] is None


def test_what_a_page_says_of_itself(subject: Subject) -> None:
    make(subject.alias, 1)
    page = subject.page(PARENT)
    assert (page.kind, page.source, page.source_install) == ("snapshot", subject.me.node, subject.me.install)
    assert (page.target, page.points, page.filtered) == (subject.caller.node, (), False)
    assert page.fields == {PARENT: ("id", "x", "y", "u", "b")}
    assert page.baselines == {PARENT: ()}
    assert page.head == page.end["head"]
    assert NumberingPass.objects.using(subject.alias).filter(nonce=page.head.nonce, last=page.head.seq).exists()


def test_it_goes_on_from_any_page(subject: Subject) -> None:
    """Later, with pages of another length, among the rows and among the tombstones alike."""
    make(subject.alias, *range(1, 12))
    delete(subject.alias, 2, 5, 6, 11)
    found = subject.pages(PARENT, 2)
    whole = keys(found)
    assert whole[:7] == [(n,) for n in (1, 3, 4, 7, 8, 9, 10)]
    assert sorted(whole[7:]) == [(2,), (5,), (6,), (11,)]
    for index, page in enumerate(found[:-1], 1):
        for limit in (3, 100):
            assert keys(subject.pages(PARENT, limit, behind=page)) == keys(found[index:])


def test_nothing_is_lost_between_the_pages(subject: Subject) -> None:
    """What changes while pages are read is in a later page, or in the feed behind the head of the first."""
    make(subject.alias, *range(10, 60, 10))
    first = subject.page(PARENT, limit=2)
    make(subject.alias, 5, 45)
    Parent.objects.using(subject.alias).filter(id=10).update(x="changed")
    delete(subject.alias, 20, 50)
    rest = subject.pages(PARENT, 2, behind=first)
    assert [row.key for row in rows_of(rest) if not row.deleted] == [(30,), (40,), (45,)]
    assert {page.end["head"] for page in [first, *rest]} == {first.end["head"]}
    news = {row.key: row for row in subject.feed(PARENT, cursor=first.end["head"]).rows}
    assert news.keys() == {(5,), (45,), (10,), (20,), (50,)}
    assert news[20,].deleted
    assert news[50,].deleted
    assert news[10,].content == (10, "changed", "", None, "n")


# ---------------------------------------------------------------------- rows


def test_a_row_as_it_travels(subject: Subject) -> None:
    """One form for one value, whatever database it stands in; a document is its own text."""
    Wide.objects.using(subject.alias).create(
        id=1,
        number="ü ☃ \n",
        token=uuid.UUID(int=1),
        amount=Decimal("1.5"),
        placed=dt.datetime(2026, 2, 28, 12, 0, 0, 123456, tzinfo=dt.UTC),
        day=dt.date(999, 1, 2),
        ratio=0.1,
        data={"b": 2**60, "a": [None, 1.5]},
    )
    page = subject.page("zoo.Wide")
    (row,) = page.rows
    found = dict(zip(page.fields["zoo.Wide"], row.content or (), strict=True))
    assert json.loads(found.pop("data")) == {"b": 2**60, "a": [None, 1.5]}
    assert found == {
        "id": 1,
        "parent": None,
        "number": "ü ☃ \n",
        "token": "00000000-0000-0000-0000-000000000001",
        "amount": "1.5000",
        "placed": "2026-02-28T12:00:00.123456Z",
        "active": True,
        "text": "",
        "day": "0999-01-02",
        "ratio": 0.1,
    }
    assert row.version == {subject.me.node: row.seq}
    assert (row.author, row.base, row.kind, row.earlier) == (subject.me.node, False, "row", ())


def test_tombstones_are_in_it(subject: Subject) -> None:
    """What was deleted before the two met must not live on at the other side."""
    make(subject.alias, 1, 2)
    delete(subject.alias, 2)
    row, tomb = rows_of(subject.pages(PARENT))
    assert (row.key, row.deleted) == ((1,), False)
    assert (tomb.key, tomb.deleted, tomb.content, tomb.kind) == ((2,), True, None, "row")
    assert tomb.version == {subject.me.node: tomb.seq}
    assert tomb.seq > row.seq


def test_a_row_that_nobody_changed_is_untracked(subject: Subject) -> None:
    with untracked(subject.alias):
        make(subject.alias, 1)
    (row,) = subject.page(PARENT).rows
    assert row == Row(PARENT, (1,), {subject.me.install: 0}, (1, "x", "", None, "n"), 0, subject.me.install, base=True)


def test_an_untracked_row_claims_the_baselines(subject: Subject) -> None:
    subject.push()
    with untracked(subject.alias):
        make(subject.alias, 1)
    page = subject.page(PARENT)
    assert page.baselines == {PARENT: (subject.caller.install,)}
    assert page.rows[0].version == {subject.me.install: 0, subject.caller.install: 0}


def test_a_changed_row_that_stood_there_before_says_so(subject: Subject) -> None:
    with untracked(subject.alias):
        make(subject.alias, 1)
    Parent.objects.using(subject.alias).update(x="changed")
    (row,) = subject.page(PARENT).rows
    assert row.base
    assert row.version == {subject.me.install: 0, subject.me.node: row.seq}


def test_a_busy_row_is_named_without_content(subject: Subject) -> None:
    """A writer who commits between the pass and the reading: his change has no place yet, and must not travel."""
    make(subject.alias, 1, 2, 3)
    with untracked(subject.alias):
        make(subject.alias, 4)
    head = subject.end(PARENT)
    with subject.writer_was_faster():
        Parent.objects.using(subject.alias).filter(id__in=[2, 4]).update(x="secretly new")
        delete(subject.alias, 3)
        make(subject.alias, 5)
        found = {row.key: row for row in rows_of(subject.pages(PARENT))}
        assert not subject.feed(PARENT, cursor=head).rows
    for key in ((2,), (4,), (5,)):
        assert found[key] == Row(PARENT, key, {}, None, kind="busy")
    assert (found[1,].kind, found[1,].content) == ("row", (1, "x", "", None, "n"))
    assert (3,) not in found or found[3,].kind == "busy"
    assert {row.key for row in subject.feed(PARENT, cursor=head).rows} == {(2,), (3,), (4,), (5,)}


def test_rows_named_by_an_identity(subject: Subject) -> None:
    """Their own numbers stay home; whoever points to them names them by their key."""
    for alias_only in ("gone", "gone too"):
        Sku.objects.using(subject.alias).create(sku=alias_only).delete()
    sku = Sku.objects.using(subject.alias).create(sku="ß/1", name="one")
    SkuNote.objects.using(subject.alias).create(sku=sku, text="on it")
    page = subject.page("zoo.Sku")
    assert page.fields["zoo.Sku"] == ("sku", "name", "price")
    assert (page.rows[0].key, page.rows[0].content) == (("ß/1",), ("ß/1", "one", "0.00"))
    page = subject.page("zoo.SkuNote")
    assert page.fields["zoo.SkuNote"] == ("sku", "text")
    assert page.rows[0].key == ("ß/1", "on it")
    assert list(page.rows[0].content or ()) == ["ß/1", "on it"]


def test_excluded_fields_are_not_in_it(subject: Subject) -> None:
    make(subject.alias, 1)
    Secret.objects.using(subject.alias).create(name="open", password="hidden")
    page = subject.page("zoo.Secret")
    assert page.fields["zoo.Secret"] == ("id", "name")
    assert "hidden" not in repr(page)
    assert "stays home" not in repr(subject.page(PARENT))


def test_a_bulk_run_holds_the_same_rows(subject: Subject) -> None:
    """In whatever form the replica says that it can send them."""
    with untracked(subject.alias):
        make(subject.alias, *range(1, 6))
    info = subject.replica.describe(subject.caller).model(PARENT)
    assert info is not None
    asked = subject.caller.__class__(subject.caller.node, subject.caller.install, bulk=info.bulk)
    page = subject.replica.snapshot(asked, PARENT, None, None, 3)
    if not info.bulk:
        assert page.bulk is None
        assert keys([page]) == [(1,), (2,), (3,)]
        return
    assert page.bulk is not None
    assert list(page.rows) == []
    assert (page.bulk.model, page.bulk.count, page.bulk.first, page.bulk.last) == (PARENT, 3, (1,), (3,))
    rest = subject.replica.snapshot(asked, PARENT, page.end["head"], page.end["after"], 3)
    assert rest.bulk is not None
    assert (rest.bulk.count, rest.bulk.first, rest.bulk.last) == (2, (4,), (5,))


# ---------------------------------------------------------------------- who reads, and what is no place


def test_who_reads_is_remembered(subject: Subject) -> None:
    """From then on a row that this node takes in gets a state: the reader must hear of it."""
    assert json.loads(Node.objects.using(subject.alias).get().readers) == []
    subject.page(PARENT)
    assert json.loads(Node.objects.using(subject.alias).get().readers) == [subject.caller.node]


def test_a_head_that_is_no_place_of_this_history(subject: Subject) -> None:
    make(subject.alias, 1, 2, 3)
    page = subject.page(PARENT, limit=2)
    head = page.end["head"]
    with pytest.raises(CursorUnknown):
        subject.page(PARENT, Point(head.seq, "f" * 16 + "." + "0" * 24), page.end["after"])
    with pytest.raises(CursorUnknown):
        subject.page(PARENT, Point(head.seq + 1, head.nonce), page.end["after"])


def test_a_head_that_was_pruned(subject: Subject) -> None:
    """Deletions behind it are forgotten: who goes on from there would never hear of them."""
    make(subject.alias, 1, 2, 3)
    page = subject.page(PARENT, limit=2)
    Node.objects.using(subject.alias).update(pruned_seq=page.end["head"].seq + 1)
    with pytest.raises(CursorUnknown):
        subject.page(PARENT, page.end["head"], page.end["after"])
