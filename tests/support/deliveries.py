"""Stands between a transfer and its target: each batch is delivered as a test wants it, by alias and over HTTP alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from peersync.records import Batch, Outcome
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica

Deliver = Callable[[], Outcome]
Hook = Callable[[Batch, Deliver], Outcome]


class Killed(BaseException):
    """The process is no more: nothing of peersync may catch it."""


@contextmanager
def delivered(hook: Hook) -> Iterator[None]:
    """Inside, ``hook(batch, deliver)`` stands for the application of a batch; ``deliver()`` is the real one."""

    def wrap(real: Any) -> Any:
        def apply(replica: Any, caller: Any, batch: Batch) -> Outcome:
            return hook(batch, partial(real, replica, caller, batch))

        return apply

    with pytest.MonkeyPatch.context() as patch:
        for cls in (DatabaseReplica, HttpReplica):
            patch.setattr(cls, "apply", wrap(cls.apply))
        yield


def rows_of(batch: Batch) -> int:
    return len(batch.rows) + (batch.bulk.count if batch.bulk else 0)


def moves(batch: Batch) -> bool:
    """Whether the checkpoint is another one behind it."""
    return batch.kind in ("snapshot", "feed") and dict(batch.start) != dict(batch.end)
