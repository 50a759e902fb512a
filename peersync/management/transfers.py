"""What ``sync_data`` does with each peer, and the exit status that it comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from peersync import syncing as sync
from peersync.delivery import exclusive
from peersync.errors import PeersyncError
from peersync.management.arguments import DIRECTIONS
from peersync.management.choosing import Chosen
from peersync.management.output import differences_json, error_json, transfer_json
from peersync.syncing import Differences, Options, TransferReport

__all__ = ["Session", "Work"]


@dataclass
class Work:
    """What was done, over all peers."""

    reports: list[TransferReport] = field(default_factory=list)
    differences: dict[str, Differences] | None = None
    """Over all peers; None where nothing was compared."""
    error: PeersyncError | None = None
    stopped: dict[str, PeersyncError] = field(default_factory=dict)
    """Models that could not travel, and why."""
    failed: list[str] = field(default_factory=list)
    """Peers that something went wrong with."""

    @property
    def status(self) -> str:
        if self.error or any(report.status == "failed" for report in self.reports):
            return "failed"
        return "incomplete" if any(report.status == "incomplete" for report in self.reports) else "ok"

    @property
    def differs(self) -> bool:
        return any(one.count for one in (self.differences or {}).values())

    @property
    def exit_status(self) -> int:
        """Conflicts alone are no failure: they are settled, and recorded."""
        return 1 if self.status != "ok" or self.differs else 0

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "status": self.status,
            "transfers": [transfer_json(report) for report in self.reports],
            "error": error_json(self.error or next(iter(self.stopped.values()), None)),
        }
        if self.differences is not None:
            found["differences"] = differences_json(self.differences)
        return found

    def add(self, report: TransferReport) -> None:
        self.reports.append(report)
        if report.error and self.error is None:
            self.error = report.error
        self.stopped |= report.stopped

    def compared(self, differences: dict[str, Differences]) -> None:
        known = self.differences = self.differences or {}
        for label, one in differences.items():
            before = known.get(label)
            known[label] = (
                Differences(before.count + one.count, [*before.keys, *one.keys]) if before is not None else one
            )


class Session:
    """One run of the command. ``shown`` is told of each transfer, ``warn`` of what is odd, as they come."""

    def __init__(
        self,
        direction: str,
        options: Options,
        *,
        verify: bool,
        shown: Callable[[TransferReport], None],
        warn: Callable[[str], None],
    ) -> None:
        self.steps = DIRECTIONS[direction]
        self.options = replace(options, both=len(self.steps) > 1)
        self.verify, self._shown, self._warn = verify, shown, warn
        self.work = Work()

    @property
    def writes(self) -> bool:
        """A lease stands in a table: who only looks takes none."""
        return not self.options.dry_run and (not self.verify or self.options.repair)

    def run(self, chosen: Sequence[Chosen]) -> Work:
        """All peers, one after the other; one that fails does not keep the next from its turn."""
        for one in chosen:
            try:
                with exclusive(one.name) if self.writes else nullcontext(True) as alone:
                    if not alone:
                        self._warn(f"Another process synchronises with {one.name} at the moment.")
                    self._peer(one)
            except PeersyncError as error:
                self.work.error = self.work.error or error
                self.work.failed.append(one.name)
        return self.work

    def _peer(self, one: Chosen) -> None:
        if not self.verify or self.options.repair:
            for step in self.steps:
                report = self._transfer(one, step, self.options)
                self.work.add(report)
                self._shown(report)
                if report.error:
                    self.work.failed.append(one.name)
                    return
        if self.verify:
            told = None if self.options.repair else self._warn  # the transfer has said it
            self.work.compared(sync.compare(one.peer, replace(self.options, repair=False), warn=told))

    def to_delete(self, chosen: Sequence[Chosen]) -> int:
        """How many rows ``--mirror`` would delete: those that stand at the target only. Writes nothing."""
        found = [sync.compare(one.peer, self.options) for one in chosen]
        here = self.steps == ("pull",)
        return sum(one.here if here else one.there for models in found for one in models.values())

    @staticmethod
    def _transfer(one: Chosen, step: str, options: Options) -> TransferReport:
        return sync.pull(one.peer, options) if step == "pull" else sync.push(one.peer, options)
