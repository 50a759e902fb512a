"""The single calls that a transfer is made of: a page read and applied, shorter or later where the way is narrow or busy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from peersync.comparing import Side
from peersync.errors import AnswerCutOff, PayloadTooLarge, PeerTimeout, PeerUnavailable
from peersync.handshake import Agreement
from peersync.meeting import Meeting
from peersync.patience import patient
from peersync.projecting import project
from peersync.records import Batch, Caller, Figures, Outcome
from peersync.replicas.base import Replica
from peersync.reports import Options, TransferReport

BULK_ROWS = 10_000
ROWS = 2000
SMALLEST = 8
HALVE_ON = (PayloadTooLarge, PeerTimeout, PeerUnavailable, AnswerCutOff)


class Mover:
    """Both replicas, what they agreed on, and what was moved so far."""

    agreement: Agreement | None
    asked: Caller
    """The target, as it calls the source."""
    sender: Caller
    """The source, as it calls the target."""

    def __init__(self, source: Replica, target: Replica, options: Options, local: str) -> None:
        self.source, self.target = patient(source), patient(target)
        self.options, self.local = options, local
        self.report = TransferReport(source.name, target.name)
        self.sent = 0
        """Rows that the source has given so far."""
        self.log: list[tuple[Caller, Batch]] = []
        """The last batches that were applied, with who applied them (for whoever wants to repeat one)."""
        self.agreement = None
        self._limit = options.batch_size or ROWS
        self._narrowed = False

    @property
    def _agreed(self) -> Agreement:
        assert self.agreement is not None  # noqa: S101  # the script has shaken hands before
        return self.agreement

    @property
    def _source(self) -> Any:
        assert self.agreement is not None  # noqa: S101  # the script has shaken hands before
        return self.agreement.source

    @cached_property
    def _meeting(self) -> Meeting:
        """Which rows of the two sides are one row."""
        sides = Side(self.source, self.asked), Side(self.target, self.sender)
        remote = any(getattr(replica, "remote", False) for replica in (self.source, self.target))
        return Meeting(self._agreed, self.options, *sides, remote=remote)

    def _fingerprint(self, label: str) -> str:
        """What both sides synchronise of the model."""
        sides = (self._agreed.source.model(label), self._agreed.target.model(label))
        return ":".join(info.fingerprint for info in sides if info is not None)

    def _empty_answer(self, label: str) -> Batch:
        agreed = self._agreed
        return Batch(
            "rows",
            source=agreed.source.node,
            source_install=agreed.source.install,
            target=agreed.target.node,
            models=(label,),
            fields={label: agreed.names[label]},
            baselines={label: ()},
            start={},
            end={},
            head=agreed.source.head,
            points=agreed.source.points,
        )

    def _length(self, asked: Caller) -> int:
        """Rows of a page: what both sides take, or less where a page was too long for the way."""
        sides = (self._agreed.source, self._agreed.target)
        bound = min([self._limit, *(side.limits.get("batch", self._limit) for side in sides)])
        longest = min(BULK_ROWS, *(side.limits.get("batch", BULK_ROWS) for side in sides))
        return longest if asked.bulk and not self._narrowed and not self.options.batch_size else bound

    def _move(
        self, ask: Callable[[int], Batch], start: Mapping[str, Any], limit: int, options: Mapping[str, Any]
    ) -> Any:
        """A page read at ``start`` and applied there; read again, shorter, where it is too long for the way."""
        while True:
            batch = self._read(ask, limit)
            yield
            batch = replace(self._projected(batch), start=start, options={**batch.options, **options})
            try:
                outcome = yield from self._apply(batch)
            except HALVE_ON:
                length = batch.bulk.count if batch.bulk else len(batch.rows)
                if length <= SMALLEST:
                    raise
                limit = self._limit = max(SMALLEST, length // 2)
                self._narrowed = True
                continue
            return batch, outcome

    def _read(self, ask: Callable[[int], Batch], limit: int) -> Batch:
        """A page; of half the length where it is too long for the way."""
        while True:
            try:
                return ask(limit)
            except HALVE_ON:
                if limit <= SMALLEST:
                    raise
                limit //= 2
                self._limit, self._narrowed = min(self._limit, limit), True

    def _projected(self, batch: Batch) -> Batch:
        self.sent += len(batch.rows) + (batch.bulk.count if batch.bulk else 0)
        agreed = self._agreed
        names = {label: agreed.names[label] for label in batch.fields}
        return project(batch, names, agreed.own_numbers, agreed.carried, agreed.closed)

    def _apply(self, batch: Batch) -> Any:
        if self._agreed.converted.keys() & set(batch.models):
            batch = replace(batch, options={**batch.options, "converted": True})
        outcome: Outcome = self.target.apply(self.sender, batch)
        self.log = [*self.log, (self.sender, batch)][-8:]
        for label, figures in outcome.figures.items():
            self.count(label).add(figures)
            if self.options.progress is not None:
                done = self.count(label)
                rows = done.created + done.updated + done.deleted + done.unchanged
                self.options.progress(label, rows, None)
        for text in outcome.warnings:
            self._warn(text)
        yield
        return outcome

    def _warn(self, text: str) -> None:
        self.report.warnings = tuple(dict.fromkeys([*self.report.warnings, text]))

    def count(self, label: str) -> Figures:
        """What was done so far with the model."""
        return self.report.models.setdefault(label, Figures())
