"""The one place where time is asked, so that tests can set a node's clock wrong."""

from __future__ import annotations

import time


def now_ms(alias: str) -> int:
    """Milliseconds since the epoch, as the node behind ``alias`` sees them."""
    return time.time_ns() // 1_000_000
