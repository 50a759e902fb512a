"""The last part of a transfer: the files that rows of the target name, and that have not come there yet.

Each is asked for at the source, offered to the target, and sent from where it stopped. A cut leaves what waits to the
next transfer, and what has come of a file in its place.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from peersync.errors import AnswerCutOff, FileUnreadable, PayloadTooLarge, PeerTimeout, PeerUnavailable, PeerUnreachable
from peersync.file_records import FileInfo, FileState, FileWant
from peersync.moving import Mover

PAUSES = (0.2, 1.0, 3.0)
"""Seconds before a file is gone on with of which nothing more had come."""
READ_AT_ONCE = 64 << 20
"""Bytes of files that a target is asked about in one call, or a single larger one."""
CUT = (AnswerCutOff, PayloadTooLarge, PeerTimeout, PeerUnreachable, PeerUnavailable)


def carry_files(mover: Mover) -> Iterator[None]:
    """Ask, offer, send, page by page; what waits still is counted as quarantine."""
    fields = mover.agreement.files if mover.agreement is not None else {}
    after, done = 0, not fields
    while not done:
        page = mover.target.file_wants(mover.sender, fields, after)
        yield
        after, done = page.after, page.done
        left = list(page.wants)
        while left:
            infos = mover.source.file_infos(mover.asked, left)
            yield
            asked, left = left[: len(infos)], left[len(infos) :]
            for some in _groups(list(zip(asked, infos, strict=True))):
                offers = [(want.number, info) for want, info in some]
                states = mover.target.file_offers(mover.sender, offers)
                yield
                for (want, _), state in zip(some, states, strict=True):
                    yield from _send(mover, want, state)
        for label, number in page.waiting.items():
            mover.count(label).quarantined += number


def _groups(offers: Sequence[tuple[FileWant, FileInfo]]) -> Iterator[list[tuple[FileWant, FileInfo]]]:
    """So many at a time that the target, which may have to read what it has, answers in time."""
    group: list[tuple[FileWant, FileInfo]] = []
    size = 0
    for want, info in offers:
        if group and size + info.size > READ_AT_ONCE:
            yield group
            group, size = [], 0
        group.append((want, info))
        size += info.size
    if group:
        yield group


def _send(mover: Mover, want: FileWant, state: FileState) -> Iterator[None]:
    """One file, from where it stopped. Raises what cut it off where it does not go on after some pauses."""
    pauses = iter(PAUSES)
    while state.offset is not None:
        before = state.offset
        cut: Exception | None = None
        try:
            take = partial(mover.target.file_write, mover.sender, want.number, before)
            state = mover.source.file_read(mover.asked, want, before, take)
        except FileUnreadable:
            state = _again(mover, want, FileInfo("unreadable"))
        except CUT as error:
            cut = error
            state = _again(mover, want, None)
        yield
        if state.offset is not None and state.offset <= before:
            pause = next(pauses, None)
            if pause is None:
                raise cut or AnswerCutOff(f"The file {want.name!r} does not come further than {before} bytes.")
            time.sleep(pause)


def _again(mover: Mover, want: FileWant, info: FileInfo | None) -> FileState:
    """What the target says now: where to go on, after a cut; nothing more, where the source cannot read the file."""
    if info is None:
        infos = mover.source.file_infos(mover.asked, [want])
        info = infos[0] if infos else FileInfo("unreadable")
    found = mover.target.file_offers(mover.sender, [(want.number, info)])
    return found[0] if found else FileState()
