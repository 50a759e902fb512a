"""``checkpoint``: how far the replica has consumed the caller's feed, per model."""

from dataclasses import replace

from peersync.records import Progress
from tests.contract.conftest import CONFIG
from tests.support.api import everything
from tests.support.subjects import NEAR, NEAR_ALIAS, THIRD_ALIAS, Subject, caller_of, zoo
from tests.zoo.models import Child, Parent

PARENT, CHILD = "zoo.Parent", "zoo.Child"


def fill(subject: Subject) -> None:
    Parent.objects.using(NEAR_ALIAS).bulk_create(Parent(id=n) for n in range(1, 4))
    Child.objects.using(NEAR_ALIAS).create(id=1, p_id=1)


def test_nobody_is_known_at_first(subject: Subject) -> None:
    before = everything(subject.alias)
    assert subject.replica.checkpoint(subject.caller) == {}
    assert everything(subject.alias) == before


def test_each_model_for_itself(subject: Subject) -> None:
    fill(subject)
    subject.push(models=(PARENT,))
    found = subject.replica.checkpoint(subject.caller)
    assert found.keys() == {PARENT}
    first = subject.near.snapshot(subject.me, CHILD, None, None, 1)
    subject.apply(first)
    found = subject.replica.checkpoint(subject.caller)
    assert found[CHILD] == Progress(head=first.end["head"], after=first.end["after"], last=(1,), seen=1)
    assert found[PARENT].cursor is not None
    assert (found[PARENT].baseline, found[PARENT].seen) == (True, 3)


def test_a_transfer_leaves_it_at_the_head(subject: Subject) -> None:
    fill(subject)
    subject.push()
    found = subject.replica.checkpoint(subject.caller)
    head = subject.near.describe(None).head
    assert {label: place.cursor for label, place in found.items()} == dict.fromkeys(found, head)
    assert found.keys() == zoo()
    Parent.objects.using(NEAR_ALIAS).update(x="changed")
    subject.push(models=(PARENT,))
    again = subject.replica.checkpoint(subject.caller)
    assert again.pop(PARENT) == replace(found.pop(PARENT), cursor=subject.near.describe(None).head)
    assert again == found


def test_each_source_for_itself(subject: Subject) -> None:
    fill(subject)
    subject.push()
    assert subject.third().checkpoint(caller_of(THIRD_ALIAS)) == {}


def test_a_model_that_is_closed_is_not_told(subject: Subject) -> None:
    fill(subject)
    subject.push()
    subject.configure({**CONFIG, "PEERS": {NEAR: {"MODELS": [PARENT]}}})
    assert subject.replica.checkpoint(subject.caller).keys() == {PARENT}


def test_a_read_is_no_contact(subject: Subject) -> None:
    """What the caller reads moves nothing here: his own checkpoint says how far he is."""
    Parent.objects.using(subject.alias).create(id=1)
    subject.page(PARENT)
    subject.feed(PARENT)
    assert subject.replica.checkpoint(subject.caller) == {}
