"""Automatic sync between real processes, over real HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peersync import tokens
from peersync.delivery import Target, polls
from peersync.delivery.engine import Engine
from peersync.delivery.rounds import Job, Result
from peersync.models import Conflict, Journal, Peer, Quarantine, Run
from tests.support.sites import BadServer, Site, eventually, free_port
from tests.zoo.models import Parent, Tag, Tagged

BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Network:
    """Starts sites, and knows at which port each of them is."""

    def __init__(self) -> None:
        self.open: list[Any] = []
        self.ports: dict[str, int] = {}

    def port(self, alias: str) -> int:
        return self.ports.setdefault(alias, free_port())

    def peer(self, alias: str, caller: str, auto: Any = True) -> dict[str, Any]:
        """The entry of PEERS with which ``caller`` reaches ``alias``."""
        token = tokens.create(caller, using=alias)
        return {"URL": f"http://127.0.0.1:{self.port(alias)}/peersync/", "TOKEN": token, "AUTO": auto}

    def serve(self, alias: str, **sync: Any) -> Site:
        return self._add(Site(alias, self.port(alias), **sync))

    def site(self, alias: str, **sync: Any) -> Site:
        return self._add(Site(alias, **sync))

    def bad(self, alias: str, answer: bytes | None = None) -> BadServer:
        return self._add(BadServer(self.port(alias), answer))

    def _add(self, one: Any) -> Any:
        self.open.append(one)
        return one


@pytest.fixture
def net(sqlite_nodes: Any) -> Iterator[Network]:
    network = Network()
    yield network
    for one in network.open:
        one.close()


def parents(alias: str) -> dict[int, str]:
    return dict(Parent.objects.using(alias).values_list("id", "x"))


def last_error(alias: str, peer: str) -> str | None:
    """None: nobody has spoken with it yet."""
    return Peer.objects.using(alias).filter(name=peer).values_list("last_error", flat=True).first()


def contact(site: Site) -> None:
    """The first contact, by hand."""
    site.do("from django.core.management import call_command")
    site.do("import io")
    site.do("call_command('sync_data', '--direction=both', '--peer=b', stdout=io.StringIO())")


def has(alias: str, rows: dict[int, str]) -> Callable[[], bool]:
    return lambda: parents(alias) == rows


def test_what_is_saved_arrives_by_itself(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("p = Parent.objects.create(id=1, x='one')")
    eventually(has("b", {1: "one"}))
    a.do("p.x = 'two'")
    a.do("p.save()")
    eventually(has("b", {1: "two"}))
    a.do("t = Tagged.objects.create(name='thing')")
    a.do("t.tags.add(Tag.objects.create(name='red'))")
    eventually(lambda: [t.name for t in Tag.objects.using("b").filter(tagged__name="thing")] == ["red"])
    a.do("t.tags.clear()")
    eventually(lambda: not Tagged.tags.through.objects.using("b").exists())
    a.do("p.delete()")
    eventually(has("b", {}))


def test_what_was_rolled_back_wakes_nobody(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("Parent.objects.create(id=1, x='one')")
    eventually(has("b", {1: "one"}))
    time.sleep(0.5)
    before = Peer.objects.using("b").get(name="a").last_contact
    time.sleep(1)  # a second is what last_contact can tell apart
    a.do(
        "from django.db import transaction\n"
        "try:\n"
        "    with transaction.atomic():\n"
        "        Parent.objects.create(id=2, x='never')\n"
        "        raise ValueError\n"
        "except ValueError:\n"
        "    pass\n"
    )
    time.sleep(1)
    assert Peer.objects.using("b").get(name="a").last_contact == before
    assert parents("b") == {1: "one"}


@pytest.mark.parametrize("trouble", ["down", "hanging", "answering 500"])
def test_a_dead_peer_costs_a_save_nothing_and_gets_all_when_it_is_back(net: Network, trouble: str) -> None:
    entry = net.peer("b", "a")
    bad = None if trouble == "down" else net.bad("b", None if trouble == "hanging" else BROKEN)
    a = net.site("a", PEERS={"b": entry}, LIMITS={"TIMEOUT": 3, "WAIT": 2})
    off = net.site("c", PEERS={"b": entry}, AUTO_SYNC="off")
    timed = (
        "import time\n"
        "def save(n):\n"
        "    start = time.perf_counter()\n"
        "    Parent.objects.create(id=n, x=str(n))\n"
        "    return time.perf_counter() - start\n"
        "def median(first):\n"
        "    times = sorted(save(first + i) for i in range(100))\n"
        "    return times[50], times[-1]\n"
    )
    for site in (a, off):
        site.do(timed)
        site.do("median(1)")
    usual, _ = off.do("median(1000)")
    with_peer, longest = a.do("median(1000)")
    assert with_peer < usual * 2 + 0.002
    assert longest < 1
    expected = {n: str(n) for n in [*range(1, 101), *range(1000, 1100)]}
    eventually(lambda: last_error("a", "b"))
    if bad:
        assert bad.calls
        bad.close()
    net.serve("b", AUTO_SYNC="off")
    eventually(has("b", expected), 25)
    eventually(lambda: last_error("a", "b") == "")


def test_after_a_restart_what_waited_goes_out_without_a_save(net: Network) -> None:
    entry = net.peer("b", "a")
    first = net.site("a", PEERS={"b": entry})
    first.do("Parent.objects.create(id=1, x='one')")
    first.kill()
    net.serve("b", AUTO_SYNC="off")
    second = net.serve("a", PEERS={"b": entry})
    second.do(
        f"__import__('urllib.request').request.urlopen('http://127.0.0.1:{net.port('a')}/peersync/v1/health/').status"
    )
    eventually(has("b", {1: "one"}))


def test_a_worker_that_neither_serves_nor_saves_delivers_too(net: Network) -> None:
    entry = net.peer("b", "a")
    Parent.objects.using("a").create(id=1, x="one")
    net.serve("b", AUTO_SYNC="off")
    worker = net.site("a", PEERS={"b": entry})
    worker.do("Parent.objects.count()")
    eventually(has("b", {1: "one"}))


def test_two_processes_that_deliver_at_once_do_no_harm(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    entry = net.peer("b", "a")
    sites = [net.site("a", PEERS={"b": entry}) for _ in range(2)]
    for n in range(20):
        for i, site in enumerate(sites):
            site.do(f"Parent.objects.create(id={n * 2 + i}, x='{n}')")
    expected = {n * 2 + i: str(n) for n in range(20) for i in range(2)}
    eventually(has("b", expected))
    assert not Run.objects.using("a").exclude(status="ok").exists()
    assert not Conflict.objects.using("b").exists()
    assert not Quarantine.objects.using("b").exists()


def test_a_lease_whose_holder_is_gone_is_taken_over(net: Network) -> None:
    entry = net.peer("b", "a")
    bad = net.bad("b")
    idle = net.site("a", PEERS={"b": entry})
    idle.do("Parent.objects.count()")
    holder = net.site("a", PEERS={"b": entry})
    holder.do("Parent.objects.create(id=1, x='one')")
    eventually(lambda: bad.calls)
    eventually(lambda: Peer.objects.using("a").exclude(lease_holder="").exclude(lease_until=None).exists())
    # whichever process holds it is killed; the other has nothing to do but to notice
    by = Peer.objects.using("a").get(name="b").lease_holder.split(":")[1]
    gone, other = (holder, idle) if by == str(holder.pid) else (idle, holder)
    gone.kill()
    bad.close()
    net.serve("b", AUTO_SYNC="off")
    assert other.do("1 + 1") == 2
    eventually(has("b", {1: "one"}), 16)


def test_a_change_without_a_signal_leaves_with_the_next_look(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("from peersync.delivery import engine")
    assert a.do("engine.PERIOD") == 30
    a.do("engine.PERIOD = engine.LOOK = 1")
    a.do("Parent.objects.create(id=1, x='one')")
    eventually(has("b", {1: "one"}))
    a.do("Parent.objects.update(x='two')")
    eventually(has("b", {1: "two"}))


def test_at_its_end_a_short_command_sends_what_it_wrote(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("Parent.objects.create(id=1, x='one')")
    a.end()
    assert parents("b") == {1: "one"}


def test_at_its_end_a_process_waits_no_longer_than_five_seconds(net: Network) -> None:
    net.bad("b")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("Parent.objects.create(id=1, x='one')")
    start = time.monotonic()
    a.end()
    assert time.monotonic() - start < 20  # a call to this peer ends after 30


def test_the_side_that_can_reach_the_other_fetches(net: Network) -> None:
    server = net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a", auto="both")})
    contact(a)
    server.do("Parent.objects.create(id=1, x='there')")
    eventually(has("a", {1: "there"}))
    start = time.monotonic()
    server.do("Parent.objects.create(id=2, x='again')")
    eventually(has("a", {1: "there", 2: "again"}))
    assert time.monotonic() - start < 12  # without a poll it would take the next round
    a.do("Parent.objects.create(id=3, x='here')")
    eventually(has("b", {1: "there", 2: "again", 3: "here"}))


def test_a_poll_waits_at_the_peer(net: Network) -> None:
    server = net.serve("b", AUTO_SYNC="off")
    server.do(
        "from django.core.signals import request_started\n"
        "calls = []\n"
        "def note(environ, **_): calls.append(environ['PATH_INFO'])\n"
        "request_started.connect(note)\n"
    )
    a = net.site("a", PEERS={"b": net.peer("b", "a", auto="pull")})
    contact(a)
    server.do("Parent.objects.create(id=1, x='there')")
    eventually(has("a", {1: "there"}))
    time.sleep(1)
    server.do("calls.clear()")
    time.sleep(4)
    assert len(server.do("calls")) <= 3


def test_through_a_third_node(net: Network) -> None:
    net.serve("c", AUTO_SYNC="off")
    net.serve("b", PEERS={"c": net.peer("c", "b")})
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("Parent.objects.create(id=1, x='far')")
    eventually(has("c", {1: "far"}))


def test_no_first_contact_by_itself_with_tables_that_hold_rows(net: Network) -> None:
    Parent.objects.using("b").create(id=9, x="theirs")
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("Parent.objects.create(id=1, x='one')")
    error = eventually(lambda: last_error("a", "b"))
    assert "manage.py sync_data --direction=push --peer=b" in error
    assert Run.objects.using("a").latest("id").error == error
    assert parents("b") == {9: "theirs"}


def test_stopping_waits_for_a_fetch_that_is_running(
    sqlite_nodes: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SYNC_CONFIG = {"MODELS": ["zoo.*"], "MASTER": "a"}
    began, ended = threading.Event(), threading.Event()

    def slow(job: Job, **_: Any) -> Result:
        began.set()
        time.sleep(1)
        ended.set()
        return Result.DONE

    monkeypatch.setattr(polls, "deliver", slow)
    engine = Engine(lambda: [Job(Target("b"), push=False, pull=True)], lambda: True)
    engine.start()
    assert began.wait(10)
    engine.stop(10)
    assert ended.is_set()


def test_while_paused_nothing_leaves(net: Network) -> None:
    net.serve("b", AUTO_SYNC="off")
    a = net.site("a", PEERS={"b": net.peer("b", "a")})
    a.do("from peersync import delivery")
    a.do("pause = delivery.paused()")
    a.do("pause.__enter__()")
    a.do("Parent.objects.create(id=1, x='one')")
    time.sleep(2)
    assert parents("b") == {}
    a.do("pause.__exit__(None, None, None)")
    eventually(has("b", {1: "one"}), 5)


def test_off_means_off(net: Network) -> None:
    bad = net.bad("b")
    a = net.site("a", PEERS={"b": net.peer("b", "a")}, AUTO_SYNC="off")
    a.do("Parent.objects.create(id=1, x='one')")
    time.sleep(1)
    a.end()
    assert bad.calls == 0


def test_the_slave_alias_is_a_peer_like_any_other(net: Network) -> None:
    a = net.site("a", MASTER="default", SLAVE="b")
    a.do("Parent.objects.create(id=1, x='one')")
    eventually(has("b", {1: "one"}))


class TestInline:
    def test_on_commit_it_is_there(self, net: Network) -> None:
        net.serve("b", AUTO_SYNC="off")
        a = net.site("a", PEERS={"b": net.peer("b", "a")}, AUTO_SYNC="inline")
        a.do("Parent.objects.create(id=1, x='one')")
        assert parents("b") == {1: "one"}

    def test_of_a_transaction_only_when_it_is_committed(self, net: Network) -> None:
        net.serve("b", AUTO_SYNC="off")
        a = net.site("a", PEERS={"b": net.peer("b", "a")}, AUTO_SYNC="inline")
        a.do("from django.db import transaction")
        a.do("block = transaction.atomic()")
        a.do("block.__enter__()")
        for n in range(5):
            a.do(f"Parent.objects.create(id={n}, x='{n}')")
        assert parents("b") == {}
        a.do("block.__exit__(None, None, None)")
        assert len(parents("b")) == 5
        assert Run.objects.using("a").count() == 1

    def test_a_failure_is_logged_and_the_save_stands(self, net: Network) -> None:
        net.bad("b")
        a = net.site("a", PEERS={"b": net.peer("b", "a")}, AUTO_SYNC="inline")
        start = time.monotonic()
        a.do("Parent.objects.create(id=1, x='one')")
        assert time.monotonic() - start < 20  # a call in the background may take 30
        start = time.monotonic()
        a.do("Parent.objects.create(id=2, x='two')")
        assert time.monotonic() - start < 3, "the peer failed a moment ago: it is not asked again at once"
        assert parents("a") == {1: "one", 2: "two"}


class TestProcess:
    """What runs in a process, and what does not."""

    def test_one_thread_stays_and_no_connection(self, make_nodes: Any, net: Network) -> None:
        make_nodes("pg_a", "pg_b", "pg_c")
        net.serve("pg_b", AUTO_SYNC="off")
        a = net.site("pg_a", PEERS={"b": net.peer("pg_b", "a")})
        a.do("Parent.objects.create(id=1, x='one')")
        eventually(has("pg_b", {1: "one"}))
        a.do("import threading")
        names = "[t.name for t in threading.enumerate() if t is not threading.main_thread()]"
        eventually(lambda: a.do(names) == ["peersync-delivery"], 5)
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        a.do("from django.db import connection")
        a.do("cursor = connection.cursor()")
        Parent.objects.using("pg_a").count()
        # this test's own connection, and that of the main thread there, which asks
        eventually(lambda: a.do(f"(cursor.execute({count!r}), cursor.fetchone()[0])[1]") == 1, 5)

    def test_a_forked_process_has_a_thread_of_its_own(self, net: Network) -> None:
        net.serve("b", AUTO_SYNC="off")
        a = net.site("a", PEERS={"b": net.peer("b", "a")})
        a.do("Parent.objects.create(id=1, x='parent')")
        eventually(has("b", {1: "parent"}))
        a.do(
            "import os, time\n"
            "from django.db import connections\n"
            "connections.close_all()\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    Parent.objects.create(id=2, x='child')\n"
            "    time.sleep(12)\n"
            "    os._exit(0)\n"
        )
        eventually(has("b", {1: "parent", 2: "child"}), 12)
        a.do("os.kill(child, 9)\nos.waitpid(child, 0)")

    def test_a_fork_never_falls_into_our_own_work(self, net: Network) -> None:
        """A child that inherits an open SQLite file would believe in locks that it does not hold."""
        a = net.site("a", MASTER="default", SLAVE="b")
        a.do(
            "import os, time\n"
            "from django.db import connections\n"
            "def inherited():\n"
            "    found = [os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
            "             if os.path.exists(f'/proc/self/fd/{fd}')]\n"
            "    return sum('.sqlite3' in name for name in found)\n"
        )
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("this system does not show what a process has open")
        for n in range(20):
            a.do(
                f"Parent.objects.create(id={n})\n"
                "connections.close_all()\n"
                f"time.sleep({n} * 0.01)\n"
                "child = os.fork()\n"
                "if not child:\n"
                "    os._exit(inherited())\n"
                "status = os.waitpid(child, 0)[1]\n"
            )
            assert a.do("status") == 0
        eventually(lambda: len(parents("b")) == 20)

    def test_where_nobody_reads_the_journal_stays_short(self, net: Network) -> None:
        a = net.site("a")
        a.do("from peersync.delivery import engine")
        a.do("engine.PERIOD = engine.LOOK = 1")
        a.do("Parent.objects.create(id=1, x='one')")
        eventually(lambda: a.do("Parent.objects.count()") and not Journal.objects.using("a").exists())

    def test_migrating_sends_nothing(self, net: Network) -> None:
        bad = net.bad("b")
        a = net.site("a", PEERS={"b": net.peer("b", "a")})
        a.do("from django.core.management import call_command")
        a.do("call_command('migrate', verbosity=0)")
        a.end()
        assert bad.calls == 0


def test_between_postgresql_nodes(make_nodes: Any, net: Network) -> None:
    make_nodes("pg_a", "pg_b", "pg_c")
    net.serve("pg_b", AUTO_SYNC="off")
    entry = net.peer("pg_b", "a", auto="both")
    sites = [net.site("pg_a", PEERS={"b": entry}) for _ in range(2)]
    contact(sites[0])
    for n in range(10):
        for i, site in enumerate(sites):
            site.do(f"Parent.objects.create(id={n * 2 + i}, x='{n}')")
    expected = {n * 2 + i: str(n) for n in range(10) for i in range(2)}
    eventually(has("pg_b", expected))
    Parent.objects.using("pg_b").create(id=100, x="there")
    eventually(has("pg_a", {**expected, 100: "there"}))
    assert not Run.objects.using("pg_a").exclude(status="ok").exists()
