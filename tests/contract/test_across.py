"""Whole transfers from each kind of database to each, by each way there is: both come to what one database would hold."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from peersync import capture, tokens
from peersync.reports import TransferReport
from peersync.syncing import compare, pull, push
from tests.contract.conftest import CONFIG
from tests.support.across import EXCLUDE, IDENTITY, NAMED, Here, stands
from tests.support.bulk import untracked
from tests.support.databases import NodeDatabase
from tests.support.pairs import records, waiting
from tests.support.subjects import NEAR, Served, zoo
from tests.zoo.models import AllFields, Parent, Secret, SelfRef, Sku, Tagged

ACROSS = {**CONFIG, "IDENTITY": IDENTITY, "EXCLUDE": EXCLUDE}
ONE = "c"
"""Where both users work at once."""
KINDS = {"sqlite": ("a", "b"), "postgres": ("pg_a", "pg_b")}
PAIRS = [
    pytest.param(
        (KINDS[near][0], KINDS[far][1]),
        id=f"{near}-{far}",
        marks=[pytest.mark.postgres] if "postgres" in (near, far) else [],
    )
    for near in KINDS
    for far in KINDS
]


class Ways:
    """This node is ``near``; ``far`` is a second alias, or a peer behind a URL."""

    def __init__(self, near: str, far: str, peer: str) -> None:
        self.near, self.far, self.peer = near, far, peer

    def push(self, **options: Any) -> TransferReport:
        return good(push(self.peer, **options))

    def pull(self, **options: Any) -> TransferReport:
        return good(pull(self.peer, **options))

    def settled(self) -> None:
        """Both hold what the one database holds, nothing waits, and peersync finds no difference either."""
        assert {model._meta.label for model in NAMED} == zoo(), "what is new in the zoo is looked at too"
        wanted = stands(ONE)
        for alias in (self.near, self.far):
            for label, rows in stands(alias).items():
                assert rows == wanted[label], (alias, label)
            assert waiting(alias) == []
        assert {label: found.keys for label, found in compare(self.peer).items() if found.count} == {}


def good(report: TransferReport) -> TransferReport:
    if report.error is not None:
        raise report.error
    assert report.status == "ok"
    return report


@pytest.fixture(params=PAIRS)
def aliases(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]  # pytest does not know its type


@pytest.fixture(params=["alias", "http"])
def ways(
    request: pytest.FixtureRequest,
    aliases: tuple[str, str],
    _node_databases: Callable[[str], NodeDatabase],
    django_db_blocker: Any,
    serve: Callable[[str], Served],
    settings: Any,
) -> Iterator[Ways]:
    near, far = aliases
    used = [_node_databases(alias) for alias in (near, far, ONE)]
    with django_db_blocker.unblock():
        for node in used:
            node.clear()
        found = Ways(near, far, far)
        more: dict[str, Any] = {"SLAVE": far}
        if request.param == "http":
            served = serve(far)
            served.configure(ACROSS)
            found = Ways(near, far, "branch")
            token = tokens.create(NEAR, using=far)
            more = {"PEERS": {"branch": {"URL": served.url, "TOKEN": token, "AUTO": False}}}
        settings.SYNC_CONFIG = {**ACROSS, "MASTER": near, **more}
        for node in used:
            capture.install(node.alias)
        yield found
        for node in used:
            node.close()


@pytest.mark.parametrize("first", ["push", "pull"])
def test_both_come_to_what_one_database_would_hold(ways: Ways, first: str) -> None:
    near, far, one = Here(ways.near), Here(ways.far), Here(ONE)
    # half of the runs begin with rows that stood there before peersync came
    with untracked(ways.near) if first == "push" else nullcontext():
        near.near_fill()
    with untracked(ways.far) if first == "pull" else nullcontext():
        far.far_fill()
    one.near_fill()
    one.far_fill()
    way, back = (ways.push, ways.pull) if first == "push" else (ways.pull, ways.push)
    report = way()
    figures = {label: (f.conflicts, f.updated, f.deleted) for label, f in report.models.items()}
    assert figures == dict.fromkeys(zoo(), (0, 0, 0))
    back()
    ways.settled()

    for here in (near, one):
        here.near_edits()
    for here in (far, one):
        here.far_edits()
    ways.pull()
    ways.push()
    ways.settled()
    assert records(ways.near) == records(ways.far) == []
    for report in (ways.pull(), ways.push()):
        moved = {label: f.as_dict() for label, f in report.models.items()}
        assert not any(f["created"] or f["updated"] or f["deleted"] or f["conflicts"] for f in moved.values()), moved
    stays_home(ways)
    a_conflict(ways)
    numbers_go_on(ways)


def stays_home(ways: Ways) -> None:
    """Excluded fields are each side's own; a row that came has the default."""
    assert dict(Parent.objects.using(ways.near).filter(id__in=[1, 2, 5, 101]).values_list("id", "e")) == {
        1: "home", 2: "near's own", 5: "near's own", 101: "dflt",
    }  # fmt: skip
    assert dict(Parent.objects.using(ways.far).filter(id__in=[1, 2, 5, 101]).values_list("id", "e")) == {
        1: "dflt", 2: "dflt", 5: "home", 101: "far's own",
    }  # fmt: skip
    assert dict(Secret.objects.using(ways.near).values_list("id", "password")) == {1: "changed at home alone", 101: ""}
    assert dict(Secret.objects.using(ways.far).values_list("id", "password")) == {1: "", 101: "far's own"}


def a_conflict(ways: Ways) -> None:
    """Both edited one row: the later edit stands at both, the earlier one in one record."""
    Parent.objects.using(ways.near).filter(id=7).update(x="earlier")
    time.sleep(0.01)
    Parent.objects.using(ways.far).filter(id=7).update(x="later")
    Parent.objects.using(ONE).filter(id=7).update(x="later")
    ways.pull()
    ways.push()
    ways.settled()
    assert sorted(records(ways.near) + records(ways.far)) == [("conflict", "zoo.Parent", "incoming")]


def numbers_go_on(ways: Ways) -> None:
    """The next rows of each side get numbers that are free, although others came with numbers of their own."""
    for alias in (ways.near, ways.far):
        for model, values in (
            (SelfRef, {"name": "n"}),
            (Tagged, {"name": "n"}),
            (AllFields, {}),
            (Sku, {"sku": alias}),
        ):
            rows: Any = model._base_manager.using(alias)
            count = rows.count()
            rows.create(**values)
            assert rows.count() == count + 1
