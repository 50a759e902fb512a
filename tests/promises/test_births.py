"""Keys that are born twice: a centre and two branches make rows under the same numbers, offline, for many rounds."""

from collections.abc import Callable
from typing import Any

import pytest

from peersync import capture, tokens
from peersync.models import Conflict, Quarantine
from tests.promises.conftest import KINDS
from tests.shapes.models import Customer, Line, Order
from tests.support.commands import run
from tests.support.company import CONFIG, Staff, image
from tests.support.ends import Servers

ROUNDS = {"alias": 12, "http": 6}


class Company:
    """``settings``: of whoever runs a command here. The centre is an alias, or a server of its own."""

    def __init__(self, settings: Any, nodes: Any, servers: Servers | None) -> None:
        self.settings, self.nodes, self.servers = settings, nodes, servers
        self.aliases = [node.alias for node in nodes]
        self.centre, *self.branches = self.aliases
        edited = [*self.aliases[1:], self.aliases[0]]
        self.staff = [Staff(alias, other, "company") for alias, other in zip(self.aliases, edited, strict=True)]
        base = {**CONFIG, "AUTO_SYNC": "off"}
        self.peers: dict[str, Any] = {}
        if servers is not None:
            port = servers.serve(self.centre, base)
            for branch in self.branches:
                token = tokens.create(branch, using=self.centre)
                self.peers[branch] = {"URL": f"http://127.0.0.1:{port}/peersync/", "TOKEN": token}
        for alias in self.aliases:
            self.at(alias)
            capture.install(alias)

    def at(self, branch: str) -> None:
        peers = {"PEERS": {"centre": self.peers[branch]}} if branch in self.peers else {}
        slave = {} if self.servers else {"SLAVE": self.centre if branch != self.centre else self.branches[0]}
        self.settings.SYNC_CONFIG = {**CONFIG, "AUTO_SYNC": "off", "MASTER": branch, **slave, **peers}

    def sync(self, branch: str, *arguments: str) -> dict[str, dict[str, int]]:
        """Pull and push, as a branch does it; what was found, over all models."""
        self.at(branch)
        peer = "centre" if self.servers else self.centre
        answer = run("sync_data", "--direction=both", f"--peer={peer}", "--json", *arguments)
        assert answer.status == 0, answer
        return {label: found for one in answer.json["transfers"] for label, found in one["models"].items()}

    def meet(self) -> None:
        """Each branch twice, so that the first one hears of the second one's rows."""
        for _ in range(2):
            for branch in self.branches:
                self.sync(branch)
        for staff in self.staff:
            staff.unsent.clear()

    def images(self) -> list[Any]:
        return [image(alias) for alias in self.aliases]

    def nothing_collided(self) -> None:
        for alias in self.aliases:
            assert not Conflict.objects.using(alias).exists()
            assert not Quarantine.objects.using(alias).exists()


def _kinds(*kinds: str) -> list[Any]:
    ways = [("alias", kind) for kind in kinds] + [("http", kind) for kind in KINDS]
    return [
        pytest.param((way, kind), id=f"{way}-{kind}", marks=() if kind == "sqlite" else (pytest.mark.postgres,))
        for way, kind in ways
    ]


@pytest.fixture(params=_kinds(*KINDS, "mixed"))
def company(request: pytest.FixtureRequest, make_nodes: Callable[..., Any], settings: Any, servers: Servers) -> Company:
    way, kind = request.param
    nodes = make_nodes(*{**KINDS, "mixed": ("a", "pg_b", "c")}[kind])
    return Company(settings, nodes, servers if way == "http" else None)


def test_nothing_collides_and_all_become_equal(company: Company) -> None:
    for number in range(ROUNDS["http" if company.servers else "alias"]):
        for staff in company.staff:
            staff.work()
        if number % 3 == 2:
            company.meet()
            found = company.images()
            assert found[0] == found[1] == found[2], number
    company.meet()
    found = company.images()
    assert found[0] == found[1] == found[2]
    everyone = {text for staff in company.staff for text in staff.wrote}
    texts = {text for text, *_ in found[0]["orders"]} | {name for (name,) in found[0]["customers"]}
    assert texts == everyone
    assert len(found[0]["orders"]) == len({text for text, *_ in found[0]["orders"]})
    company.nothing_collided()
    company.at(company.branches[0])
    peer = "centre" if company.servers else company.centre
    assert run("sync_data", "--direction=push", f"--peer={peer}", "--verify").status == 0


def test_each_node_numbers_its_own_copy(company: Company) -> None:
    """The rows that a node made itself keep their numbers, and those numbers are the same everywhere."""
    own: dict[str, dict[int, str]] = {}
    for staff in company.staff:
        staff.work(20)
        own[staff.alias] = dict(Order.objects.using(staff.alias).values_list("pk", "text"))
    numbers = [set(found) for found in own.values()]
    assert numbers[0] & numbers[1] & numbers[2]
    company.meet()
    for alias, before in own.items():
        assert dict(Order.objects.using(alias).filter(pk__in=before).values_list("pk", "text")) == before
    found = company.images()
    assert found[0] == found[1] == found[2]
    company.nothing_collided()


@pytest.mark.parametrize("company", _kinds(*KINDS), indirect=True)  # an image is of one kind of database
def test_both_branches_come_from_one_disk_image(company: Company) -> None:
    """Two boxes, one history: what was there before is one row, what each makes since is its own."""
    for staff in company.staff[:2]:
        staff.work()
    company.sync(company.branches[0])
    company.staff[1].work()  # not numbered, and not sent, when the image is made
    one, other = company.nodes[1:]
    one.clone_to(other)
    company.staff[2].wrote.clear()
    company.staff[2].unsent.clear()
    for staff in company.staff:
        staff.work()
    company.meet()
    found = company.images()
    assert found[0] == found[1] == found[2]
    for kind in ("customers", "orders", "lines"):
        texts = [row[0] for row in found[0][kind]]
        assert len(texts) == len(set(texts)), kind
    made = {text for staff in company.staff for text in staff.wrote}
    assert made <= {row[0] for kind in ("customers", "orders") for row in found[0][kind]}


def test_a_branch_is_put_back_from_a_backup(company: Company) -> None:
    """What it had sent comes back to it once; what it makes instead, under the same numbers, is something else."""
    branch, staff = company.branches[0], company.staff[1]
    for each in company.staff:
        each.work()
    company.meet()
    staff.work()
    backup = company.nodes[1].backup()  # with rows in the journal that no pass has seen
    staff.work()
    company.meet()
    sent = image(company.centre)
    company.nodes[1].restore(backup)
    staff.chance.seed("another afternoon")
    before = set(staff.wrote)
    staff.unsent.clear()
    staff.work(20)
    company.meet()
    company.meet()
    found = company.images()
    assert found[0] == found[1] == found[2]
    for kind in ("customers", "orders", "lines"):
        texts = [row[0] for row in found[0][kind]]
        assert len(texts) == len(set(texts)), kind
    again = {row[0] for row in found[0]["orders"]}
    assert staff.wrote - before <= again | {row[0] for row in found[0]["customers"]}
    gone = {row[0] for row in sent["orders"]} - again
    assert gone <= before - staff.wrote
    assert Customer.objects.using(branch).exists()
    assert Line.objects.using(branch).exists()
