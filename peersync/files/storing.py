"""A target's part: is the file here already, how much of it has come, and into the storage with it, verified."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.files import File
from django.template.defaultfilters import filesizeformat

from peersync import capture, localnames
from peersync.conf import settings
from peersync.errors import Busy, StorageFailed
from peersync.file_records import FileInfo, FileState, FileWant
from peersync.files import waits
from peersync.files.noting import checkpoint_of
from peersync.files.parts import Part
from peersync.files.storages import CHUNK, NoSuchFile, delete, exists, measured, save, size
from peersync.files.waits import Wait
from peersync.records import Caller
from peersync.transactions import NodeRow, reading, writing
from peersync.views import View

OVER = FileState()
"""Nothing is to be sent."""
PAUSES = (0.1, 0.3, 0.9)
"""Seconds: how long a row is waited for that a writer holds, when its file has come."""


class Store:
    """Files for this node, from one source.

    ``taken``: models whose rows are taken in from it. ``peer``: what it is called in what is told to the owner.
    """

    def __init__(self, view: View, caller: Caller, taken: Collection[str]) -> None:
        self.view, self.caller, self.taken = view, caller, taken
        self.peer = view.peer or "the peer"

    # ------------------------------------------------------------------ what the source says

    def offers(self, offers: Sequence[tuple[int, FileInfo]]) -> list[FileState]:
        """For each file, by its number, what is to be sent of it. Raises StorageFailed where there is no room."""
        known, wants = self._known([number for number, _ in offers])
        return [self._offer(known[number], wants[number], info) if number in known else OVER for number, info in offers]

    def _known(self, numbers: Iterable[int]) -> tuple[dict[int, Wait], dict[int, FileWant]]:
        known, wants = waits.of(self.view, self.caller, numbers)
        return {number: wait for number, wait in known.items() if wait.model in self.taken}, wants

    def _offer(self, wait: Wait, want: FileWant, info: FileInfo) -> FileState:
        storage, local = want.place
        try:
            if info.state == "same":
                return self._arrived(wait)
            if info.state != "here":
                return self._not_there(wait, storage, local, info)
            if info.size > settings().limits.file:
                return self._marked(wait, "too_large", f"{wait.name} has {filesizeformat(info.size)}: {_MORE}")
            if exists(storage, local) and _equal(storage, local, want.salt, info):
                return self._arrived(wait)
        except StorageFailed as error:
            return self._failed(wait, error)
        with writing(self.view.alias) as node:
            waits.expect(node.connection, wait.number, info.size, info.digest)
            part = self._part(node, wait.number, info.digest)
        part.check_free()
        return self._end(wait, want, info, part) if 0 < info.size == part.offset else FileState(part.offset)

    def _not_there(self, wait: Wait, storage: Any, local: str, info: FileInfo) -> FileState:
        """A row that stood here before keeps what it has; one that has its name from the peer waits for its file."""
        if not wait.fresh and info.state != "unreadable":
            with writing(self.view.alias) as node:
                waits.drop(node.connection, [wait.number])
            return OVER
        if info.state == "unreadable":
            return self._marked(wait, "unreadable", f"the file {wait.name} could not be read at {self.peer}")
        return self._marked(wait, "missing", f"the file {wait.name} is missing at {self.peer}")

    # ------------------------------------------------------------------ contents

    def write(self, number: int, offset: int, pieces: Iterable[bytes]) -> FileState:
        """Take what comes from ``offset`` on; where all is there, into the storage with it.

        What ``pieces`` raises is raised: what came before that is kept. StorageFailed where there is no room.
        """
        known, wants = self._known([number])
        wait = known.get(number)
        if wait is None or wait.size is None:
            return OVER
        info = FileInfo("here", wait.size, wait.digest)
        with reading(self.view.alias) as node:
            part = self._part(node, number, wait.digest)
        part.check_free()
        if part.offset != offset:
            return FileState(part.offset)
        if not part.append(pieces, info.size):
            part.drop()
            return self._marked(wait, "changed", f"{wait.name} {_CHANGED}")
        return self._end(wait, wants[number], info, part) if part.offset == info.size else FileState(part.offset)

    def _part(self, node: NodeRow, number: int, digest: str) -> Part:
        owner = checkpoint_of(node.connection, self.caller.node)
        return Part(node.install, int(owner or 0), f"{number}-{digest[:16]}")

    def _end(self, wait: Wait, want: FileWant, info: FileInfo, part: Part) -> FileState:
        """All has come: verified, saved, verified again, and the row told of its name."""
        local = want.place[1]
        try:
            with part.taken() as path:
                if _digest(path, want.salt) != info.digest:
                    return self._marked(wait, "changed", f"{wait.name} {_CHANGED}")
                saved = self._save(wait, want, info, path)
        except StorageFailed as error:
            return self._failed(wait, error)
        if saved is None:
            return self._marked(wait, "storage", f"{wait.name} reads otherwise than it was written")
        return self._named(wait, local, saved)

    def _save(self, wait: Wait, want: FileWant, info: FileInfo, path: Path) -> str | None:
        """The name under which it stands in the storage now; None where it does not stand there as it was written."""
        field, local = self._field(wait), want.place[1]
        if exists(field.storage, local) and _equal(field.storage, local, want.salt, info):
            return str(local)
        with path.open("rb") as file:
            saved = save(field, local, File(file))
        if _equal(field.storage, saved, want.salt, info):
            return saved
        delete(field.storage, saved)
        return None

    def _named(self, wait: Wait, local: str, saved: str) -> FileState:
        """The row's column and the name as it travels; where the row has another file by now, this one is nobody's."""
        for pause in (*PAUSES, None):
            try:
                with writing(self.view.alias) as node:
                    if saved == local or self._rename(node, wait, local, saved):
                        waits.arrived(node.connection, wait)
                        return OVER
                break
            except Busy:
                if pause is None:
                    delete(self._field(wait).storage, saved)
                    raise
                time.sleep(pause)
        delete(self._field(wait).storage, saved)
        return OVER

    def _rename(self, node: NodeRow, wait: Wait, local: str, saved: str) -> bool:
        model = self.view.registry.models[wait.model]
        column = model.file_field(wait.field).column
        quote = node.connection.ops.quote_name
        where, parameters = model.local.among(node.connection, [wait.pk])
        with capture.off(node.connection, [model.table]), node.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {quote(model.table)} SET {quote(column)} = %s WHERE {quote(column)} = %s AND {where}",
                [saved, local, *parameters],
            )
            changed = bool(cursor.rowcount)
        if changed and saved != wait.name:
            localnames.note(node.connection, wait.model, wait.field, wait.pk, wait.name, saved)
        return changed

    def _field(self, wait: Wait) -> Any:
        return self.view.registry.models[wait.model].file_field(wait.field).raw.field

    # ------------------------------------------------------------------ what became of it

    def _arrived(self, wait: Wait) -> FileState:
        with writing(self.view.alias) as node:
            waits.arrived(node.connection, wait)
        return OVER

    def _marked(self, wait: Wait, reason: str, detail: str) -> FileState:
        with writing(self.view.alias) as node:
            waits.mark(node.connection, wait.number, reason, detail)
        return OVER

    def _failed(self, wait: Wait, error: StorageFailed) -> FileState:
        """One file that cannot be stored keeps nobody else's from coming; a full disk does."""
        if error.extra.get("full"):
            raise error
        return self._marked(wait, "storage", error.detail)


_MORE = 'more than this node takes (LIMITS["FILE"])'
_CHANGED = "was changed while it was read; it is fetched again at the next sync"


def _equal(storage: Any, name: str, salt: str, info: FileInfo) -> bool:
    """Whether that very content stands there; what has another size is not read."""
    try:
        return size(storage, name) == info.size and measured(storage, name, salt) == (info.size, info.digest)
    except NoSuchFile:
        return False


def _digest(path: Path, salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    with path.open("rb") as file:
        for piece in _chunks(file):
            digest.update(piece)
    return digest.hexdigest()


def _chunks(file: Any) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece
