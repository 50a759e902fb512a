"""Two files under one name both survive; and no name from a peer leads out of where the field puts its files."""

from peersync import compare
from peersync.models import Conflict, Journal, Quarantine
from tests.filed import stores
from tests.filed.models import Paper
from tests.support.filing import Filed
from tests.support.pairs import sql

SHARED = "papers/2024/report.txt"


def collide(filed: Filed) -> tuple[Paper, Paper]:
    """A row of each node, with files of one name; synchronised."""
    mine = filed.make("a", b"from a", pk=1, file=SHARED)
    yours = filed.make("b", b"from b", pk=2, file=SHARED)
    assert filed.sync("b").status == filed.sync("a").status == "ok"
    return mine, yours


def test_two_files_under_one_name_both_survive(filed: Filed) -> None:
    collide(filed)
    assert filed.contents("a") == filed.contents("b") == {1: b"from a", 2: b"from b"}
    assert stores.got("a", SHARED) == b"from a"
    assert stores.got("b", SHARED) == b"from b"
    ((name, local),) = filed.called("a")
    assert name == SHARED
    assert local != SHARED
    assert filed.names("a") == {1: SHARED, 2: local}


def test_a_local_name_is_no_change_and_no_difference(filed: Filed) -> None:
    collide(filed)
    for alias in filed.aliases.values():
        assert not Journal.objects.using(alias).exists()
    for source in ("a", "b", "a"):
        report = filed.sync(source)
        assert sum(f.created + f.updated + f.deleted + f.conflicts for f in report.models.values()) == 0
    repaired = filed.sync("a", repair=True)
    assert repaired.models["filed.Paper"].updated == 0
    assert not Conflict.objects.using(filed.aliases["b"]).exists()
    assert not any(found.count for found in compare(filed.replica("b")).values())
    assert filed.contents("a") == filed.contents("b") == {1: b"from a", 2: b"from b"}


def test_other_fields_of_such_a_row_travel_both_ways(filed: Filed) -> None:
    collide(filed)
    a, b = filed.aliases["a"], filed.aliases["b"]
    before = filed.names("a"), filed.names("b")
    Paper.objects.using(a).filter(pk=2).update(title="edited at a")
    Paper.objects.using(b).filter(pk=1).update(title="edited at b")
    filed.sync("b")
    filed.sync("a")
    assert (filed.names("a"), filed.names("b")) == before
    for alias in (a, b):
        assert dict(Paper.objects.using(alias).values_list("pk", "title")) == {1: "edited at b", 2: "edited at a"}
    Paper.objects.using(b).filter(pk=2).update(title="at b, whose file it is")  # a has it under a name of its own
    filed.sync("b")
    assert Paper.objects.using(a).get(pk=2).title == "at b, whose file it is"
    assert filed.names("a") == before[0]
    assert filed.contents("a") == filed.contents("b") == {1: b"from a", 2: b"from b"}


def test_a_new_upload_at_either_side_travels_as_ever(filed: Filed) -> None:
    collide(filed)
    for node, row in (("a", 2), ("b", 1)):
        name = f"papers/2025/{node}.txt"
        stores.put(node, name, f"new at {node}".encode())
        Paper.objects.using(filed.aliases[node]).filter(pk=row).update(file=name)
    filed.sync("b")
    filed.sync("a")
    assert filed.contents("a") == filed.contents("b") == {1: b"new at b", 2: b"new at a"}
    assert filed.names("a") == filed.names("b")


def test_a_hostile_name_keeps_its_row_out_and_writes_nothing(filed: Filed) -> None:
    filed.configure(FILES=False)  # the sender's own checks are not what protects the receiver
    names = [
        "/etc/passwd",
        "../up.txt",
        "papers/../../up.txt",
        "papers\\..\\x",
        "C:/x",
        "elsewhere/x.txt",
        "papers/a\nb",
    ]
    for number, name in enumerate(names, 1):
        filed.make("a", title=str(number), pk=number)
        sql(filed.aliases["a"], "UPDATE filed_paper SET file = %s WHERE id = %s", [name, number])
    fine = filed.make("a", b"fine", pk=50, file="papers/2024/fine.txt")
    filed.configure(FILES=True)
    report = filed.sync()
    assert report.models["filed.Paper"].quarantined == len(names)
    assert filed.contents("b") == {fine.pk: b"fine"}
    waiting = Quarantine.objects.using(filed.aliases["b"])
    assert {one.reason for one in waiting.all()} == {"invalid"}
    assert all("the name of its file" in one.detail for one in waiting.all())
    sql(filed.aliases["a"], "UPDATE filed_paper SET file = 'papers/2024/fine.txt'")
    assert filed.sync().status == "ok"
    assert len(filed.names("b")) == len(names) + 1


def test_a_name_that_came_while_files_were_off_is_refused_when_they_are_on(filed: Filed) -> None:
    filed.configure(FILES=False)
    row = filed.make("a")
    sql(filed.aliases["a"], "UPDATE filed_paper SET file = 'papers/../../up.txt' WHERE id = %s", [row.pk])
    filed.sync()
    filed.configure(FILES=True)
    report = filed.sync()
    assert report.status == "incomplete"
    assert filed.waiting("b") == [("papers/../../up.txt", "name", True)]


def test_with_signals_too(filed: Filed) -> None:
    filed.configure(CAPTURE="signals")
    collide(filed)
    assert filed.contents("a") == filed.contents("b") == {1: b"from a", 2: b"from b"}
