"""A state machine over real nodes: whatever is written, cut, repeated, put back or copied, the promises hold.

PEERSYNC_STATE_EXAMPLES=500 plays more histories than the few that every run of the tests plays;
PEERSYNC_STATE_SEED=1 plays others than those.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.state.histories import DAY, read_rows
from tests.state.world import CHAIN, NAMES, PAIR, TRIANGLE, Link, World
from tests.support.databases import NodeDatabase

EXAMPLES = int(os.environ.get("PEERSYNC_STATE_EXAMPLES", "0"))

parents = st.sampled_from(("P1", "P2"))
children = st.sampled_from(("Q1", "Q2"))
keys = st.one_of(parents, children)
sizes = st.sampled_from((10, 1, 2))
transfers = st.integers(0, 3)
UNTRACKED = ("", "P1", "P1 x=b u=U", "P1; Q1 p=P1", "P1; P2 u=U; Q1 p=P2", "P2 x=b; Q1 p=P2; Q2 p=P2")


class Machine(RuleBasedStateMachine):
    """What users and networks do. Subclasses say over which links."""

    links: tuple[Link, ...] = PAIR
    restores = True
    databases: Sequence[NodeDatabase]

    def __init__(self) -> None:
        super().__init__()
        self.sound = True
        self.world = World(self.databases, self.links)
        self.world.__enter__()

    def play(self, operation: str) -> None:
        try:
            self.world.play(operation)
        except BaseException:
            self.sound = False
            raise

    def node(self, number: int) -> str:
        return NAMES[number % len(self.world.sites)]

    def pair(self, number: int) -> str:
        """A link, in one direction or the other."""
        link = self.links[number // 2 % len(self.links)]
        return " ".join(NAMES[index] for index in (link if number % 2 == 0 else link[::-1]))

    @initialize(rows=st.lists(st.sampled_from(UNTRACKED), min_size=3, max_size=3))
    def begin(self, rows: list[str]) -> None:
        self.world.begin(read_rows(dict(zip(NAMES, rows, strict=True))))

    @rule(node=st.integers(0, 2), key=keys, field=st.sampled_from("xy"), parent=parents)
    def edit(self, node: int, key: str, field: str, parent: str) -> None:
        self.play(f"edit {self.node(node)} {key} {field} {parent}")

    @rule(node=st.integers(0, 2), key=keys)
    def delete(self, node: int, key: str) -> None:
        self.play(f"delete {self.node(node)} {key}")

    @rule(node=st.integers(0, 2), key=children, parent=parents)
    def move(self, node: int, key: str, parent: str) -> None:
        self.play(f"move {self.node(node)} {key} {parent}")

    @rule(node=st.integers(0, 2), key=parents, value=st.sampled_from("UV-"))
    def unique(self, node: int, key: str, value: str) -> None:
        self.play(f"unique {self.node(node)} {key} {value}")

    @rule(node=st.integers(0, 2))
    def swap_unique_values(self, node: int) -> None:
        """By way of nothing, as a user does it."""
        name = self.node(node)
        values = {key: self.world.site(name).rows().get(key) for key in ("P1", "P2")}
        if all(values.values()):
            one, other = (row.content[2] or "-" for row in values.values() if row)
            for line in (f"unique {name} P1 -", f"unique {name} P2 {one}", f"unique {name} P1 {other}"):
                self.play(line)

    @rule(node=st.integers(0, 2), key=keys)
    def touch(self, node: int, key: str) -> None:
        self.play(f"touch {self.node(node)} {key}")

    @rule(pair=st.integers(0, 5), size=sizes)
    def sync(self, pair: int, size: int) -> None:
        self.play(f"sync {self.pair(pair)} {size}")

    @rule(pair=st.integers(0, 5), size=sizes)
    def both(self, pair: int, size: int) -> None:
        self.play(f"both {self.pair(pair)} {size}")

    @rule(pair=st.integers(0, 5), size=sizes, steps=st.integers(1, 6))
    def start(self, pair: int, size: int, steps: int) -> None:
        self.play(f"start {self.pair(pair)} {size}")
        self.play(f"step {len(self.world.travel.open) - 1} {steps}")

    @precondition(lambda self: self.world.travel.open)
    @rule(which=transfers, steps=st.integers(1, 6))
    def step(self, which: int, steps: int) -> None:
        self.play(f"step {which} {steps}")

    @precondition(lambda self: self.world.travel.open)
    @rule(which=transfers)
    def cut(self, which: int) -> None:
        self.play(f"drop {which}")

    @precondition(lambda self: self.world.travel.applied)
    @rule(which=st.integers(0, 7))
    def again(self, which: int) -> None:
        self.play(f"again {which}")

    @rule(node=st.integers(0, 2), offset=st.sampled_from((-DAY, 0, DAY)))
    def clock(self, node: int, offset: int) -> None:
        self.play(f"clock {self.node(node)} {offset}")

    @precondition(lambda self: self.restores)
    @rule(node=st.integers(0, 2))
    def backup(self, node: int) -> None:
        self.play(f"backup {self.node(node)}")

    @precondition(lambda self: self.restores and any(site.backup for site in self.world.sites))
    @rule(node=st.integers(0, 2))
    def restore(self, node: int) -> None:
        self.play(f"restore {self.node(node)}")

    @precondition(lambda self: self.restores)
    @rule(pair=st.integers(0, 5))
    def clone(self, pair: int) -> None:
        self.play(f"clone {self.pair(pair)}")

    def teardown(self) -> None:
        """Writing stops; the judge looks."""
        try:
            if self.sound:
                # A deletion that meets a unique value that both sides want may take a second round.
                self.world.finish(rounds=2)
        finally:
            self.world.__exit__()


class Chain(Machine):
    """With three nodes a restored one may hand out places again: a known limit."""

    links = CHAIN
    restores = False


class Triangle(Chain):
    links = TRIANGLE


@pytest.mark.parametrize(("machine", "examples"), [(Machine, 16), (Chain, 8), (Triangle, 8)])
def test_promises_hold(machine: type[Machine], examples: int, sqlite_nodes: Any) -> None:
    class Here(machine):  # type: ignore[misc, valid-type]
        databases = sqlite_nodes

    run(Here, EXAMPLES or examples)


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "examples"), [(Machine, 4)])
def test_promises_hold_on_postgres(machine: type[Machine], examples: int, pg_nodes: Any) -> None:
    class Here(machine):  # type: ignore[misc, valid-type]
        databases = pg_nodes

    run(Here, EXAMPLES or examples)


def run(machine: type[Machine], examples: int) -> None:
    seed = int(os.environ.get("PEERSYNC_STATE_SEED", "0"))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=25,
        derandomize=not seed,
        database=None,
        deadline=None,
        # A failure is made shorter by tests.state.run; here it costs more minutes than a run may take.
        phases=[Phase.generate] if not EXAMPLES else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    factory: Any = machine
    if seed:
        from hypothesis import seed as seeded

        factory = seeded(seed)(machine)
    run_state_machine_as_test(factory, settings=chosen)
