"""P10: surprises are explained. Each is named in one sentence, with what mends it; what a comparison can mend, it mends."""

from collections.abc import Callable
from typing import Any

import pytest

from peersync import clock, numbering, prune
from peersync.models import Conflict, Node
from peersync.transactions import writing
from tests.support.commands import Answer
from tests.support.databases import NodeDatabase
from tests.support.ends import Ends
from tests.support.pairs import sql
from tests.zoo.models import Child, Parent, Sku

LABELS = ["zoo.Parent", "zoo.Child"]


def begin(ends: Ends) -> None:
    ends.configure(*LABELS)
    for n in range(1, 6):
        Parent.objects.using(ends.a).create(id=n, x="first")
        Child.objects.using(ends.a).create(id=n, p_id=n, x="first")
    ends.sync("both")


def texts(alias: str) -> dict[int, str]:
    return dict(Parent.objects.using(alias).values_list("id", "x"))


def put(alias: str, key: int, text: str) -> None:
    Parent.objects.using(alias).update_or_create(id=key, defaults={"x": text})


def node_id(alias: str) -> str:
    return Node.objects.using(alias).get().node


def told(answer: Answer, *words: str) -> None:
    """One sentence on standard error holds all of these words; nothing of a traceback, nothing in the JSON's way."""
    lines = [line for line in answer.error.splitlines() if all(word in line for word in words)]
    assert len(lines) == 1, answer
    assert "Traceback" not in answer.error


def quiet(ends: Ends) -> None:
    """Nothing is said again, and nothing is left to do."""
    answer = ends.command("both")
    assert (answer.status, answer.error) == (0, ""), answer
    assert ends.equal(*LABELS)
    assert ends.command("both", "--verify").status == 0


# ---------------------------------------------------------------------- histories


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("which", [0, 1], ids=["here", "there"])
def test_a_database_restored_from_a_backup(ends: Ends, which: int, direction: str) -> None:
    begin(ends)
    node, other = ends.nodes[which], ends.nodes[1 - which]
    backup = node.backup()
    put(node.alias, 1, "after the backup")
    put(node.alias, 20, "born after the backup")
    put(other.alias, 2, "of the other side")
    ends.sync("both")
    before = node_id(node.alias)
    node.restore(backup)
    put(node.alias, 3, "after the restore")
    answer = ends.command(direction)
    name = ends.a if which == 0 else ends.peer
    told(answer, name, "restored from a backup", "manage.py sync_peer renew")
    assert answer.status == 0
    assert node_id(node.alias) != before
    assert ends.command("both").status == 0
    quiet(ends)
    assert texts(ends.a) == {
        1: "after the backup",
        2: "of the other side",
        3: "after the restore",
        4: "first",
        5: "first",
        20: "born after the backup",
    }


def test_a_copy_that_meets_its_original(ends: Ends) -> None:
    """A test system made from the live one, byte for byte: whoever begins takes an id of its own."""
    ends.configure(*LABELS)
    here, there = ends.nodes
    put(here.alias, 1, "before the copy")
    numbering.number(here.alias)
    here.clone_to(there)
    ends.install()
    put(here.alias, 2, "at the original")
    put(there.alias, 3, "at the copy")
    assert node_id(here.alias) == node_id(there.alias)
    answer = ends.command("both")
    told(answer, ends.a, "copy", "manage.py sync_peer renew")
    assert answer.status == 0
    assert node_id(here.alias) != node_id(there.alias)
    quiet(ends)
    assert texts(ends.b) == {1: "before the copy", 2: "at the original", 3: "at the copy"}
    assert not Conflict.objects.using(ends.a).exists()


@pytest.mark.parametrize("away", [0, 1], ids=["there", "here"])
def test_a_peer_that_was_away_longer_than_deletions_are_remembered(
    ends: Ends, away: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted meanwhile goes there too, and what was made there meanwhile stays."""
    begin(ends)
    source, target = (node.alias for node in (ends.nodes if away == 0 else ends.nodes[::-1]))
    Child.objects.using(source).filter(id=4).delete()
    Parent.objects.using(source).filter(id=4).delete()
    put(target, 30, "made while away")
    numbering.number(source)
    _a_hundred_days_later(source)
    answer = ends.command("push" if away == 0 else "pull")
    told(answer, "zoo.Parent", "KEEP_TOMBSTONES", "compared in full")
    told(answer, "zoo.Child", "KEEP_TOMBSTONES", "compared in full")
    assert answer.status == 0
    assert ends.command("both").status == 0
    quiet(ends)
    assert set(texts(ends.a)) == {1, 2, 3, 5, 30}
    kept = [f"{r.local}" for r in Conflict.objects.using(target) if "tombstone pruned" in r.kind]
    assert len(kept) == 2, "what went with no tombstone is kept whole"


def _a_hundred_days_later(alias: str) -> None:
    """The node prunes what is older than KEEP_TOMBSTONES, whoever has read it."""
    real = clock.now_ms
    with pytest.MonkeyPatch.context() as patch, writing(alias) as node:
        patch.setattr(clock, "now_ms", lambda name: real(name) + 100 * prune.DAY_MS)
        assert prune.prune(node) == 2


# ---------------------------------------------------------------------- what is synchronised


def test_what_is_synchronised_has_changed(ends: Ends) -> None:
    """A field that joins later: rows that nobody touched since have it too."""
    ends.configure(*LABELS, EXCLUDE={"zoo.Parent": ["y"]})
    Parent.objects.using(ends.a).create(id=1, x="x", y="y")
    ends.sync("both")
    ends.configure(*LABELS)
    for direction in ("push", "pull"):
        answer = ends.command(direction)
        told(answer, "zoo.Parent", "has changed", "compared in full")
        assert answer.status == 0
    quiet(ends)


SCHEMA: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("identity", {"IDENTITY": {"zoo.Sku": ["sku"]}}, "schema_differs", ("zoo.Sku", 'SYNC_CONFIG["IDENTITY"]')),
    ("policy", {"CONFLICT": {"zoo.Sku": "source"}}, "role_conflict", ("zoo.Sku", 'SYNC_CONFIG["CONFLICT"]')),
]


@pytest.mark.parametrize(("what", "there", "code", "words"), SCHEMA, ids=[one[0] for one in SCHEMA])
def test_settings_that_contradict_each_other(
    wired: Ends, what: str, there: dict[str, Any], code: str, words: tuple[str, ...]
) -> None:
    wired.configure("zoo.Sku")
    Sku.objects.using(wired.a).create(id=1, sku="one")
    wired.other_side(MODELS=["zoo.Sku"], **there)
    answer = wired.command("push", "--json")
    assert answer.status == 1
    assert answer.json["error"]["code"] == code
    for word in words:
        assert word in answer.json["error"]["detail"]
    assert not Sku.objects.using(wired.b).exists(), "nothing was taken"
    wired.other_side(MODELS=["zoo.Sku"])
    assert wired.command("push").status == 0
    assert Sku.objects.using(wired.b).count() == 1


def test_a_field_of_another_type(wired: Ends) -> None:
    """Two releases of one project, of which one was not migrated."""
    wired.configure("zoo.Tag")
    sql(wired.a, "INSERT INTO zoo_tag (id, name) VALUES (1, 'red')")
    wired.do("from django.db.models import DurationField; Tag._meta.get_field('name').__class__ = DurationField")
    wired.other_side(MODELS=["zoo.Tag"])
    try:
        answer = wired.command("push", "--json")
    finally:
        wired.do("from django.db.models import CharField; Tag._meta.get_field('name').__class__ = CharField")
    assert answer.status == 1
    assert answer.json["error"]["code"] == "schema_differs"
    for word in ("zoo.Tag.name", "text", "duration", "Migrate both sides", "EXCLUDE"):
        assert word in answer.json["error"]["detail"]
    wired.other_side(MODELS=["zoo.Tag"])
    assert wired.command("push").status == 0
    quiet(wired)


def test_a_model_and_a_field_that_one_side_lacks(wired: Ends) -> None:
    """No error: the rest travels, and what does not is named once."""
    wired.configure(*LABELS)
    Parent.objects.using(wired.a).create(id=1, x="x", y="stays")
    wired.other_side(MODELS=["zoo.Parent", "zoo.Tag"], EXCLUDE={"zoo.Parent": ["y"]})
    answer = wired.command("push")
    told(answer, "zoo.Child", "one side only")
    told(answer, "zoo.Tag", "one side only")
    told(answer, "zoo.Parent", "y", "one side only")
    assert answer.status == 0
    assert list(Parent.objects.using(wired.b).values_list("x", "y")) == [("x", "")]


# ---------------------------------------------------------------------- clocks and triggers


@pytest.mark.parametrize("hours", [-30, 3])
def test_a_clock_that_is_wrong(ends: Ends, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before a row is taken; when the clock is right, all is as if nothing had been."""
    begin(ends)
    put(ends.a, 1, "changed")
    put(ends.b, 2, "changed")
    before = texts(ends.a), texts(ends.b)
    real = clock.now_ms
    wrong: Callable[[str], int] = lambda alias: real(alias) + hours * 3_600_000 * (alias == ends.a)  # noqa: E731
    monkeypatch.setattr(clock, "now_ms", wrong)
    for direction in ("push", "pull", "both"):
        answer = ends.command(direction, "--json")
        assert answer.status == 1
        assert answer.json["error"]["code"] == "clock_skew"
        assert str(abs(hours) * 3600)[:2] in answer.json["error"]["detail"]
        assert "Set the clock" in answer.json["error"]["detail"]
    assert (texts(ends.a), texts(ends.b)) == before
    monkeypatch.setattr(clock, "now_ms", real)
    assert ends.command("both").status == 0
    quiet(ends)
    assert texts(ends.a)[1] == texts(ends.a)[2] == "changed"


def drop_triggers(node: NodeDatabase) -> None:
    if node.vendor == "sqlite":
        found = sql(node.alias, "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'zoo_parent'")
        statements = [f'DROP TRIGGER "{name}"' for (name,) in found]
    else:
        names = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'zoo_parent'::regclass AND NOT tgisinternal"
        statements = [f'DROP TRIGGER "{name}" ON zoo_parent' for (name,) in sql(node.alias, names)]
    assert statements
    for statement in statements:
        sql(node.alias, statement)


@pytest.mark.parametrize("which", [0, 1], ids=["here", "there"])
def test_triggers_that_are_gone(ends: Ends, which: int) -> None:
    """Somebody dropped them: what was written meanwhile comes by a comparison, and the sentence says how to make them."""
    begin(ends)
    node = ends.nodes[which]
    drop_triggers(node)
    put(node.alias, 40, "unseen")
    answer = ends.command("push" if which == 0 else "pull")
    told(answer, "zoo.Parent", "not captured", "manage.py sync_peer install")
    assert answer.status == 0
    assert texts(ends.a)[40] == texts(ends.b)[40] == "unseen"
    ends.install()
    assert ends.command("both").status == 0
    quiet(ends)
