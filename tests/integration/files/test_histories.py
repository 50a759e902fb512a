"""Files where histories are not straight: through a third node, put back from a record, and from a peer with a new id."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.db.migrations import Migration, RenameField

import peersync
from peersync import errors, histories
from peersync.apply import filling
from peersync.apps import catch_up
from peersync.file_models import FileName, FileWait
from peersync.models import Conflict, RowState
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.filing import Filed

NAME = "papers/2024/x.txt"


@pytest.mark.parametrize("side", ["local", "incoming"])
def test_a_version_that_is_put_back_has_the_file_of_whoever_made_it(filed: Filed, side: str) -> None:
    """What a peer named waits for the peer's file, whatever stands here under that name; what was named here does not."""
    a, b = filed.aliases["a"], filed.aliases["b"]
    filed.configure(CONFLICT={"*": "source" if side == "local" else "target"})
    filed.make("a", b"first", pk=1, file="papers/2024/first.txt")
    filed.sync()
    for node, alias in (("a", a), ("b", b)):
        Paper.objects.using(alias).filter(pk=1).update(file=f"papers/2024/{node}.txt", title=node)
        stores.put(node, f"papers/2024/{node}.txt", node.encode())
    stores.put("b", "papers/2024/a.txt", b"of nobody's row")
    filed.sync("a")
    record = Conflict.objects.using(b).get()
    filed.settings.SYNC_CONFIG = {**filed.settings.SYNC_CONFIG, "MASTER": b, "SLAVE": a}
    with stores.at("b"):
        peersync.put_back(record.pk, side)
    filed.configure()
    expected = [("papers/2024/a.txt", "", False)] if side == "incoming" else []
    assert filed.waiting("b") == expected
    for source in ("b", "a", "b"):
        filed.sync(source)
    content = b"a" if side == "incoming" else b"b"
    assert filed.contents("a") == filed.contents("b") == {1: content}


def test_what_a_peer_owes_it_owes_under_its_new_id_too(filed: Filed) -> None:
    row = filed.make("a", file=NAME)
    assert filed.sync().status == "incomplete"
    histories.renew(filed.aliases["a"])
    stores.put("a", NAME, b"late")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: b"late"}
    assert filed.waiting("b") == []


def test_a_file_that_comes_from_anybody_has_come(filed: Filed) -> None:
    """Whoever gave the name never has the file; the other side gets it by hand, and a comparison finds it there."""
    row = filed.make("a", file=NAME)
    assert filed.sync().status == "incomplete"
    stores.put("a", NAME, b"text")
    stores.put("b", NAME, b"text")
    assert filed.sync().status == "ok"
    assert filed.waiting("b") == []
    assert filed.contents("b") == {row.pk: b"text"}


def test_a_transfer_whose_files_did_not_come_counts_as_not_read(filed: Filed, monkeypatch: Any) -> None:
    """Who delivers by itself tries again: the peer has not read past what still owes it a file."""
    filed.make("a", b"text", file=NAME)
    transfer = filed.transfer()

    def away(*args: Any) -> Any:
        raise errors.PeerUnreachable

    monkeypatch.setattr(transfer.target, "file_offers", away)
    report = transfer.run()
    assert isinstance(report.error, errors.PeerUnreachable)
    assert report.read is None
    assert filed.sync().read is not None


def test_a_name_that_was_carried_until_its_field_was_there_waits_for_its_file(filed: Filed) -> None:
    """A migrated node fills in what it carried; under such a name of a peer's nobody is given what stands here."""
    b = filed.aliases["b"]
    row = filed.make("a", b"text", file=NAME)
    filed.sync()
    state = RowState.objects.using(b).get_or_create(model="filed.Paper", pk_text=str(row.pk))[0]
    state.gaps = json.dumps([[{"scan": "by/x/secret.txt"}, {}, 1, ""]])
    state.save(using=b)
    stores.put("b", "by/x/secret.txt", b"of nobody's row")
    assert filling.fill(b, migrated=True) == 1
    assert Paper.objects.using(b).get().scan.name == "by/x/secret.txt"
    assert filed.waiting("b") == [("by/x/secret.txt", "", False)]


def test_what_is_known_of_files_follows_a_field_that_is_renamed(filed: Filed) -> None:
    """Else the file that has not come would be given to others as what stands here under its name."""
    b = filed.aliases["b"]
    stores.put("b", NAME, b"of nobody's row")
    filed.make("a", b"text", pk=1, file=NAME)
    filed.make("a", pk=2, file="papers/2024/missing.txt")
    filed.sync()
    migration = Migration("0002", "filed")
    migration.operations = [RenameField("Paper", "file", "tmp"), RenameField("paper", "tmp", "scan")]
    for backwards, field in ((False, "scan"), (True, "file")):
        catch_up(apps.get_app_config("peersync"), b, plan=[(migration, backwards)], apps=apps)
        assert list(FileWait.objects.using(b).values_list("field", "name")) == [(field, "papers/2024/missing.txt")]
        assert list(FileName.objects.using(b).values_list("field", "name")) == [(field, NAME)]
