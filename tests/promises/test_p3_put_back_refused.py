"""P3: what stands in the way of putting back is named in a sentence, and nothing is written then."""

from typing import Any

import pytest
from django.db import connections

import peersync
from peersync.errors import Busy, CannotPutBack
from peersync.models import Conflict
from tests.support.databases import contents
from tests.support.pairs import Pair, records, sql
from tests.support.putting import edited_on_both_sides, lost_at_b, settled_and_quiet, the_record
from tests.zoo.models import Child, Parent

# ---------------------------------------------------------------------- what is in the way


def refused(pair: Pair, record: Conflict, words: str, *arguments: Any, **more: Any) -> None:
    """Nothing is written then, and the record is as it was."""
    tables = "zoo.Parent", "zoo.Child", "zoo.Sku"
    before = contents(pair.b, *tables), records(pair.b)
    with pytest.raises(CannotPutBack, match=words):
        peersync.put_back(record, *arguments, **more)
    assert (contents(pair.b, *tables), records(pair.b)) == before
    assert sql(pair.b, "SELECT count(*) FROM peersync_journal") == [(0,)]
    record.refresh_from_db()
    assert record.settled is None


def test_p3_a_parent_that_is_missing(pair: Pair) -> None:
    pair.configure("zoo.Parent", "zoo.Child", CONFLICT={"*": "source"})
    Parent.objects.using(pair.a).create(id=1)
    Child.objects.using(pair.a).create(id=1, p_id=1)
    pair.both()
    Child.objects.using(pair.b).update(x="edited")
    Child.objects.using(pair.a).all().delete()
    Parent.objects.using(pair.a).all().delete()
    pair.push()
    record = the_record(pair, model="zoo.Child")
    refused(
        pair, record, r"zoo\.Child 1 cannot be put back: p points to a row that is not here \(zoo\.Parent 1\)", "local"
    )
    Parent.objects.using(pair.b).create(id=1, x="another")
    peersync.put_back(record, "local")
    pair.both()
    assert pair.rows(Child, "id", "x", "p__x") == [(1, "edited", "another")]
    settled_and_quiet(pair, record)


def test_p3_a_unique_value_that_another_row_holds(pair: Pair) -> None:
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    Parent.objects.using(pair.a).filter(pk=1).update(u=None)
    pair.push()
    Parent.objects.using(pair.b).create(id=2, u="u1")
    pair.both()
    record = the_record(pair)
    refused(pair, record, r"u = u1 is held by another row \(zoo\.Parent 2\)", "local")
    peersync.put_back(record, "local", ["x", "y"])
    pair.both()
    assert pair.rows(Parent, "id", "x", "u") == [(1, "of b", None), (2, "", "u1")]
    settled_and_quiet(pair, record)


def test_p3_what_the_database_refuses(pair: Pair) -> None:
    record = lost_at_b(pair)
    sql(pair.b, "CREATE UNIQUE INDEX zoo_only_one_y ON zoo_parent (y)")
    Parent.objects.using(pair.b).create(id=2, y="b's")
    pair.both()
    refused(pair, record, r"y = b's is held by another row \(zoo\.Parent 2\)", "local")


def test_p3_what_cannot_be_meant(lite: Pair) -> None:
    record = lost_at_b(lite)
    refused(lite, record, "Say which version")
    refused(lite, record, "'winner' is no version", "winner")
    refused(lite, record, "keeps no field 'z'.*It keeps: id, x, y", "local", ["z"])
    with pytest.raises(CannotPutBack, match="no record 999 in the database 'b'"):
        peersync.put_back(999, "local", using="b")
    lite.configure("zoo.Parent", EXCLUDE={"zoo.Parent": ["y"]})
    refused(lite, record, "no synchronised field 'y' any more", "local")
    peersync.put_back(record, "local", ["x"])
    assert lite.rows(Parent, "x", "y", alias="b") == [("of b", "a's")]


def test_p3_a_value_that_does_not_fit_any_more(lite: Pair) -> None:
    record = lost_at_b(lite)
    record.local = str(record.local).replace('"of b"', "17")
    record.save()
    refused(lite, record, r"zoo\.Parent\.x is not of the type text", "local")


def test_p3_single_fields_of_a_row_that_is_gone(lite: Pair) -> None:
    lite.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(lite)
    lite.push()
    Parent.objects.using("b").all().delete()
    lite.both()
    record = the_record(lite)
    refused(lite, record, "is not here any more: single fields", "local", ["x"])
    peersync.put_back(record, "local", {"x": "incoming"})
    lite.both()
    assert lite.rows(Parent, "x", "y") == [("of a", "b's")]


def test_p3_a_deletion_has_no_fields(lite: Pair) -> None:
    lite.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(lite)
    Parent.objects.using("a").all().delete()
    lite.push()
    lite.both()
    refused(lite, the_record(lite), "incoming version of zoo.Parent 1 in record .* is a deletion", "incoming", ["x"])


def test_p3_a_row_that_a_writer_holds(pg_nodes: Any, settings: Any) -> None:
    pair = Pair(settings, "pg_a", "pg_b")
    pair.configure("zoo.Parent", CONFLICT={"*": "source"})
    edited_on_both_sides(pair)
    pair.push()
    record = the_record(pair)
    writer = connections["pg_b"].copy()
    try:
        writer.set_autocommit(False)
        with writer.cursor() as cursor:
            cursor.execute("UPDATE zoo_parent SET x = 'being written' WHERE id = 1")
        with pytest.raises(Busy, match=r"holds zoo\.Parent 1"):
            peersync.put_back(record, "local")
        writer.rollback()
    finally:
        writer.close()
    assert peersync.put_back(record, "local").action == "updated"


# ---------------------------------------------------------------------- looking first


def test_p3_nothing_is_written_over_what_came_in_between(lite: Pair) -> None:
    record = lost_at_b(lite)
    seen = peersync.put_back(record, "local", dry_run=True).seen
    Parent.objects.using("b").update(y="in between")
    lite.both()
    refused(lite, record, "was changed meanwhile", "local", seen=seen)
    seen = peersync.put_back(record, "local", dry_run=True).seen
    assert peersync.put_back(record, "local", seen=seen).action == "updated"
