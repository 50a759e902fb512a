"""Models without a table, or with one that a router keeps elsewhere: they stay at home, and say so."""

import pytest

from peersync import capture
from tests.kin.models import Draft, Ledger, Log, Page
from tests.support.pairs import Pair, sql, waiting

TABLE = """CREATE TABLE ledger (id {number} PRIMARY KEY, text varchar(100) NOT NULL UNIQUE,
 page_id bigint NULL REFERENCES kin_page (id) DEFERRABLE INITIALLY DEFERRED)"""


def make(pair: Pair, alias: str) -> None:
    number = "bigserial" if alias.startswith("pg") else "integer"
    sql(alias, TABLE.format(number=number))
    capture.install(alias)


@pytest.mark.parametrize("kind", ["lite", "pg"])
def test_a_model_without_a_table_stays_at_home(request: pytest.FixtureRequest, kind: str) -> None:
    pair: Pair = request.getfixturevalue(kind)
    pair.configure("kin.Page", "kin.Draft", "kin.Ledger")
    page = Page.objects.using(pair.a).create(text="p")
    report = pair.push()
    assert "kin.Ledger" not in report.models
    assert any("kin.Ledger: left out" in text and "there is no table ledger" in text for text in report.warnings)
    assert pair.differences() == {}
    page.delete()  # nothing is looked for in the table that is not there
    pair.both()
    assert pair.rows(Page, "text") == []
    # one side has it, then both
    make(pair, pair.a)
    Ledger.objects.using(pair.a).create(text="first")
    assert any("kin.Ledger" in text for text in pair.push().warnings)
    make(pair, pair.b)
    assert not any("left out" in text for text in pair.push().warnings)
    Ledger.objects.using(pair.b).create(text="second", page=Page.objects.using(pair.b).create(text="q"))
    pair.both()
    assert pair.rows(Ledger, "text", "page__text") == [("first", None), ("second", "q")]
    for alias in pair.aliases:
        sql(alias, "DROP TABLE ledger")


def test_a_view_is_no_table(lite: Pair) -> None:
    pair = lite
    pair.configure("kin.Page", "kin.Ledger")
    for alias in pair.aliases:
        sql(alias, "CREATE VIEW ledger AS SELECT id, text, id AS page_id FROM kin_page")
    assert any("ledger is a view" in text for text in pair.push().warnings)
    for alias in pair.aliases:
        sql(alias, "DROP VIEW ledger")


class Apart:
    """Pages are in a database of their own, which is not synchronised."""

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: object) -> bool | None:
        return db == "default" if (app_label, model_name) == ("kin", "page") else None


@pytest.mark.parametrize("identity", ["pk", "origin"])
def test_a_row_that_points_into_another_database(lite: Pair, identity: str) -> None:
    """What it holds is a number of that database, and travels as it is."""
    pair = lite
    pair.settings.DATABASE_ROUTERS = [Apart()]
    pair.configure("kin.*", IDENTITY={"*": identity})
    sql(pair.a, "DELETE FROM kin_page")
    sql(pair.a, "INSERT INTO kin_page (id, text) VALUES (5, 'not synchronised')")
    Log.objects.using(pair.a).create(text="l", page_id=5)
    Draft.objects.using(pair.a).create(text="d", page_id=6)
    report = pair.push()
    assert "kin.Page" not in report.models
    pair.pull()
    assert pair.rows(Log, "text", "page_id") == [("l", 5)]
    assert pair.rows(Draft, "text", "page_id") == [("d", 6)]
    assert sql(pair.b, "SELECT count(*) FROM kin_page") == [(0,)]
    assert pair.differences() == {}
    assert waiting(pair.b) == []
