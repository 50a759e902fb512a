"""A first contact over a network of tables that both sides numbered: it asks what rows of one number are."""

from typing import Any

import pytest

from peersync.errors import Forbidden, MatchNeeded
from peersync.models import Baseline, Conflict
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options, TransferReport
from peersync.transfer import Transfer
from tests.support.api import everything
from tests.support.pairs import Pair, sql
from tests.zoo.models import Born, BornChild, SelfRef

MODELS = ("zoo.Born", "zoo.BornChild")
BOTH = {"by origin": dict.fromkeys(MODELS, "origin"), "by number": {}}


class Remote(DatabaseReplica):
    """As :class:`peersync.replicas.http.HttpReplica` is: no copy of this node's database, for all that is known."""

    remote = True


class Closed(Remote):
    """With a token for pushing alone."""

    def rows(self, *args: Any) -> Any:
        raise Forbidden("The token does not open this.")


def carry(source: str, target: str, kind: type[DatabaseReplica] = Remote, **options: Any) -> TransferReport:
    """From here to a remote one."""
    one, other = DatabaseReplica(source, peer=target), kind(target, peer=source)
    return Transfer(one, other, options=Options(**options)).run()


def stood(alias: str, differing: int, equal: int = 70) -> None:
    """So many rows differ under one number between the two sides, and so many are equal."""
    for number in range(1, equal + differing + 1):
        text = f"{number}" if number <= equal else f"{number} at {alias}"
        Born.objects.using(alias).create(id=number, tag=number, x=text)
    for table in ("journal", "rowstate", "origin"):
        sql(alias, f"DELETE FROM peersync_{table}")


@pytest.fixture(params=BOTH)
def identity(request: pytest.FixtureRequest, pair: Pair) -> str:
    pair.configure(*MODELS, IDENTITY=BOTH[request.param])
    return str(request.param)


@pytest.mark.parametrize("kind", [Remote, Closed])
def test_too_many_rows_differ(pair: Pair, identity: str, kind: type[DatabaseReplica]) -> None:
    for alias in pair.aliases:
        stood(alias, 11)
    before = Born.objects.using(pair.b).count(), list(Conflict.objects.using(pair.b).values())
    error = carry(pair.a, pair.b, kind).error
    assert isinstance(error, MatchNeeded)
    assert "zoo.Born" in str(error)
    assert "--match pk" in str(error)
    assert ("--match content" in str(error)) is (identity == "by origin")
    assert "origin" in str(error) or identity == "by origin"
    assert (Born.objects.using(pair.b).count(), list(Conflict.objects.using(pair.b).values())) == before
    assert not Baseline.objects.using(pair.b).exists()


def test_nothing_at_all_is_written_before_the_question(pair: Pair, identity: str) -> None:
    """Of the models that come before it neither: the question is asked first."""
    for alias in pair.aliases:
        stood(alias, 1, equal=1)
        for number in range(20):
            BornChild.objects.using(alias).create(id=number + 1, tag=number, x=alias, p_id=1)
        for table in ("journal", "rowstate", "origin"):
            sql(alias, f"DELETE FROM peersync_{table}")
    assert carry(pair.a, pair.b, dry_run=True).error is None
    before = {table: rows for table, rows in everything(pair.b).items() if table.startswith("zoo_")}
    error = carry(pair.a, pair.b).error
    assert isinstance(error, MatchNeeded)
    assert "zoo.BornChild" in str(error)
    assert {table: rows for table, rows in everything(pair.b).items() if table.startswith("zoo_")} == before


def test_ten_may_differ(pair: Pair, identity: str) -> None:
    for alias in pair.aliases:
        stood(alias, 10)
    report = carry(pair.a, pair.b)
    assert report.error is None
    assert report.models["zoo.Born"].conflicts == 10


def test_whoever_says_what_they_are_goes_on(pair: Pair, identity: str) -> None:
    for alias in pair.aliases:
        stood(alias, 11)
    report = carry(pair.a, pair.b, match="pk")
    assert report.error is None
    assert report.models["zoo.Born"].conflicts == 11
    assert carry(pair.b, pair.a).error is None  # the other way round it is known
    assert Born.objects.using(pair.a).count() == 81
    assert pair.differences() == {}


def test_whoever_says_so_in_the_settings(pair: Pair, identity: str) -> None:
    for alias in pair.aliases:
        stood(alias, 11)
    pair.configure(*MODELS, IDENTITY=BOTH[identity], MATCH={"*": "pk"})
    assert carry(pair.a, pair.b).error is None


def test_an_alias_is_taken_as_a_copy(pair: Pair, identity: str) -> None:
    for alias in pair.aliases:
        stood(alias, 11)
    assert pair.push().models["zoo.Born"].conflicts == 11


def test_births_that_were_captured_do_not_count(pair: Pair) -> None:
    """Under their origin they are no rivals; under their number they are conflicts that everybody understands."""
    pair.configure(*MODELS, IDENTITY=BOTH["by origin"])
    for alias in pair.aliases:
        for number in range(1, 20):
            Born.objects.using(alias).create(tag=number, x=alias)
    assert carry(pair.a, pair.b).error is None
    pair.configure("zoo.SelfRef")
    for alias in pair.aliases:
        for number in range(1, 20):
            SelfRef.objects.using(alias).create(id=number, name=f"{number} of {alias}")
    report = carry(pair.a, pair.b)
    assert report.error is None
    assert report.models["zoo.SelfRef"].conflicts == 19


def test_an_empty_side_asks_nothing(pair: Pair, identity: str) -> None:
    stood(pair.a, 11)
    assert carry(pair.a, pair.b).error is None
    assert pair.differences() == {}


@pytest.mark.parametrize("how", ["content", "never"])
def test_rows_of_one_key_cannot_be_kept_apart(pair: Pair, how: str) -> None:
    """Over an alias neither: the primary key is their name."""
    pair.configure(*MODELS)
    for alias in pair.aliases:
        stood(alias, 1)
    error = pair.failed(match=how)
    assert isinstance(error, MatchNeeded)
    assert '"origin"' in str(error)
    assert Born.objects.using(pair.b).get(pk=71).x == f"71 at {pair.b}"
    sql(pair.b, "UPDATE zoo_born SET x = %s WHERE id = 71", [f"71 at {pair.a}"])
    sql(pair.b, "DELETE FROM peersync_journal")
    pair.push(match=how)


def test_rows_that_share_their_names_cannot_be_kept_apart(pair: Pair, nodes: Any) -> None:
    """Both sides were synchronised with others before, as copies: what they differ in is known by one name."""
    from peersync import capture

    pair.configure(*MODELS, IDENTITY=BOTH["by origin"])
    c = nodes.c.alias
    capture.install(c)
    for alias in (pair.a, pair.b):
        stood(alias, 1)
    assert carry(pair.a, c).error is None
    assert carry(pair.b, c).error is None
    error = carry(pair.a, pair.b, match="never").error
    assert isinstance(error, MatchNeeded)
    assert "--match pk" in str(error)
    assert carry(pair.a, pair.b, match="pk").error is None
