"""The table FileWait, page by page: which files are still to come, what is asked for, and what became of them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from peersync.file_records import FilePage, FileWant
from peersync.filenames import is_default
from peersync.files.noting import checkpoint_of, scan
from peersync.files.parts import tidy
from peersync.files.storages import trusted
from peersync.localnames import columns_of
from peersync.records import Caller
from peersync.rows import Reader
from peersync.states import list_parameter, text_list
from peersync.transactions import NodeRow, writing
from peersync.views import View

PAGE = 200
"""Files that a source is asked for at a time."""


class Wait(NamedTuple):
    """One record; size and digest as the source has told, once it has."""

    number: int
    model: str
    pk: str
    field: str
    name: str
    fresh: bool
    size: int | None = None
    digest: str = ""


# ---------------------------------------------------------------------- what a source is asked for


def page(view: View, caller: Caller, fields: Mapping[str, Sequence[str]], after: int) -> FilePage:
    """The next files to ask the caller for; ``fields``: those whose files both sides synchronise, per model.

    Goes through a bounded number of rows; a page may be empty and not the last one.
    """
    models = {label: view.registry.models[label] for label in fields if label in view.registry.models}
    wanted = {label: [name for name in model.files if name in fields[label]] for label, model in models.items()}
    with writing(view.alias) as node:
        checkpoint = checkpoint_of(node.connection, caller.node)
        if checkpoint is None:
            return FilePage((), after, done=True)
        found = _next(node.connection, checkpoint, after)
        if not found and not caller.blind and scan(node.connection, checkpoint, models, wanted):
            return FilePage((), after, done=False)
        if not found:
            if not some(node.connection, checkpoint):
                tidy(node.install, checkpoint)
            return FilePage((), after, done=True, waiting=_listed(node.connection, checkpoint, wanted))
        wants = _wants(node, view, caller, [wait for wait in found if wait.field in wanted.get(wait.model, ())])
        return FilePage(tuple(wants), found[-1].number, done=False)


def _next(connection: Any, checkpoint: int, after: int) -> list[Wait]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, model, pk_text, field, name, fresh FROM peersync_filewait"
            f" WHERE checkpoint_id = %s AND id > %s ORDER BY id LIMIT {PAGE}",
            [checkpoint, after],
        )
        return [Wait._make((*row, None, "")) for row in cursor.fetchall()]


def _listed(connection: Any, checkpoint: int, wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT model, count(*) FROM peersync_filewait WHERE checkpoint_id = %s AND listed GROUP BY model",
            [checkpoint],
        )
        return {label: number for label, number in cursor.fetchall() if wanted.get(label)}


def _wants(node: NodeRow, view: View, caller: Caller, found: Sequence[Wait]) -> list[FileWant]:
    by_model: dict[str, list[Wait]] = {}
    for wait in found:
        by_model.setdefault(wait.model, []).append(wait)
    wants = [want for label, waits in by_model.items() for want in _of_model(node, view, caller, label, waits)]
    return sorted(wants, key=lambda want: want.number)


def _of_model(node: NodeRow, view: View, caller: Caller, label: str, waits: Sequence[Wait]) -> list[FileWant]:
    """What is asked for; what is not worth asking for any more is taken off the list."""
    model, pks = view.registry.models[label], {wait.pk for wait in waits}
    rows = Reader(node.connection, model).by_pk(pks)
    held = columns_of(node.connection, model, model.file_fields, pks)
    hidden = view.kept_from(node, caller.node, label, pks)
    # who may not write a row gives it no file; a name that it gave the row when it might still waits for its file
    refused = view.refused(label, pks) if caller.pushed or caller.name else set()
    fields: dict[str, Any] = {field.name: field.raw.field for field in model.file_fields}
    wants, over = [], []
    for wait in waits:
        row, field = rows.get(wait.pk), fields[wait.field]
        says = None if row is None else row.content[model.names.index(wait.field)]
        closed = not wait.fresh and (caller.blind or wait.pk in hidden or wait.pk in refused)
        if row is None or says != wait.name or is_default(field, wait.name) or closed:
            over.append(wait.number)
            continue
        if wait.pk in hidden:
            continue  # nothing is asked for, and nobody is given what the name stands for
        local = held[wait.pk][wait.field]
        if why := trusted(field, wait.name) or trusted(field, local):
            if not wait.fresh:
                over.append(wait.number)
                continue
            mark(node.connection, wait.number, "name", f"{wait.name[:200]}: {why}")
            continue
        place = (field.storage, local)
        salt = _salt(node, caller, wait)
        wants.append(FileWant(wait.number, label, row.key, wait.field, wait.name, salt, place))
    drop(node.connection, over)
    return wants


def _salt(node: NodeRow, caller: Caller, wait: Wait) -> str:
    """The same at each asking, so that what has come so far is good for the next time; no peer can know it before."""
    text = f"file\0{caller.node}\0{wait.model}\0{wait.pk}\0{wait.field}\0{wait.name}"
    return hmac.new(node.secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


# ---------------------------------------------------------------------- what became of them


def of(view: View, caller: Caller, numbers: Iterable[int]) -> tuple[dict[int, Wait], dict[int, FileWant]]:
    """The records of these numbers, as far as they are the caller's and still to come, and what they ask for."""
    with writing(view.alias) as node:
        checkpoint = checkpoint_of(node.connection, caller.node)
        if checkpoint is None:
            return {}, {}
        with node.connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, model, pk_text, field, name, fresh, size, digest FROM peersync_filewait"
                " WHERE checkpoint_id = %s AND " + text_list(node.connection, "id"),
                [checkpoint, list_parameter(node.connection, list(numbers))],
            )
            found = [Wait._make(row) for row in cursor.fetchall()]
        open_here = [w for w in found if (m := view.registry.models.get(w.model)) is not None and w.field in m.files]
        wants = {want.number: want for want in _wants(node, view, caller, open_here)}
        return {wait.number: wait for wait in open_here if wait.number in wants}, wants


def mark(connection: Any, number: int, reason: str, detail: str) -> None:
    """It waits on, listed, with this reason."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE peersync_filewait SET reason = %s, detail = %s, listed = %s, tried = tried + 1 WHERE id = %s",
            [reason, detail[:2000], True, number],
        )


def expect(connection: Any, number: int, size: int, digest: str) -> None:
    """The source has told what is to come."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE peersync_filewait SET size = %s, digest = %s WHERE id = %s", [size, digest, number])


def arrived(connection: Any, wait: Wait) -> None:
    """The row has its file, whoever else it was to come from too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM peersync_filewait WHERE model = %s AND pk_text = %s AND field = %s AND name = %s",
            [wait.model, wait.pk, wait.field, wait.name],
        )


def hand_over(connection: Any, former: int, now: int) -> None:
    """The source bears another id now: it owes the files that it owed under the former one."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM peersync_filescan WHERE checkpoint_id = %s", [former])
        cursor.execute(
            "UPDATE peersync_filewait SET checkpoint_id = %s WHERE checkpoint_id = %s AND NOT EXISTS"
            " (SELECT 1 FROM peersync_filewait o WHERE o.checkpoint_id = %s AND o.model = peersync_filewait.model"
            " AND o.pk_text = peersync_filewait.pk_text AND o.field = peersync_filewait.field)",
            [now, former, now],
        )
        cursor.execute("DELETE FROM peersync_filewait WHERE checkpoint_id = %s", [former])


def some(connection: Any, checkpoint: int) -> bool:
    """Whether anything is to come from that source."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_filewait WHERE checkpoint_id = %s LIMIT 1", [checkpoint])
        return cursor.fetchone() is not None


def drop(connection: Any, numbers: Iterable[int]) -> None:
    """These wait no longer."""
    numbers = list(numbers)
    if numbers:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM peersync_filewait WHERE " + text_list(connection, "id"),
                [list_parameter(connection, numbers)],
            )
