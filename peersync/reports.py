"""How a transfer is to be made, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peersync.errors import PeersyncError
from peersync.records import Figures


@dataclass(frozen=True)
class Options:
    """How a transfer is to be made.

    ``models``: labels, all where None. ``batch_size``: rows. ``mirror``: the source wins, and rows that only the target
    has are deleted. ``repair``: compare in full; a row that differs although neither side
    changed it, as far as the versions say, becomes the source's, unless ``both`` directions are gone: then no side is
    taken for the right one. ``automatic``: nobody watches, so no first contact with a target that holds rows. ``match``:
    how rows that stood on both sides before are matched (``pk``, ``content``, ``never``), for all models; None: as MATCH
    says. ``progress``: called with the label, the rows so far and None (the total is not known).
    """

    models: tuple[str, ...] | None = None
    batch_size: int | None = None
    mirror: bool = False
    accept_conflicts: bool = False
    dry_run: bool = False
    repair: bool = False
    both: bool = False
    retry: bool = False
    automatic: bool = False
    match: str | None = None
    wait: float = 0
    progress: Callable[[str, int, int | None], None] | None = None


@dataclass
class TransferReport:
    """What a transfer did. ``status``: ok; incomplete (rows wait in quarantine, or a model was stopped); failed
    (``error`` says why)."""

    source: str
    target: str
    models: dict[str, Figures] = field(default_factory=dict)
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Sentences about what one side only synchronises."""
    error: PeersyncError | None = None
    stopped: dict[str, PeersyncError] = field(default_factory=dict)
    """Models that could not travel as the two sides are now, and why; the others went on."""
    read: int | None = None
    """The place in the source's feed that the target has read past now; None where it did not come so far."""

    @property
    def status(self) -> str:
        if self.error is not None:
            return "failed"
        waits = self.stopped or any(f.quarantined for f in self.models.values())
        return "incomplete" if waits else "ok"

    @property
    def rows(self) -> int:
        """Rows that were looked at."""
        return sum(f.created + f.updated + f.deleted + f.unchanged for f in self.models.values())

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0
