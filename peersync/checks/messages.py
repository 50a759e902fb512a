"""What a finding is made of: a stable id, a sentence, and the mend."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage

_LEVELS = {"E": checks.Error, "W": checks.Warning, "I": checks.Info}


def message(number: str, text: str, mend: str, obj: Any = None) -> CheckMessage:
    """``number``: ``E001``, ``W001`` or ``I001``; its letter is the level."""
    return _LEVELS[number[0]](text, hint=mend, obj=obj, id=f"peersync.{number}")


def has_errors(found: Iterable[CheckMessage]) -> bool:
    return any(one.level >= checks.ERROR for one in found)


SHOWN = 12
"""Names that a message lists: a project may have hundreds of models."""


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
