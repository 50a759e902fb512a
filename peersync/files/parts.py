"""Files that are on their way: what has come of one, in a temporary file that outlives a cut. One for each peer.

They lie below FILE_UPLOAD_TEMP_DIR (or the system's own), in a directory that nobody else may enter.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings as django_settings

from peersync.errors import Busy, StorageFailed
from peersync.files.storages import failed

ABANDONED = 600
"""Seconds after which a file that is being put into the storage is taken for given up."""
BEING_STORED = "The file is being put into the storage by another process."


class Part:
    """What has come of one file. ``owner``: of the source's checkpoint; ``mark``: what the file is known by there."""

    def __init__(self, install: str, owner: int, mark: str) -> None:
        self.directory = _directory(install)
        self.owner, self.mark = owner, mark
        self.path = self.directory / f"{owner}-{mark}.part"

    @property
    def offset(self) -> int:
        """Bytes that have come."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def append(self, pieces: Iterable[bytes], most: int) -> bool:
        """Write what comes behind what has; False, with nothing more written, where it comes to more than ``most`` bytes.

        Whatever ``pieces`` raises is raised; what came before that stays. StorageFailed where the disk fails.
        """
        self._drop_others()
        left = most - self.offset
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            file = os.fdopen(os.open(self.path, flags, 0o600), "ab")
        except OSError as error:
            raise failed(self.path.name, error) from error
        with file:
            for piece in pieces:
                left -= len(piece)
                if left < 0:
                    return False
                try:
                    file.write(piece)
                    file.flush()
                except OSError as error:
                    raise failed(self.path.name, error) from error
        return True

    @contextmanager
    def taken(self) -> Iterator[Path]:
        """All of it, to be read; in here nobody else takes it. It is gone afterwards. Raises Busy where somebody has it."""
        if not self.path.exists():
            self.append((), 0)  # of an empty file nothing ever came
        ours = self.path.with_suffix(".taken")
        self.check_free()
        try:
            self.path.rename(ours)
        except FileNotFoundError:
            raise Busy(BEING_STORED) from None
        try:
            yield ours
        except StorageFailed:
            ours.rename(self.path)  # it is all there, for the next time
            raise
        except BaseException:
            ours.unlink(missing_ok=True)
            raise
        ours.unlink(missing_ok=True)

    def check_free(self) -> None:
        """Raises Busy while another process puts it into the storage; one that does not any more left it to us."""
        ours = self.path.with_suffix(".taken")
        try:
            age = time.time() - ours.lstat().st_ctime
        except FileNotFoundError:
            return
        if age < ABANDONED:
            raise Busy(BEING_STORED)
        with suppress(FileNotFoundError):
            ours.rename(self.path)

    def drop(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)

    def _drop_others(self) -> None:
        """Files come one by one: what is left of another one of this peer was given up."""
        drop_all(self.directory, self.owner, keep=self.path)


def tidy(install: str, owner: int) -> None:
    """Nothing is to come from that source any more."""
    drop_all(_place(install), owner)


def drop_all(directory: Path, owner: int, keep: Path | None = None) -> None:
    """Take away what has come of files of this source, but for one."""
    for other in directory.glob(f"{owner}-*.part"):
        if other != keep:
            other.unlink(missing_ok=True)


def _place(install: str) -> Path:
    root = Path(django_settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    return root / f"peersync-files-{install}"


def _directory(install: str) -> Path:
    """Ours alone: another user of the machine may have put something of that name there."""
    path = _place(install)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise failed(str(path), error) from error
    mine = not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or not mine:
        raise StorageFailed(
            f"{path} is not a directory of this process's user alone.",
            hint="Set FILE_UPLOAD_TEMP_DIR to a directory that others cannot write to.",
        )
    return path
