"""The models that MODELS names."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Model

from peersync.columns import label_of


def expand(patterns: Iterable[str]) -> list[type[Model]]:
    """The models that MODELS names: "app.Model", "app.*", "*.*"; "!…" leaves out. Unknown names are left to the checks."""
    chosen: dict[type[Model], None] = {}
    wanted = [p for p in patterns if not p.startswith("!")]
    refused = [p[1:] for p in patterns if p.startswith("!")]
    for model in apps.get_models():
        meta = model._meta
        if meta.proxy or (not meta.managed and "*" in "".join(wanted) and label_of(model) not in wanted):
            continue
        if any(_matches(model, p) for p in wanted) and not any(_matches(model, p) for p in refused):
            chosen[model] = None
    for model in list(chosen):
        for parent in model._meta.all_parents:
            chosen.setdefault(parent, None)
    return list(chosen)


HOME = ("peersync", "sessions", "admin", "migrations")
"""Apps that a pattern never takes: their rows belong to one instance."""


def _matches(model: type[Model], pattern: str) -> bool:
    app, _, name = pattern.partition(".")
    meta = model._meta
    if app == "*":
        return name == "*" and meta.app_label not in HOME
    if app.lower() != meta.app_label.lower():
        return False
    return name == "*" or name.lower() == meta.model_name
