"""Whether what the settings name exists: a misspelt field in EXCLUDE would travel."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model
from django.utils.module_loading import import_string

from peersync.checks.messages import message
from peersync.checks.sections import Section, known_models, sections
from peersync.columns import elsewhere
from peersync.conf import Settings
from peersync.conf_values import nearest
from peersync.lookups import worked_out
from peersync.policies import own_function
from peersync.registry import expand, label_of
from peersync.staying import OURS
from peersync.watching import follows


def check(conf: Settings) -> list[CheckMessage]:
    known = known_models()
    found: list[CheckMessage] = []
    for section in sections(conf):
        found += _patterns(section, known)
        for key, mapping in section.by_model.items():
            for label, value in mapping.items():
                if label != "*":
                    found += _entry(section, key, label, value, known)
                if key == "CONFLICT" and own_function(value):
                    found += _policy(section.at(key, label), value)
    for label in conf.include:
        if label in conf.exclude:
            text = f'SYNC_CONFIG has "{label}" in EXCLUDE and in INCLUDE.'
            found.append(message("E007", text, "Keep one of the two: INCLUDE says all that travels."))
    if not found and not expand(conf.models):
        mend = 'Name the models: SYNC_CONFIG = {"MODELS": ["app_label.Model"]}.'
        found.append(message("W009", "peersync is installed, and no model is synchronised.", mend))
    return found


def _patterns(section: Section, known: Mapping[str, type[Model]]) -> Iterator[CheckMessage]:
    where = section.at("MODELS")
    for pattern in section.models:
        name = pattern.removeprefix("!")
        if name == "*.*":
            continue
        app, _, model = name.partition(".")
        if app.lower() == OURS:
            mend = "Take it out: these tables say who this database is, and belong to it alone."
            yield message("E006", f'{where} has "{pattern}": peersync\'s own tables do not travel.', mend)
        elif model != "*":
            yield from _label(where, name, known)
        elif app.lower() not in {config.label.lower() for config in apps.get_app_configs()}:
            labels = [config.label for config in apps.get_app_configs()]
            yield message("E005", f'{where} has "{pattern}", but no app has that label.', nearest(app, labels))


def _label(where: str, label: str, known: Mapping[str, type[Model]]) -> Iterator[CheckMessage]:
    model = known.get(label.lower())
    if model is None:
        labels = [m._meta.label for m in known.values() if m._meta.app_label != OURS]
        yield message("E005", f'{where} has "{label}", but there is no such model.', nearest(label, labels))
    elif model._meta.swapped:
        mend = f'Write "{model._meta.swapped}", which stands in for it.'
        yield message("E006", f'{where} has "{label}", which is swapped out.', mend)
    elif model._meta.proxy:
        mend = f'Write "{label_of(model._meta.concrete_model)}", the model that has the table.'  # type: ignore[arg-type]  # a proxy has one
        yield message("E006", f'{where} has "{label}", which is a proxy without rows of its own.', mend)
    elif elsewhere(model):
        mend = "A node is one database: take it out, or let MASTER name the alias that has it, in settings of its own."
        text = f'{where} has "{label}", which a database router keeps out of the synchronised databases.'
        yield message("E027", text, mend)


def _entry(
    section: Section, key: str, label: str, value: Any, known: Mapping[str, type[Model]]
) -> Iterator[CheckMessage]:
    wrong = list(_label(section.at(key), label, known))
    yield from wrong
    if wrong:
        return
    model, where = known[label.lower()], section.at(key, label)
    if key in ("EXCLUDE", "INCLUDE") or (key == "IDENTITY" and not isinstance(value, str)):
        for name in value:
            yield from _field(where, model, name, many=key != "IDENTITY")
    elif key in ("FILTER", "ACCEPT"):
        number = "E010" if key == "FILTER" else "E023"
        if not isinstance(value, str):
            yield from _lookups(number, where, model, value)
        else:
            wrong = list(_function(number, where, value))
            yield from wrong or (_depends_on(where, model, value) if key == "FILTER" else ())


def _field(where: str, model: type[Model], name: str, *, many: bool) -> Iterator[CheckMessage]:
    """Only a field's own name will do: another would be passed over. ``many``: also many-to-many fields."""
    meta = model._meta
    own = [f.name for f in meta.local_concrete_fields]
    if many:
        own += [f.name for f in meta.local_many_to_many]
    if name in own:
        return
    text = f'{where} has "{name}", which is not a field of {meta.label}.'
    try:
        field = meta.get_field(name)
    except FieldDoesNotExist:
        yield message("E008", text, nearest(name, own))
        return
    if isinstance(field, Field) and field.model is not model and field in meta.get_fields():
        parent = label_of(field.model)
        text = f'{where} has "{name}", which is a field of the parent {parent}.'
        mend = f'Its column is in the parent\'s table, which travels by itself: name it under "{parent}".'
    elif isinstance(field, Field) and field.name in own:
        mend = f'Write "{field.name}".'
    elif hasattr(field, "ct_field"):
        mend = f'Name the columns that it is made of: "{field.ct_field}" and "{getattr(field, "fk_field", "")}".'
    else:
        mend = "It has no column here: name the field of the model that points to this one, or take it out."
    yield message("E008", text, mend)


def _lookups(number: str, where: str, model: type[Model], value: Mapping[str, Any]) -> Iterator[CheckMessage]:
    try:
        model._base_manager.filter(**worked_out(value))
    except Exception as error:  # whatever the fields of the project raise at a value that they do not like
        text = f"{where} is no filter that {model._meta.label} understands: {error}"
        yield message(number, text, 'Write look-ups as in QuerySet.filter: {"branch__code": "north"}.')


def _function(number: str, where: str, path: str) -> Iterator[CheckMessage]:
    mend = "It must be a function (queryset, name_of_the_peer) -> queryset."
    if wrong := _not_callable(path, None, ""):
        yield message(number, f'{where} is "{path}", which cannot be {wrong}', mend)


def _depends_on(where: str, model: type[Model], path: str) -> Iterator[CheckMessage]:
    """What a function says that it looks at: what is misspelt there would go unnoticed when it changes."""
    said = getattr(import_string(path), "depends_on", None)
    mend = 'Write a list of fields, of paths as in look-ups ("branch__code"), or of models ("shop.Branch"); or leave it out.'
    if said is None:
        return
    if not isinstance(said, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in said):
        yield message("E024", f"{where}: depends_on of {path} is no list of str.", mend)
        return
    known = known_models()
    for name in said:
        if "." in name:
            wrong = "" if name.lower() in known else "there is no such model"
        else:
            wrong = "" if follows(model, name) else f"it is no field of {model._meta.label}, nor a path from it"
        if wrong:
            yield message("E024", f'{where}: depends_on of {path} has "{name}", but {wrong}.', mend)


def _policy(where: str, path: str) -> Iterator[CheckMessage]:
    mend = (
        "It must be a function of one argument, a peersync.policies.Contest, that answers "
        '"local", "incoming", "manual", or a dict of field → value or side.'
    )
    if wrong := _not_callable(path, None):
        yield message("E020", f'{where} is "{path}", which cannot be {wrong}', mend)


def _not_callable(path: str, *arguments: Any) -> str:
    """Why the function of this dotted path cannot be called with these; empty where it can."""
    try:
        function = import_string(path)
    except Exception as error:  # whatever the project's module raises when it is imported
        return f"imported: {error}"
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError):
        number = {1: "one argument", 2: "two arguments"}[len(arguments)]
        return f"called with {number}."
    return ""
