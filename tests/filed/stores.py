"""Storages of two nodes in one process, and one that has nothing but what every Django storage must have."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.utils.deconstruct import deconstructible

_current = [os.environ.get("PEERSYNC_TEST_STORE", "a")]


class Counted:
    """A file that goes forward only, and says how much was read of it at once."""

    def __init__(self, data: bytes, store: "Bare") -> None:
        self._data, self._place, self._store = data, 0, store

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "a whole file was read at once"
        self._store.largest = max(self._store.largest, size)
        found = self._data[self._place : self._place + size]
        self._place += len(found)
        self._store.read += len(found)
        if self._store.breaks_at is not None and self._place > self._store.breaks_at:
            self._store.breaks_at = None
            raise OSError("the line to the storage broke")
        return found

    def close(self) -> None:
        pass


class Bare(Storage):
    """As a remote one: no path, no seek, and it overwrites what has the name already."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.largest = self.read = 0
        self.breaks_at: int | None = None

    def _open(self, name: str, mode: str = "rb") -> Any:
        if name not in self.files:
            raise FileNotFoundError(name)
        return Counted(self.files[name], self)

    def _save(self, name: str, content: Any) -> str:
        pieces = []
        while piece := content.read(1 << 16):
            pieces.append(piece)
        self.files[name] = b"".join(pieces)
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        self.files.pop(name, None)  # as many do that want one name to stay one name
        return name

    def exists(self, name: str) -> bool:
        return name in self.files

    def size(self, name: str) -> int:
        return len(self.files[name])

    def delete(self, name: str) -> None:
        self.files.pop(name, None)


def _disk() -> FileSystemStorage:
    return FileSystemStorage(location=os.environ.get("PEERSYNC_TEST_MEDIA") or tempfile.mkdtemp())


@deconstructible(path="tests.filed.stores.Switched")
class Switched(Storage):
    """The storage of the node that is at work."""

    def __init__(self) -> None:
        self.stores: dict[str, Any] = {}

    @property
    def now(self) -> Any:
        return self.of(_current[0])

    def of(self, node: str) -> Any:
        return self.stores.setdefault(node, _disk())

    def open(self, name: str, mode: str = "rb") -> Any:
        return self.now.open(name, mode)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        return str(self.now.save(name, content, max_length=max_length))

    def exists(self, name: str) -> bool:
        return bool(self.now.exists(name))

    def size(self, name: str) -> int:
        return int(self.now.size(name))

    def delete(self, name: str) -> None:
        self.now.delete(name)


store = Switched()


@contextmanager
def at(node: str) -> Iterator[Any]:
    """In here that node is at work; its storage."""
    before, _current[0] = _current[0], node
    try:
        yield store.now
    finally:
        _current[0] = before


KINDS = {"disk": _disk, "memory": InMemoryStorage, "bare": Bare}


def put(node: str, name: str, data: bytes) -> None:
    """A file of that name, without a word to anybody."""
    with at(node) as there:
        if isinstance(there, Bare):
            there.files[name] = data
            return
        if there.exists(name):
            there.delete(name)
        assert there.save(name, File(io.BytesIO(data))) == name


def got(node: str, name: str) -> bytes | None:
    """What stands under the name."""
    with at(node) as there:
        if isinstance(there, Bare):
            return there.files.get(name)
        if not there.exists(name):
            return None
        with there.open(name, "rb") as file:
            return bytes(file.read())
