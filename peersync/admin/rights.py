"""What of the project a user may see and change: by the permissions of the rows' own models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib.auth import get_permission_codename

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest


def may(request: HttpRequest, action: str, labels: Iterable[str]) -> bool:
    """Whether the user has this permission (view, add, change, delete) for all of these models.

    A many-to-many table counts as its field's model, whose change it is when a pair comes or goes.
    """
    return all(_may(request, action, label) for label in labels)


def _may(request: HttpRequest, action: str, label: str) -> bool:
    user = request.user
    if user.is_active and user.is_superuser:
        return True
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return False  # a model that is gone: nobody can be asked
    if model._meta.auto_created:
        model, action = model._meta.auto_created, action if action == "view" else "change"
    meta = model._meta
    return user.has_perm(f"{meta.app_label}.{get_permission_codename(action, meta)}")
