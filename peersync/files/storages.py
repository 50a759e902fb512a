"""What is asked of a Django storage, and nothing else: no path, no seek; its errors in our words."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage
from django.utils.crypto import get_random_string

from peersync.errors import StorageFailed
from peersync.filenames import static_prefix, why_refused

CHUNK = 1 << 18
"""Bytes that are in memory at a time."""

logger = logging.getLogger("peersync.files")


class NoSuchFile(Exception):
    """The storage has no file of that name."""


def trusted(field: Any, name: str) -> str:
    """Why the file of that name is not to be touched; empty where it lies where the field puts its files."""
    return why_refused(field, name) or _strays(field, name)


def _strays(field: Any, name: str) -> str:
    """A symbolic link below ``upload_to`` may lead anywhere; one on the way there is the owner's own."""
    storage = field.storage
    if not isinstance(storage, FileSystemStorage):
        return ""
    top = os.path.realpath(os.path.join(storage.location, *static_prefix(field)))  # noqa: PTH118  # as the storage does
    found = os.path.realpath(os.path.join(storage.location, *name.split("/")))  # noqa: PTH118
    return "" if found.startswith(top + os.sep) else "a symbolic link leads out of where the field puts its files"


@contextmanager
def opened(storage: Any, name: str) -> Iterator[Any]:
    """The file, to be read from its start. Raises NoSuchFile; StorageFailed for whatever else the storage raises."""
    try:
        found = storage.open(name, "rb")
    except (FileNotFoundError, SuspiciousFileOperation, NotADirectoryError, IsADirectoryError):
        raise NoSuchFile from None
    except Exception as error:
        if not exists(storage, name):
            raise NoSuchFile from None
        raise failed(name, error) from error
    try:
        yield found
    finally:
        found.close()


def pieces(storage: Any, name: str, offset: int = 0) -> Iterator[bytes]:
    """The contents from ``offset`` on, a chunk at a time. Raises NoSuchFile, StorageFailed."""
    with opened(storage, name) as file:
        try:
            left = _skip(file, offset)
            while left == 0 and (piece := file.read(CHUNK)):
                yield piece
        except OSError as error:
            raise failed(name, error) from error


def _skip(file: Any, offset: int) -> int:
    """Go to the offset; by reading where the file cannot seek. How many bytes the file is too short for that."""
    seekable = getattr(file, "seekable", None)
    if offset and seekable is not None and seekable():
        file.seek(offset)
        return 0
    while offset and (piece := file.read(min(CHUNK, offset))):
        offset -= len(piece)
    return offset


def measured(storage: Any, name: str, salt: str) -> tuple[int, str]:
    """Size in bytes, and SHA-256 of salt and content. Raises NoSuchFile, StorageFailed."""
    digest, size = hashlib.sha256(salt.encode()), 0
    for piece in pieces(storage, name):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def exists(storage: Any, name: str) -> bool:
    """Raises StorageFailed."""
    try:
        return bool(storage.exists(name))
    except SuspiciousFileOperation:
        return False
    except Exception as error:
        raise failed(name, error) from error


def size(storage: Any, name: str) -> int:
    """Bytes. Raises NoSuchFile, StorageFailed."""
    try:
        return int(storage.size(name))
    except (FileNotFoundError, SuspiciousFileOperation):
        raise NoSuchFile from None
    except Exception as error:
        raise failed(name, error) from error


def save(field: Any, name: str, content: Any) -> str:
    """Save under this name, or under a free one where another file has it; the name that it has now.

    Raises StorageFailed. The free name is our own choice: some storages overwrite, and others delete what is in the way
    when they are asked for a name.
    """
    storage = field.storage
    if exists(storage, name):
        name = _free(field, name)
    try:
        return str(storage.save(name, content, max_length=field.max_length))
    except Exception as error:
        raise failed(name, error) from error


def _free(field: Any, name: str) -> str:
    directory, base = posixpath.split(name)
    root, extension = posixpath.splitext(base)
    longest = field.max_length
    while True:
        end = f"_{get_random_string(7)}{extension}"
        room = None if longest is None else longest - len(posixpath.join(directory, end))
        if room is not None and room < 1:
            raise StorageFailed(f"There is no room in max_length for a free name beside {name!r}.")
        tried = posixpath.join(directory, f"{root if room is None else root[:room]}{end}")
        if not exists(field.storage, tried):
            return tried


def delete(storage: Any, name: str) -> None:
    """Raises nothing: what is left over does no harm."""
    try:
        storage.delete(name)
    except Exception:
        logger.warning("The file %r could not be deleted again.", name, exc_info=True)


FULL = (errno.ENOSPC, errno.EDQUOT)


def failed(name: str, error: BaseException) -> StorageFailed:
    """What the storage raised, without its inside: that stands in the log."""
    if isinstance(error, OSError) and error.errno in FULL:
        return StorageFailed(
            f"There is no room for the file {name!r}: {os.strerror(error.errno or 0)}.",
            hint="Make room for the storage and for FILE_UPLOAD_TEMP_DIR; the next sync goes on.",
            full=True,
        )
    logger.warning("The storage failed with the file %r.", name, exc_info=error)
    return StorageFailed(
        f"The storage failed with the file {name!r} ({type(error).__name__}).", hint="Its log says why."
    )
