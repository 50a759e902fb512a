"""P1: two steps lose nothing. Whatever each side made, changed or deleted, the two commands bring to the other."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.ends import Ends
from tests.zoo.models import Child, Parent, SelfRef, Tag, Tagged

LABELS = ["zoo.Parent", "zoo.Child", "zoo.SelfRef", "zoo.Tag", "zoo.Tagged"]
RECIPES = [("master-to-slave", "slave-to-master"), ("slave-to-master", "master-to-slave")]


def texts(alias: str) -> dict[int, str]:
    return dict(Parent.objects.using(alias).values_list("id", "x"))


def pairs(alias: str) -> list[tuple[int, int]]:
    """Of the many-to-many field: its rows are named by what they join, and may bear other numbers on each side."""
    return sorted(Tagged.tags.through._base_manager.using(alias).values_list("tagged", "tag"))


def two_steps(ends: Ends, recipe: Iterable[str]) -> int:
    """How many conflicts they found."""
    figures = [models for direction in recipe for models in ends.sync(direction)]
    return sum(found["conflicts"] for models in figures for found in models.values())


@pytest.mark.parametrize("recipe", RECIPES, ids=["push first", "pull first"])
def test_both_hold_what_either_made(ends: Ends, recipe: tuple[str, str]) -> None:
    """The recipe of the package that this one replaces, which loses every row that one side alone has."""
    ends.configure(*LABELS)
    for n in range(1, 6):
        Parent.objects.using(ends.a).create(id=n, x="made at a")
        Parent.objects.using(ends.b).create(id=n + 10, x="made at b")
    Child.objects.using(ends.a).create(id=1, p_id=1, x="made at a")
    Child.objects.using(ends.b).create(id=2, p_id=11, x="made at b")
    assert two_steps(ends, recipe) == 0
    assert texts(ends.a) == {n + 10 * at_b: f"made at {'ab'[at_b]}" for n in range(1, 6) for at_b in (0, 1)}
    assert ends.equal(*LABELS)

    Parent.objects.using(ends.a).filter(id=1).update(x="changed at a")
    Parent.objects.using(ends.b).filter(id=2).update(x="changed at b")
    Parent.objects.using(ends.a).get(id=3).delete()
    Parent.objects.using(ends.b).get(id=12).delete()
    Parent.objects.using(ends.b).get(id=11).delete()  # its child goes with it
    Parent.objects.using(ends.a).create(id=6, x="later at a")
    Parent.objects.using(ends.b).create(id=16, x="later at b")
    assert two_steps(ends, recipe) == 0
    assert texts(ends.a) == {
        1: "changed at a",
        2: "changed at b",
        **dict.fromkeys((4, 5), "made at a"),
        6: "later at a",
        **dict.fromkeys((13, 14, 15), "made at b"),
        16: "later at b",
    }
    assert list(Child.objects.using(ends.a).values_list("id", flat=True)) == [1]
    assert ends.equal(*LABELS)
    for figures in (*ends.sync(recipe[0]), *ends.sync(recipe[1])):
        assert not any(f[name] for f in figures.values() for name in ("created", "updated", "deleted", "conflicts"))


def test_rows_that_hang_together(ends: Ends) -> None:
    """Trees and many-to-many fields, made on one side each."""
    ends.configure(*LABELS)
    for alias, base in ((ends.a, 0), (ends.b, 100)):
        top = SelfRef.objects.using(alias).create(id=base + 9, name=f"top of {base}")
        SelfRef.objects.using(alias).create(id=base + 1, name="below", parent=top)
        thing = Tagged.objects.using(alias).create(id=base + 1, name=f"thing {base}")
        thing.tags.add(*(Tag.objects.using(alias).create(id=base + n, name=f"tag {base + n}") for n in (1, 2)))
    two_steps(ends, RECIPES[0])
    assert ends.equal(*LABELS)
    assert pairs(ends.a) == pairs(ends.b)
    assert SelfRef.objects.using(ends.a).filter(parent__name="top of 100").count() == 1
    assert Tagged.objects.using(ends.b).get(id=1).tags.count() == 2
    Tagged.objects.using(ends.a).get(id=101).tags.remove(101)
    Tagged.objects.using(ends.b).get(id=1).tags.clear()
    SelfRef.objects.using(ends.b).get(id=9).delete()
    two_steps(ends, RECIPES[0])
    assert ends.equal(*LABELS)
    assert pairs(ends.a) == pairs(ends.b)
    assert [t.pk for t in Tag.objects.using(ends.b).filter(tagged__id=101)] == [102]
    assert not Tagged.objects.using(ends.a).get(id=1).tags.exists()
    assert list(SelfRef.objects.using(ends.a).order_by("id").values_list("id", flat=True)) == [101, 109]


# ---------------------------------------------------------------------- whatever was done

SIDES = "ab"
Write = tuple[str, int, str]
"""Side, key, and what: ``put`` (create or change) or ``delete``."""

writes = st.lists(
    st.tuples(st.sampled_from(SIDES), st.integers(1, 4), st.sampled_from(("put", "put", "delete"))), max_size=7
)
EXAMPLES = {"alias-sqlite": 12, "http-sqlite": 6, "alias-postgres": 6, "http-postgres": 4}


class Book:
    """What must stand on both sides: a row that one side alone touched since the last sync is as that side left it."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.common: dict[int, str] = {}
        self.touched: dict[int, dict[str, str | None]] = {}
        self.count = 0

    def write(self, side: str, key: int, what: str) -> None:
        rows = Parent.objects.using(getattr(self.ends, side))
        self.count += 1
        value = f"{side}{self.count}" if what == "put" else None
        if value is None:
            if not rows.filter(id=key).delete()[0]:
                return
        else:
            rows.update_or_create(id=key, defaults={"x": value})
        self.touched.setdefault(key, {})[side] = value

    def look(self) -> None:
        here, there = texts(self.ends.a), texts(self.ends.b)
        assert here == there
        for key in {*self.common, *self.touched, *here}:
            by_side = self.touched.get(key)
            allowed = {self.common.get(key)} if by_side is None else set(by_side.values())
            assert here.get(key) in allowed, f"{key}: {allowed} became {here.get(key)}"
        self.common, self.touched = here, {}


@pytest.mark.slow
def test_whatever_either_side_did(ends: Ends, request: pytest.FixtureRequest) -> None:
    """Rows made, changed and deleted at random on either side, before the first sync and between the later ones."""
    ends.configure("zoo.Parent")

    @settings(
        max_examples=EXAMPLES[request.node.callspec.id],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(writes, st.sampled_from(RECIPES)), min_size=1, max_size=3))
    def play(rounds: Sequence[tuple[list[Write], tuple[str, str]]]) -> None:
        ends.reset()
        book = Book(ends)
        for done, recipe in rounds:
            for write in done:
                book.write(*write)
            two_steps(ends, recipe)
            book.look()

    play()


def test_the_book_would_show_a_loss(ends: Ends) -> None:
    """What the test above looks at: a mirror, which is what the old package makes, loses rows."""
    ends.configure("zoo.Parent", scopes=("pull", "push", "mirror"))
    book = Book(ends)
    book.write("a", 1, "put")
    book.write("b", 2, "put")
    ends.sync("push", "--mirror", "--noinput")
    ends.sync("pull")
    with pytest.raises(AssertionError, match=r"2: {'b2'} became None"):
        book.look()
