"""Policies of the project's own: functions by their dotted path, called with care.

What such a function does wrong stops one row, which waits in quarantine with that reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections, transaction
from django.utils.module_loading import import_string

from peersync.generics import GenericId, formed
from peersync.policies import INCOMING, LOCAL, MANUAL, Answer, Contest, Policy, own_function
from peersync.registry import SyncField, SyncModel

_REFERENCE_DEPTH = 8


class PolicyFailed(Exception):
    """The function raised something, or answered what cannot be; the message says what."""


def rule_of(alias: str, model: SyncModel) -> Policy | None:
    """The function that decides about rows of the model; None where a policy of ours does.

    It raises PolicyFailed.
    """
    if not own_function(model.policy):
        return None
    fields = {field.name: field for field in model.fields}

    def rule(contest: Contest) -> Answer:
        answer: Answer = _called(alias, model.policy, contest)
        try:
            _check(contest, answer, fields, connections[alias])
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise PolicyFailed(f"{model.policy} {error}") from error
        return answer

    return rule


def _called(alias: str, path: str, contest: Contest) -> Any:
    try:
        function = import_string(path)
        with transaction.atomic(using=alias):  # a query of the function's that fails must not end our transaction
            answer = function(contest)
    except Exception as error:
        raise PolicyFailed(f"{path} raised {type(error).__name__}: {error}"[:1000]) from error
    return answer


def _check(contest: Contest, answer: Any, fields: Mapping[str, SyncField], connection: Any) -> None:
    """Raises ValueError with what is wrong with the answer, as the rest of a sentence."""
    if not isinstance(answer, Mapping):
        if answer not in (LOCAL, INCOMING, MANUAL):
            raise ValueError(
                f'answered {answer!r}: it is to be "local", "incoming", "manual", or a dict by field.'[:300]
            )
        return
    for name in answer:
        if name not in contest.local.names:
            raise ValueError(f"answered for {name!r}, which is no field that travels.")
    try:
        content = contest.content(answer) or ()
    except LookupError as error:
        raise ValueError(f"takes {error} from a deletion, which has no values.") from error
    row, sides = dict(zip(contest.local.names, content, strict=True)), (contest.local, contest.incoming)
    for name in answer:
        kept = any(side.row is not None and side.row[name] == row[name] for side in sides)
        if not kept and not _valid(fields[name], row[name], connection):
            raise ValueError(f"gives {name} a value that is not of the type {fields[name].wire}: {row[name]!r}."[:300])
    names = {side.row and tuple(side.row[n] for n in contest.identity) for side in sides}
    if tuple(row[name] for name in contest.identity) not in names:
        raise ValueError(f"changes {', '.join(contest.identity)}, which names the row: take it from one side.")


def _valid(field: SyncField, value: Any, connection: Any) -> bool:
    if value is None:
        return field.null
    if (isinstance(field, GenericId) or field.loose) and isinstance(value, dict):
        return formed(value)
    if field.target is not None:
        return _reference(value, _REFERENCE_DEPTH)
    return bool(field.raw.on(connection).valid(value))


def _reference(value: Any, depth: int) -> bool:
    """Whether it has the form of a key: values, nested in lists."""
    if isinstance(value, list):
        return depth > 0 and bool(value) and all(_reference(part, depth - 1) for part in value)
    return isinstance(value, (str, int))
