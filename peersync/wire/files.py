"""What is said of files, as JSON objects and back; their contents travel as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from peersync.errors import WireError
from peersync.file_records import FileInfo, FilePage, FileState, FileWant, Found
from peersync.wire import checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_FILES = 1000
"""Files of one call."""
_LONGEST_NAME = 4096
_STATES = ("here", "missing", "none", "unreadable")


def _name(value: Any, what: str) -> str:
    return checks.string(value, what, _LONGEST_NAME)


def _names(value: Any, what: str) -> tuple[str, ...]:
    return checks.listing(value, what, checks.name)


def _offset(value: Any, what: str) -> int | None:
    return checks.optional(checks.integer)(value, what)


# ---------------------------------------------------------------------- asked of a source


def asked_json(wants: Iterable[FileWant]) -> dict[str, Any]:
    """The body of a request for what a source has of files of one model."""
    return {"files": [{"key": list(w.key), "field": w.field, "name": w.name, "salt": w.salt} for w in wants]}


def read_asked(value: Any, model: str) -> list[FileWant]:
    """The files of :func:`asked_json`; at least one."""
    obj = checks.members(value, "body", ("files",))
    found = checks.listing(obj["files"], "files", lambda item, what: _asked(item, what, model), MAX_FILES)
    if not found:
        raise WireError("files is empty")
    return list(found)


def _asked(value: Any, what: str, model: str) -> FileWant:
    obj = checks.members(value, what, ("key", "field", "name", "salt"))
    field, salt = checks.name(obj["field"], f"{what}.field"), checks.name(obj["salt"], f"{what}.salt")
    return FileWant(0, model, checks.key(obj["key"], f"{what}.key"), field, _name(obj["name"], f"{what}.name"), salt)


def content_json(want: FileWant, offset: int) -> dict[str, Any]:
    """The body of a request for the contents of a file."""
    return {"key": list(want.key), "field": want.field, "name": want.name, "offset": offset}


def read_content(value: Any, model: str) -> tuple[FileWant, int]:
    """File and offset of :func:`content_json`."""
    obj = checks.members(value, "body", ("key", "field", "name", "offset"))
    offset = checks.integer(obj.pop("offset"), "offset")
    return _asked({**obj, "salt": ""}, "body", model), offset


def infos_json(infos: Iterable[FileInfo]) -> dict[str, Any]:
    """What a source has of files."""
    return {"files": [_info_json(info) for info in infos]}


def read_infos(value: Any) -> list[FileInfo]:
    """What :func:`infos_json` says."""
    return list(checks.listing(checks.members(value, "answer", ("files",))["files"], "files", _info, MAX_FILES))


def _info_json(info: FileInfo) -> dict[str, Any]:
    return {"state": info.state, "size": info.size, "digest": info.digest}


def _info(value: Any, what: str) -> FileInfo:
    obj = checks.members(value, what, ("state", "size", "digest"))
    if obj["state"] not in _STATES:
        raise WireError(f"{what}.state is none of {', '.join(_STATES)}")
    size = checks.integer(obj["size"], f"{what}.size")
    digest = checks.string(obj["digest"], f"{what}.digest", 64)
    if obj["state"] == "here" and (len(digest) != 64 or digest.strip("0123456789abcdef")):
        raise WireError(f"{what}.digest is not a SHA-256 in hex")
    return FileInfo(cast("Found", obj["state"]), size, digest)


# ---------------------------------------------------------------------- asked of a target


def wanted_json(fields: Mapping[str, Sequence[str]], after: int) -> dict[str, Any]:
    """The body of a request for the files that a target waits for."""
    return {"fields": checks.lists(fields), "after": after}


def read_wanted(value: Any) -> tuple[dict[str, tuple[str, ...]], int]:
    """Fields and number of :func:`wanted_json`."""
    obj = checks.members(value, "body", ("fields", "after"))
    return checks.mapping(obj["fields"], "fields", _names), checks.integer(obj["after"], "after")


def page_json(page: FilePage) -> dict[str, Any]:
    """The files that a target waits for."""
    wants = [
        {"number": w.number, "model": w.model, "key": list(w.key), "field": w.field, "name": w.name, "salt": w.salt}
        for w in page.wants
    ]
    return {"wants": wants, "after": page.after, "done": page.done, "waiting": dict(page.waiting)}


def read_page(value: Any) -> FilePage:
    """The page of :func:`page_json`."""
    obj = checks.members(value, "answer", ("wants", "after", "done", "waiting"))
    return FilePage(
        checks.listing(obj["wants"], "wants", _want, MAX_FILES),
        checks.integer(obj["after"], "after"),
        checks.boolean(obj["done"], "done"),
        checks.mapping(obj["waiting"], "waiting", checks.integer),
    )


def _want(value: Any, what: str) -> FileWant:
    obj = dict(checks.members(value, what, ("number", "model", "key", "field", "name", "salt")))
    number = checks.integer(obj.pop("number"), f"{what}.number")
    model = checks.label(obj.pop("model"), f"{what}.model")
    found = _asked(obj, what, model)
    return FileWant(number, model, found.key, found.field, found.name, found.salt)


def offers_json(offers: Iterable[tuple[int, FileInfo]]) -> dict[str, Any]:
    """The body by which a source says what it has of the files that a target waits for."""
    return {"offers": [{"number": number, **_info_json(info)} for number, info in offers]}


def read_offers(value: Any) -> list[tuple[int, FileInfo]]:
    """The offers of :func:`offers_json`."""
    return list(checks.listing(checks.members(value, "body", ("offers",))["offers"], "offers", _offer, MAX_FILES))


def _offer(value: Any, what: str) -> tuple[int, FileInfo]:
    obj = dict(checks.members(value, what, ("number", "state", "size", "digest")))
    number = checks.integer(obj.pop("number"), f"{what}.number")
    return number, _info(obj, what)


def states_json(states: Iterable[FileState]) -> dict[str, Any]:
    """What of each file is to be sent."""
    return {"states": [state_json(state) for state in states]}


def read_states(value: Any) -> list[FileState]:
    """The states of :func:`states_json`."""
    return list(checks.listing(checks.members(value, "answer", ("states",))["states"], "states", _state, MAX_FILES))


def state_json(state: FileState) -> dict[str, Any]:
    return {"offset": state.offset}


def read_state(value: Any) -> FileState:
    """The state of :func:`state_json`."""
    return _state(value, "answer")


def _state(value: Any, what: str) -> FileState:
    return FileState(_offset(checks.members(value, what, ("offset",))["offset"], f"{what}.offset"))
