"""The checkpoint of a source: how far this node has consumed its feed, per model, and the points of its history seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from peersync.histories import KEPT_POINTS
from peersync.records import START, Batch, Point, Progress
from peersync.rows import as_key
from peersync.transactions import NodeRow


@dataclass
class Checkpoint:
    """The row of the table Checkpoint for one source. ``id`` None: not stored yet."""

    source: str
    install: str = ""
    progress: dict[str, Progress] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    id: int | None = None

    def see(self, point: Point) -> None:
        """Note a point of the source's history; the last sixteen are kept."""
        if point != START and (not self.points or self.points[-1] != point):
            self.points = [*(p for p in self.points if p != point), point][-KEPT_POINTS:]

    def of(self, label: str) -> Progress:
        return self.progress.get(label, Progress())

    def cursor(self, labels: Iterable[str]) -> Point | None:
        """Where a transfer of these models reads on in the feed; None where one of them had no first contact."""
        cursors = [self.of(label).cursor for label in labels]
        known = [cursor for cursor in cursors if cursor is not None]
        return min(known) if known and len(known) == len(cursors) else None

    def stands_at(self, batch: Batch) -> bool:
        """Whether the batch starts exactly where this checkpoint stands."""
        if batch.kind == "snapshot":
            progress = self.of(batch.models[0])
            here = (progress.head, progress.after, progress.cursor)
            start = batch.start
            return here == (start.get("head"), start.get("after"), start.get("cursor"))
        return self.cursor(batch.models) == batch.start.get("cursor")

    def advance(self, batch: Batch, standing: int) -> None:
        """Move to where the batch leads. ``standing``: how many of its rows stand here now."""
        if batch.kind == "snapshot":
            self._advance_snapshot(batch, standing)
        elif batch.kind == "feed":
            for label in batch.models:
                progress = self.of(label)
                if progress.cursor is None or progress.cursor < batch.end["cursor"]:
                    self.progress[label] = replace(progress, cursor=batch.end["cursor"])

    def restart(self, batch: Batch) -> None:
        """A first contact that pruning overtook begins again: what it had left untracked counts as taken."""
        label, progress = batch.models[0], self.of(batch.models[0])
        if progress.head is None or progress.head == batch.end["head"]:
            return
        past = progress.past
        if progress.last is not None and _comparable(progress.last):
            past = max(past, progress.last) if past is not None else progress.last
        self.progress[label] = replace(progress, head=None, after=None, last=None, past=past, seen=0)

    def _advance_snapshot(self, batch: Batch, standing: int) -> None:
        label, progress = batch.models[0], self.of(batch.models[0])
        head: Point = batch.end["head"]
        seen = standing + (progress.seen if progress.head is not None else 0)
        if not batch.done:
            last = batch.rows[-1].key if batch.rows else batch.bulk.last if batch.bulk else None
            self.progress[label] = replace(
                progress, head=head, after=batch.end["after"], last=last or progress.last, cursor=None, seen=seen
            )
            return
        owed = "" if batch.options.get("proof") or batch.options.get("mirror") else None
        self.progress[label] = Progress(
            cursor=head,
            owed=owed,
            baseline=progress.baseline or not batch.filtered,
            seen=seen,
            compared=head.seq,
            fingerprint=str(batch.options.get("fingerprint", "")),
            fields=tuple(batch.fields.get(label, ())),
        )


def _comparable(key: Any) -> bool:
    """Whether keys like this have one order on both sides: numbers do, texts only where both databases collate alike."""
    return len(key) == 1 and isinstance(key[0], int)


def load(node: NodeRow, source: str) -> Checkpoint:
    with node.connection.cursor() as cursor:
        cursor.execute("SELECT id, install, progress, points FROM peersync_checkpoint WHERE source = %s", [source])
        found = cursor.fetchone()
    if found is None:
        return Checkpoint(source)
    return Checkpoint(
        source,
        found[1],
        {label: read_progress(value) for label, value in json.loads(found[2]).items()},
        [Point(*point) for point in json.loads(found[3])],
        found[0],
    )


def save(node: NodeRow, checkpoint: Checkpoint) -> int:
    """Write the checkpoint; returns its id."""
    progress = json.dumps({label: progress_json(p) for label, p in checkpoint.progress.items()})
    points = json.dumps(checkpoint.points)
    with node.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peersync_checkpoint (source, install, progress, points, updated)"
            " VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP) ON CONFLICT (source) DO UPDATE SET"
            " install = excluded.install, progress = excluded.progress, points = excluded.points,"
            " updated = excluded.updated",
            [checkpoint.source, checkpoint.install, progress, points],
        )
        if checkpoint.id is None:
            cursor.execute("SELECT id FROM peersync_checkpoint WHERE source = %s", [checkpoint.source])
            checkpoint.id = int(cursor.fetchone()[0])
    return checkpoint.id


def progress_json(progress: Progress) -> dict[str, Any]:
    """The members that are set."""
    found: dict[str, Any] = {}
    for name in ("cursor", "head", "after", "past", "last", "owed"):
        value = getattr(progress, name)
        if value is not None:
            found[name] = list(value) if isinstance(value, tuple) else value
    for name in ("baseline", "conflicts", "seen", "compared", "fingerprint", "fields"):
        if getattr(progress, name):
            found[name] = getattr(progress, name)
    return found


def read_progress(found: Mapping[str, Any]) -> Progress:
    def point(name: str) -> Point | None:
        value: Sequence[Any] | None = found.get(name)
        return Point(int(value[0]), str(value[1])) if value is not None else None

    return Progress(
        cursor=point("cursor"),
        head=point("head"),
        after=found.get("after"),
        past=as_key(found["past"]) if found.get("past") is not None else None,
        last=as_key(found["last"]) if found.get("last") is not None else None,
        owed=found.get("owed"),
        baseline=bool(found.get("baseline")),
        conflicts=int(found.get("conflicts", 0)),
        seen=int(found.get("seen", 0)),
        compared=int(found.get("compared", 0)),
        fingerprint=str(found.get("fingerprint", "")),
        fields=tuple(found.get("fields", ())),
    )
