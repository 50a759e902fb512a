"""``apply``: a batch is taken in whole, with the checkpoint, or not at all; and what is done is told in figures."""

import json
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from peersync.errors import (
    ForgedVersion,
    PeersyncError,
    StaleBatch,
    TooManyConflicts,
    UnknownField,
    UnknownModel,
    UnknownPoint,
    WireError,
    WrongTarget,
)
from peersync.models import Conflict, Quarantine, RowState
from peersync.records import START, Batch, Figures, Point, Row
from tests.contract.conftest import CONFIG
from tests.support.api import everything
from tests.support.bulk import untracked
from tests.support.pairs import records, waiting
from tests.support.subjects import NEAR, NEAR_ALIAS, Subject, caller_of
from tests.zoo.models import Child, Parent, Secret, Wide

PARENT, CHILD = "zoo.Parent", "zoo.Child"
OTHER = "00000000-0000-4000-8000-000000000000"


def make(alias: str, *numbers: int, x: str = "x", **values: Any) -> None:
    for number in numbers:
        Parent.objects.using(alias).create(id=number, x=x, **values)


def figures(**counts: int) -> dict[str, Figures]:
    return {PARENT: Figures(**counts)}


def counted(outcome: Any) -> dict[str, Figures]:
    """Figures, without the models of which nothing is said."""
    return {label: one for label, one in outcome.figures.items() if any(one.as_dict().values())}


def met(subject: Subject, *numbers: int) -> Point:
    """Both sides hold these parents and have read each other; where ``near`` stands for the subject."""
    make(NEAR_ALIAS, *numbers)
    subject.push()
    subject.pull()
    return subject.cursor(PARENT)


def refused(subject: Subject, batch: Batch, error: type[PeersyncError]) -> None:
    """With exactly this error; nothing is written, nor is the checkpoint moved."""
    before = everything(subject.alias)
    with pytest.raises(error) as caught:
        subject.apply(batch)
    assert type(caught.value) is error
    assert everything(subject.alias) == before


# ---------------------------------------------------------------------- outcomes


def test_new_rows(subject: Subject) -> None:
    with untracked(NEAR_ALIAS):
        make(NEAR_ALIAS, 1, e="stays home")
    make(NEAR_ALIAS, 2, x="tracked", y="y", u="u")
    page = subject.first_page(PARENT)
    outcome = subject.apply(page)
    assert counted(outcome) == figures(created=2)
    assert (outcome.wanted, outcome.quarantined, outcome.warnings, outcome.busy) == ({}, {}, (), 0)
    assert subject.rows(Parent, "id", "x", "y", "u", "e") == [
        (1, "x", "", None, "dflt"),
        (2, "tracked", "y", "u", "dflt"),
    ]
    # the untracked one stays so: nobody else has read the subject
    (state,) = RowState.objects.using(subject.alias).all()
    assert (state.pk_text, json.loads(state.others)) == ("2", dict(page.rows[1].version))
    assert (state.sender, state.author, state.stamp) == (page.source, page.source, page.rows[1].stamp)


def test_rows_of_the_feed_newer_and_deleted(subject: Subject) -> None:
    cursor = met(subject, 1, 2, 3)
    Parent.objects.using(NEAR_ALIAS).filter(id=1).update(x="newer")
    Parent.objects.using(NEAR_ALIAS).get(id=2).delete()
    make(NEAR_ALIAS, 4)
    Parent.objects.using(NEAR_ALIAS).filter(id=3).update(e="an excluded field alone")
    news = subject.news(PARENT, cursor=cursor)
    assert counted(subject.apply(news)) == figures(created=1, updated=1, deleted=1)
    assert subject.rows(Parent, "id", "x") == [(1, "newer"), (3, "x"), (4, "x")]
    assert subject.cursor(PARENT) == news.end["cursor"] > cursor
    assert records(subject.alias) == []


def test_what_is_known_does_nothing(subject: Subject) -> None:
    """The subject's own row comes back to it, in a version that it had before."""
    cursor = met(subject, 1)
    (old,) = subject.near.rows(subject.me, PARENT, [(1,)]).rows
    Parent.objects.using(subject.alias).update(x="newer here")
    make(NEAR_ALIAS, 2)
    news = subject.news(PARENT, cursor=cursor)
    outcome = subject.apply(replace(news, rows=[old, *news.rows]))
    assert counted(outcome) == figures(created=1, unchanged=1)
    assert subject.rows(Parent, "id", "x") == [(1, "newer here"), (2, "x")]
    assert records(subject.alias) == []


def test_equal_contents_never_conflict(subject: Subject) -> None:
    for alias in (NEAR_ALIAS, subject.alias):
        make(alias, 1, x="same")
    (page,) = [subject.first_page(PARENT)]
    assert counted(subject.apply(page)) == figures(unchanged=1)
    assert records(subject.alias) == []
    (row,) = subject.answers(PARENT, (1,))
    assert row.version.keys() == {subject.caller.node, subject.me.node}
    assert row.stamp >= page.rows[0].stamp


def test_equal_documents_and_decimals_are_equal_contents(subject: Subject) -> None:
    """However each database orders, spaces and pads them."""
    common = {"id": 1, "number": "1", "token": uuid.UUID(int=1), "placed": "2026-01-01T00:00:00Z"}
    Wide.objects.using(NEAR_ALIAS).create(**common, amount=Decimal("1.50"), data={"b": [1, {"y": 1.0, "x": 2}], "a": 1})
    Wide.objects.using(subject.alias).create(
        **common, amount=Decimal("1.5"), data={"a": 1, "b": [1, {"x": 2, "y": 1.0}]}
    )
    assert counted(subject.apply(subject.first_page("zoo.Wide"))) == {"zoo.Wide": Figures(unchanged=1)}
    assert records(subject.alias) == []


@pytest.mark.parametrize("winner", ["local", "incoming"])
def test_a_conflict_is_settled_and_kept(subject: Subject, winner: str) -> None:
    """The later stamp wins; both rows stand whole in the record."""
    make(subject.alias, 1, x="of far", y="only far")
    make(NEAR_ALIAS, 1, x="of near", u="only near")
    page = subject.first_page(PARENT)
    (row,) = page.rows
    stamp = row.stamp + (1_000 if winner == "incoming" else -60_000)
    outcome = subject.apply(replace(page, rows=[replace(row, stamp=stamp)]))
    won = winner == "incoming"
    assert counted(outcome) == figures(conflicts=1, updated=int(won), unchanged=int(not won))
    assert subject.rows(Parent, "x") == [("of near" if won else "of far",)]
    found = Conflict.objects.using(subject.alias).get()
    assert (found.kind, found.model, found.key, found.winner, found.open) == ("conflict", PARENT, "[1]", winner, False)
    assert json.loads(found.local or "") == {"id": 1, "x": "of far", "y": "only far", "u": None, "b": "n"}
    assert json.loads(found.incoming or "") == {"id": 1, "x": "of near", "y": "", "u": "only near", "b": "n"}
    assert found.source == page.source
    assert {key: json.loads(found.incoming_version)[key] for key in row.version} == dict(row.version)


def test_a_deletion_of_what_was_never_there(subject: Subject) -> None:
    """It is remembered, for those who still have the row; nothing is counted."""
    cursor = met(subject)
    make(NEAR_ALIAS, 1)
    Parent.objects.using(NEAR_ALIAS).get(id=1).delete()
    assert counted(subject.apply(subject.news(PARENT, cursor=cursor))) == {}
    assert RowState.objects.using(subject.alias).get().deleted
    (answer,) = subject.answers(PARENT, (1,))
    assert (answer.kind, answer.deleted) == ("row", True)


def test_busy_rows_and_answers_without_a_row_write_nothing(subject: Subject) -> None:
    cursor = met(subject, 1, 2)
    news = subject.news(PARENT, cursor=cursor)
    rows = [Row(PARENT, (1,), {}, None, kind="busy"), Row(PARENT, (2,), {}, None, kind="none")]
    assert counted(subject.apply(replace(news, rows=rows))) == {}
    assert subject.rows(Parent, "id") == [(1,), (2,)]


# ---------------------------------------------------------------------- the checkpoint


def test_the_checkpoint_moves_with_the_rows(subject: Subject) -> None:
    """Page by page, then along the feed; each place is exactly where the batch led to."""
    make(NEAR_ALIAS, 1, 2, 3, 4, 5)
    batch = subject.first_page(PARENT, limit=2)
    start = batch.start
    while not batch.done:
        subject.apply(replace(batch, start=start, options={"fingerprint": "of both"}))
        found = subject.replica.checkpoint(subject.caller)[PARENT]
        assert (found.head, found.after, found.cursor) == (batch.end["head"], batch.end["after"], None)
        assert (found.seen, found.last) == (len(subject.rows(Parent, "id")), batch.rows[-1].key)
        start = batch.end
        batch = subject.near.snapshot(subject.me, PARENT, start["head"], start["after"], 2)
    subject.apply(replace(batch, start=start, options={"fingerprint": "of both"}))
    found = subject.replica.checkpoint(subject.caller)[PARENT]
    assert (found.cursor, found.head, found.after) == (batch.end["head"], None, None)
    assert (found.baseline, found.seen, found.fingerprint, found.owed) == (True, 5, "of both", None)
    assert found.compared == batch.end["head"].seq


def test_what_it_has_seen_of_the_source_is_shown(subject: Subject) -> None:
    make(NEAR_ALIAS, 1)
    page = subject.first_page(PARENT)
    subject.apply(page)
    assert subject.page(PARENT).points == (page.head,)
    assert subject.feed(PARENT).points == (page.head,)
    assert subject.replica.rows(subject.caller, PARENT, [(1,)]).points == (page.head,)


def test_a_batch_that_is_repeated_does_nothing(subject: Subject) -> None:
    """Of a snapshot, in the middle and at its end, and of the feed."""
    make(NEAR_ALIAS, 1, 2, 3)
    first = subject.first_page(PARENT, limit=2)
    subject.apply(first)
    refused(subject, first, StaleBatch)
    last = subject.near.snapshot(subject.me, PARENT, first.end["head"], first.end["after"], 2)
    subject.apply(last)
    refused(subject, last, StaleBatch)
    refused(subject, first, StaleBatch)
    make(NEAR_ALIAS, 4)
    news = subject.news(PARENT, cursor=last.end["head"])
    subject.apply(news)
    assert counted(subject.apply(subject.news(PARENT, cursor=news.end["cursor"]))) == {}
    refused(subject, news, StaleBatch)
    assert subject.rows(Parent, "id") == [(1,), (2,), (3,), (4,)]


def test_a_batch_from_another_place(subject: Subject) -> None:
    """Too early, too late, of the feed before the first contact is over, and of several models that stand apart."""
    make(NEAR_ALIAS, 1)
    refused(subject, subject.news(PARENT, cursor=START), StaleBatch)
    page = subject.first_page(PARENT)
    refused(subject, replace(page, start={"head": page.head, "after": "r:1"}), StaleBatch)
    subject.apply(page)
    cursor = page.end["head"]
    make(NEAR_ALIAS, 2)
    middle = subject.news(PARENT, cursor=cursor).end["cursor"]
    make(NEAR_ALIAS, 3)
    refused(subject, subject.news(PARENT, cursor=middle), StaleBatch)
    refused(subject, subject.news(PARENT, cursor=START), StaleBatch)
    refused(subject, replace(subject.news(PARENT, cursor=cursor), start={"cursor": Point(cursor.seq, "x")}), StaleBatch)
    refused(subject, subject.news(PARENT, CHILD, cursor=cursor), StaleBatch)


# ---------------------------------------------------------------------- what can't be true


def test_a_batch_for_another_node(subject: Subject) -> None:
    make(NEAR_ALIAS, 1)
    page = subject.first_page(PARENT)
    refused(subject, replace(page, target=OTHER), WrongTarget)
    refused(subject, replace(page, target=page.source), WrongTarget)


def test_points_of_a_history_that_is_not_here(subject: Subject) -> None:
    make(NEAR_ALIAS, 1)
    page = subject.first_page(PARENT)
    own = subject.end(PARENT)
    for point in (Point(own.seq + 1, own.nonce), Point(own.seq, "f" * 16 + "." + "0" * 24)):
        refused(subject, replace(page, points=(own, point)), UnknownPoint)
    assert counted(subject.apply(replace(page, points=(own,)))) == figures(created=1)


def test_versions_that_cannot_be(subject: Subject) -> None:
    """A place of the subject's own feed that it never gave, and one of the sender's above the head that he names."""
    make(NEAR_ALIAS, 1, 2)
    page = subject.first_page(PARENT)
    good, row = page.rows
    last = subject.end(PARENT).seq
    for version in ({**row.version, subject.me.node: last + 1}, {page.source: page.head.seq + 1}):
        refused(subject, replace(page, rows=[good, replace(row, version=version)]), ForgedVersion)
    allowed = replace(row, version={**row.version, subject.me.node: last, OTHER: 2**61})
    assert counted(subject.apply(replace(page, rows=[good, allowed]))) == figures(created=2)


def _with_field(page: Batch, name: str) -> Batch:
    names = {PARENT: (*page.fields[PARENT], name)}
    return replace(page, fields=names, rows=[replace(row, content=(*(row.content or ()), "v")) for row in page.rows])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda page: _with_field(page, "e"), UnknownField),
        (lambda page: _with_field(page, "nothing"), UnknownField),
        (lambda page: replace(page, models=("auth.User",), fields={"auth.User": ("id",)}, rows=[]), UnknownModel),
        (lambda page: replace(page, models=("zoo.No",), fields={"zoo.No": ("id",)}, rows=[]), UnknownModel),
        (lambda page: replace(page, rows=[*page.rows, Row(CHILD, (1,), {}, (1, "x", 1, ""))]), WireError),
        (lambda page: replace(page, rows=[*page.rows, Row(PARENT, (2, 3), {OTHER: 1}, None)]), WireError),
        (lambda page: replace(page, rows=[*page.rows, Row(PARENT, ("two",), {OTHER: 1}, None)]), WireError),
        (lambda page: replace(page, rows=[*page.rows, Row(PARENT, (2,), {OTHER: 1}, (3, "", "", None, ""))]), WireError),
        (lambda page: replace(page, rows=[*page.rows, Row(PARENT, (2,), {OTHER: 1}, (2, 5, "", None, ""))]), WireError),
        (lambda page: replace(page, rows=[*page.rows, Row(PARENT, (2,), {OTHER: 1}, (2, "x"))]), WireError),
        (
            lambda page: replace(
                page, fields={PARENT: ("x", "y")}, rows=[Row(PARENT, (2,), {OTHER: 1}, ("x", "y"))]
            ),
            WireError,
        ),
    ],
    ids=[
        "excluded field", "unknown field", "model not open", "unknown model", "row of another model", "key too long",
        "key of another type", "content of another key", "value of another type", "too few values", "no field that names",
    ],
)  # fmt: skip
def test_what_the_subject_does_not_take(subject: Subject, change: Any, error: type[PeersyncError]) -> None:
    make(NEAR_ALIAS, 1)
    refused(subject, change(subject.first_page(PARENT)), error)


def test_a_model_that_travels_the_other_way_alone(subject: Subject) -> None:
    subject.configure({**CONFIG, "DIRECTION": {PARENT: "master-to-slave"}, "ROLE": "master", "PEERS": {NEAR: {}}})
    make(NEAR_ALIAS, 1)
    refused(subject, subject.first_page(PARENT), UnknownModel)


# ---------------------------------------------------------------------- bounds


def test_too_many_conflicts_write_nothing_of_the_page(subject: Subject) -> None:
    """Rows, states, records and checkpoint: one transaction. Told to go on, it goes on."""
    subject.configure({**CONFIG, "MAX_CONFLICTS": 2})
    for alias in (NEAR_ALIAS, subject.alias):
        make(alias, *range(1, 6), x=alias)
    first = subject.first_page(PARENT, limit=2)
    assert subject.apply(first).figures[PARENT].conflicts == 2
    second = subject.near.snapshot(subject.me, PARENT, first.end["head"], first.end["after"], 2)
    refused(subject, second, TooManyConflicts)
    assert len(records(subject.alias)) == 2
    assert subject.replica.checkpoint(subject.caller)[PARENT].conflicts == 2
    outcome = subject.apply(replace(second, options={"accept_conflicts": True}))
    assert outcome.figures[PARENT].conflicts == 2
    assert len(records(subject.alias)) == 4


def test_a_dry_run_tells_and_writes_nothing(subject: Subject) -> None:
    cursor = met(subject, 1, 2, 3)
    make(NEAR_ALIAS, 4)
    Parent.objects.using(NEAR_ALIAS).filter(id=1).update(x="newer")
    Parent.objects.using(NEAR_ALIAS).get(id=2).delete()
    Parent.objects.using(subject.alias).filter(id=3).update(x="of far")
    Parent.objects.using(NEAR_ALIAS).filter(id=3).update(x="of near")
    news = subject.news(PARENT, cursor=cursor)
    before = everything(subject.alias)
    dry = subject.apply(replace(news, options={"dry_run": True}))
    assert everything(subject.alias) == before
    real = subject.apply(news)
    assert counted(dry) == counted(real)
    assert real.figures[PARENT].conflicts == 1
    assert (real.figures[PARENT].created, real.figures[PARENT].deleted) == (1, 1)


# ---------------------------------------------------------------------- what waits


def orphan(subject: Subject) -> Any:
    """A child comes whose parent is not here yet; the outcome."""
    cursor = met(subject)
    make(NEAR_ALIAS, 1)
    Child.objects.using(NEAR_ALIAS).create(id=7, p_id=1)
    outcome = subject.apply(subject.news(CHILD, cursor=cursor))
    assert counted(outcome) == {}
    assert outcome.quarantined == {CHILD: 1}
    assert waiting(subject.alias) == [(CHILD, "[7]", "parent")]
    assert subject.rows(Child, "id") == []
    return outcome


def answered(subject: Subject, *keys: tuple[str, tuple[Any, ...]], **changes: Any) -> Batch:
    """What ``near`` says about these rows, as one batch at the place where the subject stands."""
    answers = [subject.near.rows(subject.me, label, [key]) for label, key in keys]
    return replace(
        answers[0],
        rows=[row for answer in answers for row in answer.rows],
        models=(PARENT, CHILD),
        fields={PARENT: ("id", "x", "y", "u", "b"), CHILD: ("id", "x", "p", "e")},
        baselines={},
        start={"cursor": min(subject.cursor(PARENT), subject.cursor(CHILD))},
        **changes,
    )


def test_what_waits_is_asked_for_with_what_it_waits_for(subject: Subject) -> None:
    assert dict(orphan(subject).wanted) == {CHILD: ((7,),), PARENT: ((1,),)}
    assert subject.answers(CHILD, (7,))[0].kind == "busy", "it is neither here nor gone"


def test_answers_by_key_are_taken_in_and_what_waited_leaves(subject: Subject) -> None:
    orphan(subject)
    answers = answered(subject, (PARENT, (1,)), (CHILD, (7,)))
    refused(subject, replace(answers, start={"cursor": subject.cursor(CHILD)}), StaleBatch)
    outcome = subject.apply(answers)
    assert {label: one.created for label, one in counted(outcome).items()} == {PARENT: 1, CHILD: 1}
    assert (outcome.wanted, outcome.quarantined) == ({}, {})
    assert waiting(subject.alias) == []
    assert subject.rows(Child, "id", "p") == [(7, 1)]


def test_the_end_of_a_transfer_lists_what_still_waits(subject: Subject) -> None:
    orphan(subject)
    end = replace(answered(subject, (CHILD, (7,)), kind="end"), rows=[])
    assert not Quarantine.objects.using(subject.alias).get().listed
    for _ in range(2):  # it may be repeated
        assert counted(subject.apply(end)) == {CHILD: Figures(quarantined=1)}
        assert Quarantine.objects.using(subject.alias).get().listed


def test_a_unique_value_that_is_taken_waits_with_the_name_of_its_holder(subject: Subject) -> None:
    make(subject.alias, 5, u="taken")
    make(NEAR_ALIAS, 1, u="taken")
    make(NEAR_ALIAS, 2)
    outcome = subject.apply(subject.first_page(PARENT))
    assert outcome.figures[PARENT].created == 1
    assert outcome.quarantined == {PARENT: 1}
    assert subject.rows(Parent, "id") == [(2,), (5,)]
    found = Quarantine.objects.using(subject.alias).get()
    assert (found.key, found.reason, json.loads(found.needs)) == ("[1]", "unique", [[PARENT, [5]]])
    # nobody may think that its baseline covers it
    assert subject.answers(PARENT, (1,))[0].kind == "busy"


def test_an_excluded_field_of_a_row_that_stands_is_left_alone(subject: Subject) -> None:
    Secret.objects.using(subject.alias).create(id=1, name="old", password="of far")
    subject.push()
    Secret.objects.using(NEAR_ALIAS).create(id=1, name="new", password="of near")
    cursor = subject.cursor("zoo.Secret")
    subject.apply(subject.news("zoo.Secret", cursor=cursor))
    assert subject.rows(Secret, "name", "password") == [("new", "of far")]
    assert "of near" not in repr(everything(subject.alias))


def test_what_came_is_not_captured_again(subject: Subject) -> None:
    cursor = met(subject, 1, 2)
    Parent.objects.using(NEAR_ALIAS).filter(id=1).update(x="newer")
    Parent.objects.using(NEAR_ALIAS).get(id=2).delete()
    before = subject.end(PARENT)
    (news,) = [subject.news(PARENT, cursor=cursor)]
    subject.apply(news)
    third = caller_of("c")
    found = {row.key: row for row in subject.third().changes(third, [PARENT], before, None, 10).rows}
    assert {key: row.version for key, row in found.items()} == {row.key: row.version for row in news.rows}
    assert list(subject.feed(PARENT, cursor=before).rows) == []
