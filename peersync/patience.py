"""A replica that is asked again, a bounded number of times, where it is busy: every call of a replica may be repeated."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import Any, cast

from peersync.errors import Busy
from peersync.replicas.base import Replica

PAUSES = (0.2, 0.4, 0.8, 1.6)
"""Seconds before each further try, less up to a half."""


class _Patient:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __repr__(self) -> str:
        return repr(self._replica)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._replica, name)
        return partial(_call, found) if callable(found) else found


def _call(call: Any, *args: Any, **kwargs: Any) -> Any:
    for pause in PAUSES:
        try:
            return call(*args, **kwargs)
        except Busy:
            time.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311  # jitter needs no secret
    return call(*args, **kwargs)


def patient(replica: Replica) -> Replica:
    """The replica; what it answers with Busy is asked again, and raised after the last of ``PAUSES``."""
    return cast(Replica, _Patient(replica))
