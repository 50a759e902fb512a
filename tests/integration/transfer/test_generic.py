"""Generic foreign keys: the object id is translated where each node numbers the row for itself."""

import uuid
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models
from django.test.utils import CaptureQueriesContext

from peersync.models import Origin
from peersync.registry import registry
from tests.generic.models import (
    Article,
    Home,
    Label,
    LateOrder,
    LateReply,
    Mark,
    Note,
    Order,
    Page,
    Plain,
    Remark,
    Reply,
    Rush,
)
from tests.integration.fields.ways import carry
from tests.support.pairs import Pair, waiting

MODELS = ["generic.*", "!generic.Home"]
IDENTITY = {"generic.Order": "origin", "generic.Article": ["sku"], "generic.Page": ["slug"], "generic.Plain": "pk"}
IDENTITY |= dict.fromkeys(
    ("generic.Note", "generic.Remark", "generic.Label", "generic.Mark", "generic.Reply"), "origin"
)
ON_BOTH = pytest.mark.parametrize("node_kind", ["sqlite", "postgres"], indirect=True)
ACROSS = pytest.mark.parametrize("node_kind", ["sqlite", "postgres", "mixed"], indirect=True)
NAMES: dict[type[models.Model], str] = {Order: "name", Article: "sku", Page: "slug", Plain: "name", Note: "text"}


@pytest.fixture
def node_kind(request: pytest.FixtureRequest) -> str:
    """Those that are not about SQL run on one kind."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure(*MODELS, IDENTITY=IDENTITY, MATCH={"*": "never"})
    for number in range(3):
        # the same numbers mean other rows on the other side
        Order.objects.using(pair.b).create(name=f"of b {number}")
        Article.objects.using(pair.b).create(sku=f"of b {number}")
    types = list(ContentType.objects.using(pair.b).filter(app_label="generic"))
    for one in types:
        one.delete(using=pair.b)
    ContentType.objects.using(pair.b).bulk_create(
        ContentType(id=1000 + number, app_label="generic", model=one.model) for number, one in enumerate(types)
    )
    ContentType.objects.clear_cache()


def kind(alias: str, model: type[models.Model]) -> ContentType:
    return ContentType.objects.db_manager(alias).get(app_label="generic", model=model._meta.model_name)


def put(alias: str, model: type[Any], text: str, about: models.Model | None, **more: Any) -> Any:
    """A row of ``model`` that points to this one."""
    if about is not None:
        more = {"content_type": kind(alias, type(about)), "object_id": about.pk, **more}
    return model.objects.using(alias).create(text=text, **more)


def said(alias: str, model: type[Any]) -> list[tuple[str, str, str]]:
    """Text, kind of the target, and what that is called here, by plain queries."""
    found = []
    for row in model._base_manager.using(alias).order_by("text"):
        target: Any = None if row.content_type_id is None else row.content_type.model_class()
        base = None if target is None else target._meta.get_parent_list()[-1:] or [target._meta.concrete_model]
        rows = [] if base is None or row.object_id in (None, "") else base[0]._base_manager.using(alias)
        name = NAMES.get(base[0], "pk") if base else ""
        stands = rows and rows.filter(pk=row.object_id).values_list(name, flat=True).first()
        called = str(stands) if stands else f"nothing at {row.object_id!r}"
        found.append((row.text, row.content_type.model if target else "", called))
    return found


def settled(pair: Pair, *checked: type[models.Model]) -> None:
    assert waiting(pair.a) == waiting(pair.b) == []
    for model in checked:
        assert said(pair.a, model) == said(pair.b, model)
    assert pair.differences() == {}


@ACROSS
def test_a_number_becomes_the_number_of_the_same_row(pair: Pair) -> None:
    order = Order.objects.using(pair.a).create(name="of a")
    article = Article.objects.using(pair.a).create(sku="of a")
    plain = Plain.objects.using(pair.a).create(name="plain")
    for model in (Note, Remark, Label):
        put(pair.a, model, "order", order)
        put(pair.a, model, "article", article)
        put(pair.a, model, "plain", plain)
    pair.both()
    for model in (Note, Remark, Label):
        assert said(pair.b, model) == [
            ("article", "article", "of a"),
            ("order", "order", "of a"),
            ("plain", "plain", "plain"),
        ]
    settled(pair, Note, Remark, Label)
    assert Order.objects.using(pair.b).get(name="of a").pk != order.pk
    report = pair.push()
    assert not any(one.created or one.updated or one.conflicts for one in report.models.values())


@ACROSS
def test_uuids_children_and_proxies(pair: Pair) -> None:
    Page.objects.using(pair.b).create(slug="same")
    page = Page.objects.using(pair.a).create(slug="same")
    late = LateOrder.objects.using(pair.a).create(name="late")
    put(pair.a, Mark, "by uuid", page)
    put(pair.a, Label, "by text", page)
    put(pair.a, Note, "child", late)
    put(pair.a, Note, "proxy", Rush.objects.using(pair.a).create(name="rush"))
    pair.both()
    here = Page.objects.using(pair.b).get()
    assert here.pk != page.pk
    assert Mark.objects.using(pair.b).get().object_id == here.pk
    assert Label.objects.using(pair.b).get().object_id == str(here.pk)
    assert said(pair.b, Note) == [("child", "lateorder", "late"), ("proxy", "rush", "rush")]
    settled(pair, Mark, Label, Note)


@ACROSS
def test_empty_ones_and_those_that_point_outside_travel_as_they_are(pair: Pair) -> None:
    home = Home.objects.using(pair.a).create(name="stays")
    put(pair.a, Note, "1 nothing", None)
    put(pair.a, Note, "2 kind only", None, content_type=kind(pair.a, Order))
    put(pair.a, Note, "3 number only", None, object_id=7)
    put(pair.a, Note, "4 outside", home)
    put(pair.a, Note, "5 nowhere", None, content_type=kind(pair.a, Order), object_id=4711)
    put(pair.a, Label, "1 empty", None)
    put(pair.a, Label, "2 empty", None, content_type=kind(pair.a, Order))
    put(pair.a, Label, "3 no number", None, content_type=kind(pair.a, Order), object_id="none such")
    put(pair.a, Mark, "1 empty", None, content_type=kind(pair.a, Page))
    put(pair.a, Mark, "2 nowhere", None, content_type=kind(pair.a, Page), object_id=uuid.UUID(int=5))
    pair.both()
    for model in (Note, Label, Mark):
        here, there = (pair.rows(model, "text", "content_type__model", "object_id", alias=one) for one in pair.aliases)
        assert here == there
        assert here
    assert pair.differences() == {}
    assert waiting(pair.b) == []


@ON_BOTH
def test_what_points_nowhere_points_nowhere_on_the_other_side_too(pair: Pair) -> None:
    """Under its number another row stands there: it must not become that one's."""
    taken = Order.objects.using(pair.b).first()
    assert taken is not None
    for model in (Note, Remark, Label):
        put(pair.a, model, "nowhere", None, content_type=kind(pair.a, Order), object_id=taken.pk)
    pair.push()
    assert Note.objects.using(pair.b).get().object_id is None
    assert Remark.objects.using(pair.b).get().object_id == 0
    assert Label.objects.using(pair.b).get().object_id == ""
    assert set(pair.differences()) <= {"generic.Order", "generic.Article"}  # those rows of b are not at a
    Note.objects.using(pair.b).update(text="edited")
    pair.pull(models=["generic.Note"])
    pair.push()
    assert pair.rows(Note, "text") == [("edited",)]
    assert set(pair.differences()) <= {"generic.Order", "generic.Article"}
    assert waiting(pair.a) == waiting(pair.b) == []


def test_it_waits_for_its_row(pair: Pair) -> None:
    order = Order.objects.using(pair.a).create(name="of a")
    put(pair.a, Note, "early", order)
    pair.push(models=["generic.Note", "contenttypes.ContentType"])
    assert [(model, reason) for model, _, reason in waiting(pair.b)] == [("generic.Note", "parent")]
    assert not Note.objects.using(pair.b).exists()
    pair.push()
    assert said(pair.b, Note) == [("early", "order", "of a")]
    pair.pull()
    settled(pair, Note)


@ON_BOTH
def test_it_is_asked_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that is pointed to comes in a later batch of the same transfer, after the one that points to it."""
    pair.push()
    order = Order.objects.using(pair.a).create(name="of a")
    put(pair.a, Note, "early", order)
    Order.objects.using(pair.a).filter(pk=order.pk).update(name="renamed")  # now it stands behind the note in the feed
    pair.push(batch_size=1)
    assert said(pair.b, Note) == [("early", "order", "renamed")]
    pair.pull()
    settled(pair, Note)


def test_rows_that_point_at_rows_of_their_own_model(pair: Pair) -> None:
    first = put(pair.a, Note, "0", Order.objects.using(pair.a).create(name="of a"))
    put(pair.b, Note, "b", None)
    for number in range(1, 20):
        first = put(pair.a, Note, f"{number:02}", first)
    one, two = put(pair.a, Note, "round", None), put(pair.a, Note, "and round", None)
    for row, about in ((one, two), (two, one)):
        Note.objects.using(pair.a).filter(pk=row.pk).update(content_type=kind(pair.a, Note), object_id=about.pk)
    pair.both()
    settled(pair, Note)
    assert ("round", "note", "and round") in said(pair.b, Note)


@ON_BOTH
def test_edits_and_deletions_of_both(pair: Pair) -> None:
    one, two, three = (Order.objects.using(pair.a).create(name=name) for name in ("one", "two", "three"))
    note = put(pair.a, Note, "moves", one)
    put(pair.a, Note, "goes along", two)
    put(pair.a, Remark, "is left", three)
    pair.both()
    Note.objects.using(pair.b).filter(text="moves").update(object_id=Order.objects.using(pair.b).get(name="two").pk)
    pair.both()
    assert said(pair.a, Note) == [("goes along", "order", "two"), ("moves", "order", "two")]
    Note.objects.using(pair.a).filter(pk=note.pk).update(object_id=one.pk)
    two.delete()  # with its notes
    number = Remark.objects.using(pair.b).get().object_id
    three.delete()  # its remark points nowhere now, under different numbers on the two sides
    pair.both()
    settled(pair, Note)
    assert said(pair.b, Note) == [("moves", "order", "one")]
    Remark.objects.using(pair.a).update(text="edited")
    pair.both()
    assert pair.rows(Remark, "text") == [("edited",)]
    assert Remark.objects.using(pair.b).get().object_id == number
    assert pair.differences() == {}
    assert waiting(pair.b) == []


@ON_BOTH
def test_unique_pairs_that_swap(pair: Pair) -> None:
    pages = [Page.objects.using(pair.a).create(slug=slug) for slug in ("x", "y")]
    Page.objects.using(pair.b).create(slug="y")
    rows = [put(pair.a, Mark, page.slug, page) for page in pages]
    pair.both()
    Mark.objects.using(pair.a).filter(pk=rows[0].pk).update(object_id=None)
    Mark.objects.using(pair.a).filter(pk=rows[1].pk).update(object_id=pages[0].pk)
    Mark.objects.using(pair.a).filter(pk=rows[0].pk).update(object_id=pages[1].pk)
    pair.both()
    settled(pair)
    here = Page.objects.using(pair.b).in_bulk()
    assert {(m.text, here[m.object_id].slug) for m in Mark.objects.using(pair.b)} == {("x", "y"), ("y", "x")}


def test_a_renamed_target_and_repair(pair: Pair) -> None:
    article = Article.objects.using(pair.a).create(sku="old")
    put(pair.a, Note, "on it", article)
    pair.both()
    Article.objects.using(pair.a).filter(sku="old").update(sku="new")
    Note.objects.using(pair.b).update(text="on it still")
    pair.both()
    assert said(pair.a, Note) == said(pair.b, Note) == [("on it still", "article", "new")]
    settled(pair, Note)


def test_the_source_does_not_know_that_the_target_was_renamed_here(pair: Pair) -> None:
    put(pair.a, Note, "on it", Article.objects.using(pair.a).create(sku="old"))
    pair.both()
    Article.objects.using(pair.b).filter(sku="old").update(sku="new")
    Note.objects.using(pair.a).update(text="edited")
    pair.push()
    assert waiting(pair.b) == []
    pair.both()
    assert said(pair.a, Note) == [("edited", "article", "new")]
    settled(pair, Note)


def test_what_is_pointed_to_is_written_first_where_it_can_be(pair: Pair) -> None:
    rank = registry().rank
    assert rank["generic.Note"] > max(rank[f"generic.{name}"] for name in ("Order", "LateOrder", "Article", "Page"))
    assert rank["generic.Reply"] > rank["generic.Note"]
    pair.push()
    first = put(pair.a, Note, "first", None)
    put(pair.a, Note, "second", Reply.objects.using(pair.a).create(note=first))
    with CaptureQueriesContext(connections[pair.b]) as wrote:
        pair.push()
    assert not any("ROLLBACK" in query["sql"] for query in wrote)  # nothing was tried that could not be
    assert said(pair.b, Note) == [("first", "", "nothing at None"), ("second", "reply", said(pair.b, Note)[1][2])]
    assert Note.objects.using(pair.b).get(text="second").object_id == Reply.objects.using(pair.b).get().pk
    pair.pull()
    settled(pair)


@ON_BOTH
@pytest.mark.parametrize("model", [Reply, LateReply])
def test_rows_that_point_at_each_other(pair: Pair, model: type[Reply]) -> None:
    """As a page and its latest revision do: neither could be written first."""
    pair.push()
    for name in "ab":
        note = put(pair.a, Note, name, None)
        reply = model.objects.using(pair.a).create(note=note)
        Note.objects.using(pair.a).filter(pk=note.pk).update(content_type=kind(pair.a, model), object_id=reply.pk)
    pair.push()
    assert waiting(pair.b) == []
    for note in Note.objects.using(pair.b).filter(text__in="ab"):
        assert model.objects.using(pair.b).get(pk=note.object_id).note_id == note.pk
    assert model.objects.using(pair.b).count() == 2
    pair.pull()
    settled(pair)


@ON_BOTH
def test_ten_times_the_rows_cost_the_same_queries(pair: Pair) -> None:
    counts = []
    for rows in (30, 300):
        orders = Order.objects.using(pair.a).bulk_create([Order(name=f"{rows}.{n}") for n in range(rows)])
        of = kind(pair.a, Order)
        Note.objects.using(pair.a).bulk_create([Note(text="n", content_type=of, object_id=o.pk) for o in orders])
        with CaptureQueriesContext(connections[pair.a]) as read, CaptureQueriesContext(connections[pair.b]) as wrote:
            pair.push()
        counts.append(len(read) + len(wrote))
    assert Note.objects.using(pair.b).count() == 330
    assert counts[1] <= counts[0]  # the first one is a first contact


def test_through_the_bytes_of_the_wire(pair: Pair) -> None:
    article = Article.objects.using(pair.a).create(sku="of a")
    put(pair.a, Note, "on it", article)
    put(pair.a, Note, "nowhere", None, content_type=kind(pair.a, Article), object_id=4711)
    carry(pair.a, pair.b, "wire")
    assert said(pair.b, Note) == [("nowhere", "article", "nothing at 4711"), ("on it", "article", "of a")]


def test_under_merge_each_field_counts(lite: Pair) -> None:
    lite.configure(*MODELS, IDENTITY=IDENTITY, MATCH={"*": "never"}, CONFLICT={"*": "merge"})
    one, two = (Order.objects.using("a").create(name=name) for name in ("one", "two"))
    put("a", Note, "text", one)
    lite.both()
    Note.objects.using("a").update(object_id=two.pk)
    Note.objects.using("b").update(text="edited")
    lite.both()
    assert said("b", Note) == [("edited", "order", "two")]
    settled(lite, Note)


class TestFilter:
    """Orders that begin with "x" are not the peer's."""

    @pytest.fixture(autouse=True)
    def _filtered(self, _configured: None, lite: Pair) -> None:
        lite.configure(
            *MODELS,
            IDENTITY=IDENTITY,
            MATCH={"*": "never"},
            PEERS={"b": {"FILTER": {"generic.Order": {"name__startswith": "of"}}}},
        )

    def test_no_row_out_of_view_is_named(self, lite: Pair) -> None:
        hidden = Order.objects.using("a").create(name="x hidden")
        for model in (Note, Remark, Label):
            put("a", model, "on it", hidden)
        lite.push()
        assert not Order.objects.using("b").filter(name="x hidden").exists()
        found = [model.objects.using("b").get().object_id for model in (Note, Remark, Label)]
        assert found == [None, 0, ""]
        Note.objects.using("b").update(text="edited")
        lite.pull()
        assert said("a", Note) == [("edited", "order", "x hidden")]

    def test_a_peer_may_not_point_to_what_it_was_never_shown(self, lite: Pair) -> None:
        hidden = Order.objects.using("a").create(name="x hidden")
        lite.push()
        mark = Origin.objects.using("a").get(model="generic.Order", local=hidden.pk)
        there = Order.objects.using("b").create(name="made up")
        lite.push()
        Origin.objects.using("b").filter(model="generic.Order", local=there.pk).delete()
        Origin.objects.using("b").create(
            model="generic.Order", local=there.pk, origin=mark.origin, there=mark.there, main=True
        )
        put("b", Note, "probe", there)
        lite.pull(models=["generic.Note"])
        assert not Note.objects.using("a").exists()
