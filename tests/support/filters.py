"""Filters that are functions: (queryset, the peer's name) -> queryset."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from peersync.records import Batch
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer

LISTED: set[int] = set()
"""What :func:`listed` lets through: it changes without a change of any row, as a filter does that looks at the clock."""


def listed(rows: Any, peer: str) -> Any:
    return rows.filter(pk__in=LISTED)


def shown(rows: Any, peer: str) -> Any:
    """The rows whose ``b`` says so for everybody, or for this peer."""
    return rows.filter(b__in=["n", peer])


def of_open_parents(rows: Any, peer: str) -> Any:
    """Says what it looks at: a change there is found without working the view out anew."""
    return rows.filter(p__b="n")


of_open_parents.depends_on = ("p__b",)  # type: ignore[attr-defined]  # a function may bear it


def of_shown_model(rows: Any, peer: str) -> Any:
    return rows.filter(p__b="n")


of_shown_model.depends_on = ["zoo.Parent"]  # type: ignore[attr-defined]  # a function may bear it


MOMENT = [datetime(2026, 1, 1, tzinfo=UTC)]


def moment() -> datetime:
    """A look-up's value that is worked out when it is looked at."""
    return MOMENT[0]


class Heard:
    """What one transfer told the target, row by row: (kind, model, key), "gone" for a deletion."""

    def __init__(self, source: str, target: str, *, drive: str = "source") -> None:
        self.told: list[tuple[str, str, tuple[Any, ...]]] = []
        sink = DatabaseReplica(target, peer=source)
        apply: Callable[..., Any] = sink.apply

        def listen(caller: Any, batch: Batch) -> Any:
            for row in batch.rows:
                kind = "gone" if row.kind == "row" and row.deleted else row.kind
                self.told.append((kind, row.model, row.key))
            return apply(caller, batch)

        sink.apply = listen  # type: ignore[method-assign]  # it listens, and does the same
        self.report = Transfer(DatabaseReplica(source, peer=target), sink, local=drive).run()
        assert self.report.error is None, self.report.error

    def keys(self, *kinds: str, model: str = "zoo.Parent") -> list[Any]:
        return sorted(key[0] for kind, label, key in self.told if label == model and kind in kinds)
