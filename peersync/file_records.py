"""What two replicas say to each other about the contents of files. Frozen, with nothing of a database or of HTTP in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from peersync.records import Key

Found = Literal["here", "same", "missing", "none", "unreadable"]


@dataclass(frozen=True, slots=True)
class FileWant:
    """A file that a target waits for. ``number``: of its record there; ``name``: as it travels.

    ``salt``: what the source begins its digest with. Who has the digest of a file, but not the file, cannot answer.
    """

    number: int
    model: str
    key: Key
    field: str
    name: str
    salt: str
    place: Any = None
    """Within one process: the storage and the name in it, so that nothing is copied onto itself."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a source says of a file that was asked for.

    ``here``, with size in bytes and SHA-256 of salt and content; ``same``: it stands where it is wanted; ``missing``:
    its storage has no such file (yet); ``unreadable``: the storage failed; ``none``: no such row, field or name for this
    caller.
    """

    state: Found
    size: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """What a target says of a file that it was told of: ``offset`` bytes of it have come; None: nothing is to be sent."""

    offset: int | None = None


@dataclass(frozen=True, slots=True)
class FilePage:
    """The next files that a target waits for, and the number behind which the following page begins.

    ``waiting``: on the last page (``done``), how many wait still because something is wrong, per model.
    """

    wants: tuple[FileWant, ...]
    after: int
    done: bool
    waiting: Mapping[str, int] = field(default_factory=dict)
