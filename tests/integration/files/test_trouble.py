"""What goes wrong with a file: it waits with its reason, nothing else waits for it, and a cut costs only what was cut off."""

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from peersync.errors import AnswerCutOff, StorageFailed
from peersync.files import storages
from peersync.replicas.http import HttpReplica
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.filing import Filed

BIG = bytes(range(256)) * 6000  # 1.5 MB: six chunks
NAME = "papers/2024/big.bin"


class Cut:
    """A source whose contents break off after so many bytes, so often."""

    def __init__(self, replica: Any, after: int, times: int = 1) -> None:
        self._replica, self.after, self.times = replica, after, times
        self.offsets: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._replica, name)

    def file_read(self, caller: Any, want: Any, offset: int, take: Any) -> Any:
        self.offsets.append(offset)
        return self._replica.file_read(caller, want, offset, lambda pieces: take(self._cut(pieces)))

    def _cut(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        given = 0
        for piece in pieces:
            if self.times and given + len(piece) > self.after:
                self.times -= 1
                raise AnswerCutOff
            given += len(piece)
            yield piece


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peersync.carrying.PAUSES", (0.0,))
    monkeypatch.setattr(HttpReplica, "_file_bytes", 100_000)


def parts(filed: Filed, tmp_path: Path) -> list[int]:
    """Sizes of what lies in this process's directory of parts."""
    return [path.stat().st_size for path in tmp_path.rglob("*.part")]


def test_a_missing_file_keeps_its_row_from_nothing_and_leaves_by_itself(filed: Filed) -> None:
    row = filed.make("a", file=NAME)
    other = filed.make("a", b"other", file="papers/2024/other.txt")
    for times in (1, 2):
        report = filed.sync(retry=times == 2)
        assert report.status == "incomplete"
        assert report.models["filed.Paper"].quarantined == 1
        assert filed.contents("b") == {row.pk: None, other.pk: b"other"}
        assert filed.waiting("b") == [(NAME, "missing", True)]
    stores.put("a", NAME, b"there it is")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: b"there it is", other.pk: b"other"}
    assert filed.waiting("b") == []


def test_the_command_and_the_status_say_which_file_is_missing(filed: Filed, settings: Any, capsys: Any) -> None:
    if filed.served is not None:
        return
    row = filed.make("a", file=NAME)
    with stores.at("a"), pytest.raises(CommandError) as ended:
        call_command("sync_data", direction="master-to-slave", json=True)
    assert ended.value.returncode == 1
    assert '"status": "incomplete"' in capsys.readouterr().out
    filed.settings.SYNC_CONFIG = {
        **filed.settings.SYNC_CONFIG,
        "MASTER": filed.aliases["b"],
        "SLAVE": filed.aliases["a"],
    }
    call_command("sync_status")
    assert re.search(rf"filed.Paper {row.pk}.*{NAME} is missing at", capsys.readouterr().out)


def test_a_row_that_is_deleted_or_gets_another_file_waits_for_nothing(filed: Filed) -> None:
    gone, changed = filed.make("a", file=NAME), filed.make("a", file="papers/2024/x.txt")
    assert filed.sync().models["filed.Paper"].quarantined == 2
    Paper.objects.using(filed.aliases["b"]).filter(pk=changed.pk).update(file="")
    Paper.objects.using(filed.aliases["a"]).filter(pk=gone.pk).delete()
    assert filed.sync().status == "ok"
    assert filed.waiting("b") == []


@pytest.mark.parametrize("source", ["a", "b"])
def test_a_cut_in_the_middle_costs_what_was_cut_off(filed: Filed, source: str) -> None:
    row = filed.make(source, BIG, file=NAME)
    small = filed.make(source, b"small", file="papers/2024/a.txt")
    transfer = filed.transfer(source)
    transfer.source = cut = Cut(transfer.source, 600_000)  # type: ignore[assignment]
    report = transfer.run()
    assert report.error is None
    assert cut.offsets[0] == 0
    assert 200_000 < cut.offsets[1] <= 600_000  # it goes on where it stopped
    assert filed.contents("b" if source == "a" else "a") == {row.pk: BIG, small.pk: b"small"}


@pytest.mark.parametrize("source", ["a", "b"])
def test_the_next_sync_goes_on_where_one_was_cut_off(filed: Filed, source: str, tmp_path: Path) -> None:
    target = "b" if source == "a" else "a"
    done = filed.make(source, b"first", file="papers/2024/first.txt")
    row = filed.make(source, BIG, file=NAME)
    first = filed.transfer(source)
    first.source = Cut(first.source, 600_000, times=1)  # type: ignore[assignment]
    while not first.step():
        if first.source.times == 0:
            break  # as a process that is killed now
    assert filed.contents(target) == {done.pk: b"first", row.pk: None}
    second = filed.transfer(source)
    second.source = going_on = Cut(second.source, 0, times=0)  # type: ignore[assignment]
    assert second.run().error is None
    assert len(going_on.offsets) == 1
    assert 200_000 < going_on.offsets[0] <= 600_000
    assert filed.contents(target) == {done.pk: b"first", row.pk: BIG}
    assert parts(filed, tmp_path) == []


def test_a_source_that_breaks_for_good_ends_the_transfer_and_the_next_one_goes_on(filed: Filed) -> None:
    row = filed.make("a", BIG, file=NAME)
    transfer = filed.transfer()
    transfer.source = Cut(transfer.source, 0, times=99)  # type: ignore[assignment]
    report = transfer.run()
    assert isinstance(report.error, AnswerCutOff)
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: BIG}


def test_a_file_that_changes_on_its_way_is_fetched_anew(filed: Filed) -> None:
    row = filed.make("a", BIG, file=NAME)
    first = filed.transfer()
    first.source = Cut(first.source, 600_000, times=1)  # type: ignore[assignment]
    while not first.step():
        if first.source.times == 0:
            break
    stores.put("a", NAME, b"another content")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: b"another content"}


def test_a_source_that_says_one_thing_and_sends_another_is_not_believed(filed: Filed) -> None:
    class Liar(Cut):
        def _cut(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                yield piece[::-1]

    row = filed.make("a", BIG, file=NAME)
    transfer = filed.transfer()
    transfer.source = Liar(transfer.source, 0)  # type: ignore[assignment]
    assert transfer.run().status == "incomplete"
    assert filed.waiting("b") == [(NAME, "changed", True)]
    assert filed.contents("b") == {row.pk: None}
    assert filed.sync().status == "ok"


def test_a_file_above_the_limit_waits_and_is_not_sent(filed: Filed) -> None:
    row = filed.make("a", BIG, file=NAME)
    filed.configure(LIMITS={"FILE": 1_000_000})
    transfer = filed.transfer()
    transfer.source = cut = Cut(transfer.source, 0, times=0)  # type: ignore[assignment]
    assert transfer.run().status == "incomplete"
    assert cut.offsets == []
    assert filed.waiting("b") == [(NAME, "too_large", True)]
    filed.configure()
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: BIG}


def test_a_full_disk_names_itself(filed: Filed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, name: str, content: Any, max_length: Any = None) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    row = filed.make("b", b"text", file=NAME)
    with monkeypatch.context() as patched:
        patched.setattr(stores.Switched, "save", full)
        report = filed.transfer("b").run()
        assert isinstance(report.error, StorageFailed)
        assert "There is no room" in str(report.error)
        assert NAME in str(report.error)
    assert filed.sync("b").status == "ok"
    assert filed.contents("a") == {row.pk: b"text"}


def test_a_storage_that_fails_keeps_its_own_file_waiting(filed: Filed, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = stores.Switched.save

    def fails(self: Any, name: str, content: Any, max_length: Any = None) -> str:
        if name == NAME:
            raise RuntimeError("secret of the storage")
        return saved(self, name, content, max_length)

    bad, good = filed.make("b", b"bad", file=NAME), filed.make("b", b"good", file="papers/2024/good.txt")
    with monkeypatch.context() as patched:
        patched.setattr(stores.Switched, "save", fails)
        assert filed.sync("b").status == "incomplete"
    assert filed.contents("a") == {bad.pk: None, good.pk: b"good"}
    assert filed.waiting("a") == [(NAME, "storage", True)]
    assert filed.sync("b").status == "ok"


def test_a_file_that_reads_otherwise_than_it_was_written_is_not_kept(
    filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = stores.Switched.save

    def garbles(self: Any, name: str, content: Any, max_length: Any = None) -> str:
        from django.core.files.base import ContentFile

        return saved(self, name, ContentFile(content.read(1 << 20)[:-1] + b"!"), max_length)

    row = filed.make("b", b"text", file=NAME)
    with monkeypatch.context() as patched:
        patched.setattr(stores.Switched, "save", garbles)
        assert filed.sync("b").status == "incomplete"
    assert filed.waiting("a") == [(NAME, "storage", True)]
    assert filed.contents("a") == {row.pk: None}


def test_repair_finds_a_content_that_changed_under_its_name(filed: Filed) -> None:
    row = filed.make("a", b"before", file=NAME)
    filed.sync()
    stores.put("a", NAME, b"overwritten")
    filed.sync()
    assert filed.contents("b") == {row.pk: b"before"}
    filed.sync(repair=True)
    assert filed.contents("b") == {row.pk: b"overwritten"}
    assert filed.contents("a") == {row.pk: b"overwritten"}
    assert filed.sync("b").status == "ok"
    assert filed.contents("a") == {row.pk: b"overwritten"}


def test_rows_are_gone_through_page_by_page(filed: Filed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peersync.files.noting.SCANNED", 2)
    monkeypatch.setattr("peersync.files.waits.PAGE", 2)
    for node in ("a", "b"):
        for number in range(1, 8):
            filed.make(node, pk=number, file=f"papers/2024/{number}.txt", title=str(number))
    for number in range(1, 8):
        stores.put("b", f"papers/2024/{number}.txt", str(number).encode())
    assert filed.sync("b").status == "ok"
    assert filed.contents("a") == {number: str(number).encode() for number in range(1, 8)}


def test_a_file_without_seek_goes_on_too() -> None:
    bare = stores.Bare()
    bare.files["x"] = BIG
    assert b"".join(storages.pieces(bare, "x", 1_000_001)) == BIG[1_000_001:]
    assert list(storages.pieces(bare, "x", len(BIG) + 5)) == []
    assert bare.largest <= storages.CHUNK
