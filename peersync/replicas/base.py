"""The five verbs that a transfer is made of, as a protocol: a database answers them, HTTP carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from peersync.file_records import FileInfo, FilePage, FileState, FileWant
from peersync.records import (
    Batch,
    Caller,
    Description,
    Digest,
    Key,
    Outcome,
    Point,
    Progress,
    Range,
)

T = TypeVar("T")


class Replica(Protocol):
    """A node that can be read from and written to. Every method may raise any :class:`peersync.errors.PeersyncError`.

    ``caller`` says who asks; the replica refuses a caller who has seen a point of its history that it does not know.
    """

    name: str
    """What the user calls it: an alias, or a name in PEERS."""

    def describe(self, caller: Caller | None = None) -> Description:
        """Who I am, what I synchronise with the caller, and what I have seen of the caller's history.

        With a caller it is the handshake: I learn the ids that he knows to be given up, and take a new id first where
        my history was rewound (a point that he has seen is not mine any more) or my id is one of those. Idempotent.
        """
        ...

    def snapshot(self, caller: Caller, model: str, head: Point | None, after: str | None, limit: int) -> Batch:
        """A page of all rows and tombstones of ``model``, in key order. ``head`` None: the first page, which fixes it."""
        ...

    def changes(
        self, caller: Caller, models: Sequence[str], cursor: Point, head: Point | None, limit: int, wait: float = 0
    ) -> Batch:
        """The next batch of my feed after ``cursor`` and up to ``head`` (None: as it stands now).

        Raises CursorUnknown where the cursor is no place of my history, or was pruned.
        """
        ...

    def digests(
        self, caller: Caller, model: str, ranges: Sequence[Range], parts: int, fields: Sequence[str] | None = None
    ) -> list[Digest]:
        """Each range cut into ``parts`` of about equal length, with a digest of each.

        ``fields``: those to compare, which both sides synchronise; all where None. Raises UnknownField, and WireError
        for a bound that is no key of the model.
        """
        ...

    def apply(self, caller: Caller, batch: Batch) -> Outcome:
        """Take the batch in: rows, row states and the checkpoint in one transaction.

        Raises StaleBatch where the batch does not start at the checkpoint; nothing is written then.
        """
        ...

    def checkpoint(self, caller: Caller) -> dict[str, Progress]:
        """How far I have consumed the caller's feed, per model."""
        ...

    def rows(self, caller: Caller, model: str, keys: Iterable[Key]) -> Batch:
        """The rows of these keys, in their order, as they stand now; kind ``none`` for what has neither row nor state.

        Raises WireError where there is no key, or one that is not of the form that the model's keys have.
        """
        ...

    # ------------------------------------------------------------------ contents of files

    def file_wants(self, caller: Caller, fields: Mapping[str, Sequence[str]], after: int) -> FilePage:
        """As a target: which files of the caller's rows have not come here yet, behind that number.

        ``fields``: per model those whose files both sides synchronise.
        """
        ...

    def file_infos(self, caller: Caller, wants: Sequence[FileWant]) -> list[FileInfo]:
        """As a source: what stands here of these files, in order; of the first ones only where reading them takes long.

        A row that the caller may not see is as one that does not stand here. Raises UnknownModel, UnknownField, WireError.
        """
        ...

    def file_offers(self, caller: Caller, offers: Sequence[tuple[int, FileInfo]]) -> list[FileState]:
        """As a target, told by number what the source has: what of each is to be sent. Raises StorageFailed."""
        ...

    def file_read(self, caller: Caller, want: FileWant, offset: int, take: Callable[[Iterator[bytes]], T]) -> T:
        """As a source: what ``take`` makes of the contents from ``offset`` on, or of as much of them as comes in one go.

        Raises FileUnreadable.
        """
        ...

    def file_write(self, caller: Caller, number: int, offset: int, pieces: Iterator[bytes]) -> FileState:
        """As a target: take contents in from ``offset`` on; what is still to be sent then. Raises StorageFailed.

        What ``pieces`` raises is raised; what had come is kept.
        """
        ...
