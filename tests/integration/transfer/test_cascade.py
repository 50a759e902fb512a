"""Rows of models that stay home and hang on a row that a peer deletes: what their own on_delete says, recorded whole."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models

import peersync
from peersync.models import Conflict
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import Parent, Sku, SkuNote, Tag, Tagged


def nobody() -> Any:
    return 99


@pytest.fixture
def loop(lite: Pair) -> Iterator[Any]:
    """A model of one node alone, with every way to hang on a row."""

    class Loop(models.Model):
        owner = models.ForeignKey(Parent, models.CASCADE, null=True, related_name="+")
        after = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")
        by_name = models.ForeignKey(Parent, models.SET_NULL, to_field="u", null=True, related_name="+")
        default = models.ForeignKey(Parent, models.SET_DEFAULT, default=99, related_name="+")
        chosen = models.ForeignKey(Parent, models.SET(nobody), default=99, related_name="+")

        class Meta:
            app_label = "zoo"

    lite.configure("zoo.Parent")
    with connections[lite.b].schema_editor() as editor:
        editor.create_model(Loop)
    for pk, u in ((1, "one"), (99, "other")):
        Parent.objects.using(lite.a).create(id=pk, u=u)
    lite.both()
    yield Loop.objects.using(lite.b)
    del apps.all_models["zoo"]["loop"]
    apps.clear_cache()


def deleted_at_a(pair: Pair) -> Conflict:
    sql(pair.a, "DELETE FROM zoo_parent WHERE id = 1")
    assert pair.push().status == "ok"
    assert pair.rows(Parent, "id") == [(99,)]
    return Conflict.objects.using(pair.b).get()


def test_rows_that_hang_on_each_other_in_a_circle(lite: Pair, loop: Any) -> None:
    first = loop.create(id=1, owner_id=1)
    second = loop.create(id=2, after=first)
    loop.filter(pk=1).update(after=second)
    loop.create(id=3, after_id=3)
    loop.create(id=4, owner_id=1, after_id=4)
    record = deleted_at_a(lite)
    assert list(loop.values_list("id", flat=True)) == [3]
    done = peersync.put_back(record, "local")
    assert done.returned == {"zoo.Loop": 3}
    assert list(loop.order_by("id").values_list("id", "owner", "after")) == [
        (1, 1, 2),
        (2, None, 1),
        (3, None, 3),
        (4, 1, 4),
    ]


def test_links_that_were_taken_come_back_where_nothing_took_their_place(lite: Pair, loop: Any) -> None:
    loop.create(id=1, by_name_id="one", default_id=1, chosen_id=1)
    loop.create(id=2, by_name_id="one", owner_id=1)
    loop.create(id=3, by_name_id="one")
    record = deleted_at_a(lite)
    assert list(loop.order_by("id").values_list("id", "by_name", "default", "chosen")) == [
        (1, None, 99, 99),
        (3, None, 99, 99),
    ]
    loop.filter(pk=3).update(by_name="other")
    done = peersync.put_back(record, "local")
    assert list(loop.order_by("id").values_list("id", "owner", "by_name", "default", "chosen")) == [
        (1, None, None, 99, 99),
        (2, 1, "one", 99, 99),
        (3, None, "other", 99, 99),
    ]
    assert done.returned == {"zoo.Loop": 1}
    assert [sentence.split(" points")[0] for sentence in done.left] == ["zoo.Loop 1", "zoo.Loop 3"]


def test_rows_that_only_lose_their_link_are_counted_and_recorded_whole(lite: Pair, loop: Any) -> None:
    loop.create(id=1, by_name_id="one")
    record = deleted_at_a(lite)
    (entry,) = json.loads(record.cascade)
    assert entry == {
        "model": "zoo.Loop",
        "pk": "1",
        "fields": {"id": 1, "owner": None, "after": None, "by_name": 1, "default": 99, "chosen": 99},
        "link": "by_name",
    }
    lite.configure("zoo.Parent", MAX_CASCADE=1)
    Parent.objects.using(lite.a).create(id=2, u="two")
    lite.push()
    for pk in (2, 3):
        loop.create(id=pk, by_name_id="two")
    sql(lite.a, "DELETE FROM zoo_parent WHERE id = 2")
    assert lite.push().status == "incomplete"
    assert waiting(lite.b) == [("zoo.Parent", "[2]", "protected")]
    assert loop.filter(by_name="two").count() == 2


def test_pairs_of_a_field_that_stays_home(pair: Pair) -> None:
    pair.configure("zoo.Tag")
    for name in "xy":
        Tag.objects.using(pair.a).create(name=name)
    pair.both()
    Tagged.objects.using(pair.b).create(id=1, name="thing").tags.set(Tag.objects.using(pair.b).all())
    Tag.objects.using(pair.a).filter(name="x").delete()
    pair.push()
    assert pair.rows(Tagged, "tags__name", alias=pair.b) == [("y",)]
    peersync.put_back(Conflict.objects.using(pair.b).get(), "local")
    assert pair.rows(Tagged, "tags__name", alias=pair.b) == [("x",), ("y",)]
    pair.both()
    assert pair.rows(Tag, "name") == [("x",), ("y",)]
    assert records(pair.a) == []


def test_rows_that_point_to_one_named_by_an_identity(pair: Pair) -> None:
    pair.configure("zoo.Sku", IDENTITY={"zoo.Sku": ["sku"]})
    Sku.objects.using(pair.b).create(id=40, sku="in the way")
    Sku.objects.using(pair.a).create(id=1, sku="one")
    pair.both()
    here = Sku.objects.using(pair.b).get(sku="one")
    SkuNote.objects.using(pair.b).create(id=9, sku=here, text="note")
    Sku.objects.using(pair.a).filter(sku="one").delete()
    pair.push()
    assert pair.rows(SkuNote, "id", alias=pair.b) == []
    peersync.put_back(Conflict.objects.using(pair.b).get(), "local")
    assert pair.rows(SkuNote, "id", "sku__sku", "text", alias=pair.b) == [(9, "one", "note")]
    pair.both()
    assert pair.rows(Sku, "sku") == [("in the way",), ("one",)]
