"""Contents of files travel with their rows: both ways, through any storage, in bounded memory, verified."""

from typing import Any

from peersync.files.storages import CHUNK
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.filing import Filed

BIG = bytes(range(256)) * 5000  # 1.28 MB: several chunks


def test_a_file_travels_with_its_row(filed: Filed) -> None:
    row = filed.make("a", BIG, file="papers/2024/big.bin")
    empty = filed.make("a", b"", file="papers/2024/empty.bin")
    stores.put("a", "papers/2024/empty.bin", b"")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: BIG, empty.pk: b""}
    assert filed.waiting("b") == []
    later = filed.make("b", b"from b", file="papers/2025/b.txt", title="b's")
    Paper.objects.using(filed.aliases["a"]).filter(pk=row.pk).update(file="papers/2024/new.bin")
    stores.put("a", "papers/2024/new.bin", b"another")
    assert filed.sync("b").status == filed.sync("a").status == "ok"
    assert filed.contents("a") == filed.contents("b")
    assert filed.contents("a") == {row.pk: b"another", empty.pk: b"", later.pk: b"from b"}


def test_memory_is_bounded(filed: Filed) -> None:
    filed.make("a", BIG, file="papers/2024/big.bin")
    filed.sync()
    assert filed.contents("b")
    if filed.kind == "bare":
        assert 0 < stores.store.of("a").largest <= CHUNK


def test_off_by_default_and_fetched_once_it_is_on(filed: Filed) -> None:
    filed.configure(FILES=False)
    row = filed.make("a", b"text", file="papers/2024/x.txt")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: None}
    filed.configure(FILES=["filed.Paper.file"])
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {row.pk: b"text"}


def test_rows_that_stand_on_both_sides_get_the_files_that_one_side_lacks(filed: Filed) -> None:
    for node in ("a", "b"):
        for number in range(1, 4):
            filed.make(node, pk=number, file=f"papers/2024/{number}.txt", title=str(number))
    stores.put("a", "papers/2024/1.txt", b"one")
    stores.put("b", "papers/2024/2.txt", b"two")  # nobody has the third
    assert filed.sync("a").status == filed.sync("b").status == "ok"
    assert filed.contents("a") == filed.contents("b") == {1: b"one", 2: b"two", 3: None}


def test_what_stands_there_already_is_not_sent(filed: Filed, monkeypatch: Any) -> None:
    row = filed.make("a", b"same", file="papers/2024/x.txt")
    stores.put("b", "papers/2024/x.txt", b"same")
    transfer = filed.transfer()
    monkeypatch.setattr(transfer.source, "file_read", None)
    assert transfer.run().status == "ok"
    assert filed.contents("b") == {row.pk: b"same"}
    assert filed.called("b") == []


def test_two_aliases_with_one_storage_have_nothing_to_copy(filed: Filed) -> None:
    from peersync import push

    if filed.served is not None:
        return
    filed.make("a", b"text", file="papers/2024/x.txt")
    with stores.at("a"):
        report = push(filed.aliases["b"])
    assert report.error is None
    assert report.status == "ok"
    assert filed.waiting("b") == []
    assert stores.got("b", "papers/2024/x.txt") is None
    if filed.kind == "bare":
        assert stores.store.of("a").read == 0


def test_a_default_is_the_projects_own_file(filed: Filed) -> None:
    filed.make("a", cover="none.png")
    assert filed.sync().status == "ok"
    assert filed.waiting("b") == []
