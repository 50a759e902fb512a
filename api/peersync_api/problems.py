"""What went wrong, as ``application/problem+json``: one table from exceptions to HTTP, nothing of the inside.

The first class of the table that fits decides about the status; the code is the exception's own. What is not
in the table is an error of ours: it is logged, and the caller hears no more than that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, UnreadablePostError
from rest_framework.exceptions import MethodNotAllowed

from peersync import errors, tokens, wire
from peersync.errors import PeersyncError

MEDIA_TYPE = "application/problem+json"

logger = logging.getLogger("peersync.api")


class TooLarge(PeersyncError):
    """More than this server takes at once."""

    code = "too_large"


class Throttled(PeersyncError):
    """Too many tokens from this address were refused."""

    code = "throttled"


class Unavailable(PeersyncError):
    """This server cannot answer now."""

    code = "unavailable"


class WrongUrl(PeersyncError):
    """There is nothing at this URL."""

    code = "wrong_url"


class MethodRefused(errors.WireError):
    """This URL does not take the method."""


class EncodingRefused(errors.WireError):
    """The body is packed in a way that is not understood here."""


class Internal(PeersyncError):
    """This server made a mistake; its log has the details."""

    code = "internal"


STATUSES: Mapping[type[PeersyncError], int] = {
    MethodRefused: 405,
    EncodingRefused: 415,
    errors.WireError: 400,
    errors.AnswerCutOff: 400,
    errors.ProtocolDiffers: 400,
    tokens.TokenRefused: 401,
    tokens.TokenForbids: 403,
    WrongUrl: 404,
    errors.Refused: 409,
    TooLarge: 413,
    Throttled: 429,
    errors.Busy: 503,
    Unavailable: 503,
    errors.StorageFailed: 507,
}
"""In this order; UnknownModel is 404 where the path names the model."""

_REFUSALS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.Refused)]
CODES: Mapping[int, tuple[str, ...]] = {
    400: ("malformed", "unknown_model", "unknown_field", "cut_off", "protocol_differs"),
    401: ("unauthorized", "token_expired", "token_revoked"),
    403: ("forbidden", "token_bound"),
    404: ("unknown_model", "wrong_url"),
    405: ("malformed",),
    409: tuple(sorted(cls.code for cls in _REFUSALS)),
    413: ("too_large",),
    415: ("malformed",),
    429: ("throttled",),
    500: ("internal",),
    503: ("busy", "unavailable"),
    507: ("storage",),
}
"""Which codes come with which status: what ``openapi.yaml`` promises."""

RETRY_AFTER = 2
"""Seconds, where the error does not say."""


def problem_response(exception: Exception, *, model_in_path: bool = False) -> HttpResponse:
    """The problem document for whatever a view raised."""
    error = _ours(exception)
    status = _status(error, model_in_path=model_in_path)
    if status == 500 and not isinstance(error, Internal):
        logger.error("A call of peersync failed: %s", error, exc_info=exception)
        error = Internal()
    response = HttpResponse(wire.dumps(wire.problem_json(error, status)), status=status, content_type=MEDIA_TYPE)
    response["Content-Length"] = str(len(response.content))
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = 'Token realm="peersync"'
    if status in (429, 503):
        response["Retry-After"] = str(max(1, round(error.extra.get("after", RETRY_AFTER))))
    return response


def _ours(exception: Exception) -> PeersyncError:
    """The exception as one of ours; Internal, and logged, where it is nobody's fault but ours."""
    match exception:
        case PeersyncError():
            return exception
        case MethodNotAllowed():
            return MethodRefused()
        case SuspiciousOperation():  # more parameters than the project allows
            return errors.WireError("The request is not understood.")
        case UnreadablePostError():
            return errors.AnswerCutOff("The body ended before all of it had come.")
        case OperationalError() | InterfaceError():
            logger.warning("A call of peersync met a database that did not answer.", exc_info=exception)
            return Unavailable("The database of this server did not answer in time; try again.")
    logger.error("A call of peersync failed.", exc_info=exception)
    return Internal()


def _status(error: PeersyncError, *, model_in_path: bool) -> int:
    if isinstance(error, errors.UnknownModel) and model_in_path:
        return 404
    return next((status for cls, status in STATUSES.items() if isinstance(error, cls)), 500)


def problem_line(exception: Exception) -> bytes:
    """The last line of an answer that breaks off: why it does."""
    error = _ours(exception)
    document: dict[str, Any] = wire.problem_json(error, _status(error, model_in_path=False))
    return wire.dumps({"problem": document}) + b"\n"
