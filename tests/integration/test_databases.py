"""The databases that all other tests stand on."""

import threading
from typing import Any

import pytest
from django.db import connections, transaction

from tests.support.databases import contents
from tests.zoo.models import Child, Parent, Tag, Tagged


@pytest.mark.parametrize("time", [1, 2])
def test_every_test_begins_with_empty_committed_databases(nodes: Any, time: int) -> None:
    for node in nodes:
        assert not any(contents(node.alias).values())
        Parent.objects.using(node.alias).create(id=1, x="left behind")
        assert not node.connection.in_atomic_block


def test_another_thread_sees_what_was_committed(nodes: Any) -> None:
    Parent.objects.using(nodes.a.alias).create(id=1)
    seen: list[int] = []

    def look() -> None:
        seen.append(Parent.objects.using(nodes.a.alias).count())
        connections.close_all()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [1]


def test_a_copy_is_put_back_as_often_as_wanted(nodes: Any) -> None:
    parent = Parent.objects.using(nodes.b.alias).create(id=1, x="before")
    copy = nodes.b.backup()
    for _ in range(2):
        parent.x = "after"
        parent.save()
        Child.objects.using(nodes.b.alias).create(id=1, p=parent)
        nodes.b.restore(copy)
        assert Parent.objects.using(nodes.b.alias).get().x == "before"
        assert not Child.objects.using(nodes.b.alias).exists()


def test_a_clone_has_everything(node_kind: str, nodes: Any) -> None:
    tagged = Tagged.objects.using(nodes.a.alias).create(name="thing")
    tagged.tags.add(Tag.objects.using(nodes.a.alias).create(name="red"))
    if node_kind == "mixed":
        with pytest.raises(ValueError, match="another kind"):
            nodes.a.clone_to(nodes.b)
    nodes.a.clone_to(nodes.c) if nodes.a.vendor == nodes.c.vendor else None
    assert contents(nodes.c.alias) == contents(nodes.a.alias)
    assert len(contents(nodes.c.alias)["zoo.Tagged_tags"]) == 1


def test_a_transaction_left_open_does_not_spoil_the_reset(nodes: Any) -> None:
    block = transaction.atomic(using=nodes.a.alias)
    block.__enter__()
    Parent.objects.using(nodes.a.alias).create(id=1)
    nodes.a.reset()
    assert not nodes.a.connection.in_atomic_block
    assert not Parent.objects.using(nodes.a.alias).exists()


@pytest.mark.django_db
def test_the_ordinary_marker_works_on_default() -> None:
    assert connections["default"].in_atomic_block
    Parent.objects.create(id=1)
