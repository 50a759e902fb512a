"""How single values of SYNC_CONFIG are read: each mistake is a sentence that names the key, and the mend.

Nothing here raises: a mistake goes on the list that the caller gave, and the default is read instead, so that
one look at the settings finds all mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from peersync.errors import ConfigurationError

V = TypeVar("V")
Read = Callable[[Any, str], V | None]
"""Takes a value and where it stands; ``None`` when it is wrong (and was put on the list)."""

_LABEL = re.compile(r"\w+\.\w+")
_PATTERN = re.compile(r"!?(\*\.\*|\w+\.(\*|\w+))")
_FILES = re.compile(r"\*\.\*|\w+\.\*|\w+\.\w+(\.\w+)?")
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")

POLICIES = ("latest", "master", "slave", "source", "target", "merge", "manual")
MOST_DAYS = 36_500
"""A hundred years: a date can be that far back, and nothing is kept longer."""
EXITS = ("remove", "keep")
MATCHES = ("pk", "content", "never")
DIRECTIONS = ("both", "master-to-slave", "slave-to-master")


class ByModel(Mapping[str, V]):
    """Values by model label, looked up without regard to case. Iterates over names as they were written."""

    def __init__(self, values: Mapping[str, V]) -> None:
        self._values = dict(values)
        self._folded = {name.lower(): value for name, value in values.items()}

    def __getitem__(self, label: str) -> V:
        return self._folded[label.lower()]

    def __contains__(self, label: object) -> bool:
        return isinstance(label, str) and label.lower() in self._folded

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ByModel({self._values!r})"


class Problems(list[ConfigurationError]):
    """The mistakes found so far. ``kind``: ``key``, ``type`` or ``value``."""

    def note(self, kind: str, detail: str, hint: str, where: str) -> None:
        self.append(ConfigurationError(detail, hint=hint, kind=kind, where=where))

    def wrong_type(self, where: str, wanted: str, found: Any) -> None:
        """``found`` is named by its type only: it may be a secret."""
        self.note("type", f"{where} must be {wanted}, not {type(found).__name__}.", f"Write {wanted} there.", where)


def quoted(where: str, key: object) -> str:
    """``SYNC_CONFIG["PEERS"]``: where a value stands, as one would write it in Python."""
    text = str(key).replace('"', "'")
    return f'{where}["{text}"]'


def nearest(name: object, known: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    """``Did you mean …?``, or the names that there are."""
    names = list(known)
    folded = {n.lower(): n for n in names}
    close = get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{folded[close[0]]}"?'
    return f"Known are: {', '.join(names)}."


class Values:
    """Reads the values of one level of the settings; ``problems`` gathers what is wrong."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def mapping(self, value: Any, where: str) -> Mapping[str, Any] | None:
        if not isinstance(value, Mapping):
            self.problems.wrong_type(where, "a dict", value)
            return None
        for key in value:
            if not isinstance(key, str):
                self.problems.wrong_type(f"The key {key!r} of {where}", "a str", key)
                return None
        return cast("Mapping[str, Any]", value)

    def boolean(self, value: Any, where: str) -> bool | None:
        if not isinstance(value, bool):
            self.problems.wrong_type(where, "True or False", value)
            return None
        return value

    def number(self, value: Any, where: str, most: int = 1 << 40) -> int | None:
        """Whole numbers from 1 on; ``most``: what no column and no date is too small for."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.problems.wrong_type(where, "an int", value)
            return None
        if not 1 <= value <= most:
            hint = "Give it at least 1." if value < 1 else f"Give it at most {most}."
            self.problems.note("value", f"{where} is {value}.", hint, where)
            return None
        return value

    def days(self, value: Any, where: str) -> int | None:
        return self.number(value, where, MOST_DAYS)

    def text(self, value: Any, where: str) -> str | None:
        if not isinstance(value, str):
            self.problems.wrong_type(where, "a str", value)
            return None
        if not value.strip():
            self.problems.note("value", f"{where} is empty.", "Give it a value, or take the line out.", where)
            return None
        return value

    def choice(self, value: Any, where: str, allowed: tuple[str, ...]) -> str | None:
        if not isinstance(value, str):
            self.problems.wrong_type(where, "one of " + ", ".join(f'"{a}"' for a in allowed), value)
            return None
        if value not in allowed:
            self.problems.note("value", f'{where} is "{value}".', nearest(value, allowed), where)
            return None
        return value

    def names(self, value: Any, where: str) -> tuple[str, ...] | None:
        """A list of names. A bare string is the classic slip: it would be read as a list of letters."""
        if isinstance(value, str):
            self.problems.note("type", f"{where} must be a list of str, not a str.", f'Write ["{value}"].', where)
            return None
        if not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(v, str) for v in value):
            self.problems.wrong_type(where, "a list of str", value)
            return None
        return tuple(dict.fromkeys(sorted(value) if isinstance(value, (set, frozenset)) else value))

    def models(self, value: Any, where: str) -> tuple[str, ...] | None:
        """Patterns: ``app.Model``, ``app.*``, ``*.*``; with ``!`` before it, left out."""
        names = self.names(value, where)
        for name in names or ():
            if not _PATTERN.fullmatch(name):
                self.problems.note(
                    "value",
                    f'{where} has "{name}".',
                    'Write a model as "app_label.Model", all models of an app as "app_label.*", '
                    'all as "*.*", and one to leave out as "!app_label.Model".',
                    where,
                )
        return names

    def files(self, value: Any, where: str) -> tuple[str, ...] | None:
        """True for the files of all models, False for none; or models and fields: ``app.Model``, ``app.Model.field``."""
        if isinstance(value, bool):
            return ("*.*",) if value else ()
        if not isinstance(value, (list, tuple, set, frozenset, str)):
            self.problems.wrong_type(where, "True, False, or a list of models and fields", value)
            return None
        names = self.names(value, where)
        for name in names or ():
            if not _FILES.fullmatch(name):
                hint = 'Write a model as "app_label.Model", one of its fields as "app_label.Model.field".'
                self.problems.note("value", f'{where} has "{name}".', hint, where)
        return names

    def by_model(self, value: Any, where: str, read: Read[V], *, star: bool = False) -> ByModel[V]:
        """``{"app.Model": value}``; ``star``: ``"*"`` stands for every model that is not named."""
        found: dict[str, V] = {}
        seen: dict[str, str] = {}
        for label, item in (self.mapping(value, where) or {}).items():
            if not self._label(label, where, star, seen):
                continue
            one = read(item, quoted(where, label))
            if one is not None:
                found[label] = one
        return ByModel(found)

    def _label(self, label: str, where: str, star: bool, seen: dict[str, str]) -> bool:
        if not (_LABEL.fullmatch(label) or (star and label == "*")):
            also = ', or "*" for all' if star else ""
            hint = f'Its keys are models, as "app_label.Model"{also}.'
            self.problems.note("value", f'{where} has the key "{label}".', hint, where)
            return False
        if label.lower() in seen:
            twice = f'{where} names one model twice: "{seen[label.lower()]}" and "{label}".'
            self.problems.note("value", twice, "Make one entry of the two.", where)
            return False
        seen[label.lower()] = label
        return True

    def filter(self, value: Any, where: str) -> Mapping[str, Any] | str | None:
        """ORM look-ups, or the dotted path of a function ``(queryset, peer's name) -> queryset``."""
        if isinstance(value, str):
            if _PATH.fullmatch(value):
                return value
            hint = 'Write the dotted path of a function, "package.module.function", or a dict of look-ups.'
            self.problems.note("value", f'{where} is "{value}".', hint, where)
            return None
        if isinstance(value, Mapping):
            return self.mapping(value, where)
        self.problems.wrong_type(where, "a dict of look-ups, or a dotted path", value)
        return None

    def identity(self, value: Any, where: str) -> str | tuple[str, ...] | None:
        """``"pk"``, ``"natural"``, ``"origin"``, or field names (one of them may stand without the list)."""
        if isinstance(value, str):
            return self._identity_word(value, where)
        names = self.names(value, where)
        if names == ():
            self.problems.note("value", f"{where} is empty.", 'Name its fields, or write "pk".', where)
            return None
        if names and len(names) == 1 and names[0] in ("pk", "natural", "origin"):
            return self._identity_word(names[0], where)
        return names

    def _identity_word(self, value: str, where: str) -> str | tuple[str, ...] | None:
        if value in ("pk", "natural", "origin"):
            return value
        if where.endswith('["*"]') or not value.isidentifier():
            hint = 'Write "pk", "natural", "origin", or a list of field names.'
            self.problems.note("value", f'{where} is "{value}".', hint, where)
            return None
        return (value,)

    def exit(self, value: Any, where: str) -> str | None:
        return self.choice(value, where, EXITS)

    def match(self, value: Any, where: str) -> str | None:
        return self.choice(value, where, MATCHES)

    def direction(self, value: Any, where: str) -> str | None:
        if value in ("push", "pull"):
            hint = 'A direction is the same for both nodes here: "master-to-slave" or "slave-to-master".'
            self.problems.note("value", f'{where} is "{value}".', hint, where)
            return None
        return self.choice(value, where, DIRECTIONS)

    def conflict(self, value: Any, where: str) -> str | None:
        """The name of a policy, or the dotted path of a function."""
        if isinstance(value, str) and _PATH.fullmatch(value):
            return value
        return self.choice(value, where, POLICIES)
