"""P8, what is forced: a push writes models, fields and rows that are open to that peer; else it hears what it would of nothing.

Each push goes over a real socket twice: to a node where the row stands, hidden, and to one where there never was one.
The answers are the same to the byte, but for names of nodes, places in histories and times.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from peersync import wire
from peersync.gaps import Gap
from peersync.models import Quarantine, RowState
from peersync.records import Batch, Row
from tests.support.api import batch_from, caller_of
from tests.support.ends import Ends
from tests.zoo.models import Child, Parent

HIDDEN, OPEN, NOWHERE = 10, 20, 999
PARENT = ("id", "x", "y", "u", "b")
CHILD = ("id", "x", "p")


def narrow(ends: Ends) -> None:
    ends.configure(
        "zoo.Parent",
        "zoo.Child",
        there={"FILTER": {"zoo.Parent": {"b": "n"}}},
        EXCLUDE={"zoo.Parent": ["e"], "zoo.Child": ["e"]},
    )


def begin(ends: Ends, *, hidden: bool) -> None:
    """A row in view, and one that is not, with a child and a unique value."""
    Parent.objects.using(ends.b).create(id=OPEN, x="open", e="excluded")
    if hidden:
        Parent.objects.using(ends.b).create(id=HIDDEN, x="hidden", b="x", u="taken", e="excluded")
        Child.objects.using(ends.b).create(id=HIDDEN, p_id=HIDDEN, x="hidden")
    Parent.objects.using(ends.a).create(id=1, x="of a")


def parent(key: int, **values: Any) -> Row:
    return Row("zoo.Parent", (key,), {}, tuple({"id": key, "x": "x", "y": "", "u": None, "b": "n", **values}.values()))


def child(key: int, target: int) -> Row:
    return Row("zoo.Child", (key,), {}, (key, "x", target))


def batch(ends: Ends, *rows: Row, **changes: Any) -> Batch:
    """A page of a's snapshot with these rows, each of a version that claims to have seen all that a could."""
    page = batch_from(ends.a, ends.b, rows[0].model if rows else "zoo.Parent")
    names = {"zoo.Parent": PARENT, "zoo.Child": CHILD}
    me = caller_of(ends.a).node
    told = [replace(row, version={me: page.head.seq}, stamp=2**61, author=me) for row in rows]
    return replace(page, rows=told, fields={m: names.get(m, PARENT) for m in page.models}, **changes)


class Pusher:
    """The peer, with its token, over a socket."""

    def __init__(self, ends: Ends) -> None:
        entry = ends.settings.SYNC_CONFIG["PEERS"]["branch"]
        self.url = f"{entry['URL']}v1/"
        self.headers = {"Authorization": f"Token {entry['TOKEN']}", **wire.caller_headers(caller_of(ends.a))}

    def push(self, one: Batch) -> requests.Response:
        lines = b"".join(wire.batch_lines(one))
        headers = {**self.headers, "Content-Type": "application/x-ndjson"}
        return requests.post(f"{self.url}changes/", lines, headers=headers, timeout=30)

    def ask(self, label: str, *keys: int) -> requests.Response:
        body = {"keys": [[key] for key in keys]}
        return requests.post(f"{self.url}rows/{label}/", json=body, headers=self.headers, timeout=30)

    def hello(self) -> requests.Response:
        return requests.get(self.url, headers=self.headers, timeout=30)


def with_and_without(ends: Ends) -> Iterator[tuple[bool, Pusher]]:
    """The same two nodes with a hidden row and without it, and the peer, who was greeted."""
    for hidden in (True, False):
        ends.reset()
        begin(ends, hidden=hidden)
        pusher = Pusher(ends)
        pusher.hello()
        yield hidden, pusher


def heard(answer: requests.Response) -> tuple[int, dict[str, str], bytes]:
    """The answer, in which names, places and times are numbered as they come."""
    kept = {name: value for name, value in answer.headers.items() if name not in ("Date", "Content-Length")}
    seen: dict[bytes, bytes] = {}
    numbers = itertools.count(1)

    def name(found: re.Match[bytes]) -> bytes:
        return seen.setdefault(found[0], b"<%d>" % next(numbers))

    pattern = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}\.[0-9a-f]{24}|\b1[0-9]{12}\b"
    return answer.status_code, kept, re.sub(pattern, name, answer.content)


PUSHES: dict[str, Callable[[Ends], Batch]] = {
    "an edit": lambda ends: batch(ends, parent(HIDDEN)),
    "an edit that opens it": lambda ends: batch(ends, parent(HIDDEN, b="n", y="mine now")),
    "a deletion": lambda ends: batch(ends, replace(parent(HIDDEN), content=None)),
    "an exit": lambda ends: batch(ends, replace(parent(HIDDEN), content=None, kind="exit")),
    "busy": lambda ends: batch(ends, replace(parent(HIDDEN), content=None, kind="busy")),
    "none": lambda ends: batch(ends, replace(parent(HIDDEN), content=None, kind="none")),
    "an edit of its child": lambda ends: batch(ends, child(HIDDEN, OPEN)),
    "a deletion of its child": lambda ends: batch(ends, replace(child(HIDDEN, HIDDEN), content=None)),
    "a child for it": lambda ends: batch(ends, child(77, HIDDEN)),
    "renamed to it": lambda ends: batch(ends, replace(parent(77), earlier=((HIDDEN,),))),
    "in company": lambda ends: batch(ends, parent(5), parent(HIDDEN), parent(6)),
    "a unique value of it": lambda ends: batch(ends, parent(77, u="taken")),
    "a unique value of it in company": lambda ends: batch(ends, parent(76), parent(77, u="taken"), parent(78)),
    "tried only": lambda ends: batch(ends, parent(HIDDEN), options={"dry_run": True}),
    "claimed as gone": lambda ends: batch(
        ends, replace(parent(HIDDEN), content=None, kind="none"), options={"proof": True, "consumed": 2**61}
    ),
}


def finish(ends: Ends, pusher: Pusher, first: Batch) -> list[Any]:
    """The rest of the transfer: what waits is asked for and tried, and the end."""
    here = {"cursor": first.end["head"]}
    plain = replace(first, rows=(), kind="end", start=here, end=here, options={})
    answers = replace(plain, kind="rows", rows=first.rows if first.rows[0].kind == "row" else ())
    return [heard(pusher.push(one)) for one in (answers, plain)]


@pytest.mark.parametrize("what", PUSHES)
def test_what_is_hidden_is_answered_like_what_is_not_there(wired: Ends, what: str) -> None:
    narrow(wired)
    told = []
    for hidden, pusher in with_and_without(wired):
        stood = standing(wired)
        one = PUSHES[what](wired)
        answers = [heard(pusher.ask(label, HIDDEN)) for label in ("zoo.Parent", "zoo.Child")]
        first = pusher.push(one)
        assert first.status_code < 500, first.text
        answers.append(heard(first))
        if first.status_code == 200 and not one.options.get("dry_run"):
            answers += finish(wired, pusher, one)
        told.append(answers)
        if hidden:
            assert standing(wired) == stood, "it stands as it stood"
        assert b"hidden" not in b"".join(body for _, _, body in answers)
    for number, (one, other) in enumerate(zip(*told, strict=True)):
        assert one == other, f"answer {number}"


def test_a_unique_value_that_a_hidden_row_holds(wired: Ends) -> None:
    """The row waits, its owner sees why, and it comes in by itself; the peer hears at each step what it would of nothing."""
    narrow(wired)
    told = []
    for hidden, pusher in with_and_without(wired):
        for label in ("zoo.Parent", "zoo.Child"):
            pusher.push(replace(batch_from(wired.a, wired.b, label), rows=()))
        steps = [parent(77, u="taken"), parent(77, u="taken", y="edited"), parent(77, u="taken", y="edited")]
        answers = [whole(wired, pusher, step, number) for number, step in enumerate(steps)]
        answers.append([pusher.hello().json()["told"] - batch(wired).head.seq])  # what is left of it: nothing
        assert answers[-1] == [0]
        if hidden:
            [one] = Quarantine.objects.using(wired.b)
            assert (one.reason, one.needs) == ("withheld", f'[["zoo.Parent", [{HIDDEN}]]]')
            assert one.detail == f"u = taken is held by another row (zoo.Parent {HIDDEN})"
        # with what hangs on it, and another row that goes again
        gone = replace(parent(78), content=None)
        steps = [child(77, 77), parent(78, u="taken"), gone, gone]
        answers += [whole(wired, pusher, step, number) for number, step in enumerate(steps, 3)]
        Parent.objects.using(wired.b).filter(pk=HIDDEN).update(u="free")
        answers.append(whole(wired, pusher, parent(79), 8))
        standing = Parent.objects.using(wired.b).filter(pk__gte=77).order_by("pk")
        assert list(standing.values_list("pk", "y")) == [(77, "edited"), (79, "")]
        assert list(Child.objects.using(wired.b).filter(pk=77).values_list("p_id")) == [(77,)]
        assert not Quarantine.objects.using(wired.b).exists()
        told.append(answers)
    for number, (one, other) in enumerate(zip(*told, strict=True)):
        assert one == other, f"step {number}"


def whole(ends: Ends, pusher: Pusher, row: Row, number: int) -> list[Any]:
    """A later transfer, with that change of the row alone."""
    one = batch(ends, row)
    here = {"cursor": one.end["head"]}
    me = caller_of(ends.a).node
    rows = [replace(one.rows[0], version={me: one.head.seq - 20 + number})]
    answer = pusher.push(replace(one, rows=rows, kind="feed", start=here, end=here, options={}))
    assert answer.status_code == 200, answer.text
    return [heard(answer), *finish(ends, pusher, replace(one, rows=rows))]


def standing(ends: Ends) -> list[Any]:
    """The rows that the peer is not to change."""
    return [
        list(Parent.objects.using(ends.b).filter(id__in=(HIDDEN, OPEN)).order_by("id").values_list()),
        list(Child.objects.using(ends.b).filter(id=HIDDEN).values_list()),
    ]


def test_a_full_comparison_names_no_hidden_row_and_deletes_none(wired: Ends) -> None:
    """The certain deletions that follow one are asked for by key: of rows that the peer may see."""
    narrow(wired)
    wired.reset()
    begin(wired, hidden=True)
    Child.objects.using(wired.b).all().delete()  # it would hold a deletion up
    pusher = Pusher(wired)
    pusher.hello()
    options = {"proof": True, "consumed": 2**61, "baseline": True, "pruned": 1}
    stood = standing(wired)
    page = replace(batch(wired), options=options)
    assert pusher.push(page).status_code == 200
    here = {"cursor": page.end["head"]}
    asked = pusher.push(replace(page, kind="rows", rows=(), start=here, end=here))
    assert asked.status_code == 200, asked.text
    assert asked.json()["wanted"] == {"zoo.Parent": [[OPEN]]}
    none = Row("zoo.Parent", (HIDDEN,), {}, None, kind="none")
    answered = pusher.push(replace(page, kind="rows", rows=[none], start=here, end=here))
    assert answered.status_code == 200, answered.text
    assert answered.json()["figures"]["zoo.Parent"]["deleted"] == 0
    assert standing(wired) == stood


def test_a_deletion_that_it_must_not_hear_of(wired: Ends) -> None:
    """A new row under the key of one that was deleted out of view is new, for its peer and in the figures."""
    narrow(wired)
    told = []
    for hidden in (True, False):
        wired.reset()
        begin(wired, hidden=hidden)
        Child.objects.using(wired.b).filter(pk=HIDDEN).delete()
        Parent.objects.using(wired.b).filter(pk=HIDDEN).delete()
        pusher = Pusher(wired)
        pusher.hello()
        one = batch(wired, parent(HIDDEN))
        told.append([heard(pusher.push(one)), *finish(wired, pusher, one)])
        assert Parent.objects.using(wired.b).get(pk=HIDDEN).x == "x"
    assert told[0] == told[1]


def test_what_others_know_of_a_row_is_kept_for_rows_that_it_may_write_alone(wired: Ends) -> None:
    """A row that says what it said, with values of a field that only a later release has: they would be filled in one day."""
    wired.configure(
        "zoo.Parent", "zoo.Child", there={"ACCEPT": {"zoo.Parent": {"b": "n"}}}, EXCLUDE={"zoo.Parent": ["e"]}
    )
    begin(wired, hidden=True)
    page = batch(wired, parent(HIDDEN, x="hidden", b="x", u="taken"), parent(OPEN, x="open"))
    rows = [
        replace(r, more=(Gap({"level": "forced"}, {**r.version, r.author: 1 << 30}, 2**61, r.author),))
        for r in page.rows
    ]
    answered = Pusher(wired).push(replace(page, rows=rows))
    assert answered.status_code == 200, answered.text
    found = dict(RowState.objects.using(wired.b).filter(model="zoo.Parent").values_list("pk_text", "gaps"))
    assert "forced" in (found[str(OPEN)] or "")
    assert not found.get(str(HIDDEN))
