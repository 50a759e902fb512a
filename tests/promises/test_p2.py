"""P2: convergence. Once writing stops, one pull and one push leave both equal, but for what is listed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peersync.models import Conflict
from tests.support.ends import Ends
from tests.support.pairs import waiting
from tests.zoo.models import Child, Parent

LABELS = ["zoo.Parent", "zoo.Child"]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["write", "delete", "child", "pull", "push"]),
        st.integers(1, 4),
    ),
    max_size=14,
)


def act(ends: Ends, side: str, what: str, number: int, turn: int) -> None:
    alias = ends.a if side == "a" else ends.b
    if what in ("pull", "push"):
        ends.sync(what)
    elif what == "delete":
        Child.objects.using(alias).filter(p_id=number).delete()
        Parent.objects.using(alias).filter(id=number).delete()
    elif what == "write":
        Parent.objects.using(alias).update_or_create(id=number, defaults={"x": f"{side}{turn}"})
    elif Parent.objects.using(alias).filter(id=number).exists():
        Child.objects.using(alias).update_or_create(id=turn * 2 + (side == "a"), defaults={"p_id": number})


@pytest.mark.slow
def test_whatever_was_written_one_pull_and_one_push_leave_both_equal(ends: Ends) -> None:
    ends.configure(*LABELS)

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def history(edits: list[tuple[str, str, int]]) -> None:
        ends.reset()
        for turn, (side, what, number) in enumerate(edits):
            act(ends, side, what, number, turn)
        ends.sync("pull")
        ends.sync("push")
        assert waiting(ends.a) == waiting(ends.b) == []
        assert ends.equal(*LABELS)
        last = [ends.sync("pull"), ends.sync("push")]
        assert not any(
            found[figure]
            for transfers in last
            for models in transfers
            for found in models.values()
            for figure in ("created", "updated", "deleted", "conflicts")
        )

    history()


def test_an_edit_on_each_side_of_one_row_is_settled_alike_and_recorded(ends: Ends) -> None:
    ends.configure(*LABELS)
    Parent.objects.using(ends.a).create(id=1, x="first")
    ends.sync("push")
    ends.sync("pull")
    Parent.objects.using(ends.a).filter(id=1).update(x="of a")
    Parent.objects.using(ends.b).filter(id=1).update(x="of b")
    ends.sync("pull")
    ends.sync("push")
    assert ends.equal(*LABELS)
    assert Conflict.objects.using(ends.a).count() + Conflict.objects.using(ends.b).count() == 1
