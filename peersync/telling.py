"""What only one side synchronises: said once, when it is noticed, and kept with the peer for whoever asks later."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger("peersync")

SERVED = "served"
"""Beside ``pull`` and ``push``: what a peer that calls us does not send."""


def news(connection: Any, peer: str, way: str, sentences: Sequence[str], *, whole: bool = True) -> list[str]:
    """Note what is left out of the peer's transfers in that way; returns what was not known yet, in whatever way.

    ``whole``: what is not among the sentences is left out no longer.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT left_out FROM peersync_peer WHERE name = %s", [peer])
        found = cursor.fetchone()
    if found is None:
        return list(sentences)
    known: dict[str, list[str]] = json.loads(found[0] or "{}")
    said = {text for texts in known.values() for text in texts}
    before = known.get(way, [])
    known[way] = list(dict.fromkeys([*([] if whole else before), *sentences]))
    if known[way] != before:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE peersync_peer SET left_out = %s WHERE name = %s", [json.dumps(known), peer])
    return [text for text in sentences if text not in said]


def log(peer: str, sentences: Sequence[str]) -> None:
    """For who serves a peer, and has nobody to print it for."""
    for text in sentences:
        logger.warning("Sync with %s: %s", peer, text)


def sentences_of(text: str) -> list[str]:
    """All that is left out, of a peer's row."""
    return list(dict.fromkeys(one for texts in json.loads(text or "{}").values() for one in texts))
