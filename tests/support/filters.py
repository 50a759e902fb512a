"""Filters that are functions: (queryset, the peer's name) -> queryset."""

from typing import Any

LISTED: set[int] = set()
"""What :func:`listed` lets through: it changes without a change of any row, as a filter does that looks at the clock."""


def listed(rows: Any, peer: str) -> Any:
    return rows.filter(pk__in=LISTED)


def shown(rows: Any, peer: str) -> Any:
    """The rows whose ``b`` says so for everybody, or for this peer."""
    return rows.filter(b__in=["n", peer])
