"""The models that MODELS names."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Model

from peersync.columns import elsewhere
from peersync.staying import OURS, stays_home


def expand(patterns: Iterable[str]) -> list[type[Model]]:
    """The models that MODELS names: "app.Model", "app.*", "*.*"; "!…" leaves out. Unknown names are left to the checks.

    Patterns take neither unmanaged models nor those of :mod:`peersync.staying`: these must be named exactly. Nor do they
    take what a router keeps in another database.
    """
    chosen: dict[type[Model], None] = {}
    wanted = [p for p in patterns if not p.startswith("!")]
    refused = [p[1:] for p in patterns if p.startswith("!")]
    for model in apps.get_models():
        if any(_takes(p, model) for p in wanted) and not any(_matches(model, p) for p in refused):
            chosen[model] = None
    for model in list(chosen):
        for parent in model._meta.all_parents:
            chosen.setdefault(parent, None)
    return list(chosen)


def _takes(pattern: str, model: type[Model]) -> bool:
    meta = model._meta
    if meta.proxy or meta.app_label == OURS or not _matches(model, pattern):
        return False
    if "*" not in pattern:
        return True
    return meta.managed and not stays_home(meta.app_label, str(meta.object_name)) and not elsewhere(model)


def _matches(model: type[Model], pattern: str) -> bool:
    app, _, name = pattern.partition(".")
    meta = model._meta
    if app not in ("*", meta.app_label) and app.lower() != meta.app_label.lower():
        return False
    return name == "*" or (app != "*" and name.lower() == meta.model_name)
