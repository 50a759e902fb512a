"""Contents of files: what this node has for a peer that pulls, and what it waits for from a peer that pushes."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase

from peersync.wire import files
from peersync_api.bodies import check_number, read_bytes, read_json
from peersync_api.parameters import Parameters
from peersync_api.serializers import (
    FileContentSerializer,
    FileInfosSerializer,
    FileOffersSerializer,
    FilePageSerializer,
    FilesAskedSerializer,
    FileStateSerializer,
    FileStatesSerializer,
    FilesWantedSerializer,
)
from peersync_api.streaming import BYTES, bytes_response, json_response
from peersync_api.views.base import PeersyncView

MAX_OFFSET = 1 << 62


class FilesView(PeersyncView):
    """What this node has of files: size and digest of each, by the key of its row, field, and name."""

    scopes = {"POST": ("pull",)}
    takes = {"POST": FilesAskedSerializer}
    answers = {"POST": FileInfosSerializer}

    def post(self, request: Any, model: str) -> HttpResponseBase:
        label = self.label()
        Parameters(request.query_params)
        wants = files.read_asked(read_json(self.http), label)
        return json_response(self.http, files.infos_json(self.replica().file_infos(self.caller, wants)))


class FileContentView(PeersyncView):
    """The contents of one file from an offset on; of a long one as much as an answer may take seconds."""

    scopes = {"POST": ("pull",)}
    takes = {"POST": FileContentSerializer}
    answers = {"POST": BYTES}

    def post(self, request: Any, model: str) -> HttpResponseBase:
        label = self.label()
        Parameters(request.query_params)
        want, offset = files.read_content(read_json(self.http), label)
        pieces = self.replica().file_read(self.caller, want, offset, lambda found: found)
        return bytes_response(self.http, pieces)


class FilesWantedView(PeersyncView):
    """Files that rows of the caller name, and that have not come here yet."""

    scopes = {"POST": ("push",)}
    takes = {"POST": FilesWantedSerializer}
    answers = {"POST": FilePageSerializer}

    def post(self, request: Any) -> HttpResponseBase:
        Parameters(request.query_params)
        fields, after = files.read_wanted(read_json(self.http))
        return json_response(self.http, files.page_json(self.replica().file_wants(self.caller, fields, after)))


class FilesOfferedView(PeersyncView):
    """What the caller has of files that this node waits for; the answer says what of each is to be sent."""

    scopes = {"POST": ("push",)}
    takes = {"POST": FileOffersSerializer}
    answers = {"POST": FileStatesSerializer}

    def post(self, request: Any) -> HttpResponseBase:
        Parameters(request.query_params)
        offers = files.read_offers(read_json(self.http))
        check_number("offers", len(offers), self.limits.batch)
        return json_response(self.http, files.states_json(self.replica().file_offers(self.caller, offers)))


class FileReceivedView(PeersyncView):
    """Contents of a file that this node waits for, from an offset on; the answer says what is still to be sent."""

    scopes = {"POST": ("push",)}
    takes = {"POST": BYTES}
    answers = {"POST": FileStateSerializer}

    def post(self, request: Any, number: int, offset: int) -> HttpResponseBase:
        Parameters(request.query_params)
        if max(number, offset) > MAX_OFFSET:
            return json_response(self.http, {"offset": None})
        state = self.replica().file_write(self.caller, number, offset, read_bytes(self.http))
        return json_response(self.http, files.state_json(state))
