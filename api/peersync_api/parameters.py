"""The parameters of a URL, read strictly: what is out of form or range is refused, never corrected."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.http import QueryDict

from peersync import wire
from peersync.conf import settings
from peersync.errors import WireError
from peersync.records import START, Point

DEFAULT_LIMIT = 1000
"""Rows of a page whose caller does not say; fewer where LIMITS["BATCH"] is smaller."""
MAX_MODELS = 1000

_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_LABEL = re.compile(r"\w{1,100}\.\w{1,200}")


def is_label(text: str) -> bool:
    """Whether this has the form of a model's label (``app.Model``)."""
    return _LABEL.fullmatch(text) is not None


class Parameters:
    """The query of one request. ``known``: the names that the call takes."""

    def __init__(self, query: QueryDict, known: Iterable[str] = ()) -> None:
        """Raises WireError for another name, or one given twice."""
        names = tuple(known)
        for name, values in query.lists():
            if name not in names:
                takes = ", ".join(names) or "none"
                raise WireError(f"This call has no parameter {name[:40]!a}; it takes: {takes}.")
            if len(values) > 1:
                raise WireError(f"The parameter {name} stands more than once.")
        self._query = query

    def limit(self) -> int:
        """Rows in a page, from 1 to LIMITS["BATCH"]."""
        most = settings().limits.batch
        return self._number("limit", min(DEFAULT_LIMIT, most), 1, most)

    def wait(self) -> int:
        """Seconds of long polling, from 0 to LIMITS["WAIT"]."""
        return self._number("wait", 0, 0, settings().limits.wait)

    def models(self) -> tuple[str, ...] | None:
        """Labels, None where all are meant."""
        text = self._query.get("models")
        if text is None:
            return None
        labels = tuple(text.split(","))
        if len(labels) > MAX_MODELS or len(set(labels)) != len(labels):
            raise WireError(f"models names one twice, or more than {MAX_MODELS}.")
        if not all(is_label(label) for label in labels):
            raise WireError("models is no list of labels (app.Model,app.Other).")
        return labels

    def snapshot_place(self) -> tuple[Point | None, str | None]:
        """``(head, after)``: where the snapshot goes on; its start where ``after`` is not given."""
        token = self._query.get("after")
        return (None, None) if token is None else wire.read_snapshot_token(token)

    def feed_place(self) -> tuple[Point, Point | None]:
        """``(cursor, head)``: where reading the feed goes on; its start where ``after`` is not given."""
        token = self._query.get("after")
        return (START, None) if token is None else wire.read_changes_token(token)

    def _number(self, name: str, default: int, low: int, high: int) -> int:
        text = self._query.get(name)
        if text is None:
            return default
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise WireError(f"{name} is no whole number from {low} to {high}.")
        return int(text)
