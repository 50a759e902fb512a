"""One transfer from a source replica to a target replica, step by step: each step is one call to a replica.

A transfer can be cut after any step: what was applied stands with the checkpoint, and the next one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from peersync.carrying import carry_files
from peersync.errors import (
    CursorUnknown,
    FirstContactNeeded,
    PeersyncError,
    StaleBatch,
)
from peersync.handshake import shake_hands
from peersync.moving import Mover
from peersync.records import Batch, Key, Point, Progress
from peersync.replicas.base import Replica
from peersync.reports import Options, TransferReport

ASKED_AT_MOST = 6
WRITER_PAUSES = (0.1, 0.4, 1.0)
"""Seconds: how long rows that only a writer holds are waited for at the end of a transfer."""


class Transfer(Mover):
    """From ``source`` to ``target``. ``local``: which of the two is this process's own node ("source" or "target")."""

    def __init__(
        self, source: Replica, target: Replica, *, options: Options | None = None, local: str = "source"
    ) -> None:
        super().__init__(source, target, options or Options(), local)
        self._started = time.monotonic()
        self._script = self._whole()
        self.over = False
        self._unnoted: set[str] = set()
        """Models with changes at the source that no version speaks of: where only the contents differ, it is right."""

    # ------------------------------------------------------------------ driving

    def step(self) -> bool:
        """Make one call to a replica; True when the transfer is over. Raises what the replica raised."""
        if self.over:
            return True
        try:
            next(self._script)
        except StopIteration:
            self.over = True
        except BaseException:
            self.over = True
            raise
        finally:
            self.report.seconds = time.monotonic() - self._started
        return self.over

    def run(self) -> TransferReport:
        """Make all steps; a PeersyncError ends it and stands in the report."""
        try:
            while not self.step():
                pass
        except PeersyncError as error:
            self.report.error = error
        if self.agreement is not None:
            self.report.stopped, self.report.left_out = self.agreement.stopped, tuple(self.agreement.left_out)
            self.report.warnings = tuple(dict.fromkeys([*self.report.warnings, *self.agreement.warnings]))
        return self.report

    # ------------------------------------------------------------------ the script

    def _whole(self) -> Iterator[None]:
        for found in shake_hands(self.source, self.target, local=self.local, models=self.options.models):
            self.agreement = found
            yield
        assert self.agreement is not None  # noqa: S101  # shake_hands ends with an agreement, or raises
        self.asked = self.agreement.as_target()
        self.sender = replace(self.agreement.as_source(), pushed=self.local == "source")
        self.labels = list(self.agreement.names)
        for label in self.labels:
            self.count(label)
        if not self.labels:
            return
        if self.options.dry_run:
            yield from self._dry()
            return
        yield from self._transfer(compare=self.options.repair or self.options.mirror)
        yield from self._finish()
        read, self.report.read = self.report.read, None  # not before the files have come: who delivers tries again
        yield from carry_files(self)
        self.report.read = read

    def _transfer(self, *, compare: bool) -> Iterator[None]:
        """First contacts and full comparisons where they are due, then the feed."""
        for attempt in range(3):
            places = self.target.checkpoint(self.sender)
            yield
            due = [label for label in self.labels if compare or self._due(places.get(label))]
            due += [label for label in self.labels if label not in due and self._outdated(label, places[label])]
            self._allow(due, places)
            for label in due:
                yield from self._meeting.look(label, places.get(label, Progress()))
            owed: dict[str, Any] = {}
            for label in [one for one in self.labels if one in due]:
                owed[label] = yield from self._snapshot(label, places.get(label, Progress()))
            for label in reversed(self.labels):  # children first: they would hold their parents' deletion up
                left = label not in due and places[label].owed is not None
                if left or owed.get(label) is not None:
                    yield from self._owed(label, owed.get(label))
            if due:
                places = self.target.checkpoint(self.sender)
                yield
            try:
                yield from self._feed(places)
                return
            except CursorUnknown:
                if attempt == 2:  # the third time it is no accident
                    raise
                self._warn(f"{self.source.name} does not know the place any more where {self.target.name} had stopped.")
                compare = True

    @staticmethod
    def _due(progress: Progress | None) -> bool:
        return progress is None or progress.cursor is None

    def _outdated(self, label: str, progress: Progress) -> bool:
        """Whether what the cursor leaves out may matter: tombstones pruned, captures missed, fields changed. Says so."""
        source, why = self._source, ""
        if progress.compared <= source.missed.get(label, -1):
            why = "changes of it were not captured for a time"
            self._unnoted.add(label)
        if progress.fingerprint and progress.fingerprint != self._fingerprint(label):
            why = "what is synchronised of it has changed"
        if (progress.cursor or Point(0, "")).seq < source.pruned:
            why = f"{self.target.name} was away longer than deletions are remembered (KEEP_TOMBSTONES)"
        if why:
            self._warn(f"{label} is compared in full, which mends it: {why}.")
        return bool(why)

    def _allow(self, due: Sequence[str], places: Mapping[str, Progress]) -> None:
        """Automatic sync makes no first contact with a table that holds rows."""
        if not self.options.automatic or self.agreement is None:
            return
        step, other = ("push", self.target.name) if self.local == "source" else ("pull", self.source.name)
        for label in due:
            known = places.get(label)
            info = self.agreement.target.model(label)
            if (known is None or not (known.baseline or known.head or known.compared)) and not (info and info.empty):
                raise FirstContactNeeded(
                    f"{label} was never synchronised with this peer, and the target holds rows.",
                    hint=f"Run once by hand: manage.py sync_data --direction={step} --peer={other}",
                )

    # ------------------------------------------------------------------ snapshots

    def _snapshot(self, label: str, place: Progress) -> Any:
        """One model: all rows and tombstones, page by page, from where an unfinished first contact stopped.

        Returns the options of the certain deletions that are owed now; None where there are none.
        """
        options = yield from self._contact_options(label)
        asked = replace(self.asked, bulk=self._agreed.bulk[label], match=self._meeting.match(label))
        head, after = place.head, place.after
        resumed = head is not None
        if self.options.mirror or self.options.repair:
            asked, resumed = replace(asked, bulk=() if self.options.mirror else asked.bulk), False
            head = after = None
        start: dict[str, Any] = {"head": place.head, "after": place.after, "cursor": place.cursor}
        while True:
            ask = partial(self.source.snapshot, asked, label, head, after)
            try:
                batch, _ = yield from self._move(ask, start, self._length(asked), options)
            except CursorUnknown:
                if not resumed:
                    raise
                head, after, resumed = None, None, False
                continue
            head, after = batch.end["head"], batch.end["after"]
            start = {"head": head, "after": after, "cursor": None}
            if batch.done:
                break
        return options if options["proof"] or options["mirror"] else None

    def _contact_options(self, label: str) -> Any:
        """What the target must know: how the contact is made, and what the source had taken from it."""
        source = self._source
        options: dict[str, Any] = {
            "mirror": self.options.mirror,
            "repair": (self.options.repair and not self.options.both) or label in self._unnoted,
            "accept_conflicts": self.options.accept_conflicts,
            "proof": source.pruned > 0 and label not in self._agreed.filtered,
            "fingerprint": self._fingerprint(label),
        }
        if self._meeting.by_origin(label):
            options["match"] = self._meeting.said(label)
        if options["proof"]:
            taken = (yield from self._meeting.taken()).get(label)
            if taken is None or taken.cursor is None or taken.head is not None:
                options["proof"] = False
            else:
                options |= {"consumed": taken.cursor.seq, "baseline": taken.baseline, "pruned": source.pruned}
        return options

    def _owed(self, label: str, options: dict[str, Any] | None = None) -> Iterator[None]:
        """Rows that only the target has: those that were deleted at the source for certain go."""
        if options is None:
            options = yield from self._contact_options(label)
        keys: Sequence[Key] | None = None
        while keys is None or keys:
            if keys is None:
                answers = self._empty_answer(label)
            else:
                answers = self._projected(self.source.rows(self.asked, label, keys))
                yield
            place = self.target.checkpoint(self.sender)[label]
            yield
            outcome = yield from self._apply(
                replace(answers, start={"cursor": place.cursor}, options={"proof": True, **options})
            )
            keys = outcome.wanted.get(label, ())

    # ------------------------------------------------------------------ the feed

    def _feed(self, places: Mapping[str, Progress]) -> Iterator[None]:
        cursors = [place.cursor for label in self.labels if (place := places.get(label)) and place.cursor is not None]
        if len(cursors) < len(self.labels):  # it was restored while its first contacts were made
            raise StaleBatch(
                "The target stands elsewhere than it did a moment ago.", hint="The next sync goes on from there."
            )
        cursor = min(cursors)
        # snapshots may have been taken behind the head of the handshake
        head = max(self._source.head, *cursors)
        while True:
            ask = partial(self.source.changes, self.asked, self.labels, cursor, head)
            batch, outcome = yield from self._move(ask, {"cursor": cursor}, self._length(self.asked), {})
            cursor = batch.end["cursor"]
            if batch.done:
                self._wanted = outcome.wanted
                self._cursor = cursor
                return

    def _finish(self) -> Iterator[None]:
        """What waits is asked for by key, until nothing moves; then the transfer is closed."""
        wanted = self._wanted
        asked: set[Any] = set()
        pauses = iter(WRITER_PAUSES)
        for _ in range(ASKED_AT_MOST):
            if not wanted:
                break
            answers = []
            for label, keys in wanted.items():
                if label in self.labels:
                    answers.append(self._projected(self.source.rows(self.asked, label, keys)))
                    yield
            if not answers:
                break
            rows = [row for answer in answers for row in answer.rows]
            self.sent -= len(rows)
            outcome = yield from self._apply(self._merged(answers, rows))
            again = frozenset((label, key) for label, keys in outcome.wanted.items() for key in keys)
            if again in asked:
                pause = next(pauses, None) if outcome.busy else None
                if pause is None:
                    break
                time.sleep(pause)
            asked.add(again)
            wanted = outcome.wanted
        outcome = yield from self._apply(self._end())
        whole = self.options.models is None and not self._agreed.stopped
        if not any(outcome.quarantined.values()) and whole:
            self.report.read = self._cursor.seq

    def _merged(self, answers: Sequence[Batch], rows: Sequence[Any]) -> Batch:
        """Answers of several models as one: the newest head is what was seen, and their place is where the feed was left."""
        first = answers[0]
        models = tuple(self.labels)
        return replace(
            first,
            rows=rows,
            models=models,
            fields={label: self._agreed.names[label] for label in models},
            baselines={k: v for answer in answers for k, v in answer.baselines.items()},
            head=max(answer.head for answer in answers),
            start={"cursor": self._cursor},
        )

    def _end(self) -> Batch:
        empty = self._empty_answer(self.labels[0])
        names = {label: self._agreed.names[label] for label in self.labels}
        return replace(
            empty, kind="end", models=tuple(self.labels), fields=names, baselines={}, start={"cursor": self._cursor}
        )

    # ------------------------------------------------------------------ dry run

    def _dry(self) -> Iterator[None]:
        """Both sides are read, nothing is written: what would be done is decided and rolled back."""
        self.asked = replace(self.asked, dry=True)
        places = self.target.checkpoint(self.sender)
        yield
        known = [label for label in self.labels if not self._due(places.get(label))]
        for label in self.labels:
            if label in known and not (self.options.mirror or self.options.repair):
                continue
            head, after = None, None
            while True:
                asked = replace(self.asked, node="") if head is None else self.asked
                batch = self.source.snapshot(asked, label, head, after, self._limit)
                yield
                right = self.options.repair and not self.options.both
                options = {"dry_run": True, "mirror": self.options.mirror, "repair": right}
                batch = replace(batch, target=self._agreed.target.node, options=options)
                yield from self._apply(self._projected(batch))
                head, after = batch.end["head"], batch.end["after"]
                if batch.done:
                    break
        if known:
            cursor = min(c for label in known if (c := places[label].cursor) is not None)
            while True:
                batch = self.source.changes(self.asked, known, cursor, self._source.head, self._limit)
                yield
                yield from self._apply(replace(self._projected(batch), options={"dry_run": True}))
                cursor = batch.end["cursor"]
                if batch.done:
                    break
