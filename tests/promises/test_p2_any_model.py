"""P2 for models of every shape: whatever two users do to them, both nodes come to hold the same, and nothing is lost.

PEERSYNC_STATE_EXAMPLES=100 plays more histories than the few that every run of the tests plays;
PEERSYNC_STATE_SEED=1 plays others than those.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from peersync.models import Conflict
from tests.promises.conftest import KINDS
from tests.support.ends import Ends, Servers
from tests.support.pairs import waiting
from tests.support.people import LABELS, TRAVELS, User, image, texts

EXAMPLES = int(os.environ.get("PEERSYNC_STATE_EXAMPLES", "0"))
SEED = int(os.environ.get("PEERSYNC_STATE_SEED", "0"))
BASES = {**KINDS, "across": ("a", "pg_b", "c")}
CONFIGS: dict[str, dict[str, Any]] = {
    "pk": {},
    "origin": {"IDENTITY": {"*": "origin"}},
    "merge": {"IDENTITY": {"*": "origin"}, "CONFLICT": {"*": "merge"}},
    "signals": {"CAPTURE": "signals"},
}

sides = st.sampled_from((0, 1))
shapes = st.sampled_from(TRAVELS)
chances = st.integers(0, 10_000)


class Machine(RuleBasedStateMachine):
    """What two users do, and when they synchronise. A subclass says where."""

    ends: Ends
    config: str

    def __init__(self) -> None:
        super().__init__()
        self.ends.reset()
        bulk = self.config != "signals"
        firsts = (None, None) if "IDENTITY" in CONFIGS[self.config] else (1000, 2000)
        self.users = [
            User(alias, first, bulk=bulk) for alias, first in zip((self.ends.a, self.ends.b), firsts, strict=True)
        ]
        self.sound = True

    @initialize(made=st.lists(st.tuples(sides, shapes, chances), max_size=6))
    def begin(self, made: list[tuple[int, Any, int]]) -> None:
        for side, model, chance in made:
            self.users[side].make(model, chance)

    @rule(side=sides, model=shapes, chance=chances)
    def make(self, side: int, model: Any, chance: int) -> None:
        self.users[side].make(model, chance)

    @rule(side=sides, model=shapes, chance=chances)
    def edit(self, side: int, model: Any, chance: int) -> None:
        self.users[side].edit(model, chance, f"{side} {chance}")

    @rule(side=sides, model=shapes, chance=chances)
    def delete(self, side: int, model: Any, chance: int) -> None:
        self.users[side].delete(model, chance)

    @rule(side=sides, which=chances, chance=chances)
    def pair(self, side: int, which: int, chance: int) -> None:
        self.users[side].pair(which, chance)

    @rule(side=sides, chance=chances)
    def change_seats(self, side: int, chance: int) -> None:
        self.users[side].change_seats(chance)

    @rule(direction=st.sampled_from(("push", "pull", "both")))
    def sync(self, direction: str) -> None:
        self.synchronise(direction)

    def synchronise(self, direction: str) -> None:
        try:
            self.ends.sync(direction)
        except BaseException:
            self.sound = False
            raise

    def teardown(self) -> None:
        if not self.sound:
            return
        for _ in range(2):
            self.ends.command("both", "--json")
        assert waiting(self.ends.a) == waiting(self.ends.b) == []
        assert image(self.ends.a) == image(self.ends.b)
        made, deleted = (set().union(*(getattr(user, name) for user in self.users)) for name in ("made", "deleted"))
        there = texts(self.ends.a)
        assert there <= made
        assert {text for text in made - deleted - there if not recorded(self.ends, text)} == set()


def recorded(ends: Ends, text: str) -> bool:
    """Whether a record of a conflict holds that row."""
    name = text.split(" ", 1)[1]
    rows = [
        row
        for alias in (ends.a, ends.b)
        for row in Conflict.objects.using(alias).values_list("local", "incoming", "cascade")
    ]
    return any(f'"{name}"' in str(row).replace("'", '"') for row in rows)


def _where() -> list[Any]:
    """Every way, database and setting at least once, and not all with all."""
    chosen = [
        ("alias", "sqlite", "pk", 7),
        ("alias", "sqlite", "origin", 8),
        ("alias", "sqlite", "merge", 4),
        ("alias", "sqlite", "signals", 4),
        ("alias", "postgres", "origin", 4),
        ("alias", "across", "pk", 3),
        ("http", "sqlite", "origin", 3),
        ("http", "postgres", "signals", 2),
        ("http", "across", "origin", 3),
    ]
    return [
        pytest.param(*one, id="-".join(one[:3]), marks=() if one[1] == "sqlite" else (pytest.mark.postgres,))
        for one in chosen
    ]


@pytest.fixture
def ends_of(make_nodes: Callable[..., Any], settings: Any, servers: Servers) -> Iterator[Callable[..., Ends]]:
    made: list[Ends] = []

    def make(way: str, kind: str) -> Ends:
        a, b, _ = make_nodes(*BASES[kind])
        made.append(Ends(settings, a, b, servers if way == "http" else None))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.parametrize(("way", "kind", "chosen", "examples"), _where())
def test_both_hold_the_same_and_nothing_is_lost(
    way: str, kind: str, chosen: str, examples: int, ends_of: Callable[..., Ends]
) -> None:
    found = ends_of(way, kind)
    found.configure("contenttypes.ContentType", *LABELS, **CONFIGS[chosen])

    class Here(Machine):
        ends, config = found, chosen

    factory: Any = seed(SEED)(Here) if SEED else Here
    run_state_machine_as_test(
        factory,
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=20,
            derandomize=not SEED,
            database=None,
            deadline=None,
            phases=[Phase.generate] if not EXAMPLES else [Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
