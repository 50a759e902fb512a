"""A chain and a triangle of three nodes, over models of every relation: all three end equal, and nothing goes round."""

from collections.abc import Sequence
from typing import Any

import pytest

from peersync import capture
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support.pairs import Pair, waiting
from tests.zoo.models import Branch, Sku, SkuNote, Tag, Tagged

LABELS = ("zoo.Branch", "zoo.Sku", "zoo.SkuNote", "zoo.Tag", "zoo.Tagged")
IDENTITY = {
    "zoo.Branch": ["name"],
    "zoo.Sku": ["sku"],
    "zoo.SkuNote": ["sku", "text"],
    "zoo.Tag": ["name"],
    "zoo.Tagged": "pk",
}


class Three:
    def __init__(self, aliases: Sequence[str], links: Sequence[tuple[int, int]]) -> None:
        self.aliases, self.links = aliases, [(aliases[s], aliases[t]) for s, t in links]

    def carry(self, source: str, target: str) -> int:
        """One transfer; how many rows the source gave."""
        transfer = Transfer(DatabaseReplica(source, peer=target), DatabaseReplica(target, peer=source))
        report = transfer.run()
        assert report.error is None, report.error
        return transfer.sent

    def round(self) -> int:
        return sum(self.carry(t, s) + self.carry(s, t) for s, t in self.links)

    def calm(self) -> None:
        for _ in range(8):
            if not self.round():
                return
        pytest.fail("rows go round between idle nodes")

    def seen(self, alias: str) -> dict[str, list[Any]]:
        """By names, whatever their numbers."""
        found: dict[str, Any] = {
            "branches": Branch.objects.using(alias).values_list("name", "parent__name"),
            "skus": Sku.objects.using(alias).values_list("sku", "name"),
            "notes": SkuNote.objects.using(alias).values_list("sku__sku", "text"),
            "tags": Tagged.objects.using(alias).values_list("name", "tags__name"),
        }
        return {name: sorted(rows, key=repr) for name, rows in found.items()}

    def equal(self) -> dict[str, list[Any]]:
        found = [self.seen(alias) for alias in self.aliases]
        assert found[0] == found[1] == found[2]
        assert [waiting(alias) for alias in self.aliases] == [[], [], []]
        return found[0]


@pytest.fixture(params=[((0, 1), (1, 2)), ((0, 1), (1, 2), (0, 2))], ids=["chain", "triangle"])
def three(request: Any, nodes: Any, settings: Any) -> Three:
    aliases = [node.alias for node in nodes]
    Pair(settings, *aliases[:2]).configure(*LABELS, IDENTITY=IDENTITY, PEERS={"nobody": {}})
    capture.install(aliases[2])
    return Three(aliases, request.param)


def fill(alias: str, name: str, pk: int) -> None:
    """Rows that have the same numbers as other rows at the other nodes."""
    root = Branch.objects.using(alias).create(name=f"root {name}")
    Branch.objects.using(alias).create(name=f"leaf {name}", parent=root)
    sku = Sku.objects.using(alias).create(sku=f"sku {name}")
    SkuNote.objects.using(alias).create(sku=sku, text=f"note {name}")
    thing = Tagged.objects.using(alias).create(id=pk, name=f"thing {name}")
    thing.tags.add(Tag.objects.using(alias).create(name=f"tag {name}"))


def test_rows_born_everywhere(three: Three) -> None:
    for pk, alias in enumerate(three.aliases, 1):
        fill(alias, "abc"[pk - 1], pk)
    three.calm()
    found = three.equal()
    assert [row[0] for row in found["skus"]] == ["sku a", "sku b", "sku c"]
    assert found["branches"][:3] == [("leaf a", "root a"), ("leaf b", "root b"), ("leaf c", "root c")]
    assert found["tags"] == [("thing a", "tag a"), ("thing b", "tag b"), ("thing c", "tag c")]


def test_edits_renames_moves_and_deletions_everywhere(three: Three) -> None:
    a, b, c = three.aliases
    for pk, alias in enumerate(three.aliases, 1):
        fill(alias, "abc"[pk - 1], pk)
    three.calm()
    Sku.objects.using(a).filter(sku="sku c").update(name="edited at a")
    Sku.objects.using(b).filter(sku="sku a").update(sku="renamed at b")
    Branch.objects.using(c).filter(name="leaf a").update(parent=Branch.objects.using(c).get(name="root c"))
    Branch.objects.using(b).filter(name="root b").delete()
    Tagged.objects.using(c).get(name="thing a").tags.set([Tag.objects.using(c).get(name="tag b")])
    Tagged.objects.using(a).get(name="thing c").tags.clear()
    three.calm()
    found = three.equal()
    assert ("sku c", "edited at a") in found["skus"]
    assert ("renamed at b", "note a") in found["notes"]
    assert found["branches"] == [("leaf a", "root c"), ("leaf c", "root c"), ("root a", None), ("root c", None)]
    assert found["tags"] == [("thing a", "tag b"), ("thing b", "tag b"), ("thing c", None)]


def test_one_name_born_at_two_ends(three: Three) -> None:
    """The same row to all, and one content; what lost stands in a record somewhere."""
    a, _, c = three.aliases
    Sku.objects.using(a).create(sku="one", name="of a")
    Sku.objects.using(c).create(sku="one", name="of c")
    three.calm()
    [(sku, name)] = three.equal()["skus"]
    assert sku == "one"
    assert name in ("of a", "of c")


def test_a_deletion_at_one_end_meets_a_child_at_the_other(three: Three) -> None:
    a, _, c = three.aliases
    fill(a, "a", 1)
    three.calm()
    Sku.objects.using(a).filter(sku="sku a").delete()
    SkuNote.objects.using(c).create(sku=Sku.objects.using(c).get(sku="sku a"), text="unseen")
    three.calm()
    found = three.equal()
    assert ("sku a", "unseen") in found["notes"], "the deletion lost against a child that its maker had not seen"
