"""Filters that are functions: (queryset, the peer's name) -> queryset."""

from typing import Any


def shown(rows: Any, peer: str) -> Any:
    """The rows whose ``b`` says so for everybody, or for this peer."""
    return rows.filter(b__in=["n", peer])
