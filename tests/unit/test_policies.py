"""Deciding between two versions of which neither has seen the other: every policy, without a database."""

from typing import Any

import pytest

from peersync import marks
from peersync.conflicts import decide
from peersync.marks import ALL, Mark
from peersync.policies import Contest, Side, Value, digest, merge
from peersync.records import Row
from peersync.verdicts import Decision, Facts, Local
from peersync.versions import State

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
ZA, ZB = "aaaaaaaa-0000-4000-8000-00000000000f", "bbbbbbbb-0000-4000-8000-00000000000f"
NAMES = ("id", "x", "y")
BASE = {"x": Mark(5, A, 5), "y": Mark(6, B, 6)}


def facts(**more: Any) -> Facts:
    """Those of node A, to which B sends."""
    known: dict[str, Any] = {"policy": "merge", "noted": True, "fields": NAMES, "identity": ("id",), **more}
    return Facts(A, ZA, frozenset(), B, ZB, NAMES, **known)


def here(x: str, y: str, own: int, stamp: int, fields: dict[str, Mark] | None = None, **state: Any) -> Local:
    """What stands at A: it has seen place 6 of B, and changed the row at place ``own`` of its own feed."""
    text = marks.stored(fields, stamp, A) if fields is not None else None
    found = State("m", "1", own=own, others={B: 6}, stamp=stamp, author=A, fields=text, **state)
    return Local("1", found, (1, x, y), (1, x, y))


def came(x: str | None, y: str | None, place: int, stamp: int, fields: dict[str, Mark] | None = None) -> Row:
    """What B sends: it has seen place 5 of A, and changed the row at ``place`` of its own."""
    content = None if x is None else (1, x, y)
    return Row("m", (1,), {A: 5, B: place}, content, stamp, B, seq=place, fields=fields)


def both_ways(mine: Local, theirs: Row, **more: Any) -> tuple[Decision, Decision]:
    """The decision at A, and that at B about the same two versions."""
    at_a = decide(theirs, mine, facts(**more))
    state = mine.state
    assert state is not None
    content = mine.content
    sent = Row("m", (1,), state.stored_version(A), content, state.stamp, state.author, fields=marks.sent(state, NAMES))
    text = marks.stored(theirs.fields, theirs.stamp, B) if theirs.fields is not None else None
    others = {A: theirs.version[A]}
    standing = State("m", "1", theirs.version[B], others=others, stamp=theirs.stamp, author=B, fields=text)
    local = Local("1", standing, theirs.content, theirs.content)
    known: dict[str, Any] = {"policy": "merge", "noted": True, "fields": NAMES, "identity": ("id",), **more}
    at_b = decide(sent, local, Facts(B, ZB, frozenset(), A, ZA, NAMES, **known))
    return at_a, at_b


def outcome(decision: Decision, incoming: Row, local: Local) -> Any:
    """What the row says afterwards."""
    if not decision.write:
        return local.content
    return incoming.content if decision.content is None else decision.content


# ---------------------------------------------------------------------- merge


def test_fields_that_one_side_changed_are_merged() -> None:
    mine = here("new", "old", 7, 10, {**BASE, "x": Mark(10, A, 7)})
    theirs = came("old", "later", 8, 20, {**BASE, "y": Mark(20, B, 8)})
    at_a, at_b = both_ways(mine, theirs)
    assert at_a.content == at_b.content == (1, "new", "later")
    assert (at_a.winner, at_a.clean, at_a.record) == ("merged", True, "conflict")
    assert at_a.state is not None
    assert at_b.state is not None
    for state in (at_a.state, at_b.state):
        # no new event: the later stamp, and of each field the later mark
        assert (state.stamp, state.author, state.sender, state.changed) == (20, B, "", False)
        assert marks.of_state(state, A) == {"x": Mark(10, A, 7), "y": Mark(20, B, 8)}
        assert state.seq is None
    assert at_a.state.stored_version(A) == at_b.state.stored_version(B) == {A: 7, B: 8}


def test_of_one_field_the_later_change_stays_whatever_the_row_says() -> None:
    """B's row has the later stamp, A's change of x is the later one."""
    mine = here("of a", "old", 7, 15, {**BASE, "x": Mark(15, A, 7)})
    theirs = came("of b", "y of b", 8, 30, {"x": Mark(10, B, 7), "y": Mark(30, B, 8)})
    at_a, at_b = both_ways(mine, theirs)
    assert at_a.content == at_b.content == (1, "of a", "y of b")
    assert not at_a.clean, "B's change of x is lost"


def test_marks_that_are_even_leave_it_to_the_larger_value() -> None:
    mark = {"x": Mark(9, A, 5)}
    for mine_x, theirs_x in (("b", "a"), ("a", "b")):
        mine, theirs = here(mine_x, "y", 7, 10, mark), came(theirs_x, "y", 8, 10, mark)
        at_a, at_b = both_ways(mine, theirs)
        assert (
            outcome(at_a, theirs, mine)
            == outcome(at_b, Row("m", (1,), {}, mine.content), _local(theirs))
            == (
                1,
                "b",
                "y",
            )
        )


def _local(row: Row) -> Local:
    return Local("1", None, row.content)


def test_a_field_that_nobody_changed_goes_as_the_row_does() -> None:
    """The untracked rows differed: what is not marked is taken from the row with the later stamp, on both sides."""
    mine = here("new", "from a", 7, 10, {"x": Mark(10, A, 7)})
    theirs = came("old", "from b", 8, 20, {})
    at_a, at_b = both_ways(mine, theirs)
    assert outcome(at_a, theirs, mine) == (1, "new", "from b")
    assert at_b.content == at_a.content


def test_untracked_rows_are_taken_whole() -> None:
    mine = Local("1", None, (1, "a", "z"), (1, "a", "z"))
    theirs = Row("m", (1,), {ZB: 0}, (1, "b", "y"), 0, ZB, base=True)
    decision = decide(theirs, mine, facts())
    assert (decision.winner, decision.write, decision.content) == ("incoming", True, None)
    assert decision.state is not None
    assert (decision.state.stamp, decision.state.author, decision.state.fields) == (1, A, None)


@pytest.mark.parametrize(("stamp", "winner"), [(9, "local"), (20, "incoming")])
def test_a_row_against_a_deletion_is_settled_as_under_latest(stamp: int, winner: str) -> None:
    decision = decide(came(None, None, 8, stamp), here("x", "y", 7, 10, BASE), facts())
    assert (decision.winner, decision.write, decision.content) == (winner, winner == "incoming", None)
    assert decision.state is not None
    assert decision.state.sender == ""


def test_a_merge_that_leaves_the_row_as_it_is_writes_nothing() -> None:
    mine = here("a", "later", 7, 30, {**BASE, "x": Mark(30, A, 7), "y": Mark(29, A, 7)})
    decision = decide(came("b", "y", 8, 20, {"x": Mark(20, B, 8), "y": Mark(6, B, 6)}), mine, facts())
    assert (decision.winner, decision.write) == ("local", False)


def test_what_names_the_row_is_taken_from_one_side_as_a_whole() -> None:
    names = ("region", "number", "text")
    left = Side(names, ("n", 1, "t"), 10, A, marks={"region": Mark(10, A, 7)})
    right = Side(names, ("s", 2, "u"), 20, B, marks={"number": Mark(9, B, 8), "text": Mark(20, B, 8)})
    contest = Contest(left, right, identity=("region", "number"))
    assert contest.content(merge(contest)) == ("n", 1, "u")


def test_no_marks_but_a_stamp_means_every_field() -> None:
    """Born rows, and rows from before the policy: all of them bear the row's own mark."""
    mine = here("new", "a", 7, 10)
    theirs = came("old", "b", 8, 20, {"y": Mark(20, B, 8)})
    at_a, at_b = both_ways(mine, theirs)
    assert at_a.content == at_b.content == (1, "new", "b")
    assert at_a.state is not None
    assert marks.of_state(at_a.state, A) == {ALL: Mark(10, A, 7), "y": Mark(20, B, 8)}


def test_what_does_not_travel_keeps_its_marks() -> None:
    kept = {"x": Mark(3, A, 3), "secret": Mark(4, A, 4)}
    mine = here("x", "y", 5, 5, kept)
    theirs = Row("m", (1,), {A: 5, B: 9}, (1, "new", "y"), 9, B, fields={"x": Mark(9, B, 9)})
    decision = decide(theirs, mine, facts(fields=(*NAMES, "secret")))
    assert decision.kind == "newer"
    assert decision.state is not None
    assert marks.of_state(decision.state, A) == {"x": Mark(9, B, 9), "secret": Mark(4, A, 4)}


def test_a_local_change_without_a_place_stays_to_be_numbered() -> None:
    pending = {**BASE, "x": Mark(10, A, None)}
    mine = here("new", "old", 5, 10, pending, changed=True)
    decision = decide(came("old", "later", 8, 20, {**BASE, "y": Mark(20, B, 8)}), mine, facts())
    assert decision.content == (1, "new", "later")
    assert decision.state is not None
    assert decision.state.changed
    assert marks.unplaced(decision.state.fields)
    assert marks.of_state(decision.state, A)["x"] == Mark(10, A, None)


# ---------------------------------------------------------------------- manual


@pytest.mark.parametrize("incoming", [("x", "y"), (None, None)])
def test_under_manual_nothing_is_decided(incoming: Any) -> None:
    decision = decide(came(*incoming, 8, 20), here("mine", "y", 7, 10), facts(policy="manual", noted=False))
    assert (decision.open, decision.write, decision.state, decision.winner) == (True, False, None, "")
    assert decision.record == "conflict"


def test_under_manual_what_was_seen_is_no_conflict() -> None:
    seen = Row("m", (1,), {A: 7, B: 8}, (1, "x", "y"), 20, B)
    decision = decide(seen, here("mine", "y", 7, 10), facts(policy="manual", noted=False))
    assert (decision.kind, decision.write, decision.open) == ("newer", True, False)


# ---------------------------------------------------------------------- functions


def decided(rule: Any, incoming: Row, local: Local) -> Decision:
    return decide(incoming, local, facts(policy="shop.sync.settle", rule=rule))


def test_a_function_sees_both_sides() -> None:
    seen: list[Contest] = []

    def rule(contest: Contest) -> str:
        seen.append(contest)
        return "local"

    mine = here("new", "old", 7, 10, {**BASE, "x": Mark(10, A, 7)})
    decided(rule, came("old", "later", 8, 20, {**BASE, "y": Mark(20, B, 8)}), mine)
    (contest,) = seen
    assert (contest.model, contest.key, contest.identity) == ("m", (1,), ("id",))
    assert contest.local.row == {"id": 1, "x": "new", "y": "old"}
    assert contest.incoming.row == {"id": 1, "x": "old", "y": "later"}
    assert (contest.local.version, contest.incoming.version) == ({A: 7, B: 6}, {A: 5, B: 8})
    assert (contest.local.rank, contest.incoming.rank) == ((10, A), (20, B))
    assert (contest.local.changed, contest.incoming.changed) == ({"x"}, {"y"})
    assert contest.ancestor == {"id": digest(1), "x": digest("old"), "y": digest("old")}


def test_the_ancestor_of_what_both_changed_is_not_known() -> None:
    seen: list[Contest] = []
    mine = here("a", "y", 7, 10, {**BASE, "x": Mark(10, A, 7)})
    decided(lambda c: seen.append(c) or "local", came("b", "y", 8, 20, {**BASE, "x": Mark(20, B, 8)}), mine)
    assert seen[0].ancestor == {"id": digest(1), "x": None, "y": digest("y")}


def test_nothing_is_known_of_changes_that_nobody_noted() -> None:
    seen: list[Contest] = []
    mine = here("a", "y", 7, 10)
    rule = lambda contest: seen.append(contest) or "local"  # noqa: E731
    decide(came("b", "y", 8, 20), mine, facts(policy="f.g", rule=rule, noted=False))
    assert (seen[0].local.changed, seen[0].incoming.changed, seen[0].ancestor) == (None, None, None)


def test_a_deletion_has_no_row_and_no_changes_of_fields() -> None:
    seen: list[Contest] = []
    mine = here("new", "y", 7, 10, {**BASE, "x": Mark(10, A, 7)})
    decided(lambda c: seen.append(c) or "incoming", came(None, None, 8, 20, BASE), mine)
    assert seen[0].incoming.row is None
    assert seen[0].incoming.deleted
    assert seen[0].ancestor == {"id": digest(1), "x": None, "y": digest("y")}


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (lambda c: {"x": c.incoming}, (1, "b", "old")),
        (lambda c: {"x": "incoming", "y": "incoming"}, (1, "b", "later")),
        (lambda c: {"x": "both", "y": c.local}, (1, "both", "old")),
        (lambda c: {"x": Value("incoming")}, (1, "incoming", "old")),
        (lambda c: {}, (1, "a", "old")),
        (lambda c: "incoming", (1, "b", "later")),
        (lambda c: "local", (1, "a", "old")),
    ],
)
def test_a_function_decides_as_a_new_event_over_both(answer: Any, content: Any) -> None:
    mine, theirs = here("a", "old", 7, 10, BASE), came("b", "later", 8, 20, BASE)
    decision = decided(answer, theirs, mine)
    assert outcome(decision, theirs, mine) == content
    state = decision.state
    assert state is not None
    assert (state.changed, state.stamp, state.author, state.sender, state.seq) == (True, 21, A, "", None)
    assert state.others == {B: 8}
    noted = marks.of_state(state, A)
    for name, value in zip(NAMES, content, strict=True):
        differs = value != dict(zip(NAMES, mine.content or (), strict=True))[name]
        differs |= value != dict(zip(NAMES, theirs.content or (), strict=True))[name]
        assert (noted.get(name) == Mark(21, A, None)) == differs


def test_a_function_may_leave_it_open() -> None:
    decision = decided(lambda c: "manual", came("b", "y", 8, 20), here("a", "y", 7, 10))
    assert decision.open


def test_a_function_may_build_a_row_on_what_is_left_of_it() -> None:
    deleted = Local("1", State("m", "1", own=7, others={B: 6}, stamp=10, author=A, deleted=True))
    decision = decided(lambda c: {"y": "kept"}, came("b", "y", 8, 20), deleted)
    assert (decision.write, decision.content, decision.winner) == (True, (1, "b", "kept"), "merged")


# ---------------------------------------------------------------------- marks


def test_marks_are_kept_short() -> None:
    born = marks.changed({}, Mark(5, A), None)
    assert marks.stored(born, 5, A) is None, "the row's own stamp says it of all fields"
    later = marks.changed(born, Mark(9, A), ["x"])
    text = marks.stored(later, 9, A)
    assert text == f'{{"*":[5,"{A}",null],"x":[9,"{A}",null]}}'
    assert marks.placed(text, 77) == f'{{"*": [5, "{A}", 77], "x": [9, "{A}", 77]}}'
    assert marks.placed(None, 77) is None


def test_a_later_mark_is_not_put_back_by_an_earlier_event() -> None:
    """Entries of the journal come in the order of their numbers, which need not be that of their stamps."""
    found = marks.changed(marks.changed({}, Mark(9, A), ["x"]), Mark(5, A), ["x", "y"])
    assert found == {"x": Mark(9, A), "y": Mark(5, A)}
    assert marks.changed(found, Mark(7, A), None) == {ALL: Mark(7, A), "x": Mark(9, A)}


def test_of_each_field_the_later_mark_is_kept() -> None:
    local = {ALL: Mark(5, A, 5), "x": Mark(9, A, 9)}
    incoming = {"x": Mark(8, B, 8), "y": Mark(7, B, 7), "other": Mark(99, B, 9)}
    assert marks.joined(local, incoming, NAMES) == {**local, "y": Mark(7, B, 7)}
    assert marks.joined({}, {ALL: Mark(5, B, 5)}, ("x",)) == {"x": Mark(5, B, 5)}
