"""A replica under contract: the database behind it, the node that asks it, and honest batches between the two.

The node that asks is always "near", a SQLite database that this process reaches by itself; "far" is the replica that
is looked at: a database, or a server process in front of one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models

from peersync import capture, numbering, tokens
from peersync.models import Node
from peersync.records import START, Batch, Caller, Point, Row
from peersync.replicas.base import Replica
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from peersync.reports import Options, TransferReport
from peersync.transfer import Transfer
from tests.support.databases import NodeDatabase
from tests.support.sites import Site

NEAR, FAR, THIRD = "near", "far", "third"
NEAR_ALIAS, THIRD_ALIAS = "a", "c"
ALL = 1000


def zoo() -> set[str]:
    """Labels of all that ``zoo.*`` names, through tables too."""
    return {model._meta.label for model in apps.get_app_config("zoo").get_models(include_auto_created=True)}


class Served:
    """A server process in front of a database; its settings can be changed while it runs."""

    def __init__(self, alias: str, port: int, sync: dict[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{port}/peersync/"
        self._site = Site(alias, port, **sync)
        self._site.do("from django.test import override_settings; now = override_settings(); now.enable()")
        self._site.do("from peersync import numbering; passes = numbering.number")

    def configure(self, sync: dict[str, Any]) -> None:
        """SYNC_CONFIG from here on."""
        self._site.do(f"now.disable(); now = override_settings(SYNC_CONFIG={sync!r}); now.enable()")

    def number(self, *, yes: bool) -> None:
        """Whether this process runs numbering passes."""
        self._site.do(f"numbering.number = {'passes' if yes else 'lambda alias: 0'}")

    def close(self) -> None:
        self._site.close()


@dataclass
class Subject:
    """``far``, as ``near`` sees it."""

    settings: Any
    """Of this process: pytest-django's fixture."""
    node: NodeDatabase
    """The database behind the replica."""
    replica: Replica
    near: DatabaseReplica
    served: Served | None = None

    # ------------------------------------------------------------------ who is who

    @property
    def alias(self) -> str:
        return self.node.alias

    @property
    def vendor(self) -> str:
        return self.node.vendor

    @property
    def caller(self) -> Caller:
        """``near``, as it calls the subject."""
        return caller_of(NEAR_ALIAS)

    @property
    def me(self) -> Caller:
        """The subject, as it calls ``near``."""
        return caller_of(self.alias)

    def third(self) -> Replica:
        """The same replica, as another peer sees it."""
        if self.served is None:
            return DatabaseReplica(self.alias, peer=THIRD)
        return HttpReplica(FAR, self.served.url, tokens.create(THIRD, using=self.alias))

    def configure(self, sync: dict[str, Any]) -> None:
        """SYNC_CONFIG on both sides, with the triggers that it asks for."""
        self.settings.SYNC_CONFIG = {**sync, "MASTER": NEAR_ALIAS}
        if self.served is not None:
            self.served.configure(sync)
        for alias in (NEAR_ALIAS, self.alias, THIRD_ALIAS):
            capture.install(alias)
        # what a peer may see is compiled when its replica is made
        self.near = DatabaseReplica(NEAR_ALIAS, peer=FAR)
        if self.served is None:
            self.replica = DatabaseReplica(self.alias, peer=NEAR)

    @contextmanager
    def writer_was_faster(self) -> Iterator[None]:
        """What is written in here is met by readers before a pass has numbered it, as if it came right after theirs."""
        kept = numbering.number
        numbering.number = lambda alias: 0 if alias == self.alias else kept(alias)
        if self.served is not None:
            self.served.number(yes=False)
        try:
            yield
        finally:
            numbering.number = kept
            if self.served is not None:
                self.served.number(yes=True)

    def backup(self) -> str:
        return self.node.backup()

    def restore(self, token: str) -> None:
        """Put the database back to that copy, behind the back of the server too."""
        self.node.restore(token)

    # ------------------------------------------------------------------ asking it

    def page(self, label: str, head: Point | None = None, after: str | None = None, limit: int = ALL) -> Batch:
        return self.replica.snapshot(self.caller, label, head, after, limit)

    def pages(self, label: str, limit: int = ALL, behind: Batch | None = None) -> list[Batch]:
        """The whole snapshot, or what of it follows behind a page."""
        return pages(self.replica, self.caller, label, limit, behind)

    def feed(self, *labels: str, cursor: Point = START, head: Point | None = None, limit: int = ALL) -> Batch:
        return self.replica.changes(self.caller, labels, cursor, head, limit)

    def end(self, *labels: str) -> Point:
        """Where the feed stands now."""
        return self.feed(*labels).end["cursor"]  # type: ignore[no-any-return]  # a Point, as the protocol says

    def answers(self, label: str, *keys: tuple[Any, ...]) -> list[Row]:
        return list(self.replica.rows(self.caller, label, keys).rows)

    # ------------------------------------------------------------------ what near sends it

    def first_page(self, label: str, limit: int = ALL) -> Batch:
        """Of ``near``, made for the subject."""
        return self.near.snapshot(self.me, label, None, None, limit)

    def news(self, *labels: str, cursor: Point) -> Batch:
        """The feed of ``near`` behind the cursor, made for the subject."""
        return self.near.changes(self.me, labels, cursor, None, ALL)

    def apply(self, batch: Batch) -> Any:
        return self.replica.apply(self.caller, batch)

    def push(self, **options: Any) -> TransferReport:
        """A whole transfer from ``near`` to the subject."""
        return carried(Transfer(self.near, self.replica, options=Options(**options), local="source"))

    def pull(self, **options: Any) -> TransferReport:
        return carried(Transfer(self.replica, self.near, options=Options(**options), local="target"))

    def cursor(self, label: str) -> Point:
        """How far the subject has consumed the feed of ``near``."""
        found = self.replica.checkpoint(self.caller)[label].cursor
        assert found is not None
        return found

    def rows(self, model: type[models.Model], *names: str) -> list[tuple[Any, ...]]:
        """What stands in the database behind it."""
        return rows(model, self.alias, *names)


def caller_of(alias: str) -> Caller:
    """The node of this database, as it names itself to others."""
    numbering.number(alias)
    node = Node.objects.using(alias).get()
    return Caller(node=node.node, install=node.install)


def pages(replica: Replica, caller: Caller, label: str, limit: int, behind: Batch | None = None) -> list[Batch]:
    found: list[Batch] = []
    last = behind
    while last is None or not last.done:
        head, after = (last.end["head"], last.end["after"]) if last is not None else (None, None)
        last = replica.snapshot(caller, label, head, after, limit)
        found.append(last)
        assert len(found) < ALL, "it does not end"
    return found


def rows_of(batches: Sequence[Batch]) -> list[Row]:
    return [row for batch in batches for row in batch.rows]


def keys(batches: Sequence[Batch]) -> list[tuple[Any, ...]]:
    return [row.key for row in rows_of(batches)]


def rows(model: type[models.Model], alias: str, *names: str) -> list[tuple[Any, ...]]:
    return sorted(model._base_manager.using(alias).values_list(*names), key=repr)


def carried(transfer: Transfer) -> TransferReport:
    report = transfer.run()
    if report.error is not None:
        raise report.error
    return report
