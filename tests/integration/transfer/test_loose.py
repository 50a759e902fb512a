"""Foreign keys without a constraint in the database: a row that points at nothing is whole."""

from typing import Any

import pytest

from tests.kin.models import Album, Draft, Log, Page
from tests.support.pairs import Pair, records, sql, waiting

WAYS = ["pk", "origin", ["text"]]


@pytest.fixture(params=[(kind, way) for way in WAYS for kind in ("lite", "pg")], ids=str)
def any_way(request: Any) -> Pair:
    """Pages are numbered otherwise at b, but where their number is their name."""
    kind, identity = request.param
    pair: Pair = request.getfixturevalue(kind)
    models = ("kin.Page", "kin.Log", "kin.Draft", "kin.Album", "kin.Vote")
    pair.configure(*models, IDENTITY=dict.fromkeys(models, identity))
    if identity != "pk":
        sql(pair.b, "INSERT INTO kin_page (id, text) VALUES (700, 'drawn')")
        sql(pair.b, "DELETE FROM kin_page")
    return pair


def page(alias: str, text: str) -> Page:
    return Page.objects.using(alias).create(text=text)


def pointed(alias: str, table: str) -> list[tuple[Any, ...]]:
    """By plain SQL: each row's text, and that of the page it points to."""
    statement = f"SELECT t.text, p.text FROM kin_{table} t LEFT JOIN kin_page p ON p.id = t.page_id ORDER BY 1"
    return sql(alias, statement)


def same(pair: Pair) -> None:
    for table in ("log", "draft"):
        assert pointed(pair.a, table) == pointed(pair.b, table)
    assert pair.differences() == {}
    assert waiting(pair.a) == waiting(pair.b) == []


def test_a_row_that_points_at_nothing_travels(any_way: Pair) -> None:
    pair = any_way
    page(pair.a, "kept")
    page(pair.b, "in the way of a number")
    for number in (1, 55):
        sql(pair.a, "INSERT INTO kin_log (text, page_id) VALUES (%s, %s)", [f"log {number}", number])
        sql(pair.a, "INSERT INTO kin_draft (text, page_id) VALUES (%s, %s)", [f"draft {number}", number])
    sql(pair.a, "INSERT INTO kin_draft (text, page_id) VALUES ('of none', NULL)")
    sql(pair.a, "INSERT INTO kin_vote (text, page_id) VALUES ('vote', 'no such page')")
    pair.push(match="pk")
    assert pointed(pair.b, "draft")[1:] == [("draft 55", None), ("of none", None)]
    assert sql(pair.b, "SELECT page_id FROM kin_vote") == [("no such page",)]
    assert sql(pair.b, "SELECT count(*) FROM kin_draft WHERE page_id IS NULL") == [(1,)]
    pair.pull(match="pk")
    same(pair)
    # it is changed at the other node, and goes on pointing at nothing here too
    Log.objects.using(pair.b).filter(text="log 55").update(text="log 55, seen")
    pair.pull()
    assert sql(pair.a, "SELECT page_id FROM kin_log WHERE text = 'log 55, seen'") == [(55,)]
    same(pair)


def test_a_page_goes_and_its_log_stays(any_way: Pair) -> None:
    """Nobody deletes the log: neither Django, nor peersync; and the page does not come back for it."""
    pair = any_way
    gone, kept = page(pair.a, "gone"), page(pair.a, "kept")
    for one in (gone, kept):
        Log.objects.using(pair.a).create(text=f"made {one}", page=one)
        Draft.objects.using(pair.a).create(text=f"draft of {one}", page=one)
    pair.both()
    Page.objects.using(pair.a).get(text="gone").delete()
    pair.both()
    assert pointed(pair.b, "log") == [("made gone", None), ("made kept", "kept")]
    assert pointed(pair.b, "draft") == [("draft of kept", "kept")]
    same(pair)


def test_both_sides_write_about_a_page_that_one_deletes(any_way: Pair) -> None:
    """A log entry does not bring it back; a draft, which goes with its page, does, as under any foreign key."""
    pair = any_way
    for text in ("logged", "drafted"):
        page(pair.a, text)
    pair.both()
    Page.objects.using(pair.a).all().delete()
    Log.objects.using(pair.b).create(text="late", page=Page.objects.using(pair.b).get(text="logged"))
    Draft.objects.using(pair.b).create(text="late", page=Page.objects.using(pair.b).get(text="drafted"))
    pair.both()
    pair.both()
    assert pointed(pair.a, "log") == [("late", None)]
    assert pointed(pair.a, "draft") == [("late", "drafted")]
    same(pair)


def test_a_page_is_deleted_past_django(any_way: Pair) -> None:
    """Its draft points at nothing where that was done, and so it does at the other node."""
    pair = any_way
    Draft.objects.using(pair.a).create(text="left", page=page(pair.a, "gone"))
    pair.both()
    sql(pair.a, "DELETE FROM kin_page")
    if pair.push().status != "ok":
        pair.both()
    assert sql(pair.b, "SELECT count(*) FROM kin_page") == [(0,)]
    same(pair)


def test_what_it_points_to_arrives_later(any_way: Pair) -> None:
    pair = any_way
    sql(pair.a, "INSERT INTO kin_log (text, page_id) VALUES ('early', 90)")
    sql(pair.a, "INSERT INTO kin_draft (text, page_id) VALUES ('early', 90)")
    pair.both()
    same(pair)
    Page.objects.using(pair.a).create(pk=90, text="late")
    pair.push()
    assert pointed(pair.b, "log") == pointed(pair.b, "draft") == [("early", "late")]
    pair.pull()
    same(pair)


def test_pairs_without_a_constraint(lite: Pair) -> None:
    pair = lite
    pair.configure("kin.Page", "kin.Album")
    album = Album.objects.using(pair.a).create(text="a")
    album.pages.add(page(pair.a, "p"))
    sql(pair.a, "INSERT INTO kin_album_pages (album_id, page_id) VALUES (%s, 55)", [album.pk])
    pair.both()
    assert sql(pair.b, "SELECT page_id FROM kin_album_pages ORDER BY 1") == [(1,), (55,)]
    assert pair.differences() == {}
    assert waiting(pair.b) == records(pair.b) == []
