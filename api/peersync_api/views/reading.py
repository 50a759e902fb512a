"""What a peer reads: the description, rows, digests, and how far its own feed was consumed here."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase

from peersync import wire
from peersync_api.bodies import check_number, read_json
from peersync_api.parameters import Parameters
from peersync_api.serializers import (
    BATCH,
    DescriptionSerializer,
    DigestsSerializer,
    KeysSerializer,
    ProgressSerializer,
    RangesSerializer,
)
from peersync_api.streaming import batch_response, json_response
from peersync_api.views.base import PeersyncView

MAX_DIGESTS = 100_000
"""Ranges times parts of one call."""


class DescribeView(PeersyncView):
    """Who this node is, what it synchronises with the caller, and what it has seen of the caller's feed."""

    answers = {"GET": DescriptionSerializer}

    def get(self, request: Any) -> HttpResponseBase:
        Parameters(request.query_params)
        caller = self.caller if self.caller.node else None
        return json_response(self.http, wire.description_json(self.replica().describe(caller)))


class SnapshotView(PeersyncView):
    """A page of all rows and tombstones of a model, in the order of their keys."""

    scopes = {"GET": ("pull",), "HEAD": ("pull",)}
    parameters = ("after", "limit")
    answers = {"GET": BATCH}

    def get(self, request: Any, model: str) -> HttpResponseBase:
        label = self.label()
        given = Parameters(request.query_params, self.parameters)
        head, after = given.snapshot_place()
        batch = self.replica().snapshot(self.caller, label, head, after, given.limit())
        return batch_response(self.http, batch, started=self.started)


class CheckpointView(PeersyncView):
    """How far this node has consumed the caller's feed, per model."""

    answers = {"GET": ProgressSerializer}

    def get(self, request: Any) -> HttpResponseBase:
        Parameters(request.query_params)
        return json_response(self.http, wire.progress_json(self.replica().checkpoint(self.caller)))


class DigestsView(PeersyncView):
    """Ranges of keys, each cut into parts, with a digest of the rows in each part."""

    scopes = {"POST": ("pull", "push")}
    takes = {"POST": RangesSerializer}
    answers = {"POST": DigestsSerializer}

    def post(self, request: Any, model: str) -> HttpResponseBase:
        label = self.label()
        Parameters(request.query_params)
        ranges, parts, fields = wire.read_ranges(read_json(self.http))
        check_number("digests", len(ranges) * parts, MAX_DIGESTS)
        found = self.replica().digests(self.caller, label, ranges, parts, fields)
        return json_response(self.http, wire.digests_json(found))


class RowsView(PeersyncView):
    """The rows of these keys as they stand now."""

    scopes = {"POST": ("pull",)}
    takes = {"POST": KeysSerializer}
    answers = {"POST": BATCH}

    def post(self, request: Any, model: str) -> HttpResponseBase:
        label = self.label()
        Parameters(request.query_params)
        keys = wire.read_keys(read_json(self.http))
        check_number("keys", len(keys), self.limits.batch)
        batch = self.replica().rows(self.caller, label, keys)
        return batch_response(self.http, batch, started=self.started)
