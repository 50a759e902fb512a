"""What a model's natural key is made of: read from its own code, never guessed.

``natural_key()`` is read, not run. Where it says nothing that can be understood, the parameters of the manager's
``get_by_natural_key()`` count, if they are called as fields are.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.db.models import ForeignKey, Model

NATURAL = {
    "contenttypes.ContentType": ("app_label", "model"),
    "auth.Permission": ("content_type", "codename"),
    "auth.Group": ("name",),
}
"""Django's own models whose automatic keys differ between installations, and what names their rows instead."""


class _Unclear(Exception):
    """The code says it in another way than is understood here."""


@lru_cache(maxsize=1024)
def natural_fields(model: type[Model]) -> tuple[str, ...] | None:
    """The fields of its table that its natural key is made of; None where its code does not say so for certain.

    A foreign key stands for the natural key of the row that it points to.
    """
    if model._meta.label in NATURAL:
        return NATURAL[model._meta.label]
    if not hasattr(model, "natural_key"):
        return None
    said, asked = _returned(model), _parameters(model)
    if said and asked and set(said) != set(asked):
        return None
    return said or asked


def unique_fields(model: type[Model]) -> tuple[str, ...] | None:
    """The first unique set beside the primary key: what a hint may name, no more."""
    meta = model._meta
    for field in meta.local_concrete_fields:
        if field.unique and not field.primary_key and not field.null:
            return (field.name,)
    for group in meta.total_unique_constraints:
        return tuple(group.fields)
    return tuple(meta.unique_together[0]) if meta.unique_together else None


def _names(model: type[Model]) -> dict[str, str]:
    """How code calls the fields of the model's own table → their names."""
    fields = model._meta.local_concrete_fields
    return {f.attname: f.name for f in fields} | {f.name: f.name for f in fields}


def _parameters(model: type[Model]) -> tuple[str, ...] | None:
    find = getattr(model._default_manager, "get_by_natural_key", None)
    if find is None:
        return None
    parameters = inspect.signature(find).parameters.values()
    if any(one.kind not in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters):
        return None
    names = _names(model)
    found = [names.get(one.name) for one in parameters]
    return tuple(name for name in found if name is not None) if found and None not in found else None


def _returned(model: type[Model]) -> tuple[str, ...] | None:
    try:
        function: Any = ast.parse(textwrap.dedent(inspect.getsource(model.natural_key))).body[0]  # type: ignore[attr-defined]  # it was looked for
        returns = [one for one in ast.walk(function) if isinstance(one, ast.Return)]
        if len(returns) != 1 or not function.args.args:
            return None
        return tuple(dict.fromkeys(_fields(model, returns[0].value, function.args.args[0].arg)))
    except (OSError, TypeError, SyntaxError, _Unclear):
        return None


def _fields(model: type[Model], value: Any, me: str) -> Iterator[str]:
    """The fields that an expression is made of, where ``me`` is the row."""
    if isinstance(value, (ast.Tuple, ast.List)):
        for part in value.elts:
            yield from _fields(model, part.value, me) if isinstance(part, ast.Starred) else (_field(model, part, me),)
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        yield from _fields(model, value.left, me)
        yield from _fields(model, value.right, me)
    elif _called(value) == "natural_key":
        name = _field(model, value.func.value, me)
        if not isinstance(model._meta.get_field(name), ForeignKey):
            raise _Unclear
        yield name
    else:
        raise _Unclear


def _called(value: Any) -> str:
    """The name of the method that an expression calls without arguments."""
    plain = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
    return str(value.func.attr) if plain and not value.args and not value.keywords else ""


def _field(model: type[Model], value: Any, me: str) -> str:
    """The field that ``me.field`` is; a user is asked for its name by a method."""
    owner = value.func if _called(value) == "get_username" else value
    if not isinstance(owner, ast.Attribute) or not isinstance(owner.value, ast.Name) or owner.value.id != me:
        raise _Unclear
    attribute = owner.attr if owner is value else str(getattr(model, "USERNAME_FIELD", ""))
    name = _names(model).get(attribute)
    if name is None:
        raise _Unclear
    return name
