"""P8 for files: nothing leaks, nothing is forced. Contents leave for those who may see the row, by its key, never by name."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from peersync.errors import FileUnreadable, UnknownField, UnknownModel
from peersync.file_models import FileWait
from peersync.file_records import FileInfo, FileWant
from peersync.models import Node
from peersync.records import Caller
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.filing import Filed

SECRET = "papers/2024/secret.pdf"


def caller_of(filed: Filed, node: str) -> Caller:
    found = Node.objects.using(filed.aliases[node]).get()
    return Caller(node=found.node, install=found.install)


def asked(filed: Filed, want: FileWant) -> FileInfo:
    """What b answers a about it; where it answers nothing, it must not give the contents either."""
    caller = caller_of(filed, "a")
    info: FileInfo = filed.replica("b").file_infos(caller, [want])[0]
    if info.state != "here":
        with pytest.raises(FileUnreadable):
            filed.replica("b").file_read(caller, want, 0, lambda pieces: b"".join(pieces))
    return info


def want(pk: int, name: str = SECRET, field: str = "file", model: str = "filed.Paper") -> FileWant:
    return FileWant(0, model, (pk,), field, name, "")


def test_rows_out_of_view_give_no_files(filed: Filed) -> None:
    filed.configure(FILTER={"filed.Paper": {"branch": "north"}})
    hidden = filed.make("b", b"secret", pk=1, file=SECRET, branch="south")
    shown = filed.make("b", b"open", pk=2, file="papers/2024/open.pdf", branch="north")
    filed.sync("b")
    assert filed.contents("a") == {shown.pk: b"open"}
    assert asked(filed, want(shown.pk, "papers/2024/open.pdf")) == FileInfo(
        "here", 4, hashlib.sha256(b"open").hexdigest()
    )
    nothing = FileInfo("none")
    assert asked(filed, want(hidden.pk)) == asked(filed, want(99)) == nothing
    # nor under the key of a row that it sees: a file is asked for by the name that this very row has
    assert asked(filed, want(shown.pk)) == nothing


def test_excluded_fields_and_models_give_no_files(filed: Filed) -> None:
    row = filed.make("b", b"secret", file="", scan=SECRET)
    stores.put("b", SECRET, b"secret")
    filed.configure(EXCLUDE={"filed.Paper": ["scan"]})
    filed.sync("b")
    for refused, error in (
        (want(row.pk, field="scan"), UnknownField),
        (want(row.pk, field="title"), UnknownField),
        (want(row.pk, model="auth.User"), UnknownModel),
    ):
        with pytest.raises(error):
            filed.replica("b").file_infos(caller_of(filed, "a"), [refused])
        with pytest.raises(error):
            filed.replica("b").file_read(caller_of(filed, "a"), refused, 0, lambda pieces: b"".join(pieces))
    filed.configure(FILES=["filed.Paper.cover"])
    with pytest.raises(UnknownField):
        filed.replica("b").file_infos(caller_of(filed, "a"), [want(row.pk)])


def named_by_a(filed: Filed, **config: Any) -> Paper:
    """a pushes a row that names a file of b's; b has it for a row that a may not see."""
    filed.configure(FILTER={"filed.Paper": {"branch": "north"}}, **config)
    filed.make("b", b"secret", pk=1, file=SECRET, branch="south")
    filed.sync("b")
    return filed.make("a", pk=2, file=SECRET, branch="north")


@pytest.mark.parametrize("files", [True, False])
def test_a_name_that_a_peer_chose_gives_it_nothing(filed: Filed, files: bool) -> None:
    mine = named_by_a(filed, FILES=files)
    report = filed.sync()
    filed.configure(FILTER={"filed.Paper": {"branch": "north"}})
    assert asked(filed, want(mine.pk)).state == "missing"
    assert report.status == ("incomplete" if files else "ok")
    # it pushes once more, and says what it likes about the file
    caller, target = caller_of(filed, "a"), filed.replica("b")
    page = target.file_wants(caller, {"filed.Paper": ("file",)}, 0)
    for said in ("none", "missing", "unreadable"):
        target.file_offers(caller, [(one.number, FileInfo(said)) for one in page.wants])
        assert asked(filed, want(mine.pk)).state == "missing"


def test_who_knows_the_digest_but_not_the_file_gets_nothing(filed: Filed) -> None:
    mine = named_by_a(filed)
    filed.sync()
    caller, target = caller_of(filed, "a"), filed.replica("b")
    (one,) = target.file_wants(caller, {"filed.Paper": ("file",)}, 0).wants
    claim = FileInfo("here", 6, hashlib.sha256(b"secret").hexdigest())
    (state,) = target.file_offers(caller, [(one.number, claim)])
    assert state.offset == 0  # it is to send the file
    assert asked(filed, want(mine.pk)).state == "missing"
    assert target.file_write(caller, one.number, 0, iter([b"guess!"])).offset is None
    assert asked(filed, want(mine.pk)).state == "missing"


def test_who_has_a_file_under_the_same_name_gets_its_own_back(filed: Filed) -> None:
    mine = named_by_a(filed)
    stores.put("a", SECRET, b"mine")
    assert filed.sync().status == "ok"
    assert filed.contents("b") == {1: b"secret", mine.pk: b"mine"}
    info = asked(filed, want(mine.pk))
    assert info == FileInfo("here", 4, hashlib.sha256(b"mine").hexdigest())


def test_a_push_writes_files_of_its_own_rows_alone(filed: Filed) -> None:
    filed.configure(FILTER={"filed.Paper": {"branch": "north"}})
    filed.make("b", b"", pk=1, file=SECRET, branch="south")  # its file is missing there
    filed.make("b", b"", pk=2, file="papers/2024/gone.pdf", branch="north")
    filed.sync()
    wait = FileWait.objects.using(filed.aliases["b"])
    assert not wait.filter(pk_text="1").exists()
    caller, target = caller_of(filed, "a"), filed.replica("b")
    stranger = replace(caller, node="00000000-0000-4000-8000-000000000000")
    for number in range(20):
        for who in (caller, stranger) if filed.served is None else (caller,):
            assert target.file_write(who, number, 0, iter([b"forced"])).offset is None
            assert target.file_offers(who, [(number, FileInfo("missing"))])[0].offset is None
    assert filed.contents("b") == {1: None, 2: None}


def test_a_direction_holds_for_files_too(filed: Filed) -> None:
    """Rows that stand on both sides: the side that takes none in takes no files in either."""
    for node in ("a", "b"):
        filed.make(node, pk=1, file=SECRET)
    stores.put("a", SECRET, b"from a")
    filed.configure(DIRECTION={"filed.Paper": "slave-to-master"}, ROLE="slave" if filed.served else "master")
    assert filed.transfer().run().error is None
    page = filed.replica("b").file_wants(caller_of(filed, "a"), {"filed.Paper": ("file",)}, 0)
    assert page.done
    assert page.wants == ()
    assert filed.contents("b") == {1: None}


def test_a_file_that_has_not_come_is_not_passed_on(filed: Filed) -> None:
    """b has a's row, and under its name a file that is another's; who asks b for it is told that it is missing."""
    row = filed.make("a", pk=1, file=SECRET)
    stores.put("b", SECRET, b"of nobody's row")
    assert filed.sync().status == "incomplete"
    assert asked(filed, want(row.pk)).state == "missing"


@pytest.mark.parametrize("how", ["first look", "repair"])
def test_accept_holds_for_files_of_rows_that_stand_here_already(filed: Filed, how: str) -> None:
    """Who may not write the row may not give it another file either, at the first look at all files or in a repair."""
    for node in ("a", "b"):
        for pk, branch in ((1, "south"), (2, "north")):
            filed.make(node, pk=pk, file=f"papers/2024/{branch}.pdf", branch=branch)
            stores.put(node, f"papers/2024/{branch}.pdf", node.encode())
    filed.configure(ACCEPT={"filed.Paper": {"branch": "north"}}, FILES=how == "first look")
    assert filed.sync(repair=how == "repair").status == "ok"
    filed.configure(ACCEPT={"filed.Paper": {"branch": "north"}})
    filed.sync(repair=how == "repair")
    assert filed.contents("b") == {1: b"b", 2: b"a"}
    assert filed.waiting("b") == []
