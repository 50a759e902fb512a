"""One first contact taken twice from the same beginning: as bulk runs, and row by row."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from django.db import connections, transaction

from peersync import capture, numbering
from peersync.models import Checkpoint, Conflict, Quarantine, RowState
from peersync.records import Batch, Caller, Description
from peersync.registry import registry
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Options, Transfer
from tests.support.databases import NodeDatabase, contents


class Watched(DatabaseReplica):
    """Notes the pages that it gave; ``rowwise``: it says that it knows no bulk encoding."""

    def __init__(self, alias: str, *, peer: str, rowwise: bool = False) -> None:
        super().__init__(alias, peer=peer)
        self.rowwise = rowwise
        self.pages: list[Batch] = []

    def describe(self, caller: Caller | None = None) -> Description:
        found = super().describe(caller)
        if not self.rowwise:
            return found
        return replace(found, models=tuple(replace(model, bulk=()) for model in found.models))

    def snapshot(self, *arguments: Any) -> Batch:
        page = super().snapshot(*arguments)
        self.pages.append(page)
        return page

    @property
    def runs(self) -> int:
        """Rows that were given in runs."""
        return sum(page.bulk.count for page in self.pages if page.bulk)


class Result(NamedTuple):
    """All that the target has after a first contact, and what was reported."""

    rows: dict[str, Any]
    states: list[Any]
    checkpoint: list[Any]
    conflicts: list[Any]
    waiting: list[Any]
    figures: dict[str, Any]


def untracked(alias: str, *labels: str) -> Any:
    """A block in which rows are written as if they had been there before peersync."""
    stack = ExitStack()
    stack.enter_context(transaction.atomic(using=alias))
    tables = [registry().models[label].table for label in labels or registry().models]
    stack.enter_context(capture.off(connections[alias], tables))
    return stack


def first_contact(a: str, b: str, *, rowwise: bool = False, **options: Any) -> tuple[Transfer, Watched]:
    source = Watched(a, peer=b, rowwise=rowwise)
    transfer = Transfer(source, DatabaseReplica(b, peer=a), options=Options(**options))
    report = transfer.run()
    if report.error is not None:
        raise report.error
    return transfer, source


def both_ways(a: NodeDatabase, b: NodeDatabase, **options: Any) -> tuple[Result, Result, int]:
    """The bulk way's result, the row way's, and how many rows went in runs."""
    numbering.number(a.alias)
    numbering.number(b.alias)
    copies = a.backup(), b.backup()
    transfer, source = first_contact(a.alias, b.alias, **options)
    bulk = result(b.alias, transfer)
    for node, copy in zip((a, b), copies, strict=True):
        node.restore(copy)
    transfer, rowwise = first_contact(a.alias, b.alias, rowwise=True, **options)
    assert rowwise.runs == 0
    return bulk, result(b.alias, transfer), source.runs


def result(alias: str, transfer: Transfer) -> Result:
    def rows(model: Any, *names: str) -> list[Any]:
        found = model.objects.using(alias).order_by("id").values_list(*names)
        return sorted((tuple(map(_parsed, row)) for row in found), key=repr)

    state = [field.name for field in RowState._meta.fields if field.name not in ("id", "fields")]
    return Result(
        contents(alias, *registry().models),
        rows(RowState, *state),
        rows(Checkpoint, "source", "install", "progress", "points"),
        rows(Conflict, "model", "key", "kind", "winner", "local", "incoming", "local_version", "incoming_version"),
        rows(Quarantine, "model", "key", "row", "reason", "needs", "listed"),
        {label: figures.as_dict() for label, figures in transfer.report.models.items()},
    )


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.loads(value)
    return value


@contextmanager
def counted(aliases: Iterable[str]) -> Iterator[list[str]]:
    """The statements that these connections run inside the block."""
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(connections[alias].execute_wrapper(note))
        yield seen
