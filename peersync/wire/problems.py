"""Errors as problem documents (RFC 9457): ``{"type", "title", "status", "code", "detail"}``, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from peersync.errors import PeersyncError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DETAIL = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def _tree(base: type[PeersyncError]) -> Iterator[type[PeersyncError]]:
    yield base
    for child in base.__subclasses__():
        yield from _tree(child)


def error_class(code: str) -> type[PeersyncError] | None:
    """The class of peersync.errors that has this code; a subclass elsewhere may bear the same one."""
    known = (cls for cls in _tree(PeersyncError) if cls.__module__ == PeersyncError.__module__)
    return next((cls for cls in known if cls.code == code and cls is not PeersyncError), None)


def clean(text: str) -> str:
    """A peer's words, harmless in a terminal and in a log: bounded, without control characters."""
    return _CONTROL.sub(" ", text[: MAX_DETAIL * 2]).strip()[:MAX_DETAIL]


def problem_json(error: PeersyncError, status: int = 400) -> dict[str, Any]:
    """The problem document of this error."""
    title = (type(error).__doc__ or "").strip().splitlines()[0]
    return {"type": "about:blank", "title": title, "status": status, **error.as_dict()}


def read_problem(value: Any) -> PeersyncError:
    """The error that a problem document speaks of, in the class of its code where there is one.

    ``extra["code"]`` keeps the code. Returned, not raised; WireError where this is no problem document.
    """
    if type(value) is not dict:
        raise WireError("the problem is not a JSON object")
    code, detail = value.get("code"), value.get("detail", "")
    if type(code) is not str or type(detail) is not str:
        raise WireError("the problem lacks the text 'code' or 'detail'")
    cls = error_class(code) or PeersyncError
    return cls(clean(detail), code=clean(code)[:100])
