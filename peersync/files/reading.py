"""A source's part: what it says of its files, and their contents, for whoever may see the rows that name them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from peersync.conf import settings
from peersync.errors import FileUnreadable, StorageFailed, UnknownField, UnknownModel
from peersync.file_records import FileInfo, FileWant
from peersync.filenames import is_default
from peersync.files.noting import awaited
from peersync.files.storages import NoSuchFile, measured, pieces, trusted
from peersync.localnames import columns_of
from peersync.records import Caller
from peersync.registry import SyncModel
from peersync.rows import Reader, check_keys, find_model
from peersync.transactions import reading
from peersync.views import View

T = TypeVar("T")

NONE = FileInfo("none")


class Standing(NamedTuple):
    """A file that the caller may have: the model's field, and the name in this node's storage."""

    field: Any
    local: str


def infos(view: View, caller: Caller, wants: Sequence[FileWant]) -> list[FileInfo]:
    """What is said of each, in order; of the first ones only where reading them takes long.

    Raises UnknownModel, UnknownField, WireError.
    """
    until = time.monotonic() + settings().limits.answer_seconds
    found: list[FileInfo] = []
    for want, standing in zip(wants, find(view, caller, wants), strict=True):
        found.append(_info(want, standing))
        if time.monotonic() > until:
            break
    return found


def _info(want: FileWant, standing: FileInfo | Standing) -> FileInfo:
    if isinstance(standing, FileInfo):
        return standing
    storage, name = standing.field.storage, standing.local
    try:
        if want.place is not None and want.place[0] is storage and want.place[1] == name:
            return FileInfo("same" if storage.exists(name) else "missing")
        return FileInfo("here", *measured(storage, name, want.salt))
    except NoSuchFile:
        return FileInfo("missing")
    except StorageFailed:
        return FileInfo("unreadable")


def find(view: View, caller: Caller, wants: Sequence[FileWant]) -> list[FileInfo | Standing]:
    """For each the file, if the caller may have it; a row that it must not see is as one that does not stand here.

    A file that has not come here yet itself is missing: nobody is given what stands under a name that a peer chose.
    """
    by_model: dict[str, list[FileWant]] = {}
    for want in wants:
        model = view.registry.models.get(want.model)
        if model is None:
            raise UnknownModel(f"The model {want.model!r} is not synchronised with this peer.")
        if want.field not in model.files:
            raise UnknownField(f"Files of {want.model}.{want.field} are not synchronised with this peer.")
        by_model.setdefault(want.model, []).append(want)
    found: dict[int, FileInfo | Standing] = {}
    with reading(view.alias) as node:
        for label, some in by_model.items():
            found |= _of_model(node.connection, view, view.registry.models[label], some)
    return [found[id(want)] for want in wants]


def _of_model(
    connection: Any, view: View, model: SyncModel, wants: Sequence[FileWant]
) -> dict[int, FileInfo | Standing]:
    check_keys(model, [want.key for want in wants])
    local = find_model(connection, model, [want.key for want in wants])
    pks = set(local.values())
    seen = view.visible(model.label, pks) if view.filtered(model.label) else pks
    rows = Reader(connection, model).by_pk(seen)
    held = columns_of(connection, model, model.file_fields, seen)
    waiting = awaited(connection, model.label, seen)
    fields = {field.name: field.raw.field for field in model.file_fields}
    found: dict[int, FileInfo | Standing] = {}
    for want in wants:
        pk = local.get(want.key)
        row = rows.get(pk) if pk is not None else None
        field = fields[want.field]
        if pk is None or row is None or row.content[model.names.index(want.field)] != want.name or not want.name:
            found[id(want)] = NONE
        elif (pk, want.field, want.name) in waiting:
            found[id(want)] = FileInfo("missing")
        elif is_default(field, want.name) or trusted(field, held[pk][want.field]):
            found[id(want)] = NONE
        else:
            found[id(want)] = Standing(field, held[pk][want.field])
    return found


def read(view: View, caller: Caller, want: FileWant, offset: int, take: Callable[[Iterator[bytes]], T]) -> T:
    """What ``take`` makes of the contents from ``offset`` on. Raises FileUnreadable where there are none for the caller."""
    standing = find(view, caller, [want])[0]
    if isinstance(standing, FileInfo):
        raise FileUnreadable
    return take(_contents(standing, offset))


def _contents(standing: Standing, offset: int) -> Iterator[bytes]:
    try:
        yield from pieces(standing.field.storage, standing.local, offset)
    except (NoSuchFile, StorageFailed) as error:
        raise FileUnreadable from error
