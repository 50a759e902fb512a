"""Rows that hang on each other in one set: who is written before whom."""

from typing import Any

from peersync.apply.session import Pending
from peersync.apply.writing import levels_of
from peersync.records import Row
from peersync.registry import registry

NAMES = ("parent", "name")


def pending(name: str, parent: str | None) -> Pending:
    return Pending(Row("zoo.Branch", (name,), {}, (parent, name)), "", "", NAMES)


def levels(settings: Any, *rows: Pending) -> tuple[list[list[str]], list[str]]:
    settings.SYNC_CONFIG = {"MODELS": ["zoo.Branch"], "IDENTITY": {"zoo.Branch": ["name"]}, "AUTO_SYNC": "off"}
    found, circles = levels_of(registry().models["zoo.Branch"], list(rows))
    return [[str(p.row.key[0]) for p in level] for level in found], [str(p.row.key[0]) for p in circles]


def test_parents_first_and_circles_by_themselves(settings: Any) -> None:
    tree = [pending("b", "a"), pending("a", None), pending("c", "a"), pending("d", "b"), pending("e", "elsewhere")]
    loop = [pending("x", "y"), pending("y", "x"), pending("z", "x"), pending("self", "self")]
    assert levels(settings, *tree, *loop) == ([["a", "e"], ["b", "c"], ["d"]], ["x", "y", "z", "self"])


def test_a_long_chain_is_sorted_out_in_one_go(settings: Any) -> None:
    """Twenty thousand rows, each behind the next: looking at all that are left for each level takes minutes."""
    rows = [pending(f"n{n}", f"n{n + 1}") for n in range(20_000)]
    found, circles = levels(settings, *rows)
    assert (len(found), found[0], found[-1], circles) == (20_000, ["n19999"], ["n0"], [])
