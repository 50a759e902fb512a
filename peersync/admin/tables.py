"""peersync's tables as the admin shows them.

What a row of the project holds is shown only to who may view the model that it is of: the permission to
look at peersync's tables gives no sight of the project's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.utils.html import format_html

from peersync import models
from peersync.admin.putting import PuttingBack
from peersync.admin.rights import may

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest

HIDDEN = "(shown to who may view this model)"


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """``contents``: the fields that hold something of the row of the project that ``model`` names."""

    actions = None
    contents: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    """Never shown to anybody."""
    show_full_result_count = False  # a count of ten million row states takes seconds

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return [field.name for field in self.model._meta.fields if field.name not in self.secret]

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        """Not by contents: their order tells of them."""
        return [name for name in self.get_list_display(request) if name not in self.contents]

    def labels(self, obj: Any) -> list[str]:
        """Of all models that ``contents`` speak of."""
        return [obj.model]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """What the user may not see is taken out of the object itself: titles speak of it too."""
        found = super().get_object(request, object_id, from_field)
        return found if found is None else self.cleared(request, found)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = [self.cleared(request, one) for one in changes.result_list]
        return changes

    def cleared(self, request: HttpRequest, obj: Any) -> Any:
        if self.contents and not may(request, "view", self.labels(obj)):
            for name in self.contents:
                setattr(obj, name, HIDDEN)
        return obj


@admin.register(models.Conflict)
class ConflictAdmin(PuttingBack, ReadOnly):
    list_display = ("model", "key", "kind", "policy", "winner", "open", "at", "settled")
    list_filter = ("open", ("settled", admin.EmptyFieldListFilter), "kind", "model")
    contents = (
        "key",
        "pk_text",
        "local",
        "incoming",
        "cascade",
    )

    def labels(self, obj: Any) -> list[str]:
        """The row's own model, and those of the rows that went with it."""
        return [obj.model, *(str(row.get("model", "")) for row in json.loads(obj.cascade or "[]"))]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        shown = {"local": "local_row", "incoming": "incoming_row"}
        return [shown.get(name, name) for name in super().get_fields(request, obj)]

    readonly_fields = ("local_row", "incoming_row")

    @admin.display(description="local")
    def local_row(self, obj: models.Conflict) -> str:
        return _pretty(obj.local)

    @admin.display(description="incoming")
    def incoming_row(self, obj: models.Conflict) -> str:
        return _pretty(obj.incoming)


def _pretty(text: str | None) -> str:
    if text is None or text == HIDDEN:
        return text or "no row"
    return format_html("<pre>{}</pre>", json.dumps(json.loads(text), ensure_ascii=False, indent=2))


@admin.register(models.Quarantine)
class QuarantineAdmin(ReadOnly):
    list_display = ("model", "key", "reason", "listed", "tried", "since")
    list_filter = ("listed", "reason", "model")
    contents = ("key", "row", "detail", "needs")

    def labels(self, obj: Any) -> list[str]:
        """The row's own model, and those of the rows that it waits for."""
        return [obj.model, *(str(need[0]) for need in json.loads(obj.needs or "[]"))]


@admin.register(models.FileWait)
class FileWaitAdmin(ReadOnly):
    list_display = ("model", "pk_text", "field", "name", "reason", "listed", "tried", "since")
    list_filter = ("listed", "reason", "model")
    contents = ("pk_text", "name", "detail", "digest", "size")


@admin.register(models.FileName)
class FileNameAdmin(ReadOnly):
    list_display = ("model", "field", "name", "local")
    contents = ("pk_text", "name", "local")


@admin.register(models.FileScan)
class FileScanAdmin(ReadOnly):
    list_display = ("model", "field", "done")
    contents = ("after",)


@admin.register(models.RowState)
class RowStateAdmin(ReadOnly):
    list_display = ("model", "pk_text", "seq", "deleted", "sender")
    list_filter = ("deleted",)
    contents = ("pk_text", "key", "earlier", "fields")


@admin.register(models.Origin)
class OriginAdmin(ReadOnly):
    list_display = ("model", "local", "origin", "there", "main")
    list_filter = ("main",)
    contents = ("local", "origin", "there")


@admin.register(models.OriginBase)
class OriginBaseAdmin(ReadOnly):
    list_display = ("model", "name")


@admin.register(models.Journal)
class JournalAdmin(ReadOnly):
    list_display = ("model", "pk_text", "what", "stamp")
    contents = ("pk_text", "before", "fields")


@admin.register(models.FilterMemory)
class FilterMemoryAdmin(ReadOnly):
    list_display = ("model", "pk_text", "node", "place")
    contents = ("pk_text",)


@admin.register(models.Node)
class NodeAdmin(ReadOnly):
    list_display = ("node", "install", "last_seq", "created")
    secret = ("secret",)


@admin.register(models.Peer)
class PeerAdmin(ReadOnly):
    list_display = ("name", "last_contact", "failures", "last_error")


@admin.register(models.PeerToken)
class PeerTokenAdmin(ReadOnly):
    list_display = ("name", "scopes", "expires", "revoked", "last_used")
    secret = ("digest",)


@admin.register(models.Run)
class RunAdmin(ReadOnly):
    list_display = ("started", "peer", "source", "target", "status", "seconds")
    list_filter = ("status", "peer")


@admin.register(models.Checkpoint)
class CheckpointAdmin(ReadOnly):
    list_display = ("source", "install", "updated")
    contents = ("progress",)

    def labels(self, obj: Any) -> list[str]:
        """Of every model: a first contact notes the key that it has come to."""
        return list(json.loads(obj.progress or "{}"))


@admin.register(models.Baseline)
class BaselineAdmin(ReadOnly):
    list_display = ("model", "install")


@admin.register(models.NumberingPass)
class NumberingPassAdmin(ReadOnly):
    list_display = ("first", "last", "at")


@admin.register(models.MissedCapture)
class MissedCaptureAdmin(ReadOnly):
    list_display = ("model", "reason", "since")


@admin.register(models.Applying)
class ApplyingAdmin(ReadOnly):
    list_display = ("table",)


for _model in apps.get_app_config("peersync").get_models():
    if not admin.site.is_registered(_model):
        admin.site.register(_model, ReadOnly)
