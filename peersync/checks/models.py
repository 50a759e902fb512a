"""Whether rows can be named alike on every node, and be made where fields are excluded."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Field, ForeignKey, Model

from peersync.checks.messages import has_errors, message
from peersync.checks.sections import sections
from peersync.codec import usable_as_key, wire_type
from peersync.conf import Settings
from peersync.generics import generic_ids
from peersync.naturals import unique_fields
from peersync.registry import ORIGIN, expand, identity_of, label_of, natural_fields, numbered

_HAVE_EMPTY = frozenset(("text", "int", "float", "decimal", "bool", "bytes", "duration"))
"""Wire types with a value that means nothing: "", 0, False. A date, a UUID or a reference has none."""


def check(conf: Settings) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for model in expand(conf.models):
        mine = list(_identity(model, conf))
        if not has_errors(mine):
            mine += [*_match(model, conf), *_key_types(model), *_excluded(model, conf)]
        found += mine
    return found


def _identity(model: type[Model], conf: Settings) -> Iterator[CheckMessage]:
    label = label_of(model)
    if conf.identity.get(label, conf.identity.get("*")) == "natural" and not natural_fields(model):
        if label in conf.identity or hasattr(model, "natural_key"):
            yield _no_natural(model)
    elif conf.identity.get(label) == "origin" and not numbered(model):
        yield _no_origin(model)
    elif (names := identity_of(model)) and names != (ORIGIN,):
        yield from _fields_of_identity(model, names)


def _no_natural(model: type[Model]) -> CheckMessage:
    label = label_of(model)
    lack = f"{label} declares no natural_key()."
    if hasattr(model, "natural_key"):
        lack = f"the code of {label}.natural_key() does not say for certain of which fields of its table it is made."
    likely = ", ".join(f'"{name}"' for name in unique_fields(model) or ("field",))
    mend = f'Name the fields that are unique together, "{label}": [{likely}], or write "{label}": "pk".'
    return message("E018", f'SYNC_CONFIG["IDENTITY"] of {label} is "natural", but {lack}', mend, model)


def _no_origin(model: type[Model]) -> CheckMessage:
    label, pk = label_of(model), model._meta.pk
    where = f'SYNC_CONFIG["IDENTITY"]["{label}"]'
    text = f'{where} is "origin", but its primary key {pk.name} is not numbered by the database.'
    mend = f'Write "{label}": "pk", or take it out: no two nodes give one such key twice.'
    if isinstance(pk, ForeignKey):
        mend = f"Write it for {label_of(_concrete(pk))}: rows of {label} are known by the rows that they belong to."
    return message("E021", text, mend, model)


def _match(model: type[Model], conf: Settings) -> Iterator[CheckMessage]:
    label = label_of(model)
    chosen = conf.match.get(label) if label in conf.match else "pk"
    if chosen != "pk" and identity_of(model) != (ORIGIN,):
        text = (
            f'SYNC_CONFIG["MATCH"]["{label}"] is "{chosen}", but its rows are not named by their origin: '
            "two rows under one key are one row."
        )
        mend = f'Write SYNC_CONFIG["IDENTITY"]: {{"{label}": "origin"}}, or take it out of MATCH.'
        yield message("E022", text, mend, model)


def _fields_of_identity(model: type[Model], names: tuple[str, ...]) -> Iterator[CheckMessage]:
    label, fields = label_of(model), [model._meta.get_field(name) for name in names]
    listed = ", ".join(names)
    if not _is_unique(model, set(names)):
        mend = (
            f"Add a UniqueConstraint without condition on ({listed}) to {label}, "
            f'or write "{label}": "pk" into IDENTITY.'
        )
        yield message("E011", f"The identity of {label} ({listed}) is not unique.", mend, model)
    for field in fields:
        if getattr(field, "null", False):
            text = f"The identity of {label} has {field.name}, which may be NULL: such rows would have no name."
            mend = f"Make {field.name} null=False, or take it out of IDENTITY."
            yield message("E019", text, mend, model)
        elif getattr(field, "generated", False):
            text = f"The identity of {label} has {field.name}, which the database generates."
            yield message("E019", text, "Name the fields that it is made of.", model)
    for name in set(names) & generic_ids(model).keys():
        text = f"The identity of {label} has {name}, which a generic foreign key counts as the number of a row."
        yield message("W013", text, f'Name other fields, or write "{label}": "origin" into IDENTITY.', model)
    if cycle := _cycle(model, ()):
        text = f"The identity of {label} needs itself: {' → '.join(cycle)}."
        yield message("E019", text, f'Write "{label}": "pk" into IDENTITY, or name other fields.', model)


def _is_unique(model: type[Model], names: set[str]) -> bool:
    meta = model._meta
    groups: list[Any] = [(f.name,) for f in meta.local_concrete_fields if f.unique]
    groups += [*meta.unique_together, *(c.fields for c in meta.total_unique_constraints)]
    return any(names.issuperset(group) for group in groups)


def _key_fields(model: type[Model]) -> "list[Field[Any, Any]]":
    names = identity_of(model)
    if names in ((), (ORIGIN,)):
        return list(model._meta.pk_fields)
    return [model._meta.get_field(name) for name in names]  # type: ignore[misc]  # names.py has looked at them


def _cycle(model: type[Model], path: tuple[str, ...]) -> tuple[str, ...]:
    """The labels from a model back to itself, over foreign keys of identities; empty if there is none."""
    label = label_of(model)
    if label in path:
        return (*path[path.index(label) :], label)
    for field in _key_fields(model):
        if isinstance(field, ForeignKey):
            found = _cycle(_concrete(field), (*path, label))
            if found:
                return found
    return ()


def _concrete(field: "ForeignKey[Any, Any]") -> type[Model]:
    model: type[Model] = field.related_model
    return model._meta.concrete_model or model


def _key_types(model: type[Model]) -> Iterator[CheckMessage]:
    for field in _key_fields(model):
        if isinstance(field, ForeignKey):
            continue  # counts as the key of the row that it points to
        wire = wire_type(field.get_internal_type())
        if not usable_as_key(wire, getattr(field, "max_digits", None)):
            label = label_of(model)
            kind = "a decimal of more than 15 digits" if wire == "decimal" else type(field).__name__
            text = f"The rows of {label} are named by {field.name}, {kind}: no two databases write it alike."
            mend = f'Name them by others: IDENTITY {{"{label}": ["field"]}}, or take the model out of MODELS.'
            yield message("E017", text, mend, model)


def _excluded(model: type[Model], conf: Settings) -> Iterator[CheckMessage]:
    """Only what the settings leave out: whether it names a row, or leaves a new row without a value."""
    label, key = label_of(model), _key_fields(model)
    left_out: dict[str, str] = {}
    for section in sections(conf):
        for name in section.by_model["EXCLUDE"].get(label, ()):
            left_out.setdefault(name, section.at("EXCLUDE", label))
        if (kept := section.by_model.get("INCLUDE", {}).get(label)) is not None:
            missing = [f.name for f in model._meta.local_concrete_fields if f.name not in kept and f not in key]
            left_out.update(dict.fromkeys(missing, section.at("INCLUDE", label)))
    for field in model._meta.local_concrete_fields:
        if field.name not in left_out or getattr(field, "generated", False):
            continue
        where = left_out[field.name]
        if field in key:
            text = f"{where} leaves out {field.name}, by which the rows of {label} are known."
            yield message("E012", text, f'Take "{field.name}" out of it, or choose another IDENTITY.', model)
        elif not field.primary_key and (lack := _lack(field)):
            text = f"{where} leaves out {field.name}, and a row that a peer creates here would have {lack}."
            mend = f"Give {label}.{field.name} a default or null=True, or let it travel."
            yield message("E014", text, mend, model)


def _lack(field: "Field[Any, Any]") -> str:
    """What a row made without this field would suffer from; empty if nothing."""
    if field.null or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return ""
    has_default = field.has_default() or field.has_db_default()
    if not has_default and wire_type(field.get_internal_type()) not in _HAVE_EMPTY:
        return "no value for it"
    if not has_default and isinstance(field, ForeignKey):
        return "no value for it"
    if field.unique and not callable(field.default) and not field.has_db_default():
        return "the same value in it as the one before, though it is unique"
    return ""
