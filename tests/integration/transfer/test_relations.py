"""Trees, cycles, many-to-many, deletions with what hangs on them, and rows that stay home."""

from typing import Any

import pytest
from django.db import models, transaction

from peersync.models import Conflict
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Branch, Child, Parent, SelfRef, Tag, Tagged


def put(alias: str, *pks: int, **values: Any) -> None:
    for pk in pks:
        Parent.objects.using(alias).create(id=pk, **values)


def test_a_tree_travels_whole(pair: Pair) -> None:
    """Children with smaller numbers than their parents too."""
    pair.configure("zoo.SelfRef")
    with transaction.atomic(using=pair.a):
        for pk, parent in ((9, None), (3, 9), (1, 3), (7, 1), (2, 7)):
            SelfRef.objects.using(pair.a).create(id=pk, parent_id=parent, name=f"n{pk}")
    pair.push()
    assert pair.rows(SelfRef, "id", "parent") == [(1, 3), (2, 7), (3, 9), (7, 1), (9, None)]
    SelfRef.objects.using(pair.a).filter(pk=2).update(parent_id=9)
    SelfRef.objects.using(pair.a).filter(pk=3).update(parent_id=2)
    pair.push()
    assert pair.rows(SelfRef, "id", "parent") == [(1, 3), (2, 9), (3, 2), (7, 1), (9, None)]
    SelfRef.objects.using(pair.a).get(pk=2).delete()
    assert pair.push().models["zoo.SelfRef"].deleted == 4
    assert pair.rows(SelfRef, "id") == [(9,)]
    assert waiting(pair.b) == []


@pytest.mark.parametrize("size", [None, 1])
def test_a_cycle_travels(pair: Pair, size: int | None) -> None:
    """Two rows that point at each other, and one at itself; in one batch and in several."""
    pair.configure("zoo.SelfRef")
    for pk in (1, 2, 3):
        SelfRef.objects.using(pair.a).create(id=pk, name=f"n{pk}")
    for pk, parent in ((1, 2), (2, 1), (3, 3)):
        SelfRef.objects.using(pair.a).filter(pk=pk).update(parent_id=parent)
    pair.push(batch_size=size)
    assert pair.rows(SelfRef, "id", "parent") == [(1, 2), (2, 1), (3, 3)]
    assert waiting(pair.b) == []
    sql(pair.a, "UPDATE zoo_selfref SET parent_id = NULL")
    sql(pair.a, "DELETE FROM zoo_selfref")
    pair.push(batch_size=size)
    assert pair.rows(SelfRef, "id") == []


def test_a_cycle_under_an_identity(pair: Pair) -> None:
    """Neither row has a number at the other side before the other one has."""
    pair.configure("zoo.Branch", IDENTITY={"zoo.Branch": ["name"]})
    Branch.objects.using(pair.b).create(id=1, name="in the way")
    for pk in (1, 2):
        Branch.objects.using(pair.a).create(id=pk, name=f"n{pk}")
    pair.push()
    for pk, parent in ((1, 2), (2, 1)):
        Branch.objects.using(pair.a).filter(pk=pk).update(parent_id=parent)
    pair.push()
    assert pair.rows(Branch, "name", "parent__name", alias=pair.b)[1:] == [("n1", "n2"), ("n2", "n1")]
    assert waiting(pair.b) == []


def test_a_child_comes_before_its_parent(pair: Pair) -> None:
    """It waits for the next batch, which is no error."""
    pair.configure("zoo.Parent", "zoo.Child")
    put(pair.a, 1, 2)
    Child.objects.using(pair.a).create(id=1, p_id=1)
    pair.push()
    Child.objects.using(pair.a).filter(pk=1).update(x="first in the feed")
    put(pair.a, 3)
    Child.objects.using(pair.a).create(id=2, p_id=3)
    pair.pull()  # numbers what was written so far
    Parent.objects.using(pair.a).filter(pk=3).update(x="now behind its child")
    report = pair.push(batch_size=1)
    assert report.status == "ok"
    assert pair.rows(Child, "id", "p") == [(1, 1), (2, 3)]
    assert pair.differences() == {}


def test_many_to_many(pair: Pair) -> None:
    """add, remove, set and clear, on both sides."""
    pair.configure("zoo.Tag", "zoo.Tagged")
    tags = [Tag.objects.using(pair.a).create(name=f"t{n}") for n in range(5)]
    thing = Tagged.objects.using(pair.a).create(name="thing")
    thing.tags.add(*tags[:3])
    report = pair.push()
    assert report.models["zoo.Tagged_tags"].created == 3
    there = Tagged.objects.using(pair.b).get()
    thing.tags.remove(tags[0])
    there.tags.add(Tag.objects.using(pair.b).get(name="t4"))
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [("t1",), ("t2",), ("t4",)]
    there.tags.set(Tag.objects.using(pair.b).filter(name__in=["t0", "t1"]))
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [("t0",), ("t1",)]
    thing.tags.clear()
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [(None,)]
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


def test_the_same_pair_joined_on_both_sides(pair: Pair) -> None:
    """Through rows have other numbers on each side, and are one row by what they join."""
    pair.configure("zoo.Tag", "zoo.Tagged")
    tags = [Tag.objects.using(pair.a).create(id=n, name=f"t{n}") for n in (1, 2)]
    Tagged.objects.using(pair.a).create(id=1, name="thing").tags.add(tags[0])
    pair.both()
    Tagged.objects.using(pair.a).get().tags.add(2)
    for alias in (pair.b,):
        Tagged.objects.using(alias).get().tags.clear()
        Tagged.objects.using(alias).get().tags.add(2)
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [("t2",)]
    assert pair.differences() == {}
    assert records(pair.a) == records(pair.b) == []


def test_deletes_with_what_hangs_on_them(pair: Pair) -> None:
    pair.configure("zoo.Parent", "zoo.Child")
    put(pair.a, 1, 2)
    for pk in range(1, 6):
        Child.objects.using(pair.a).create(id=pk, p_id=1)
    pair.both()
    Parent.objects.using(pair.a).get(pk=1).delete()
    report = pair.push()
    assert report.models["zoo.Child"].deleted == 5
    assert report.models["zoo.Parent"].deleted == 1
    assert pair.rows(Parent, "id") == [(2,)]
    assert pair.rows(Child, "id") == []
    assert records(pair.b) == []


def test_a_deletion_loses_against_children_unseen(pair: Pair) -> None:
    pair.configure("zoo.Parent", "zoo.Child")
    put(pair.a, 1)
    pair.both()
    Parent.objects.using(pair.a).get(pk=1).delete()
    Child.objects.using(pair.b).create(id=1, p_id=1, x="unseen")
    pair.both()
    pair.both()
    assert pair.rows(Parent, "id") == [(1,)]
    assert pair.rows(Child, "id", "x") == [(1, "unseen")]
    assert {kind for kind, _, _ in records(pair.a) + records(pair.b)} == {"deletion lost"}
    assert pair.differences() == {}


# ---------------------------------------------------------------------- rows that stay home


def test_rows_that_stay_home_go_with_their_parent(pair: Pair) -> None:
    """Their own on_delete holds; they are counted and recorded whole."""
    pair.configure("zoo.Parent")
    put(pair.a, 1, 2)
    pair.push()
    for pk in (1, 2):
        Child.objects.using(pair.b).create(id=pk, p_id=1, x=f"c{pk}", e="home")
    Parent.objects.using(pair.a).get(pk=1).delete()
    pair.push()
    assert pair.rows(Parent, "id") == [(2,)]
    assert pair.rows(Child, "id", alias=pair.b) == []
    record = Conflict.objects.using(pair.b).get()
    assert record.model == "zoo.Parent"
    assert '"c1"' in record.cascade
    assert '"home"' in record.cascade
    assert '"c2"' in record.cascade


def test_too_many_that_stay_home(pair: Pair) -> None:
    pair.configure("zoo.Parent", MAX_CASCADE=2)
    put(pair.a, 1)
    pair.push()
    for pk in range(3):
        Child.objects.using(pair.b).create(id=pk, p_id=1)
    Parent.objects.using(pair.a).get(pk=1).delete()
    report = pair.push()
    assert report.status == "incomplete"
    assert waiting(pair.b) == [("zoo.Parent", "[1]", "protected")]
    assert pair.rows(Parent, "id", alias=pair.b) == [(1,)]
    assert len(pair.rows(Child, "id", alias=pair.b)) == 3
    Child.objects.using(pair.b).filter(pk=0).delete()
    report = pair.push()
    assert report.status == "ok"
    assert waiting(pair.b) == []
    assert pair.rows(Parent, "id") == []


@pytest.mark.parametrize("rule", [models.PROTECT, models.RESTRICT])
def test_a_row_that_stays_home_protects(pair: Pair, rule: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Child._meta.get_field("p").remote_field, "on_delete", rule)
    pair.configure("zoo.Parent")
    put(pair.a, 1, 2)
    pair.push()
    Child.objects.using(pair.b).create(id=1, p_id=1)
    sql(pair.a, "DELETE FROM zoo_parent")
    report = pair.push()
    assert report.status == "incomplete"
    assert report.models["zoo.Parent"].quarantined == 1
    assert report.models["zoo.Parent"].deleted == 1
    assert waiting(pair.b) == [("zoo.Parent", "[1]", "protected")]
    assert pair.rows(Parent, "id", alias=pair.b) == [(1,)]


def test_a_row_that_stays_home_is_set_to_null(pair: Pair) -> None:
    """SelfRef stays home where only its parents are listed: here by way of Wide, whose key may be null."""
    from tests.zoo.models import Wide

    pair.configure("zoo.Parent")
    field = Wide._meta.get_field("parent").remote_field
    before, field.on_delete = field.on_delete, models.SET_NULL
    try:
        put(pair.a, 1)
        pair.push()
        Wide.objects.using(pair.b).create(id=1, number="1", parent_id=1, placed="2026-01-01T00:00:00Z")
        Parent.objects.using(pair.a).get(pk=1).delete()
        pair.push()
    finally:
        field.on_delete = before
    assert pair.rows(Parent, "id") == []
    assert list(Wide.objects.using(pair.b).values_list("id", "parent")) == [(1, None)]


# ---------------------------------------------------------------------- references to what is not synchronised


def test_a_reference_to_a_model_that_stays_home(pair: Pair) -> None:
    """It is resolved where such a row stands, else quarantined with that reason; when the row comes, it leaves."""
    pair.configure("zoo.Child")
    put(pair.a, 1, 2)
    put(pair.b, 1)
    Child.objects.using(pair.a).create(id=1, p_id=1)
    Child.objects.using(pair.a).create(id=2, p_id=2)
    report = pair.push()
    assert report.status == "incomplete"
    assert report.models["zoo.Child"].quarantined == 1
    assert pair.rows(Child, "id", "p", alias=pair.b) == [(1, 1)]
    assert waiting(pair.b) == [("zoo.Child", "[2]", "parent")]
    put(pair.b, 2)
    assert pair.push().status == "ok"
    assert pair.rows(Child, "id", "p") == [(1, 1), (2, 2)]
    assert waiting(pair.b) == []


# ---------------------------------------------------------------------- unique values


def test_unique_values_are_swapped_and_rotated(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    for pk, value in ((1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")):
        put(pair.a, pk, u=value)
    pair.both()
    with transaction.atomic(using=pair.a):
        Parent.objects.using(pair.a).update(u=None)
        for pk, value in ((1, "b"), (2, "a"), (3, "d"), (4, "e"), (5, "c")):
            Parent.objects.using(pair.a).filter(pk=pk).update(u=value)
    report = pair.push()
    assert report.models["zoo.Parent"].updated == 5
    assert pair.rows(Parent, "id", "u") == [(1, "b"), (2, "a"), (3, "d"), (4, "e"), (5, "c")]


def test_a_rotation_across_batches(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    for pk in range(1, 8):
        put(pair.a, pk, u=f"v{pk}")
    pair.both()
    with transaction.atomic(using=pair.a):
        Parent.objects.using(pair.a).update(u=None)
        for pk in range(1, 8):
            Parent.objects.using(pair.a).filter(pk=pk).update(u=f"v{pk % 7 + 1}")
    report = pair.push(batch_size=2)
    assert report.status == "ok"
    assert pair.rows(Parent, "id", "u") == [(pk, f"v{pk % 7 + 1}") for pk in range(1, 8)]
    assert waiting(pair.b) == []


def test_a_unique_value_born_on_both_sides(pair: Pair) -> None:
    """The quarantine names the row in the way, and the row leaves by itself when that is mended."""
    pair.configure("zoo.Parent")
    put(pair.a, 1, u="same")
    put(pair.b, 2, u="same")
    report = pair.push()
    assert report.status == "incomplete"
    assert waiting(pair.b) == [("zoo.Parent", "[1]", "unique")]
    from peersync.models import Quarantine

    found = Quarantine.objects.using(pair.b).get()
    assert "same" in found.detail
    assert "2" in found.detail or "2" in found.needs
    assert found.listed
    pair.pull()
    assert waiting(pair.a) == [("zoo.Parent", "[2]", "unique")]
    Parent.objects.using(pair.b).filter(pk=2).update(u="another")
    pair.both()
    assert pair.rows(Parent, "id", "u") == [(1, "same"), (2, "another")]
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def test_a_table_that_nobody_knows_refers_to_a_deleted_row(pair: Pair) -> None:
    """Left over from an app that was removed: the reference is looked at by the database alone, and at the commit."""
    pair.configure("zoo.Parent")
    put(pair.a, 1, 2, 3)
    pair.push()
    reference = "p bigint REFERENCES zoo_parent (id) DEFERRABLE INITIALLY DEFERRED"
    sql(pair.b, f"CREATE TABLE left_over (id integer PRIMARY KEY, {reference})")
    try:
        sql(pair.b, "INSERT INTO left_over VALUES (1, 1)")
        Parent.objects.using(pair.a).filter(pk__in=(1, 2)).delete()
        Parent.objects.using(pair.a).filter(pk=3).update(x="edited")
        put(pair.a, 4)
        report = pair.push()
        assert report.status == "incomplete"
        assert pair.rows(Parent, "id", "x", alias=pair.b) == [(1, ""), (3, "edited"), (4, "")]
        assert [(model, key, reason) for model, key, reason in waiting(pair.b)] == [("zoo.Parent", "[1]", "constraint")]
        put(pair.a, 5)
        assert pair.push().models["zoo.Parent"].created == 1
        sql(pair.b, "DELETE FROM left_over")
        assert pair.push().status == "ok"
        assert pair.rows(Parent, "id") == [(3,), (4,), (5,)]
        assert waiting(pair.b) == []
    finally:
        sql(pair.b, "DROP TABLE left_over")
