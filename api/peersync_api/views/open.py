"""What is open to anybody: a sign of life, the OpenAPI document, a page to read it, and what is not there."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from peersync_api.problems import WrongUrl
from peersync_api.serializers import HealthSerializer
from peersync_api.streaming import json_response
from peersync_api.views.base import OpenView


@cache
def packaged(name: str) -> bytes:
    """A file of this package."""
    return files("peersync_api").joinpath(name).read_bytes()


class HealthView(OpenView):
    """Whether this server answers; it says nothing else, and asks no database."""

    answers = {"GET": HealthSerializer}

    def get(self, request: Any) -> HttpResponseBase:
        return json_response(self.http, {"status": "ok"})


class SchemaView(OpenView):
    """This document: the OpenAPI description of the calls."""

    answers = {"GET": "application/yaml"}

    def get(self, request: Any) -> HttpResponseBase:
        return HttpResponse(packaged("openapi.yaml"), content_type="application/yaml; charset=utf-8")


class DocsView(OpenView):
    """A page to read the OpenAPI document. It loads nothing from elsewhere, and runs no script."""

    answers = {"GET": "text/html"}

    def get(self, request: Any) -> HttpResponseBase:
        response = HttpResponse(packaged("docs.html"), content_type="text/html; charset=utf-8")
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return response


class NotFoundView(OpenView):
    """Whatever else is asked for: a problem document, a peer is not told so by the project's page."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        raise WrongUrl("peersync has no such call; docs/protocol.md has all of them.")
