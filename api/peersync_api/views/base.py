"""What all views have in common: every option set here, so that nothing of the project reaches the wire."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction
from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.settings import APISettings
from rest_framework.views import APIView

from peersync import tokens, wire
from peersync.conf import Limits, settings
from peersync.errors import UnknownModel
from peersync.models import PeerToken
from peersync.records import Caller
from peersync.replicas.base import Replica
from peersync.replicas.database import DatabaseReplica
from peersync_api.authentication import HasScope, TokenAuthentication
from peersync_api.parameters import is_label
from peersync_api.problems import problem_response

_OPTIONS = cast("Any", {"EXCEPTION_HANDLER": None, "FORMAT_SUFFIX_KWARG": None})


class OneRenderer(BaseContentNegotiation):
    """Nothing is negotiated: an answer has one form, whatever ``Accept`` or ``?format=`` say."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class OpenView(APIView):
    """A call that needs no token, and looks at nothing of the project."""

    renderer_classes: Any = (JSONRenderer,)
    parser_classes: Any = ()
    authentication_classes: Any = ()
    permission_classes: Any = ()
    throttle_classes: Any = ()
    content_negotiation_class: Any = OneRenderer
    metadata_class: Any = None
    versioning_class: Any = None
    schema: Any = None
    """Not in the project's own OpenAPI document; openapi.yaml is made by :mod:`peersync_api.openapi`."""
    settings = APISettings(user_settings=_OPTIONS)
    """In the place of the project's REST_FRAMEWORK."""

    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of the query's parameters."""
    takes: ClassVar[Mapping[str, Any]] = {}
    """For the OpenAPI document: per method the serializer of the body, BATCH for lines."""
    answers: ClassVar[Mapping[str, Any]] = {}
    """The same for the answer; a media type where that is all there is to say."""

    started = 0.0
    """The moment (monotonic) at which the call came."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Out of ATOMIC_REQUESTS (of every alias), of CSRF and of LoginRequiredMiddleware."""
        view: Any = login_not_required(super().as_view(**initkwargs))
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Before the method. In the place of DRF's own, which asks the global settings for this and that."""
        self.started = time.monotonic()

    def handle_exception(self, exc: Exception) -> Any:
        """Every error is a problem document."""
        response = problem_response(exc, model_in_path="model" in self.kwargs)
        if response.status_code == 405:
            response["Allow"] = ", ".join(self.allowed_methods)
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    @property
    def limits(self) -> Limits:
        return settings().limits

    @property
    def alias(self) -> str:
        """Of the database that is served: the site's own."""
        return settings().master

    @property
    def http(self) -> HttpRequest:
        """Django's own request: no parser of DRF has looked at it."""
        return self.request._request


class PeersyncView(OpenView):
    """A call of a peer: token, scope and name of the caller are judged before all else of the request."""

    authentication_classes: Any = (TokenAuthentication,)
    permission_classes: Any = (HasScope,)
    scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Per method the scopes of which one is needed; none: any token will do."""

    token: PeerToken
    caller: Caller

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Not by request.user: for who is nobody DRF asks the project which class nobody has.
        _, self.token = TokenAuthentication().authenticate(self.http)
        self.check_permissions(request)
        named = wire.read_caller(self.http.headers, self.token.name)
        self.caller = replace(named, blind="pull" not in tokens.scopes_of(self.token))
        tokens.require_own_name(self.token, self.caller, using=self.alias)

    def replica(self) -> Replica:
        """This node as the caller may see it."""
        return DatabaseReplica(self.alias, peer=self.token.name)

    def label(self) -> str:
        """The model in the path; UnknownModel where it is no label."""
        label = str(self.kwargs["model"])
        if not is_label(label):
            raise UnknownModel
        return label
