"""The pages on which a version that a record keeps is put back: shown beside the other one first, then confirmed.

Whoever does it needs the view permission of all that the record speaks of, and of each model that is written the
permission that the same change would take by hand. Who did it stands in the admin's own history of the record.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from peersync.admin.rights import may
from peersync.apply.records import ONE_SIDED
from peersync.errors import CannotPutBack, PeersyncError
from peersync.models import Conflict
from peersync.settling import PutBack, put_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from peersync.settling import Side

SIDES: tuple[Side, ...] = ("local", "incoming")
DONE = {
    "created": "The row stands here again, as the {} version has it.",
    "updated": "The row is now as the {} version has it.",
    "deleted": "The row was deleted, as the {} version has it.",
    "nothing": "Nothing had to be written: the row stands as the {} version has it. The record is settled.",
}


class PuttingBack(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """For the admin of Conflict. ``labels(record)`` names all models that the record speaks of."""

    def labels(self, obj: Any) -> list[str]:
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        def view(request: HttpRequest, object_id: str, side: str) -> HttpResponse:
            return self.put_back_view(request, object_id, side)

        for alias in connections:  # put_back opens a transaction of its own
            view = transaction.non_atomic_requests(using=alias)(view)
        name = "peersync_conflict_put_back"
        guarded = self.admin_site.admin_view(view)
        return [path("<path:object_id>/put-back/<str:side>/", guarded, name=name), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = admin.ModelAdmin.get_object(self, request, object_id)
        links = list(self._links(request, record)) if record is not None else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "put_back_links": links})

    def _links(self, request: HttpRequest, record: Conflict) -> Iterator[dict[str, str]]:
        able = any(may(request, action, [record.model]) for action in ("add", "change", "delete"))
        if not able or not may(request, "view", self.labels(record)):
            return
        for side in SIDES:
            if not (side == "local" and record.kind in ONE_SIDED):
                yield {"url": self._url("put_back", record, side), "text": f"Put the {side} version back"}

    def _url(self, page: str, record: Conflict, *more: str) -> str:
        return reverse(f"admin:peersync_conflict_{page}", args=[record.pk, *more], current_app=self.admin_site.name)

    # ------------------------------------------------------------------ the page

    def put_back_view(self, request: HttpRequest, object_id: str, side: str) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        record = self._record(request, object_id)
        chosen = next((one for one in SIDES if one == side), None)
        if chosen is None:
            raise Http404(side)
        seen = request.POST.get("seen", "") if request.method == "POST" else None
        try:
            # what would go with a deletion is named on the page: who confirms it says so
            would = put_back(record, chosen, cascade=True, seen=seen, dry_run=True)
            fields = _chosen_fields(request, would)
            if fields is not None:
                would = put_back(record, chosen, fields, cascade=True, seen=would.seen, dry_run=True)
            self._allow(request, would)
            if request.method != "POST":
                return self._page(request, record, chosen, would)
            done = put_back(record, chosen, fields, cascade=True, seen=would.seen)
        except PeersyncError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self._tell(request, record, chosen, done)
        return HttpResponseRedirect(self._url("change", record))

    def _record(self, request: HttpRequest, object_id: str) -> Conflict:
        """With its contents, which the admin shows to those alone who may view the rows' own models."""
        record: Conflict | None = admin.ModelAdmin.get_object(self, request, object_id)
        if record is None:
            raise Http404(object_id)
        if not self.has_view_permission(request, record) or not may(request, "view", self.labels(record)):
            raise PermissionDenied
        return record

    @staticmethod
    def _allow(request: HttpRequest, would: PutBack) -> None:
        needed = {"created": "add", "updated": "change", "deleted": "delete", "nothing": "change"}
        allowed = (
            may(request, needed[would.action], [would.model])
            and may(request, "add", would.returned)
            and may(request, "change", [*would.relinked, *would.unlinked])
            and may(request, "delete", would.deleted)
        )
        if not allowed:
            raise PermissionDenied

    def _page(self, request: HttpRequest, record: Conflict, side: Side, would: PutBack) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Put the {side} version back",
            "opts": self.opts,
            "record": record,
            "record_url": self._url("change", record),
            "side": side,
            "would": would,
            "columns": _columns(record, would),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/peersync/conflict/put_back.html", context)

    def _tell(self, request: HttpRequest, record: Conflict, side: Side, done: PutBack) -> None:
        nameless = copy.copy(record)
        nameless.key = "…"  # the log asks nobody for the permission of the row's own model
        self.log_change(request, nameless, f"Put the {side} version back.")
        self.message_user(request, DONE[done.action].format(side), messages.SUCCESS)
        for label, count in {**done.returned, **done.relinked}.items():
            self.message_user(request, f"{count:,} of {label} came back with it.", messages.SUCCESS)
        for sentence in done.left:
            self.message_user(request, sentence, messages.WARNING)


def _chosen_fields(request: HttpRequest, would: PutBack) -> list[str] | None:
    """The fields that are ticked on the page; None where all of them are, or where there was no choice."""
    if "choose" not in request.POST or would.action != "updated":
        return None
    ticked = [name for name in would.written if name in request.POST.getlist("fields")]
    if not ticked:
        raise CannotPutBack("No field was chosen; nothing was written.", hint="Tick those that are to be written.")
    return None if len(ticked) == len(would.written) else ticked


def _columns(record: Conflict, would: PutBack) -> list[dict[str, Any]]:
    """For each field: its name, what stands, both versions, and whether it is written."""
    local, incoming = (json.loads(text or "null") or {} for text in (record.local, record.incoming))
    if record.open:
        local = would.before or {}  # this side's version is the row as it stands
    names = dict.fromkeys([*(would.before or {}), *local, *incoming])
    return [
        {
            "name": name,
            "values": [_shown(one, name) for one in (would.before or {}, local, incoming)],
            "written": name in would.written,
        }
        for name in names
    ]


def _shown(content: Any, name: str) -> str:
    if name not in content:
        return ""
    return json.dumps(content[name], ensure_ascii=False)
