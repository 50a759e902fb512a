"""Who asks, as headers of the request: ``Peersync-Node`` and its sisters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from peersync.conf_values import MATCHES
from peersync.errors import WireError
from peersync.records import PROTOCOL, Caller, Match, Point
from peersync.wire import checks
from peersync.wire.batch import MAX_POINTS, check_protocol
from peersync.wire.shapes import plain, read_retired

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RETIRED = 24
"""Of the ids that were given up, only the newest are told: servers cut header lines at 8 KiB."""
_MAX_HEADER = 1 << 14


def caller_headers(caller: Caller) -> dict[str, str]:
    """The headers that name the caller; none for a caller without a node."""
    if not caller.node:
        return {}
    headers = {
        "Peersync-Protocol": str(PROTOCOL),
        "Peersync-Node": caller.node,
        "Peersync-Install": caller.install,
        "Peersync-Told": str(caller.told),
        "Peersync-Clock": str(caller.clock),
    }
    if caller.points:
        headers["Peersync-Points"] = _ascii([checks.plain_point(point) for point in caller.points])
    if caller.about:
        headers["Peersync-About"] = caller.about
    if caller.bulk:
        headers["Peersync-Bulk"] = ",".join(caller.bulk)
    if caller.match is not None:
        headers["Peersync-Match"] = _ascii(list(caller.match))
    if caller.dry:
        headers["Peersync-Dry-Run"] = "1"
    if caller.retired:
        headers["Peersync-Retired"] = _ascii([plain(item) for item in caller.retired[-MAX_RETIRED:]])
    return headers


def _ascii(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def read_caller(headers: Mapping[str, str], name: str) -> Caller:
    """The caller that these headers name, known here as ``name``; without any, a caller without a node.

    Raises WireError where one is malformed, ProtocolDiffers where the peer speaks another version.
    """
    found = {key.lower(): value for key, value in headers.items() if key.lower().startswith("peersync-")}
    if "peersync-protocol" in found:
        check_protocol(_number(found["peersync-protocol"], "Peersync-Protocol", 0))
    if "peersync-node" not in found:
        if found.keys() - {"peersync-protocol"}:
            raise WireError(f"the header Peersync-Node is missing beside {min(found).title()}")
        return Caller(node="", install="", name=name)
    for header in ("peersync-install", "peersync-protocol"):
        if header not in found:
            raise WireError(f"the header {header.title()} is missing")
    return Caller(
        node=checks.uuid(found["peersync-node"], "Peersync-Node"),
        install=checks.uuid(found["peersync-install"], "Peersync-Install"),
        points=_points(found.get("peersync-points", "[]")),
        about=checks.uuid(found["peersync-about"], "Peersync-About") if found.get("peersync-about") else "",
        bulk=_bulk(found.get("peersync-bulk", "")),
        told=_number(found.get("peersync-told", "-1"), "Peersync-Told", -1),
        name=name,
        retired=checks.listing(
            _json(found.get("peersync-retired", "[]"), "Peersync-Retired"), "Peersync-Retired", read_retired
        ),
        clock=_number(found.get("peersync-clock", "0"), "Peersync-Clock", 0),
        match=_match(found["peersync-match"]) if "peersync-match" in found else None,
        dry=_dry(found["peersync-dry-run"]) if "peersync-dry-run" in found else False,
    )


def _dry(text: str) -> bool:
    if text not in ("0", "1"):
        raise WireError("Peersync-Dry-Run is neither 0 nor 1")
    return text == "1"


def _match(text: str) -> Match:
    value = _json(text, "Peersync-Match")
    if type(value) is not list or len(value) != 2 or value[0] not in ("", *MATCHES):
        raise WireError("Peersync-Match is not [how, base]")
    return Match(value[0], checks.optional(checks.name)(value[1], "Peersync-Match"))


def _points(text: str) -> tuple[Point, ...]:
    return checks.listing(_json(text, "Peersync-Points"), "Peersync-Points", checks.point, MAX_POINTS)


def _bulk(text: str) -> tuple[str, ...]:
    return tuple(one for one in text.split(",") if one == "pgcopy")


def _json(text: str, what: str) -> Any:
    if len(text) > _MAX_HEADER:
        raise WireError(f"{what} is too long")
    try:
        return checks.loads(text.encode("utf-8", "surrogateescape"))
    except WireError as error:
        raise WireError(f"{what}: {error.detail}") from None


def _number(text: str, what: str, low: int) -> int:
    digits = text.removeprefix("-")
    if len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        raise WireError(f"{what} is not a number")
    return checks.integer(int(text), what, low)
