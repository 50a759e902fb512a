"""Rows that name files, as projects have them."""

from typing import Any

from django.db import models

from tests.filed.stores import store


def by_owner(instance: Any, name: str) -> str:
    return f"by/{instance.title}/{name}"


class Paper(models.Model):
    title = models.CharField(max_length=40)
    branch = models.CharField(max_length=10, default="")
    file = models.FileField(upload_to="papers/%Y", storage=store, blank=True, default="")
    scan = models.FileField(upload_to=by_owner, storage=store, blank=True, null=True)
    cover = models.FileField(upload_to="covers", storage=store, blank=True, default="none.png", max_length=60)

    def __str__(self) -> str:
        return self.title


class Plain(models.Model):
    """In the storage that a project has without a word."""

    file = models.FileField(upload_to="plain")

    def __str__(self) -> str:
        return self.file.name or ""
