"""Who calls: ``Authorization: Token KEY`` (or ``Bearer KEY``), nothing that the project uses for itself."""

from __future__ import annotations

import re
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from peersync import tokens
from peersync.conf import settings
from peersync.models import PeerToken
from peersync_api.problems import Unavailable, logger
from peersync_api.throttling import refused_tokens

_HEADER = re.compile(r"(?:token|bearer) +([\x21-\x7e]{1,200})", re.IGNORECASE)


class TokenAuthentication(BaseAuthentication):
    """A peer, by its token. Refused ones are counted by address; a valid one is let in whatever the count."""

    def authenticate(self, request: Any) -> tuple[None, PeerToken]:
        """``(None, token)``. Raises TokenRefused, or Throttled after too many."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            raise tokens.TokenMissing
        try:
            found = _HEADER.fullmatch(header.strip())
            if found is None:
                raise tokens.TokenUnknown
            return None, tokens.authenticate(found[1], using=settings().master)
        except tokens.TokenRefused:
            refused_tokens.note(address(request))
            raise
        except DatabaseError as error:
            logger.warning("The table of tokens cannot be read; is `migrate` done?", exc_info=error)
            raise Unavailable("The tokens cannot be read now; the log of this server says why.") from None

    def authenticate_header(self, request: Any) -> str:
        """What a 401 asks for."""
        return 'Token realm="peersync"'


class HasScope(BasePermission):
    """The view says for each method which scopes will do (``scopes``)."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """True, or ScopeMissing is raised. A method that the view lacks needs a token all the same."""
        tokens.require_scope(view.token, *view.scopes.get(request.method, ()))
        return True


def address(request: HttpRequest) -> str:
    """Of the other end of the connection. Headers of proxies are not believed: anybody can write them."""
    return str(request.META.get("REMOTE_ADDR") or "")
