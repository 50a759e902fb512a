"""openapi.yaml and the page to read it, made from the views by drf-spectacular: a tool of development only.

Nothing at run time imports this module. ``python -m tests.openapi`` writes what it makes.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import re
from html import escape
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer

from peersync.conf import Limits
from peersync_api import views
from peersync_api.parameters import DEFAULT_LIMIT
from peersync_api.problems import CODES, MEDIA_TYPE
from peersync_api.serializers import BATCH, ProblemSerializer
from peersync_api.streaming import JSON, LINES
from peersync_api.views.base import PeersyncView

DOCUMENTED: tuple[Any, ...] = tuple(getattr(views, name) for name in views.__all__ if name != "NotFoundView")
_UUID = {"type": "string", "format": "uuid"}
_PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "after": ({"type": "string"}, "Where to go on: what an earlier answer of this call gave as `next`."),
    "limit": (
        {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
        f"Rows in the answer, at most the server's limit ({Limits.batch} unless it says otherwise).",
    ),
    "wait": (
        {"type": "integer", "minimum": 0, "default": 0},
        f"Seconds to wait for changes, at most the server's limit ({Limits.wait} unless it says otherwise).",
    ),
    "models": ({"type": "string"}, "Labels joined by commas; all that the caller may read if left out."),
}
_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "Peersync-Protocol": ({"type": "integer", "const": 1}, "The version of the protocol."),
    "Peersync-Node": (_UUID, "The caller's node id; Protocol and Install must stand beside it."),
    "Peersync-Install": (_UUID, "The caller's install."),
    "Peersync-Points": ({"type": "string"}, "JSON [[seq, nonce], …]: places of this node's history seen."),
    "Peersync-About": (_UUID, "The id under which this node bore that history; its present one if left out."),
    "Peersync-Bulk": ({"type": "string"}, "Encodings of a bulk run that the caller takes, joined by commas."),
    "Peersync-Told": ({"type": "integer", "minimum": -1}, "How far the caller has read past in the feed."),
    "Peersync-Dry-Run": (
        {"type": "string", "enum": ["0", "1"]},
        "1: nothing of the answer is taken in, so nothing is remembered of it.",
    ),
    "Peersync-Clock": ({"type": "integer", "minimum": 0}, "The caller's clock, ms since the epoch."),
    "Peersync-Match": (
        {"type": "string"},
        "JSON [how, base]: how rows that stood before are matched, and what the caller calls its own.",
    ),
    "Peersync-Retired": ({"type": "string"}, "JSON [[id, seq, nonce, install], …]: ids that were given up."),
}
_TITLES = {
    400: "Malformed, or not known here",
    401: "No token, or one that is refused",
    403: "The token does not allow this",
    404: "No such model for this caller",
    405: "The URL does not take the method",
    409: "Well-formed, but refused",
    413: "Too large",
    415: "Packed in an unknown way",
    429: "Too many refused tokens",
    500: "A mistake of the server",
    503: "Not now",
    507: "No room, or the storage failed",
}
SETTINGS = {
    "TITLE": "peersync",
    "VERSION": "1",
    "DESCRIPTION": "How two nodes of peersync talk. docs/protocol.md says what it means.",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "https://branch.example/peersync"}],
    "LICENSE": {"name": "MIT"},
    "POSTPROCESSING_HOOKS": ["peersync_api.openapi.closed"],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}


def closed(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: the shapes have the members that they name, and no others."""
    for schema in result["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return result


class ShapeExtension(OpenApiSerializerFieldExtension):
    """A Shape says its JSON Schema itself."""

    target_class = "peersync_api.serializers.Shape"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return dict(self.target.json_schema)


class TokenExtension(OpenApiAuthenticationExtension):
    """``Authorization: Token KEY``."""

    target_class = "peersync_api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token KEY` or `Bearer KEY`; `manage.py sync_peer add NAME` makes one.",
        }


class PeersyncSchema(AutoSchema):
    """What a view says of itself: scopes, parameters, takes, answers, and its docstring."""

    def get_operation_id(self) -> str:
        name = type(self.view).__name__.removesuffix("View").lower()
        return {"GET": name, "POST": "apply" if name == "changes" else name}[self.method]

    def get_tags(self) -> list[str]:
        return ["peers" if isinstance(self.view, PeersyncView) else "open"]

    def get_summary(self) -> str:
        return _sentence(type(self.view), self.method)

    def get_description(self) -> str:  # type: ignore[override]
        if not isinstance(self.view, PeersyncView):
            return "Open to anybody."
        scopes = self.view.scopes.get(self.method, ())
        return f"Scope: {' or '.join(scopes) or 'any'}."

    def get_override_parameters(self) -> list[Any]:
        view: Any = self.view
        known: list[Any] = [("query", name, *_PARAMETERS[name]) for name in view.parameters if self.method == "GET"]
        if isinstance(view, PeersyncView):
            known += [("header", name, *about) for name, about in _HEADERS.items()]
        found = [OpenApiParameter(name, schema, place, description=text) for place, name, schema, text in known]
        if "{model}" in self.path:
            found.append(OpenApiParameter("model", {"type": "string"}, "path", required=True, description="app.Model"))
        found.append(
            OpenApiParameter("Retry-After", {"type": "integer"}, "header", response=[429, 503], description="Seconds.")
        )
        return found

    def get_request_serializer(self) -> Any:
        view: Any = self.view
        found = view.takes.get(self.method)
        if isinstance(found, str):
            return {found: OpenApiTypes.BINARY}
        return {LINES: _lines()} if found is BATCH else found

    def map_parsers(self) -> list[str]:
        return [JSON]

    def get_response_serializers(self) -> Any:
        view: Any = self.view
        answer = view.answers[self.method]
        found: dict[Any, Any]
        if answer is BATCH:
            found = {(200, LINES): OpenApiResponse(_lines(), "One JSON object per line.")}
        elif isinstance(answer, str):
            found = {(200, answer): OpenApiResponse({"type": "string"}, "A document.")}
        else:
            found = {(200, JSON): answer}
        for status in self._statuses():
            text = f"{_TITLES[status]}: {', '.join(f'`{code}`' for code in CODES[status])}"
            found[status, MEDIA_TYPE] = OpenApiResponse(ProblemSerializer, text)
        return found

    def _statuses(self) -> list[int]:
        if not isinstance(self.view, PeersyncView):
            return [405]
        left_out = set() if "{model}" in self.path else {404}
        if self.method == "GET":
            left_out |= {413, 415}
        if "/files/" not in self.path:
            left_out.add(507)
        return [status for status in _TITLES if status not in left_out]


def _lines() -> PolymorphicProxySerializer:
    return PolymorphicProxySerializer("BatchLine", list(BATCH), resource_type_field_name=None)


def _sentence(view: type, method: str) -> str:
    """The view's docstring, or the part of it that speaks of the method (``GET: …. POST: ….``)."""
    text = " ".join((view.__doc__ or "").split())
    found = re.search(rf"\b{method}: ([^:]*\.)(?= |$)", text)
    return found[1][0].upper() + found[1][1:] if found else text


def document() -> dict[str, Any]:
    """The OpenAPI document as an object."""
    spectacular_settings.apply_patches(SETTINGS)
    for view in DOCUMENTED:
        view.schema = PeersyncSchema()
    try:
        return dict(SchemaGenerator(urlconf="peersync_api.urls").get_schema(request=None, public=True))
    finally:
        for view in DOCUMENTED:
            view.schema = None
        spectacular_settings.clear_patches()


def as_yaml(found: dict[str, Any]) -> str:
    """The document as ``openapi.yaml`` holds it."""
    return str(OpenApiYamlRenderer().render(found, renderer_context={}), "utf-8")


def as_page(found: dict[str, Any]) -> str:
    """The document as one page that needs nothing else."""
    parts = [_PAGE_HEAD, f"<h1>{escape(found['info']['title'])}, protocol version 1</h1>", _PAGE_INTRODUCTION]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(method, path, operation))
    parts.append("<h2>Shapes</h2>")
    for name, schema in found["components"]["schemas"].items():
        text = OpenApiYamlRenderer().render(schema, renderer_context={}).decode()
        parts.append(f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{escape(text)}</pre>')
    return "\n".join([*parts, "</body></html>", ""])


_PAGE_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>peersync: the protocol</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
pre { background: #8881; padding: .7em; overflow: auto; }
td, th { text-align: left; vertical-align: top; padding: .1em .8em .1em 0; }
h2 { margin-top: 2em; }
:root { color-scheme: light dark; }
</style></head><body>"""
_PAGE_INTRODUCTION = (
    "<p>All calls but the open ones need <code>Authorization: Token KEY</code>. The same for machines: "
    '<a href="../schema/">openapi.yaml</a>.</p>'
)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [(p["name"], p["in"], p.get("description", "")) for p in operation.get("parameters", [])]
    bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
    answers = [
        (name, ", ".join(body["content"]), ", ".join(_named(body)) + " " + body.get("description", ""))
        for name, body in bodies.items()
        if body.get("content")
    ]
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])} {escape(operation['description'])}</p>" + _table(rows) + _table(answers)
    )


def _named(body: dict[str, Any]) -> list[str]:
    schemas = [content.get("schema", {}) for content in body["content"].values()]
    return [schema["$ref"].rpartition("/")[2] for schema in schemas if "$ref" in schema]


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = [f"<tr><th>{escape(a)}</th><td>{escape(b)}</td><td>{escape(c)}</td></tr>" for a, b, c in rows]
    return f"<table>{''.join(lines)}</table>" if lines else ""
