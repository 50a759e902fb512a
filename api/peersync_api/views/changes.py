"""The feed, read and taken in: ``v1/changes/``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.http.response import HttpResponseBase

from peersync import tokens, wire
from peersync.records import Batch, Caller
from peersync.registry import registry
from peersync_api.bodies import read_lines
from peersync_api.parameters import Parameters
from peersync_api.serializers import BATCH, OutcomeSerializer
from peersync_api.streaming import batch_response, json_response
from peersync_api.throttling import polls
from peersync_api.views.base import PeersyncView


class ChangesView(PeersyncView):
    """GET: the next batch of this node's feed. POST: take a batch in."""

    scopes = {"GET": ("pull",), "HEAD": ("pull",), "POST": ("push",)}
    parameters = ("after", "limit", "wait", "models")
    takes = {"POST": BATCH}
    answers = {"GET": BATCH, "POST": OutcomeSerializer}

    def get(self, request: Any) -> HttpResponseBase:
        given = Parameters(request.query_params, self.parameters)
        cursor, head = given.feed_place()
        limit, wait, models = given.limit(), given.wait(), given.models()
        if models is None:
            models = tuple(registry(self.token.name).models)
        with polls.one() if wait else nullcontext():
            batch = self.replica().changes(self.caller, models, cursor, head, limit, wait)
        return batch_response(self.http, batch, started=self.started + wait)

    def post(self, request: Any) -> HttpResponseBase:
        Parameters(request.query_params)
        batch = read_lines(self.http)
        caller = self.sender(batch)
        if batch.options.get("mirror"):
            tokens.require_scope(self.token, "mirror")
        return json_response(self.http, wire.outcome_json(self.replica().apply(caller, batch)))

    def sender(self, batch: Batch) -> Caller:
        """The caller, whose own the batch must be; a call without headers is made by whom the batch names."""
        named = Caller(node=batch.source, install=batch.source_install, name=self.token.name, points=batch.points)
        if not self.caller.node:
            tokens.require_own_name(self.token, named, using=self.alias)
            return named
        if (batch.source, batch.source_install) != (self.caller.node, self.caller.install):
            raise tokens.ForeignName(
                "The batch is in the name of another node than the one that sends it.",
                hint="A node passes on what it got under its own name only.",
            )
        return self.caller
