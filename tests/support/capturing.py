"""Looking at what capture noted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from peersync.models import Journal
from tests.support.databases import NodeDatabase

Event = tuple[str, str, str]
"""Label, primary key as text, what."""


def clear(alias: str) -> None:
    Journal.objects.using(alias).all().delete()


def events(alias: str) -> list[Event]:
    """What the journal holds, in no particular order."""
    return sorted(Journal.objects.using(alias).values_list("model", "pk_text", "what"))


def kinds(alias: str) -> list[str]:
    """The same without the rows' keys: "zoo.Parent b"."""
    return sorted(f"{label} {what}" for label, _, what in events(alias))


@contextmanager
def fresh(get: Callable[[str], NodeDatabase], blocker: Any, *aliases: str) -> Iterator[tuple[NodeDatabase, ...]]:
    """These databases with empty tables."""
    nodes = tuple(get(alias) for alias in aliases)
    with blocker.unblock():
        for node in nodes:
            node.reset()
        yield nodes
        for node in nodes:
            node.close()
