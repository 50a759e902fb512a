"""``describe``: who a replica is, what it synchronises with whoever asks, and what it has seen of him."""

import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections

from peersync import numbering
from peersync.conf import settings
from peersync.errors import UnknownPoint
from peersync.handshake import caller_of as introduced
from peersync.models import Node
from peersync.records import PROTOCOL, START, Caller, Description, ModelInfo, Point
from peersync.replicas.database import DatabaseReplica
from tests.contract.conftest import CONFIG
from tests.support.bulk import untracked
from tests.support.subjects import NEAR, NEAR_ALIAS, THIRD_ALIAS, Subject, caller_of, zoo
from tests.zoo.models import Parent, Secret, Tagged

PARENT = "zoo.Parent"


def info(described: Description, label: str) -> ModelInfo:
    found = described.model(label)
    assert found is not None
    return found


# ---------------------------------------------------------------------- who


def test_who_it_is(subject: Subject) -> None:
    found = subject.replica.describe(None)
    node = Node.objects.using(subject.alias).get()
    assert (found.node, found.install, found.protocol) == (node.node, node.install, PROTOCOL)
    assert (found.vendor, found.use_tz, found.time_zone) == (subject.vendor, True, "UTC")
    assert (found.role, found.read_only, found.pruned, found.retired) == ("", False, 0, ())
    assert abs(found.clock - time.time() * 1000) < 60_000
    assert (found.warnings, found.missed, found.points, found.about, found.told) == ((), {}, (), "", -1)


def test_it_knows_its_place(subject: Subject) -> None:
    """One database says one thing, asked through whatever door: two aliases of it are found out by that."""
    found = subject.replica.describe(None)
    assert found.place == DatabaseReplica(subject.alias, peer=NEAR).describe(None).place != ""
    assert found.place != subject.near.describe(None).place


def test_its_head_is_a_place_of_its_feed(subject: Subject) -> None:
    Parent.objects.using(subject.alias).create(id=1)
    before = subject.replica.describe(None).head
    assert list(subject.feed(PARENT, cursor=before).rows) == []
    Parent.objects.using(subject.alias).create(id=2)
    after = subject.replica.describe(None).head
    assert after > before
    assert [row.key for row in subject.feed(PARENT, cursor=before, head=after).rows] == [(2,)]


def test_its_limits(subject: Subject) -> None:
    bounds = settings().limits
    assert subject.replica.describe(None).limits == {
        name: getattr(bounds, name) for name in ("batch", "body", "unpacked", "line", "wait", "file")
    }


def test_asked_twice_it_says_the_same(subject: Subject) -> None:
    Parent.objects.using(subject.alias).create(id=1)
    caller = introduced(subject.near.describe(None))
    first, second = (subject.replica.describe(caller) for _ in range(2))
    assert replace(first, clock=0) == replace(second, clock=0)


# ---------------------------------------------------------------------- what it synchronises


def test_its_models(subject: Subject) -> None:
    found = subject.replica.describe(subject.caller)
    assert {model.label for model in found.models} == zoo()
    assert info(found, PARENT).fields == {
        "id": "int", "x": "text(200)", "y": "text(200)", "u": "text(200)", "b": "text(50)",
    }  # fmt: skip

    assert info(found, "zoo.Secret").fields == {"id": "int", "name": "text(100)"}
    assert info(found, "zoo.SkuNote").fields == {"sku": "key:zoo.Sku", "text": "text"}
    assert info(found, "zoo.SkuNote").identity == ("sku", "text")
    assert info(found, "zoo.Tagged_tags").identity == ("tagged", "tag")
    assert info(found, PARENT).identity == ()
    for model in found.models:
        assert (model.policy, model.direction, model.filtered, model.empty) == ("latest", "both", False, True)


def test_the_same_settings_give_the_same_fingerprints(subject: Subject) -> None:
    """On every kind of database: a difference means a full comparison."""
    here, there = subject.near.describe(subject.me), subject.replica.describe(subject.caller)
    assert {m.label: (m.fields, m.fingerprint) for m in here.models} == {
        m.label: (m.fields, m.fingerprint) for m in there.models
    }
    assert len({m.fingerprint for m in there.models}) == len(zoo())


def test_whether_a_model_is_empty(subject: Subject) -> None:
    with untracked(subject.alias):
        Parent.objects.using(subject.alias).create(id=1)
        Tagged.objects.using(subject.alias).create(name="t")
    found = subject.replica.describe(subject.caller)
    assert {m.label for m in found.models if not m.empty} == {PARENT, "zoo.Tagged"}


def test_what_is_narrowed_for_the_asker(subject: Subject) -> None:
    """PEERS narrows models, fields and rows for one peer; its own name says which."""
    whole = subject.replica.describe(subject.caller)
    narrowed = {
        "MODELS": [PARENT, "zoo.Child", "zoo.Tag"],
        "EXCLUDE": {PARENT: ["y"]},
        "FILTER": {PARENT: {"b": "n"}},
        "DIRECTION": {"zoo.Tag": "master-to-slave"},
        "CONFLICT": {"zoo.Tag": "source"},
        "ROLE": "master",
    }
    subject.configure({**CONFIG, "PEERS": {NEAR: narrowed}})
    found = subject.replica.describe(subject.caller)
    assert {model.label for model in found.models} == {PARENT, "zoo.Child", "zoo.Tag"}
    assert list(info(found, PARENT).fields) == ["id", "x", "u", "b"]
    assert {m.label: m.filtered for m in found.models} == {PARENT: True, "zoo.Child": True, "zoo.Tag": False}
    assert (info(found, "zoo.Tag").direction, info(found, "zoo.Tag").policy) == ("master-to-slave", "source")
    assert found.role == "master"
    assert info(found, PARENT).fingerprint != info(whole, PARENT).fingerprint
    # what hangs on it is seen through the same filter
    assert info(found, "zoo.Child").fingerprint != info(whole, "zoo.Child").fingerprint
    theirs = subject.third().describe(None)
    assert {model.label for model in theirs.models} == zoo()


def test_a_missing_trigger_is_told(subject: Subject) -> None:
    Secret.objects.using(subject.alias).create(name="one")
    assert subject.replica.describe(subject.caller).warnings == ()
    drop_triggers(subject.alias, "zoo_secret")
    found = subject.replica.describe(subject.caller)
    assert len(found.warnings) == 1
    assert "zoo.Secret" in found.warnings[0]
    assert "sync_peer install" in found.warnings[0]
    assert found.missed.keys() == {"zoo.Secret"}
    assert found.missed["zoo.Secret"] <= found.head.seq


def drop_triggers(alias: str, table: str) -> None:
    with connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            cursor.execute(f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table])
        names = [name for (name,) in cursor.fetchall()]
        assert names
        for name in names:
            cursor.execute(f'DROP TRIGGER "{name}"' + (f" ON {table}" if connections[alias].vendor != "sqlite" else ""))


# ---------------------------------------------------------------------- what it has seen of the asker


def test_what_it_has_seen_of_the_asker(subject: Subject) -> None:
    Parent.objects.using(NEAR_ALIAS).create(id=1)
    caller = introduced(subject.near.describe(None))
    found = subject.replica.describe(caller)
    assert (found.points, found.about, found.told) == ((), caller.node, -1)
    subject.push()
    found = subject.replica.describe(caller)
    assert found.about == caller.node
    assert found.points
    assert found.told == subject.cursor(PARENT).seq
    answer = subject.near.changes(replace(subject.me, points=found.points), [PARENT], START, None, 10)
    assert [row.key for row in answer.rows] == [(1,)], "the asker knows these points for his own"


def test_what_waits_was_not_read_past(subject: Subject) -> None:
    """Its tombstones must be kept: the asker is told the lowest place that waits here, less one."""
    Parent.objects.using(NEAR_ALIAS).create(id=1, u="taken")
    Parent.objects.using(subject.alias).create(id=2, u="taken")
    subject.push()
    found = subject.replica.describe(introduced(subject.near.describe(None)))
    (waits,) = subject.near.changes(subject.me, [PARENT], START, None, 10).rows
    assert found.told == waits.seq - 1 < subject.cursor(PARENT).seq


def test_without_a_caller_it_speaks_of_who_asked_last(subject: Subject) -> None:
    caller = introduced(subject.near.describe(None))
    subject.push()
    told = subject.replica.describe(caller)
    found = subject.replica.describe(None)
    assert (found.about, found.points, found.told) == (caller.node, told.points, told.told)


# ---------------------------------------------------------------------- rewound, copied, given up


def seen(subject: Subject) -> Caller:
    """``near`` after it has read everything that stands at the subject, as it introduces itself."""
    subject.pull()
    caller = introduced(subject.near.describe(subject.me))
    assert caller.points
    assert caller.about == subject.me.node
    return caller


def test_a_point_that_was_lost_with_a_restore_makes_it_take_a_new_id(subject: Subject) -> None:
    Parent.objects.using(subject.alias).create(id=1)
    seen(subject)
    copy, before = subject.backup(), subject.me
    Parent.objects.using(subject.alias).create(id=2)
    caller = seen(subject)
    subject.restore(copy)
    found = subject.replica.describe(caller)
    assert found.install == before.install
    assert found.node != before.node
    assert [(old.id, old.install) for old in found.retired] == [(before.node, before.install)]
    assert found.retired[0].seq < caller.points[-1].seq
    again = subject.replica.describe(caller)
    assert (again.node, again.retired) == (found.node, found.retired), "the answer may be lost, and the call repeated"
    other = replace(caller, node=caller_of(THIRD_ALIAS).node, install=caller_of(THIRD_ALIAS).install)
    again = subject.third().describe(other)
    assert (again.node, again.retired) == (found.node, found.retired), "another peer saw the same that was lost"


def test_an_id_that_was_given_up_is_not_borne_on(subject: Subject) -> None:
    """A second copy of the backup, that wrote nothing since: it hears from others that its id is no longer good."""
    Parent.objects.using(subject.alias).create(id=1)
    seen(subject)
    copy = subject.backup()
    Parent.objects.using(subject.alias).create(id=2)
    caller = seen(subject)
    subject.restore(copy)
    renewed = subject.replica.describe(caller)
    subject.restore(copy)
    assert subject.me.node == caller.about
    found = subject.replica.describe(replace(caller, points=(), retired=renewed.retired))
    assert found.node not in (caller.about, renewed.node)
    assert [old.id for old in found.retired] == [caller.about]


@pytest.mark.parametrize("nonce", ["f" * 16 + "." + "0" * 24, "x"])
def test_an_invented_point_makes_it_take_no_new_id(subject: Subject, nonce: str) -> None:
    caller = seen(subject)
    with pytest.raises(UnknownPoint):
        subject.replica.describe(replace(caller, points=(*caller.points, Point(2**61, nonce))))
    assert subject.replica.describe(caller).node == caller.about


def test_the_newest_passes_are_for_a_copy_of_it_alone(subject: Subject) -> None:
    """Two copies find there where they parted; who is none is not told when this node was busy."""
    numbering.number(subject.alias)
    copy = subject.me
    if subject.served is None:  # over HTTP the token would belong to the install that asked first
        assert subject.replica.describe(subject.caller).passes == ()
    found: Any = subject.replica.describe(copy)
    assert found.node == copy.node
    assert found.passes[0] == found.head
