"""Files of the rows that are taken in: which of them are to be fetched, noted in the transaction that writes the rows."""

from __future__ import annotations

from peersync.apply.session import Pending, Session
from peersync.files import noting


def note_files(session: Session, pending: Pending) -> None:
    """The row was written: each name that it had not before stands for a file that has not come yet."""
    model = session.model(pending.row.model)
    content, before = pending.content, pending.local.content
    if content is None or not model.file_fields:
        return
    for field in model.file_fields:
        if field.name not in pending.names:
            continue
        place = pending.names.index(field.name)
        name = content[place]
        if isinstance(name, str) and name and (before is None or before[place] != name):
            source = session.names_from.get((model.label, field.name, name), pending.source)
            session.files.setdefault(source, []).append((model.label, pending.local.pk or "", field.name, name))


def write_files(session: Session) -> None:
    """Into the table, all that was noted so far."""
    for source, places in session.files.items():
        noting.note(session.connection, source, places)
    session.files.clear()
