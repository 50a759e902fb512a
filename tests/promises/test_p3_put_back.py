"""P3: what lost is kept whole, and can be put back; both nodes then hold what was put back, and nothing conflicts again."""

import time
from typing import Any

import pytest
from django.db import models

import peersync
from peersync.errors import CannotPutBack
from peersync.models import Conflict
from tests.integration.transfer.test_fields import EXTREMES, NOON, canonical
from tests.support.pairs import Pair, records
from tests.support.putting import edited_on_both_sides, loser, settled_and_quiet, the_record
from tests.zoo.models import AllFields, Child, Parent, Sku, SkuNote, Tag, Tagged, Wide

# ---------------------------------------------------------------------- conflicts


@pytest.mark.parametrize("policy", ["latest", "source", "target"])
@pytest.mark.parametrize("way", ["push", "pull"])
def test_p3_the_loser_of_a_conflict_is_put_back(pair: Pair, policy: str, way: str) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": policy})
    edited_on_both_sides(pair)
    getattr(pair, way)()
    record = the_record(pair)
    won = Parent.objects.using(record._state.db).get(pk=1)
    done = peersync.put_back(record, loser(record))
    assert done.action == "updated"
    lost = "of b" if won.x == "of a" else "of a"
    assert done.written == {"x": lost, "y": f"{lost[-1]}'s"}
    pair.both()
    assert pair.rows(Parent, "id", "x", "y", "u") == [(1, lost, f"{lost[-1]}'s", "u1")]
    settled_and_quiet(pair, record)


def test_p3_an_edit_that_lost_against_a_deletion_is_put_back(pair: Pair) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    Parent.objects.using(pair.a).filter(pk=1).delete()
    pair.push()
    assert pair.rows(Parent, "id") == []
    record = the_record(pair, kind="conflict")
    done = peersync.put_back(record, "local")
    assert done.action == "created"
    assert done.before is None
    pair.both()
    assert pair.rows(Parent, "id", "x", "y", "u") == [(1, "of b", "b's", "u1")]
    settled_and_quiet(pair, record)


def test_p3_a_deletion_that_lost_is_put_back(pair: Pair) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": "target"})
    edited_on_both_sides(pair)
    Parent.objects.using(pair.a).filter(pk=1).delete()
    pair.push()
    record = the_record(pair, kind="conflict")
    assert record.incoming is None
    assert peersync.put_back(record, "incoming").action == "deleted"
    pair.both()
    assert pair.rows(Parent, "id") == []
    settled_and_quiet(pair, record)


def test_p3_field_by_field(pair: Pair) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    pair.push()
    record = the_record(pair)
    Parent.objects.using(pair.b).filter(pk=1).update(b="later")
    done = peersync.put_back(record, fields={"x": "local", "y": "incoming"})
    assert done.written == {"x": "of b"}
    pair.both()
    assert pair.rows(Parent, "x", "y", "b") == [("of b", "a's", "later")]
    settled_and_quiet(pair, record)
    peersync.put_back(record, "local", ["y"])
    assert pair.rows(Parent, "x", "y", "b", alias=pair.b) == [("of b", "b's", "later")]
    peersync.put_back(record, "incoming", {"b": "local"})
    pair.both()
    assert pair.rows(Parent, "x", "y", "b") == [("of a", "a's", "n")]
    settled_and_quiet(pair, record)


def test_p3_what_is_put_back_over_is_kept_too(pair: Pair) -> None:
    """An edit that came after the record was made is in no record yet: it gets one, which can be put back in turn."""
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    pair.push()
    record = the_record(pair)
    peersync.put_back(record, "local")
    assert records(pair.b) == [("conflict", "zoo.Parent", "incoming")]
    Parent.objects.using(pair.b).filter(pk=1).update(x="written since")
    peersync.put_back(record, "incoming")
    kept = the_record(pair, kind="put back")
    assert kept.settled is not None
    peersync.put_back(kept, "local")
    pair.both()
    assert pair.rows(Parent, "x", "y") == [("written since", "b's")]
    settled_and_quiet(pair, kept)


def test_p3_what_is_put_back_meets_an_edit_of_the_other_side_as_any_change(pair: Pair) -> None:
    """The later one wins, and the other one is recorded."""
    pair.configure("zoo.Parent", CONFLICT={"*": "latest"})
    edited_on_both_sides(pair)
    pair.both()
    record = the_record(pair)
    other = pair.a if record._state.db == pair.b else pair.b
    peersync.put_back(record, loser(record))
    time.sleep(0.01)  # the clocks of the stamps have milliseconds
    Parent.objects.using(other).filter(pk=1).update(x="after it")
    pair.both()
    assert pair.rows(Parent, "x") == [("after it",)]
    assert sum(len(records(alias)) for alias in pair.aliases) == 2
    assert pair.differences() == {}


def test_p3_keeping_what_won_settles_the_record_and_writes_nothing(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    edited_on_both_sides(pair)
    pair.both()
    record = the_record(pair)
    assert peersync.put_back(record, record.winner).action == "nothing"
    for report in pair.both():
        assert report.models["zoo.Parent"].unchanged == 0
    settled_and_quiet(pair, record)


# ---------------------------------------------------------------------- deletions, and what went with them


def row_with_dependents(pair: Pair, monkeypatch: Any) -> None:
    """A parent of b's with rows of models that stay home: two that go with it, one that keeps standing without its link."""
    monkeypatch.setattr(Wide._meta.get_field("parent").remote_field, "on_delete", models.SET_NULL)
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1, x="whole", u="1")
    pair.both()
    for pk in (1, 2):
        Child.objects.using(pair.b).create(id=pk, p_id=1, x=f"child {pk}", e="home")
    Wide.objects.using(pair.b).create(id=7, number="7", parent_id=1, placed=NOON, data={"a": [1, None]})
    Parent.objects.using(pair.a).get(pk=1).delete()
    pair.push()


def test_p3_rows_that_went_with_a_deletion_come_back_with_it(pair: Pair, monkeypatch: Any) -> None:
    row_with_dependents(pair, monkeypatch)
    before = [(1, "child 1", 1, "home"), (2, "child 2", 1, "home")]
    assert pair.rows(Child, "id", alias=pair.b) == []
    assert pair.rows(Wide, "id", "parent", alias=pair.b) == [(7, None)]
    record = the_record(pair)
    done = peersync.put_back(record, "local")
    assert (done.action, done.returned, done.relinked, done.left) == ("created", {"zoo.Child": 2}, {"zoo.Wide": 1}, ())
    assert pair.rows(Child, "id", "x", "p", "e", alias=pair.b) == before
    assert pair.rows(Wide, "id", "parent", "placed", alias=pair.b) == [(7, 1, NOON)]
    pair.both()
    assert pair.rows(Parent, "id", "x", "u") == [(1, "whole", "1")]
    assert pair.rows(Child, "id", alias=pair.a) == []
    settled_and_quiet(pair, record)


def test_p3_a_row_that_stands_again_is_left_alone_and_named(lite: Pair, monkeypatch: Any) -> None:
    row_with_dependents(lite, monkeypatch)
    record = the_record(lite)
    Parent.objects.using(lite.b).create(id=5)
    Child.objects.using(lite.b).create(id=2, p_id=5, x="another one")
    Wide.objects.using(lite.b).update(parent=5)
    done = peersync.put_back(record, "local")
    assert done.returned == {"zoo.Child": 1}
    assert len(done.left) == 2
    assert "zoo.Child 2" in done.left[0]
    assert "zoo.Wide 7" in done.left[1]
    assert lite.rows(Child, "id", "x", "p", alias=lite.b) == [(1, "child 1", 1), (2, "another one", 5)]
    assert lite.rows(Wide, "parent", alias=lite.b) == [(5,)]


def test_p3_the_row_alone(lite: Pair, monkeypatch: Any) -> None:
    row_with_dependents(lite, monkeypatch)
    done = peersync.put_back(the_record(lite), "local", cascade=False)
    assert done.returned == {}
    assert lite.rows(Parent, "id", alias=lite.b) == [(1,)]
    assert lite.rows(Child, "id", alias=lite.b) == []


def test_p3_a_dry_run_says_what_would_be_done(pair: Pair, monkeypatch: Any) -> None:
    row_with_dependents(pair, monkeypatch)
    record = the_record(pair)
    would = peersync.put_back(record, "local", dry_run=True)
    assert pair.rows(Parent, "id", alias=pair.b) == pair.rows(Child, "id", alias=pair.b) == []
    record.refresh_from_db()
    assert record.settled is None
    assert peersync.put_back(record, "local") == would


def test_p3_rows_that_went_are_recorded_to_the_last_digit(pair: Pair) -> None:
    """Microseconds, decimals, floats and JSON, in a model that stays home."""
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1)
    pair.both()
    Wide.objects.using(pair.b).create(
        id=1, number="n", parent_id=1, amount="1234567890.1234", placed=NOON, ratio=0.1 + 0.2, data={"z": [2**60, "ü"]}
    )
    before = pair.rows(Wide, *(f.name for f in Wide._meta.fields), alias=pair.b)
    Parent.objects.using(pair.a).get(pk=1).delete()
    pair.push()
    assert pair.rows(Wide, "id", alias=pair.b) == []
    peersync.put_back(the_record(pair), "local")
    assert pair.rows(Wide, *(f.name for f in Wide._meta.fields), alias=pair.b) == before


def test_p3_a_deletion_takes_nothing_unrecorded_along(pair: Pair) -> None:
    pair.configure("zoo.Parent", "zoo.Child", CONFLICT={"*": "target"})
    edited_on_both_sides(pair)
    Parent.objects.using(pair.a).filter(pk=1).delete()
    pair.push()
    record = the_record(pair, kind="conflict")
    Child.objects.using(pair.b).create(id=1, p_id=1)
    with pytest.raises(CannotPutBack, match=r"1 of zoo\.Child would go with it"):
        peersync.put_back(record, "incoming")
    assert pair.rows(Child, "id", alias=pair.b) == [(1,)]
    done = peersync.put_back(record, "incoming", cascade=True)
    assert done.deleted == {"zoo.Child": 1}
    pair.both()
    assert pair.rows(Parent, "id") == pair.rows(Child, "id") == []
    settled_and_quiet(pair, record)


@pytest.mark.parametrize("side", ["local", "incoming"])
def test_p3_after_a_mirror(pair: Pair, side: Any) -> None:
    """What a mirror deleted or replaced at its target comes back as a change of that target."""
    pair.configure("zoo.Parent")
    Parent.objects.using(pair.a).create(id=1, x="at both")
    pair.both()
    Parent.objects.using(pair.b).create(id=2, x="only at b")
    Parent.objects.using(pair.b).filter(pk=1).update(x="edited at b")
    pair.push(mirror=True)
    assert pair.rows(Parent, "id", "x") == [(1, "at both")]
    for record in Conflict.objects.using(pair.b).filter(kind="mirror"):
        peersync.put_back(record, side)
    pair.both()
    expected = [(1, "edited at b"), (2, "only at b")] if side == "local" else [(1, "at both")]
    assert pair.rows(Parent, "id", "x") == expected
    for record in Conflict.objects.using(pair.b).filter(kind="mirror"):
        settled_and_quiet(pair, record)


def test_p3_fields_that_this_peer_does_not_see_come_back_too(lite: Pair) -> None:
    """What is narrowed for the peer that deleted the row, and travels to others, is gone with the row as well."""
    lite.configure("zoo.Parent", CONFLICT={"*": "source"}, PEERS={lite.b: {"EXCLUDE": {"zoo.Parent": ["y"]}}})
    edited_on_both_sides(lite)
    Parent.objects.using(lite.b).filter(pk=1).delete()
    lite.pull()
    record = the_record(lite, kind="conflict")
    peersync.put_back(record, "local")
    assert lite.rows(Parent, "id", "x", "y", alias=lite.a) == [(1, "of a", "a's")]
    lite.both()
    assert lite.rows(Parent, "id", "x") == [(1, "of a")]


# ---------------------------------------------------------------------- identities and relations


def test_p3_a_row_named_by_an_identity_gets_its_own_number_back(pair: Pair) -> None:
    """And the foreign keys that its record names by keys find the rows that those are here."""
    pair.configure("zoo.Sku", "zoo.SkuNote", IDENTITY={"zoo.Sku": ["sku"]}, CONFLICT={"*": "source"})
    Sku.objects.using(pair.b).create(id=40, sku="in the way")
    Sku.objects.using(pair.a).create(id=1, sku="one", name="base")
    pair.both()
    here = Sku.objects.using(pair.b).get(sku="one")
    SkuNote.objects.using(pair.b).create(id=9, sku=here, text="note")
    pair.both()
    SkuNote.objects.using(pair.b).filter(pk=9).update(text="edited at b")
    Sku.objects.using(pair.b).filter(sku="one").update(name="edited at b")
    SkuNote.objects.using(pair.a).all().delete()
    Sku.objects.using(pair.a).filter(sku="one").delete()
    pair.push()
    assert pair.rows(Sku, "sku", alias=pair.b) == [("in the way",)]
    note, sku = the_record(pair, model="zoo.SkuNote"), the_record(pair, model="zoo.Sku")
    with pytest.raises(CannotPutBack, match=rf"zoo\.Sku one.*Record {sku.pk} keeps that row"):
        peersync.put_back(note, "local")
    assert peersync.put_back(sku, "local").action == "created"
    assert Sku.objects.using(pair.b).get(sku="one").pk == here.pk
    peersync.put_back(note, "local")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("in the way", ""), ("one", "edited at b")]
    assert pair.rows(SkuNote, "id", "sku__sku", "text") == [(9, "one", "edited at b")]
    settled_and_quiet(pair, note)
    settled_and_quiet(pair, sku)


def test_p3_a_row_that_was_deleted_a_moment_ago_gets_its_number_back(pair: Pair) -> None:
    """Nobody has numbered its deletion yet."""
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]}, CONFLICT={"*": "source"})
    Sku.objects.using(pair.b).create(id=40, sku="in the way")
    Sku.objects.using(pair.a).create(id=1, sku="one", name="base")
    pair.both()
    for alias in pair.aliases:
        Sku.objects.using(alias).filter(sku="one").update(name=f"of {alias}")
    pair.push()
    here = Sku.objects.using(pair.b).get(sku="one").pk
    Sku.objects.using(pair.b).filter(sku="one").delete()
    record = the_record(pair)
    peersync.put_back(record, "local")
    assert Sku.objects.using(pair.b).get(sku="one").pk == here
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("in the way", ""), ("one", f"of {pair.b}")]
    settled_and_quiet(pair, record)


def test_p3_a_number_that_another_row_has_by_now(lite: Pair) -> None:
    """It counts as the same row, renamed; but nobody writes over that without having seen it."""
    lite.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]}, CONFLICT={"*": "source"})
    Sku.objects.using(lite.a).create(id=1, sku="one")
    lite.both()
    Sku.objects.using(lite.b).update(name="edited")
    Sku.objects.using(lite.a).all().delete()
    lite.push()
    Sku.objects.using(lite.b).create(id=1, sku="two", name="another")
    record = the_record(lite, model="zoo.Sku")
    with pytest.raises(CannotPutBack, match=r"zoo\.Sku one is called two now"):
        peersync.put_back(record, "local")
    assert lite.rows(Sku, "sku", "name", alias="b") == [("two", "another")]
    peersync.put_back(record, "local", seen=peersync.put_back(record, "local", dry_run=True).seen)
    lite.both()
    assert lite.rows(Sku, "sku", "name") == [("one", "edited")]
    assert '"another"' in str(the_record(lite, kind="put back").local)
    settled_and_quiet(lite, record)


def test_p3_names_that_were_changed_on_both_sides(pair: Pair) -> None:
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]}, CONFLICT={"*": "source"})
    Sku.objects.using(pair.a).create(id=1, sku="old", name="n")
    pair.both()
    Sku.objects.using(pair.b).update(sku="of b")
    Sku.objects.using(pair.a).update(sku="of a")
    pair.push()
    assert pair.rows(Sku, "sku") == [("of a",)]
    record = the_record(pair)
    peersync.put_back(record, "local")
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("of b", "n")]
    settled_and_quiet(pair, record)
    Sku.objects.using(pair.b).update(sku="renamed since")
    Sku.objects.using(pair.b).create(sku="of b", name="another row")
    seen = peersync.put_back(record, "incoming", dry_run=True).seen
    with pytest.raises(CannotPutBack, match="held by another row"):
        peersync.put_back(record, "local", seen=seen)
    with pytest.raises(CannotPutBack, match="is called renamed since now"):
        peersync.put_back(record, "incoming")
    peersync.put_back(record, "incoming", seen=seen)
    pair.both()
    assert pair.rows(Sku, "sku", "name") == [("of a", "n"), ("of b", "another row")]
    settled_and_quiet(pair, record)


def test_p3_a_pair_of_a_many_to_many_field(pair: Pair) -> None:
    pair.configure("zoo.Tag", "zoo.Tagged", CONFLICT={"*": "source"})
    tag = Tag.objects.using(pair.a).create(id=1, name="t")
    Tagged.objects.using(pair.a).create(id=1, name="thing").tags.add(tag)
    pair.both()
    Tagged.objects.using(pair.a).get().tags.clear()
    for alias in pair.aliases:
        Tagged.objects.using(alias).update(name=f"of {alias}")
    Tagged.objects.using(pair.b).get().tags.clear()
    Tagged.objects.using(pair.b).get().tags.add(Tag.objects.using(pair.b).get())
    pair.push()
    record = the_record(pair, model="zoo.Tagged_tags")
    peersync.put_back(record, "local")
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [("t",)]
    settled_and_quiet(pair, record)
    peersync.put_back(record, "incoming")
    pair.both()
    assert pair.rows(Tagged, "tags__name") == [(None,)]
    settled_and_quiet(pair, record)


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize("gone", [False, True])
def test_p3_every_type_comes_back_to_the_last_digit(pair: Pair, gone: bool) -> None:
    pair.configure("zoo.AllFields", CONFLICT={"*": "source"})
    for pk in range(len(EXTREMES)):
        AllFields.objects.using(pair.a).create(id=pk)
    pair.both()
    for pk, values in enumerate(EXTREMES):
        AllFields.objects.using(pair.b).filter(pk=pk).update(
            slug="of-b", **{k: v for k, v in values.items() if k != "slug"}
        )
    if gone:
        AllFields.objects.using(pair.a).all().delete()
    else:
        AllFields.objects.using(pair.a).update(slug="of-a", text="x", big=7, json={}, datetime=NOON)
    pair.push()
    kept = list(Conflict.objects.using(pair.b).filter(kind="conflict"))
    assert len(kept) == len(EXTREMES)
    for record in kept:
        peersync.put_back(record, "local")
    pair.both()
    names = [f.name for f in AllFields._meta.fields]
    for alias in pair.aliases:
        found = AllFields.objects.using(alias).order_by("id").values(*names)
        for given, got in zip(EXTREMES, found, strict=True):
            for name, value in {**given, "slug": "of-b"}.items():
                assert canonical(got[name]) == canonical(value), (alias, name)
    settled_and_quiet(pair, kept[0])
