"""Whatever rows of every shape do with their unique values between two syncs, a legal end arrives."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pairs import Pair, records, waiting
from tests.support.single import LABELS, SHAPES, prepare, rewrite

KEYS = range(11, 19)
ends = st.lists(st.permutations(range(6)), min_size=1, max_size=3)
"""After each sync, which content each key has: those of the first ones stand, the others are free or their rows are gone."""


@st.composite
def histories(draw: st.DrawFn) -> list[dict[int, int]]:
    """For each sync, key → which content its row has."""
    found = []
    for values in draw(ends):
        keys = draw(st.permutations(KEYS))
        found.append(dict(zip(keys, values[: draw(st.integers(1, 6))], strict=False)))
    return found


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_any_permutation_arrives(kind: str, request: pytest.FixtureRequest) -> None:
    pair: Pair = request.getfixturevalue("lite" if kind == "sqlite" else "pg")
    pair.configure(*LABELS)
    prepare(pair.a)

    @settings(
        max_examples=4 if kind == "sqlite" else 2,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    @given(data=st.data())
    def play(data: Any) -> None:
        plans = {name: data.draw(histories(), label=name) for name in SHAPES}
        for step in range(max(map(len, plans.values()))):
            for name, (model, values) in SHAPES.items():
                if step < len(plans[name]):
                    rows = {key: values[which] for key, which in plans[name][step].items()}
                    rewrite(pair.a, model, rows, KEYS)
            pair.push()
            assert waiting(pair.b) == []
            assert pair.equal(*LABELS)
            assert records(pair.b) == []

    play()
