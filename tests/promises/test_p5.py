"""P5: a batch that is repeated, cut off, or delivered twice at once changes nothing more; what was cut goes on there."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from peersync.errors import PeersyncError, StaleBatch
from peersync.models import Checkpoint, Conflict, Quarantine, RowState
from peersync.records import Batch, Outcome
from tests.promises.conftest import KINDS
from tests.support.api import everything
from tests.support.bulk import untracked
from tests.support.crowd import Crowd
from tests.support.databases import contents
from tests.support.deliveries import Deliver, Killed, delivered, moves, rows_of
from tests.support.ends import Ends
from tests.support.sites import Site, eventually
from tests.support.wiretap import Fault, Message, send
from tests.zoo.models import Child, Parent

LABELS = ["zoo.Parent", "zoo.Child"]
ROWS = 35


def later() -> None:
    """Two changes in one millisecond are settled by the nodes' names, which are others in each run."""
    time.sleep(0.01)


def begin(source: str, target: str) -> None:
    """Rows on both sides, one of them another row under the same key."""
    Parent.objects.using(source).bulk_create(Parent(id=n, x="first") for n in range(1, ROWS + 1))
    Child.objects.using(source).bulk_create(Child(id=n, p_id=n, x="first") for n in range(1, ROWS + 1))
    later()
    Parent.objects.using(target).create(id=3, x="of the target")
    Parent.objects.using(target).create(id=1000, x="of the target", u="taken")


def go_on(source: str, target: str) -> None:
    """Of everything that a feed may hold: changes, births, deletions, a conflict, and rows that can't be written."""
    rows = Parent.objects.using(source)
    rows.filter(id__lte=12).update(x="changed")
    later()
    Parent.objects.using(target).filter(id=5).update(x="changed at the target")
    Child.objects.using(source).filter(id__gt=30).delete()
    rows.filter(id__gt=32).delete()
    rows.create(id=50, x="later")
    rows.create(id=51, x="later", u="taken")
    Child.objects.using(source).create(id=51, p_id=51)


def story(ends: Ends) -> list[Any]:
    """The figures of a first contact and of a feed, in small batches; two rows of the latter wait in the end."""
    begin(ends.a, ends.b)
    figures = ends.sync("push", "--batch-size=10")
    go_on(ends.a, ends.b)
    return figures + ends.sync("push", "--batch-size=5", status=1)


def effect(ends: Ends) -> Any:
    """What all that leaves behind, without the names of nodes, places and times."""
    b = ends.b
    states = RowState.objects.using(b).order_by("model", "pk_text")
    records = Conflict.objects.using(b).order_by("model", "key", "kind")
    return (
        contents(b, *LABELS),
        list(states.values_list("model", "pk_text", "deleted", "pre", "gone")),
        list(records.values_list("model", "key", "kind", "winner", "local", "incoming")),
        sorted(Quarantine.objects.using(b).values_list("model", "key", "reason", "listed")),
    )


def test_each_batch_is_delivered_again(ends: Ends) -> None:
    """At once, and all of them again in the end: late, repeated, and in any order."""
    ends.configure(*LABELS)
    late: list[Deliver] = []

    def again(batch: Batch, deliver: Deliver) -> Outcome:
        outcome = deliver()
        before = standing(ends.b)
        with pytest.raises(StaleBatch) if moves(batch) else may_be_stale():
            deliver()
        assert standing(ends.b) == before
        late.append(deliver)
        return outcome

    with delivered(again):
        figures = story(ends)
    assert figures[0]["zoo.Parent"]["created"] == ROWS - 1
    assert figures[1]["zoo.Parent"]["conflicts"] == 2
    before = standing(ends.b)
    random.Random(5).shuffle(late)
    for deliver in late:
        with may_be_stale():
            deliver()
    assert standing(ends.b) == before
    found = effect(ends)
    ends.reset()
    assert story(ends) == figures
    assert effect(ends) == found


def standing(alias: str) -> Any:
    """All that stands there, but for leases, how often a row that waits was tried, and when the checkpoint was seen."""
    found = everything(alias)
    del found["peersync_peer"]
    for model, noise in ((Quarantine, "tried"), (Checkpoint, "updated")):
        names = [field.attname for field in model._meta.fields if field.name != noise]
        found[model._meta.db_table] = list(model._base_manager.using(alias).order_by("id").values_list(*names))
    return found


@contextmanager
def may_be_stale() -> Iterator[None]:
    """A batch that leads nowhere (answers by key, the end) may be taken again: it has nothing new to say."""
    with suppress(StaleBatch):
        yield


def _written(outcome: Outcome) -> int:
    return sum(found.created + found.updated + found.deleted for found in outcome.figures.values())


def test_each_batch_is_delivered_twice_at_once(ends: Ends) -> None:
    """By two threads, over two connections: one of them is too late."""
    ends.configure(*LABELS)

    def twice(batch: Batch, deliver: Deliver) -> Outcome:
        start = threading.Barrier(2)
        outcomes: list[Outcome] = []
        refused: list[PeersyncError] = []

        def work() -> None:
            start.wait(10)
            try:
                outcomes.append(deliver())
            except PeersyncError as error:
                refused.append(error)

        with Crowd() as crowd:
            for _ in range(2):
                crowd.start(work)
            crowd.join()
        if moves(batch):
            assert (len(outcomes), [type(error) for error in refused]) == (1, [StaleBatch])
        return max(outcomes, key=_written)  # what leads nowhere is taken twice, and one of the two has done it

    with delivered(twice):
        figures = story(ends)
    found = effect(ends)
    assert len(found[2]) == 3, "each of the conflicts was recorded once"
    ends.reset()
    assert story(ends) == figures
    assert effect(ends) == found


# ---------------------------------------------------------------------- cut off


@pytest.mark.parametrize("step", ["first contact", "feed"])
def test_rows_states_and_checkpoint_stand_in_one_transaction(ends: Ends, step: str) -> None:
    """The process that takes in is gone behind any one of its statements: nothing of the batch is left of it."""
    ends.configure(*LABELS)
    source, target = ends.b, ends.a
    begin(source, target)
    if step == "feed":
        ends.sync("pull")
        go_on(source, target)
    connection, stride, ended = connections[target], {"sqlite": 1, "postgresql": 4}[ends.nodes[0].vendor], 0

    def dying(batch: Batch, deliver: Deliver) -> Outcome:
        nonlocal ended
        if not rows_of(batch):
            return deliver()
        before, statements = standing(target), 0
        while True:
            statements += stride
            try:
                with connection.execute_wrapper(_Dying(statements)):
                    outcome = deliver()
            except Killed:
                connection.close()
                assert standing(target) == before, f"statement {statements} of a {batch.kind}"
                ended += 1
                continue
            assert standing(target) != before or not moves(batch)
            return outcome

    with delivered(dying):
        ends.sync("pull", status=int(step == "feed"))
    assert ended > 10


class _Dying:
    def __init__(self, statements: int) -> None:
        self.left = statements

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return execute(*arguments)


@pytest.mark.parametrize("moment", ["before it was taken in", "before the answer came"])
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_first_contact_that_is_cut_at_each_page_never_starts_over(ends: Ends, direction: str, moment: str) -> None:
    ends.configure(*LABELS)
    source, target = (ends.a, ends.b) if direction == "push" else (ends.b, ends.a)
    begin(source, target)
    asked: list[Any] = []
    taken: list[Any] = []

    def cut(batch: Batch, deliver: Deliver) -> Outcome:
        if batch.kind != "snapshot" or not rows_of(batch):
            return deliver()
        keys = [(row.model, row.key) for row in batch.rows]
        again = asked[-len(keys) :] == keys
        asked.extend(keys)
        if moment == "before it was taken in" and not again:
            raise Killed
        deliver()
        taken.extend(keys)
        raise Killed

    runs = 0
    with delivered(cut):
        while True:
            runs += 1
            assert runs < 40
            try:
                figures = ends.sync(direction, "--batch-size=10")
                break
            except Killed:
                if runs == 6:  # rows that it has already, and one that it has not
                    Parent.objects.using(source).filter(id__in=(1, 2, ROWS)).update(x="changed meanwhile")
    assert len(taken) == len(set(taken)) == 2 * ROWS, "each row was taken in once"
    assert len(asked) == len(taken) * (2 if moment == "before it was taken in" else 1)
    assert runs > 2 * ROWS / 10
    assert [f["created"] for f in figures[0].values()] == [0, 0]
    assert Parent.objects.using(target).filter(x="changed meanwhile").count() == 3
    assert set(Parent.objects.using(target).values_list("id", flat=True)) == {*range(1, ROWS + 1), 1000}
    assert Conflict.objects.using(target).count() == 1


def test_a_first_contact_in_runs_goes_on_too(ends: Ends) -> None:
    """Rows that are older than peersync travel as the database wrote them, and are counted from where it stopped."""
    ends.configure(*LABELS)
    with untracked(ends.a):
        Parent.objects.using(ends.a).bulk_create(Parent(id=n, x="old") for n in range(1, 101))
    pages: list[int] = []

    def cut(batch: Batch, deliver: Deliver) -> Outcome:
        if len(pages) == 3:
            raise Killed
        if batch.kind == "snapshot" and rows_of(batch):
            pages.append(rows_of(batch))
        return deliver()

    with delivered(cut), pytest.raises(Killed):
        ends.sync("push", "--batch-size=20")
    assert pages == [20, 20, 20]
    pages.clear()
    with delivered(cut):
        figures = ends.sync("push", "--batch-size=50")
    assert pages == [40]
    assert figures[0]["zoo.Parent"]["created"] == 40
    assert ends.equal(*LABELS)
    assert not RowState.objects.using(ends.b).exists(), "nobody has to remember anything of them"


# ---------------------------------------------------------------------- over a wire


@pytest.mark.parametrize("fault", ["lost", "half", "unanswered", "cut"])
def test_a_wire_that_breaks(wired: Ends, fault: Fault) -> None:
    """Requests that do not arrive, or half, and answers that do not: in the end each batch was taken in once."""
    wired.configure(*LABELS, tap=True)
    begin(wired.a, wired.b)
    assert wired.wire
    chance, left, ended = random.Random(fault), 0, []

    def breaks(request: Message) -> Fault | None:
        nonlocal left
        if "POST" not in request.start or not left or chance.random() < 0.5:
            return None
        left -= 1
        return fault

    wired.wire.fault = breaks
    for size, last in (("10", "ok"), ("5", "incomplete")):
        left = 4
        while (answer := wired.command("push", f"--batch-size={size}", "--json")).json["status"] != last:
            ended.append(answer.json["error"]["code"])
            assert len(ended) < 12, answer
        assert left < 3
        if last == "ok":
            go_on(wired.a, wired.b)
    assert set(ended) <= {"unreachable", "stale_batch", "cut_off"}
    found = effect(wired)
    wired.wire.fault = lambda _: None
    wired.reset()
    story(wired)
    assert effect(wired) == found


def test_a_body_that_was_cut_is_refused_whole(wired: Ends) -> None:
    """At any byte of what really travels, whoever cut it: the server, a proxy that mends the length, a full disk."""
    wired.configure(*LABELS, tap=True)
    begin(wired.a, wired.b)
    assert wired.wire
    wired.wire.fault = lambda request: "lost" if request.start.startswith("POST") else None
    assert wired.command("push").status == 1
    lost = next(one.request for one in wired.wire.exchanges if one.method == "POST")
    before = everything(wired.b)
    chance = random.Random(5)
    for cut in chance.sample(range(len(lost.raw)), 12):
        send(wired.wire.target, lost.raw[:cut], whole=False)
    packed, lines = lost.packed, lost.body.splitlines(keepends=True)
    bodies = [packed[:cut] for cut in chance.sample(range(len(packed)), 12)]
    bodies += [b"".join(lines[:count]) for count in range(len(lines))]
    bodies += [b"".join(lines[:count]) + lines[count][: len(lines[count]) // 2] for count in range(len(lines))]
    for body in bodies:
        answer = send(wired.wire.target, lost.with_body(body, packed=packed.startswith(body)))
        assert answer
        assert " 400 " in answer.start, (answer.start, body[-200:])
    assert everything(wired.b) == before
    whole = send(wired.wire.target, lost.raw)
    assert whole
    assert " 200 " in whole.start
    assert Parent.objects.using(wired.b).count() == ROWS + 1


# ---------------------------------------------------------------------- processes

GO = '''
import io, json
from django.core.management import CommandError, call_command
def go(direction, peer):
    out = io.StringIO()
    try:
        call_command("sync_data", f"--direction={direction}", f"--peer={peer}", "--json", "--batch-size=20", stdout=out)
    except CommandError:
        pass
    return json.loads(out.getvalue())
def hold(here, there):
    """At the third batch: say so, and go on when the other process has come as far."""
    import pathlib, time
    from peersync.replicas.database import DatabaseReplica
    apply, batches = DatabaseReplica.apply, []
    def held(self, caller, batch):
        batches.append(batch.kind)
        if len(batches) == 3:
            pathlib.Path(here).touch()
            until = time.monotonic() + 60
            while not pathlib.Path(there).exists() and time.monotonic() < until:
                time.sleep(0.02)
        return apply(self, caller, batch)
    DatabaseReplica.apply = held
'''


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_processes_drive_the_same_transfer(kind: str, make_nodes: Any, tmp_path: Path) -> None:
    """The source pushes while the target pulls: neither knows of the other, and each row is created once."""
    a, b, _ = (node.alias for node in make_nodes(*KINDS[kind]))
    Parent.objects.using(a).bulk_create(Parent(id=n, x="of a") for n in range(1, 2001))
    sites = [Site(a, AUTO_SYNC="off", SLAVE=b), Site(b, AUTO_SYNC="off", SLAVE=a)]
    try:
        found: list[Any] = []
        pushes, pulls = str(tmp_path / "pushes"), str(tmp_path / "pulls")
        for site, marks in zip(sites, ((pushes, pulls), (pulls, pushes)), strict=True):
            site.do(GO)
            site.do(f"hold(*{marks!r})")
        with Crowd() as crowd:
            crowd.start(lambda: found.append(sites[0].do(f"go('push', {b!r})")))
            eventually(Path(pushes).exists, 30)
            crowd.start(lambda: found.append(sites[1].do(f"go('pull', {a!r})")))
            crowd.join()
        last = sites[0].do(f"go('push', {b!r})")
    finally:
        for site in sites:
            site.close()
    assert last["status"] == "ok", last
    assert [one["error"]["code"] for one in found if one["error"]] == ["stale_batch"]
    made = [one["transfers"][0]["models"].get("zoo.Parent", {"created": 0})["created"] for one in (*found, last)]
    assert sum(made) == 2000
    assert contents(a, "zoo.Parent") == contents(b, "zoo.Parent")
    assert not Conflict.objects.using(b).exists()
    assert not Quarantine.objects.using(b).exists()
