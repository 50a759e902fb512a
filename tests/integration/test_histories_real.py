"""Rewound, copied and strange histories of real databases, met by the functions that a user calls."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from peersync import clock
from peersync.errors import ClockSkew, ReadOnlyReplica, SameDatabase
from peersync.models import Conflict, Node
from peersync.syncing import TransferReport, compare, pull, push, sync
from tests.support.databases import NodeDatabase, contents
from tests.support.standby import following
from tests.zoo.models import Child, Parent

MODELS = ["zoo.Parent", "zoo.Child"]
KINDS = {"sqlite": ("a", "b", "c"), "postgres": ("pg_a", "pg_b", "pg_c")}


class Pair:
    """Two nodes, of which the settings make ``a`` the master and ``b`` the slave; and a third database."""

    def __init__(self, a: NodeDatabase, b: NodeDatabase, c: NodeDatabase) -> None:
        self.a, self.b, self.c = a, b, c

    def config(self, slave: NodeDatabase | None = None) -> Any:
        names = {"MASTER": self.a.alias, "SLAVE": (slave or self.b).alias}
        return override_settings(SYNC_CONFIG={"MODELS": MODELS, "AUTO_SYNC": "off", **names})

    def pull(self) -> TransferReport:
        return pull(self.b.alias)

    def push(self) -> TransferReport:
        return push(self.b.alias)

    def meet(self) -> None:
        """One pull and one push, all well."""
        assert [(r.status, r.error) for r in sync(self.b.alias)] == [("ok", None)] * 2

    def equal(self) -> bool:
        return contents(self.a.alias, *MODELS) == contents(self.b.alias, *MODELS)

    def write(self, node: NodeDatabase, number: int, text: str) -> None:
        Parent.objects.using(node.alias).update_or_create(id=number, defaults={"x": text})

    def texts(self, node: NodeDatabase) -> dict[int, str]:
        return dict(Parent.objects.using(node.alias).values_list("id", "x"))


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, make_nodes: Any) -> Iterator[Pair]:
    found = Pair(*make_nodes(*KINDS[request.param]))
    with found.config():
        for number in range(1, 6):
            found.write(found.a, number, "first")
            Child.objects.using(found.a.alias).create(id=number, p_id=number)
        found.meet()
        yield found


def identity(node: NodeDatabase) -> tuple[str, str]:
    return tuple(Node.objects.using(node.alias).values_list("node", "install").get())  # type: ignore[return-value]


# ---------------------------------------------------------------------- restored


@pytest.mark.parametrize("first", ["pull", "push"])
@pytest.mark.parametrize("which", ["a", "b"])
def test_a_restored_database_takes_a_new_id_and_is_mended(pair: Pair, which: str, first: str) -> None:
    """What the other side had from it comes back to it; what was written on it since goes over."""
    restored, other = (pair.a, pair.b) if which == "a" else (pair.b, pair.a)
    backup = restored.backup()
    pair.write(restored, 1, "after the backup")
    pair.write(restored, 20, "born after the backup")
    Parent.objects.using(restored.alias).filter(id=5).delete()
    pair.write(other, 2, "from the other side")
    pair.meet()
    before = identity(restored)
    restored.restore(backup)
    pair.write(restored, 3, "after the restore")
    pair.write(restored, 30, "born after the restore")
    report = getattr(pair, first)()
    assert report.error is None
    pair.meet()
    pair.meet()
    now = identity(restored)
    assert now[0] != before[0]
    assert now[1] == before[1]
    assert pair.equal()
    assert pair.texts(pair.a) == {
        1: "after the backup",
        2: "from the other side",
        3: "after the restore",
        4: "first",
        20: "born after the backup",
        30: "born after the restore",
    }


def test_both_restored(pair: Pair) -> None:
    backups = pair.a.backup(), pair.b.backup()
    pair.write(pair.a, 1, "lost")
    pair.meet()
    pair.a.restore(backups[0])
    pair.b.restore(backups[1])
    pair.write(pair.a, 2, "new at a")
    pair.write(pair.b, 3, "new at b")
    pair.meet()
    assert pair.equal()
    assert pair.texts(pair.a) == {1: "first", 2: "new at a", 3: "new at b", 4: "first", 5: "first"}


def test_the_same_row_written_after_the_restore_is_a_conflict_and_kept(pair: Pair) -> None:
    backup = pair.a.backup()
    pair.write(pair.a, 1, "before the restore")
    pair.meet()
    pair.a.restore(backup)
    pair.write(pair.a, 1, "after the restore")
    pair.meet()
    assert pair.equal()
    assert pair.texts(pair.a)[1] == "after the restore"
    kept = [record for node in (pair.a, pair.b) for record in Conflict.objects.using(node.alias).all()]
    assert any("before the restore" in f"{record.local}{record.incoming}" for record in kept)


def test_a_restored_hub_takes_one_new_id_whoever_comes(pair: Pair) -> None:
    """Each of its peers saw what was lost; the second one tells nothing that the first had not told already."""

    def meet(peer: NodeDatabase) -> None:
        names = {"MASTER": peer.alias, "SLAVE": pair.a.alias}
        with override_settings(SYNC_CONFIG={"MODELS": MODELS, "AUTO_SYNC": "off", **names}):
            assert [(r.status, r.error) for r in sync(pair.a.alias)] == [("ok", None)] * 2

    meet(pair.c)
    backup = pair.a.backup()
    pair.write(pair.a, 1, "after the backup")
    for other in (pair.b, pair.c):
        meet(other)
    pair.a.restore(backup)
    meet(pair.b)
    renewed = identity(pair.a)
    pair.write(pair.a, 2, "after the restore")
    meet(pair.b)
    meet(pair.c)
    pair.write(pair.a, 2, "changed again")
    meet(pair.b)
    meet(pair.c)
    assert identity(pair.a) == renewed
    for node in (pair.a, pair.b, pair.c):
        assert pair.texts(node) == {1: "after the backup", 2: "changed again", 3: "first", 4: "first", 5: "first"}
        assert not Conflict.objects.using(node.alias).exists()


def test_renew_before_anything_is_written(pair: Pair) -> None:
    backup = pair.a.backup()
    pair.write(pair.a, 1, "after the backup")
    pair.meet()
    pair.a.restore(backup)
    before = identity(pair.a)[0]
    out = io.StringIO()
    call_command("sync_peer", "renew", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["old"], told["new"]) == (before, identity(pair.a)[0])
    pair.write(pair.a, 1, "after the restore")
    pair.write(pair.a, 2, "after the restore")
    pair.meet()
    assert pair.equal()
    assert pair.texts(pair.b)[1] == pair.texts(pair.b)[2] == "after the restore"


# ---------------------------------------------------------------------- copied


def test_a_clone_and_its_original_part(pair: Pair) -> None:
    """Two nodes with one id: who began the transfer takes a new one, and both are kept equal from then on."""
    pair.a.clone_to(pair.c)
    assert identity(pair.a) == identity(pair.c)
    pair.write(pair.a, 1, "at the original")
    pair.write(pair.c, 2, "at the copy")
    Parent.objects.using(pair.c.alias).filter(id=5).delete()
    with pair.config(pair.c):
        assert [(r.status, r.error) for r in sync(pair.c.alias)] == [("ok", None)] * 2
        assert identity(pair.a)[0] != identity(pair.c)[0]
        assert contents(pair.a.alias, *MODELS) == contents(pair.c.alias, *MODELS)
    assert pair.texts(pair.c) == {1: "at the original", 2: "at the copy", 3: "first", 4: "first"}
    pair.meet()
    assert pair.equal()


def test_a_clone_that_takes_the_place_of_a_peer(pair: Pair) -> None:
    """A test system made from the live one, that meets the live one's peer: the peer sees that two are one."""
    pair.a.clone_to(pair.c)
    pair.write(pair.a, 1, "live")
    pair.meet()
    pair.write(pair.c, 1, "test system")
    pair.write(pair.c, 40, "test system")
    with override_settings(
        SYNC_CONFIG={"MODELS": MODELS, "AUTO_SYNC": "off", "MASTER": pair.c.alias, "SLAVE": pair.b.alias}
    ):
        assert [r.error for r in sync(pair.b.alias)] == [None, None]
    assert identity(pair.a)[0] != identity(pair.c)[0]
    pair.meet()
    assert pair.equal()
    assert pair.texts(pair.a)[40] == "test system"


def test_one_database_under_two_aliases_is_refused(pair: Pair) -> None:
    before = identity(pair.a)
    connections.databases["twin"] = {**connections.databases[pair.a.alias]}
    try:
        for report in (pull("twin"), push("twin")):
            assert isinstance(report.error, SameDatabase)
            assert "same database" in str(report.error)
    finally:
        connections["twin"].close()
        del connections.databases["twin"]
        delattr(connections._connections, "twin")
    assert identity(pair.a) == before


# ---------------------------------------------------------------------- what can't be written, and clocks


def test_a_database_that_is_read_only_says_so(pg_nodes: Any) -> None:
    pair = Pair(*pg_nodes)
    with pair.config():
        pair.write(pair.a, 1, "first")
        pair.meet()
        pair.write(pair.a, 1, "second")
        name = connections[pair.b.alias].settings_dict["NAME"]
        _alter(pair.b, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        report = pair.push()
        assert isinstance(report.error, ReadOnlyReplica)
        assert pair.b.alias in str(report.error)
        assert isinstance(pair.pull().error, ReadOnlyReplica)
        _alter(pair.b, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        pair.meet()
        assert pair.equal()


def _alter(node: NodeDatabase, statement: str) -> None:
    with node.connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute(statement)
    node.close()


def test_a_file_that_may_not_be_written_says_so(sqlite_nodes: Any) -> None:
    pair = Pair(*sqlite_nodes)
    with pair.config():
        pair.write(pair.a, 1, "first")
        pair.meet()
        pair.write(pair.a, 1, "second")
        settings = connections[pair.b.alias].settings_dict
        name, options = settings["NAME"], settings["OPTIONS"]
        pair.b.close()
        settings["OPTIONS"] = {"uri": True}
        settings["NAME"] = f"file:{name}?mode=ro"
        try:
            assert isinstance(pair.push().error, ReadOnlyReplica)
        finally:
            pair.b.close()
            settings["NAME"], settings["OPTIONS"] = name, options
        pair.meet()


@pytest.mark.parametrize("hours", [-26, 3])
def test_a_wrong_clock_is_refused_before_a_row_is_taken(
    pair: Pair, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.write(pair.a, 1, "second")
    pair.write(pair.b, 2, "second")
    before = contents(pair.a.alias, *MODELS), contents(pair.b.alias, *MODELS)
    real = clock.now_ms
    monkeypatch.setattr(
        clock, "now_ms", lambda alias: real(alias) + (hours * 3_600_000 if alias == pair.b.alias else 0)
    )
    for report in (pair.pull(), pair.push()):
        assert isinstance(report.error, ClockSkew)
        assert "MAX_CLOCK_SKEW" in str(report.error)
    with pytest.raises(ClockSkew):
        compare(pair.b.alias)
    assert (contents(pair.a.alias, *MODELS), contents(pair.b.alias, *MODELS)) == before
    monkeypatch.setattr(clock, "now_ms", real)
    pair.meet()
    assert pair.equal()


# ---------------------------------------------------------------------- emptied and reloaded


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_flush_makes_a_new_install_and_deletes_nothing_elsewhere(pair: Pair, which: str) -> None:
    flushed, other = (pair.a, pair.b) if which == "a" else (pair.b, pair.a)
    before, rows = identity(flushed), contents(other.alias, *MODELS)
    call_command("flush", database=flushed.alias, interactive=False, verbosity=0)
    assert contents(flushed.alias, *MODELS)["zoo.Parent"] == []
    pair.meet()
    assert contents(other.alias, *MODELS) == rows
    assert pair.equal()
    now = identity(flushed)
    assert now[0] != before[0]
    assert now[1] != before[1]


def test_loaddata_of_everything_is_a_history_of_its_own(pair: Pair) -> None:
    """A dump with peersync's own tables in it, loaded into another database: nothing is deleted anywhere."""
    path = f"{pair.a.backup()}.json"
    dump = io.StringIO()
    call_command("dumpdata", "zoo", "peersync", database=pair.a.alias, stdout=dump)
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = str(pathlib.Path(directory) / "all.json")
        pathlib.Path(path).write_text(dump.getvalue())
        Parent.objects.using(pair.c.alias).create(id=77, x="stood there")
        call_command("loaddata", path, database=pair.c.alias, verbosity=0)
    with pair.config(pair.c):
        assert [r.error for r in sync(pair.c.alias)] == [None, None]
    assert identity(pair.a)[0] != identity(pair.c)[0]
    assert pair.texts(pair.a) == pair.texts(pair.c) == {**dict.fromkeys(range(1, 6), "first"), 77: "stood there"}
    pair.meet()
    assert pair.equal()


def test_a_node_row_that_is_gone_is_a_new_install(pair: Pair) -> None:
    """Somebody emptied peersync's tables by hand."""
    with pair.b.connection.cursor() as cursor:
        for table in ("node", "journal", "rowstate", "numberingpass", "quarantine", "checkpoint", "baseline"):
            cursor.execute(f"DELETE FROM peersync_{table}")
    pair.write(pair.a, 1, "second")
    pair.write(pair.b, 2, "second")
    pair.meet()
    assert pair.equal()
    assert pair.texts(pair.a)[1] == "second"
    # the journal went too, so nobody knows that this was a change: it lost a first contact, and is kept
    assert pair.texts(pair.a)[2] == "first"
    assert any("second" in f"{r.local}{r.incoming}" for n in (pair.a, pair.b) for r in Conflict.objects.using(n.alias))


def test_a_physical_replica_is_refused_in_a_sentence(pg_nodes: Any) -> None:
    """As the slave of its own primary, and of another database: it can't be written, and has no history of its own."""
    pair = Pair(*pg_nodes)
    with pair.config():
        pair.write(pair.a, 1, "first")
        pair.meet()
        before = identity(pair.a), identity(pair.b)
        with following() as place:
            for original in (pair.a, pair.b):
                connections.databases["replica"] = {**connections.databases[original.alias], **place}
                try:
                    for report in (push("replica"), pull("replica")):
                        assert isinstance(report.error, ReadOnlyReplica | SameDatabase), report
                        assert "physical replica" in str(report.error)
                finally:
                    connections["replica"].close()
                    del connections.databases["replica"]
                    delattr(connections._connections, "replica")
        assert (identity(pair.a), identity(pair.b)) == before
