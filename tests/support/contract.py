"""Real answers beside openapi.yaml: an answer that the document does not promise fails the test that got it."""

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

TOP = Path(__file__).resolve().parent.parent.parent
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"


@cache
def document() -> dict[str, Any]:
    return dict(yaml.safe_load((TOP / "openapi.yaml").read_text()))


def body_of(response: Any) -> bytes:
    """The body of an answer of Django's test client, unpacked."""
    body: bytes = b"".join(response.streaming_content) if response.streaming else response.content
    return gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


def check(method: str, path: str, status: int, media_type: str, body: bytes) -> None:
    """The answer is one that the document promises for this call. ``path``: without a query, below the mount."""
    known = document()["paths"].get(_path(path), {})
    operation = known.get("get" if method == "HEAD" else method.lower())
    if operation is None:  # no such call: told as a problem too
        assert media_type == PROBLEM, (status, media_type)
        _valid({"$ref": "#/components/schemas/Problem"}, json.loads(body))
        return
    assert str(status) in operation["responses"], f"{method} {path} answers {status}: {body[:300]!r}"
    promised = operation["responses"][str(status)]["content"]
    media_type = media_type.partition(";")[0]
    assert media_type in promised, f"{method} {path} answers with {media_type}"
    if method == "HEAD":
        return
    schema = promised[media_type].get("schema", {})
    if media_type == LINES:
        _check_lines(schema, body)
    elif media_type.endswith("json"):
        _valid(schema, json.loads(body))
    if media_type == PROBLEM:
        problem = json.loads(body)
        assert problem["status"] == status
        assert f"`{problem['code']}`" in operation["responses"][str(status)]["description"], problem


def _path(path: str) -> str | None:
    if path in document()["paths"]:
        return path
    for known in document()["paths"]:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path):
            return str(known)
    return None


def _check_lines(schema: dict[str, Any], body: bytes) -> None:
    lines = body.split(b"\n")
    assert lines.pop() == b""
    raw = 0
    for line in lines:
        if raw:
            raw -= 1
            continue
        value = json.loads(line)
        _valid(schema, value)
        raw = value.get("bulk", {}).get("count", 0)


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _valid(schema: dict[str, Any], value: Any) -> None:
    errors = list(_validator(json.dumps(schema)).iter_errors(value))
    assert not errors, f"{errors[0].message[:400]} at {list(errors[0].absolute_path)}"
