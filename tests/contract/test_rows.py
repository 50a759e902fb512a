"""``rows``: what stands under these keys now."""

from typing import Any

import pytest

from peersync.errors import PeersyncError, UnknownModel, UnknownPoint, WireError
from peersync.records import Caller, Key, Point, Row
from peersync.replicas.base import Replica
from tests.contract.conftest import CONFIG
from tests.support.bulk import untracked
from tests.support.subjects import NEAR, NEAR_ALIAS, Subject
from tests.zoo.models import Child, Parent, Sku, SkuNote, Tag, Tagged

PARENT = "zoo.Parent"


def make(alias: str, *numbers: int, **values: Any) -> None:
    for number in numbers:
        Parent.objects.using(alias).create(id=number, **values)


def nothing(label: str, key: Key) -> Row:
    return Row(label, key, {}, None, kind="none")


def test_present_deleted_and_never_there(subject: Subject) -> None:
    with untracked(subject.alias):
        make(subject.alias, 1, x="untracked", e="stays home")
    make(subject.alias, 2, 3, x="tracked")
    Parent.objects.using(subject.alias).get(id=3).delete()
    plain, tracked, gone, never = subject.answers(PARENT, (1,), (2,), (3,), (4,))
    assert plain == Row(
        PARENT, (1,), {subject.me.install: 0}, (1, "untracked", "", None, "n"), 0, subject.me.install, True
    )
    assert (tracked.content, tracked.version) == ((2, "tracked", "", None, "n"), {subject.me.node: tracked.seq})
    assert (gone.key, gone.kind, gone.deleted, gone.version) == ((3,), "row", True, {subject.me.node: gone.seq})
    assert never == nothing(PARENT, (4,))


def test_the_same_as_in_snapshot_and_feed(subject: Subject) -> None:
    with untracked(subject.alias):
        make(subject.alias, 1)
    make(subject.alias, 2, 3)
    subject.push()
    Parent.objects.using(subject.alias).filter(id=1).update(x="changed")
    Parent.objects.using(subject.alias).get(id=3).delete()
    found = subject.answers(PARENT, (1,), (2,), (3,))
    assert found == [row for page in subject.pages(PARENT) for row in page.rows]
    assert sorted(found, key=lambda row: row.seq) == list(subject.feed(PARENT).rows)


def test_in_the_order_of_the_keys_and_as_often(subject: Subject) -> None:
    make(subject.alias, 1, 2)
    asked = [(2,), (9,), (1,), (2,)]
    batch = subject.replica.rows(subject.caller, PARENT, iter(asked))
    assert [row.key for row in batch.rows] == asked
    assert [row.kind for row in batch.rows] == ["row", "none", "row", "row"]


def test_what_an_answer_says_of_itself(subject: Subject) -> None:
    make(subject.alias, 1)
    batch = subject.replica.rows(subject.caller, PARENT, [(1,)])
    assert (batch.kind, batch.source, batch.target) == ("rows", subject.me.node, subject.caller.node)
    assert (batch.models, batch.fields) == ((PARENT,), {PARENT: ("id", "x", "y", "u", "b")})
    assert batch.head == subject.end(PARENT), "contents read late may bear later places than the cursor"


def test_rows_of_the_asker_too(subject: Subject) -> None:
    """Whoever asks by key wants to know: there is no echo in an answer."""
    make(NEAR_ALIAS, 1)
    subject.push()
    (mine,) = subject.near.rows(subject.me, PARENT, [(1,)]).rows
    (theirs,) = subject.answers(PARENT, (1,))
    assert (theirs.content, theirs.version, theirs.stamp) == (mine.content, mine.version, mine.stamp)


def test_a_busy_row_is_named_without_content(subject: Subject) -> None:
    make(subject.alias, 1, 2, 3)
    subject.end(PARENT)
    with subject.writer_was_faster():
        Parent.objects.using(subject.alias).filter(id=1).update(x="secretly new")
        Parent.objects.using(subject.alias).get(id=2).delete()
        make(subject.alias, 4)
        found = subject.answers(PARENT, (1,), (2,), (3,), (4,))
    for row in (found[0], found[1], found[3]):  # the second: his deletion is told by no tombstone yet
        assert row == Row(PARENT, row.key, {}, None, kind="busy")
    assert found[2].content == (3, "", "", None, "n")
    assert [row.deleted for row in subject.answers(PARENT, (1,), (2,))] == [False, True]


def test_a_row_that_was_just_deleted_or_renamed_is_not_gone(subject: Subject) -> None:
    """Under an identity its key is known from the journal alone."""
    for name in ("one", "two", "three"):
        sku = Sku.objects.using(subject.alias).create(sku=name)
        SkuNote.objects.using(subject.alias).create(sku=sku, text=f"on {name}")
    subject.end("zoo.Sku", "zoo.SkuNote")
    with subject.writer_was_faster():
        Sku.objects.using(subject.alias).get(sku="one").delete()
        Sku.objects.using(subject.alias).filter(sku="two").update(sku="zwei")
        found = subject.answers("zoo.Sku", ("one",), ("two",), ("zwei",), ("three",), ("four",))
        notes = subject.answers("zoo.SkuNote", ("one", "on one"), ("three", "on three"), ("one", "never"))
    assert [row.kind for row in found] == ["busy", "busy", "busy", "row", "none"]
    assert [row.kind for row in notes] == ["busy", "row", "none"]


def test_what_waits_here_is_not_gone(subject: Subject) -> None:
    """It has neither row nor state, and yet a full comparison must not take it for deleted."""
    make(NEAR_ALIAS, 1, u="taken")
    make(subject.alias, 2, u="taken")
    subject.push()
    assert subject.answers(PARENT, (1,)) == [Row(PARENT, (1,), {}, None, kind="busy", base=True)]


def test_keys_of_an_identity(subject: Subject) -> None:
    """Nested where it holds a foreign key; a pair for a row that joins two others."""
    sku = Sku.objects.using(subject.alias).create(sku="a/1 ü")
    SkuNote.objects.using(subject.alias).create(sku=sku, text="")
    tagged, tag = Tagged.objects.using(subject.alias).create(id=5), Tag.objects.using(subject.alias).create(id=6)
    tagged.tags.add(tag)
    for label, key in (("zoo.Sku", ("a/1 ü",)), ("zoo.SkuNote", ("a/1 ü", "")), ("zoo.Tagged_tags", (5, 6))):
        other = (*key[:-1], "never") if label != "zoo.Tagged_tags" else (6, 5)
        found, none = subject.answers(label, key, other)
        assert (found.key, found.kind, found.content) == (key, "row", found.content)
        assert found.content is not None
        assert none == nothing(label, other)


def test_a_renamed_row_is_not_found_under_its_former_name(subject: Subject) -> None:
    Sku.objects.using(subject.alias).create(sku="old")
    subject.end("zoo.Sku")
    Sku.objects.using(subject.alias).update(sku="new")
    new, old = subject.answers("zoo.Sku", ("new",), ("old",))
    assert (new.key, new.earlier) == (("new",), (("old",),))
    assert old.content is None


def test_a_row_out_of_view_is_answered_like_none(subject: Subject) -> None:
    subject.configure({**CONFIG, "PEERS": {NEAR: {"FILTER": {PARENT: {"b": "n"}}}}})
    make(subject.alias, 1)
    make(subject.alias, 2, b="hidden")
    Child.objects.using(subject.alias).create(id=1, p_id=2)
    shown, hidden = subject.answers(PARENT, (1,), (2,))
    assert (shown.kind, hidden) == ("row", nothing(PARENT, (2,)))
    assert subject.answers("zoo.Child", (1,)) == [nothing("zoo.Child", (1,))]


def test_a_key_of_another_type_is_the_key_of_no_row(subject: Subject) -> None:
    make(subject.alias, 1)
    for key in (("1",), ("one",), (True,), (None,), (2**62,)):
        (found,) = subject.answers(PARENT, key)
        assert found == nothing(PARENT, key), key


@pytest.mark.parametrize(
    ("label", "keys", "error"),
    [
        (PARENT, [], WireError),
        (PARENT, [(1,), (1, 2)], WireError),
        (PARENT, [((1,),)], WireError),
        ("zoo.SkuNote", [("a",)], WireError),
        ("zoo.SkuNote", [(("a", "b"), "t")], WireError),
        ("zoo.Nothing", [(1,)], UnknownModel),
        ("auth.User", [("admin",)], UnknownModel),
    ],
)
def test_what_cannot_be_asked(subject: Subject, label: str, keys: list[Key], error: type[PeersyncError]) -> None:
    with pytest.raises(error) as caught:
        subject.replica.rows(subject.caller, label, keys)
    assert type(caught.value) is error


# ---------------------------------------------------------------------- the same of every verb that reads


def snapshot(replica: Replica, caller: Caller, label: str) -> Any:
    return replica.snapshot(caller, label, None, None, 10)


def changes(replica: Replica, caller: Caller, label: str) -> Any:
    return replica.changes(caller, [label], Point(0, ""), None, 10)


def rows(replica: Replica, caller: Caller, label: str) -> Any:
    return replica.rows(caller, label, [(1,)])


READS = pytest.mark.parametrize("read", [snapshot, changes, rows])


@READS
def test_a_point_that_the_caller_cannot_have_seen(subject: Subject, read: Any) -> None:
    """Its history was rewound since, or another's: what is read now might be taken for known at the other side."""
    make(subject.alias, 1)
    end = subject.end(PARENT)
    node, install = subject.caller.node, subject.caller.install
    assert len(read(subject.replica, Caller(node, install, points=(end,)), PARENT).rows) == 1
    for point in (Point(end.seq, "f" * 16 + "." + "0" * 24), Point(end.seq + 1, end.nonce)):
        with pytest.raises(UnknownPoint) as caught:
            read(subject.replica, Caller(node, install, points=(end, point)), PARENT)
        assert type(caught.value) is UnknownPoint


@READS
@pytest.mark.parametrize("label", ["auth.User", "zoo.Nothing", "peersync.Node"])
def test_a_model_that_is_not_open(subject: Subject, read: Any, label: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        read(subject.replica, subject.caller, label)
    assert type(caught.value) is UnknownModel


@READS
def test_who_names_no_node_is_answered(subject: Subject, read: Any) -> None:
    make(subject.alias, 1)
    batch = read(subject.replica, Caller("", ""), PARENT)
    assert (batch.target, len(batch.rows)) == ("", 1)
