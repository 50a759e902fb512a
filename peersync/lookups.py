"""What a FILTER or an ACCEPT says: look-ups as they stand in the settings, or a dotted path. Pure.

Values may be callables without arguments (worked out whenever a query is made) and Django expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Said = Mapping[str, Any] | str | None
"""Look-ups, the dotted path of a function, or nothing."""


def worked_out(said: Mapping[str, Any]) -> dict[str, Any]:
    """The look-ups with the values that they have now."""
    return {name: value() if _called(value) else value for name, value in said.items()}


def moving(value: Any) -> bool:
    """Whether a look-up's value may be another at each query: a callable, or an expression other than ``F``."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(moving(one) for one in value)
    return callable(value) or (_expression(value) and field_of(value) is None)


def fields_in(value: Any) -> Iterator[str]:
    """The fields that a value names by ``F``."""
    for one in value if isinstance(value, (list, tuple, set, frozenset)) else (value,):
        if (name := field_of(one)) is not None:
            yield name


def field_of(value: Any) -> str | None:
    """The path that ``F("path")`` names; None where the value is something else."""
    return str(value.name) if type(value).__name__ == "F" and _expression(value) else None


def _called(value: Any) -> bool:
    return callable(value) and not _expression(value)


def _expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def worded(said: Said) -> str:
    """A text that is the same in each process, for digests: no addresses, and no query is made for it."""
    if not isinstance(said, Mapping):
        return repr(said)
    return "{" + ", ".join(f"{name}: {_word(said[name])}" for name in sorted(said)) + "}"


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_word, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"[{', '.join(sorted(map(_word, value)))}]"
    if hasattr(value, "query"):
        return f"query({value.query})"
    if _called(value):
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__name__)}()"
    return repr(value)
