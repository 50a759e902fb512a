"""``digests``: what differs is found without a row being sent, between databases of different kinds too."""

from collections.abc import Sequence
from typing import Any

import pytest

from peersync.errors import UnknownField, UnknownModel, WireError
from peersync.records import Digest, Range
from tests.support.subjects import NEAR_ALIAS, Subject
from tests.zoo.models import Child, Parent, Sku, SkuNote

PARENT = "zoo.Parent"
WHOLE = [Range(None, None)]
NUMBERS = [-20, -3, 0, 2, 7, 9, 10, 11, 99, 100, 2**40]


def fill(alias: str, *numbers: int) -> None:
    Parent.objects.using(alias).bulk_create(
        Parent(id=n, x=f"ü{n}", u=None if n % 2 else f"u{n}", e=alias) for n in numbers
    )


def both(
    subject: Subject,
    ranges: Sequence[Range] = WHOLE,
    parts: int = 1,
    fields: Sequence[str] | None = None,
    label: str = PARENT,
) -> tuple[list[Digest], list[Digest]]:
    """What ``near`` says, and what the subject says."""
    here = subject.near.digests(subject.me, label, ranges, parts, fields)
    return here, subject.replica.digests(subject.caller, label, ranges, parts, fields)


@pytest.fixture
def equal(subject: Subject) -> Subject:
    """Both sides hold the same parents, but for the excluded field; written in another order."""
    fill(NEAR_ALIAS, *NUMBERS)
    fill(subject.alias, *reversed(NUMBERS))
    return subject


def test_equal_contents_have_equal_digests(equal: Subject) -> None:
    for parts in (1, 2, 4, 100):
        here, there = both(equal, parts=parts)
        assert here == there
        assert sum(one.count for one in there) == len(NUMBERS)


def test_the_parts_of_a_range_are_the_whole_of_it(equal: Subject) -> None:
    for bounds in (Range(None, None), Range((0,), (99,)), Range(None, (9,)), Range((9,), None)):
        _, there = both(equal, [bounds], parts=4)
        assert len(there) <= 4
        assert (there[0].range.after, there[-1].range.upto) == (bounds.after, bounds.upto)
        assert [one.range.after for one in there[1:]] == [one.range.upto for one in there[:-1]]
        counts = [one.count for one in there[:-1]]
        assert max(counts) - min(counts) <= 1
        assert there[-1].count <= max(counts)
        again, _ = both(equal, [one.range for one in there])
        assert [(one.count, one.digest) for one in again] == [(one.count, one.digest) for one in there]


def test_a_range_is_open_below_and_closed_above(equal: Subject) -> None:
    (_, count), (_, none), (_, one) = (
        (each.range, each.count) for each in both(equal, [Range((2,), (10,)), Range((2,), (2,)), Range((9,), (10,))])[1]
    )
    assert (count, none, one) == (4, 0, 2)  # shorter texts first: 2, 7, 9, -3, 10


def test_one_digest_a_row_where_there_are_parts_enough(equal: Subject) -> None:
    here, there = both(equal, [Range((0,), (11,))], parts=10)
    assert here == there
    single = [one for one in there if one.count]
    assert [one.range.upto for one in single[:-1]] == [(2,), (7,), (9,), (-3,), (10,)]
    assert {one.count for one in single} == {1}


def test_a_range_without_rows(equal: Subject) -> None:
    """One digest for nothing, the same everywhere."""
    empty = [Range((2**41,), None), Range((100,), (101,))]
    here, there = both(equal, empty)
    assert here == there
    assert [(one.range, one.count) for one in there] == [(bounds, 0) for bounds in empty]
    assert there[0].digest == there[1].digest
    assert both(equal, empty[:1], parts=8)[1][0].count == 0
    assert both(equal, [])[1] == []


def test_a_changed_row_changes_its_range_and_no_other(equal: Subject) -> None:
    ranges = [one.range for one in both(equal, parts=4)[0]]
    Parent.objects.using(equal.alias).filter(id=10).update(u="changed")
    here, there = both(equal, ranges)
    differing = [one.range for one, other in zip(here, there, strict=True) if one != other]
    assert len(differing) == 1
    rows = [one.range.upto for one, other in zip(*both(equal, differing, parts=50), strict=True) if one != other]
    assert rows in ([(10,)], [differing[0].upto])


@pytest.mark.parametrize("change", ["missing", "more", "null"])
def test_whatever_differs_is_seen(equal: Subject, change: str) -> None:
    parents = Parent.objects.using(equal.alias)
    if change == "missing":
        parents.filter(id=7).delete()
    elif change == "more":
        fill(equal.alias, 8)
    else:
        parents.filter(id=7).update(u="")  # where the other side has NULL
    (here,), (there,) = both(equal)
    assert here.digest != there.digest
    assert there.count - here.count == {"missing": -1, "more": 1, "null": 0}[change]


def test_only_the_fields_that_were_asked_for(equal: Subject) -> None:
    Parent.objects.using(equal.alias).filter(id=7).update(x="changed", e="excluded")
    for fields, alike in ((["id", "u", "b"], True), ([], True), (["x"], False), (None, False)):
        here, there = both(equal, fields=fields)
        assert (here == there) is alike, fields


def test_an_excluded_field_is_not_in_it(equal: Subject) -> None:
    here, there = both(equal)
    Parent.objects.using(equal.alias).update(e="changed")
    assert both(equal) == (here, there)


def test_keys_of_text_and_of_an_identity(subject: Subject) -> None:
    """Shorter ones first, and then byte by byte: what each database takes for the order of texts does not matter."""
    names = ["ä", "a", "Z", "zz", "aa", "é/1", "日本", "_", "a b", "𝄞"]
    for alias, order in ((NEAR_ALIAS, names), (subject.alias, reversed(names))):
        for name in order:
            sku = Sku.objects.using(alias).create(sku=name)
            SkuNote.objects.using(alias).create(sku=sku, text=f"on {name}")
            SkuNote.objects.using(alias).create(sku=sku, text="")
    for label, count in (("zoo.Sku", 10), ("zoo.SkuNote", 20)):
        here, there = both(subject, parts=100, label=label)
        assert here == there
        assert [one.count for one in there] == [1] * count + [0]
        cut = [one.range.upto for one in there[:-1]]
        for bound in cut:
            halves = both(subject, [Range(None, bound), Range(bound, None)], label=label)
            assert halves[0] == halves[1]
            assert sum(one.count for one in halves[1]) == count
    assert [bound and bound[0] for bound in cut[1::2]][:3] == ["Z", "_", "a"]


def test_a_foreign_key_counts_as_the_key_of_its_row(subject: Subject) -> None:
    for alias in (NEAR_ALIAS, subject.alias):
        fill(alias, 1, 2)
        Child.objects.using(alias).create(id=1, p_id=1)
    Child.objects.using(subject.alias).update(p_id=2)
    here, there = both(subject, label="zoo.Child")
    assert here != there
    assert (
        both(subject, label="zoo.Child", fields=["id", "x", "e"])[0]
        == both(subject, label="zoo.Child", fields=["id", "x", "e"])[1]
    )


@pytest.mark.parametrize(
    ("label", "arguments", "error"),
    [
        ("zoo.Nothing", (WHOLE, 1), UnknownModel),
        ("auth.User", (WHOLE, 1), UnknownModel),
        (PARENT, (WHOLE, 1, ["nothing"]), UnknownField),
        (PARENT, (WHOLE, 1, ["x", "e"]), UnknownField),
        (PARENT, ([Range((1, 2), None)], 1), WireError),
        (PARENT, ([Range(None, ((1,),))], 1), WireError),
        (PARENT, (WHOLE, 0), WireError),
    ],
)
def test_what_cannot_be_asked(subject: Subject, label: str, arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        subject.replica.digests(subject.caller, label, *arguments)
    assert type(caught.value) is error
