"""A database whose batches, descriptions and answers pass through the bytes of the wire, as over HTTP, without a server."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from peersync import wire
from peersync.records import Batch, Caller, Description, Digest, Key, Outcome, Point, Progress, Range
from peersync.replicas.database import DatabaseReplica


def sent(batch: Batch) -> Batch:
    """The batch as the other side reads it."""
    return wire.read_batch(list(wire.batch_lines(batch)))


def _json(value: Any) -> Any:
    return wire.loads(wire.dumps(value))


class Wired(DatabaseReplica):
    """``DatabaseReplica``, at the other end of a wire."""

    def describe(self, caller: Caller | None = None) -> Description:
        found = super().describe(caller)
        models = tuple(replace(one, bulk=tuple(e for e in one.bulk if e == "pgcopy")) for one in found.models)
        return wire.read_description(_json(wire.description_json(replace(found, models=models))))

    def snapshot(self, caller: Caller, model: str, head: Point | None, after: str | None, limit: int) -> Batch:
        return sent(super().snapshot(caller, model, head, after, limit))

    def changes(
        self,
        caller: Caller,
        models: Sequence[str],
        cursor: Point,
        head: Point | None,
        limit: int,
        wait: float = 0,
    ) -> Batch:
        return sent(super().changes(caller, models, cursor, head, limit, wait))

    def rows(self, caller: Caller, model: str, keys: Iterable[Key]) -> Batch:
        asked = wire.read_keys(_json(wire.keys_json(keys)))
        return sent(super().rows(caller, model, asked))

    def digests(
        self,
        caller: Caller,
        model: str,
        ranges: Sequence[Range],
        parts: int,
        fields: Sequence[str] | None = None,
    ) -> list[Digest]:
        asked, number, names = wire.read_ranges(_json(wire.ranges_json(ranges, parts, fields)))
        return wire.read_digests(_json(wire.digests_json(super().digests(caller, model, asked, number, names))))

    def checkpoint(self, caller: Caller) -> dict[str, Progress]:
        return wire.read_progress(_json(wire.progress_json(super().checkpoint(caller))))

    def apply(self, caller: Caller, batch: Batch) -> Outcome:
        return wire.read_outcome(_json(wire.outcome_json(super().apply(caller, sent(batch)))))
