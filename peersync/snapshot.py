"""Pages of a snapshot: all rows of a model in the order of their local keys, then its tombstones.

Where a page holds untracked rows only, and the asker takes such a form, it goes as a :class:`~peersync.records.Bulk`
that the database itself writes and reads.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connections

from peersync import bases, localnames, states
from peersync.collecting import Collector, opened
from peersync.copying import copy_out
from peersync.errors import CursorUnknown, WireError
from peersync.feed import header
from peersync.generics import GenericId
from peersync.histories import check_points, known, point_at
from peersync.loose import is_number
from peersync.records import Batch, Bulk, Caller, Point, Row
from peersync.registry import SyncField, SyncModel
from peersync.rows import Reader, Stored, find_model, key_from_json, plain_reference
from peersync.states import chunks, list_parameter, text_list
from peersync.transactions import NodeRow
from peersync.undecoded import reads_by_name
from peersync.versions import State
from peersync.viewpages import rows_in_view, rows_that_left, tombstones_told
from peersync.views import View

TABLE_ROWS = "r"
EXITS = "x"
TOMBSTONES = "t"
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends before the contents of its rows are much longer than this: about half of what a body may have."""
_SHORT = 1000
"""Texts of at most so many characters are not measured: a page of them is short enough."""

_PROBED = 100
"""Where rows have states, mostly the first ones of a page have."""


def bulk_encoding(model: SyncModel, vendor: str, *, filtered: bool) -> tuple[str, ...]:
    """The encodings of Bulk in which the model could travel: only where local values are wire values."""
    if filtered or model.files or not model.plain_key or not all(_plain(field) for field in model.fields):
        return ()
    return ("pgcopy",) if vendor == "postgresql" else ("tuples",)


def bulk_allowed(view: View, model: SyncModel) -> bool:
    """Whether the peer may have the rows, and what they point to, unlooked at: no filter of its has a say in it."""
    if model.file_fields and localnames.any_of(connections[view.alias], model.label):
        return False  # some of its files travel under other names than the columns hold
    return not any(view.filtered(label) for label in (model.label, *(str(f.target) for f in model.foreign_keys)))


def _plain(field: SyncField) -> bool:
    if field.loose and not is_number(field):
        return False
    return not isinstance(field, GenericId) and (field.target is None or plain_reference(field))


def note_reader(node: NodeRow, reader: str) -> None:
    """Remember that somebody takes snapshots from here: from now on what is applied gets row states."""
    if reader not in node.readers:
        node.readers = sorted({*node.readers, reader})
        with node.connection.cursor() as cursor:
            cursor.execute("UPDATE peersync_node SET readers = %s WHERE id = 1", [json.dumps(node.readers)])


def snapshot(
    view: View,
    caller: Caller,
    label: str,
    head: Point | None,
    after: str | None,
    limit: int,
    points: tuple[Point, ...],
) -> Batch:
    """A page behind ``after``. The caller has numbered, and the reader is noted, before.

    Raises CursorUnknown where ``head`` is no place of this history any more, or was pruned.
    """
    model = view.registry.models[label]
    with opened(view, [label]) as node:
        check_points(node, caller.points)
        with node.connection.cursor() as cursor:
            if head is None:
                head = point_at(cursor, node.last_seq)
            elif not known(cursor, [head])[0] or head.seq < node.pruned_seq:
                raise CursorUnknown("The first contact was overtaken: its place in the feed is no more.")
        page = _Page(node, view, caller, model, limit)
        part, place = _place(after)
        read = {TABLE_ROWS: page.rows, EXITS: page.exits, TOMBSTONES: page.tombstones}
        rows, bulk, end = read[part](place)
        common = header(node, view, caller, [label], points)
        options: dict[str, Any] = {"pruned": node.pruned_seq}
        if model.origin and (base := bases.load(node.connection, label).name) is not None:
            options["base"] = base
        return Batch(
            "snapshot",
            start={"head": head if after is not None else None, "after": after},
            end={"head": head, "after": end},
            rows=rows,
            bulk=bulk,
            done=end is None,
            filtered=view.filtered(label),
            options=options,
            **common,
        )


def _place(after: str | None) -> tuple[str, str | None]:
    if after is None:
        return TABLE_ROWS, None
    part, _, place = after.partition(":")
    if part not in (TABLE_ROWS, EXITS, TOMBSTONES):
        raise WireError("'after' is not what a page of this snapshot gave.")
    return part, place if part == TABLE_ROWS else place or None


class _Page:
    """One page: its rows or bulk, and the token of the next one (None: it was the last)."""

    def __init__(self, node: NodeRow, view: View, caller: Caller, model: SyncModel, limit: int) -> None:
        self.node, self.view, self.caller, self.model, self.limit = node, view, caller, model, limit
        self.connection = node.connection
        self.reader = Reader(self.connection, model)
        self.filtered = view.filtered(model.label)

    def _bounded(self, place: str | None) -> tuple[str, list[Any]]:
        if place is None:
            return "", []
        try:
            beyond, parameters = self.model.local.beyond(self.connection, ">", place, "t")
        except ValueError as error:
            raise WireError("'after' is not what a page of this snapshot gave.") from error
        return f" WHERE {beyond}", parameters

    def rows(self, place: str | None) -> tuple[list[Row], Bulk | None, str | None]:
        where, parameters = self._bounded(place)
        if self.caller.bulk:
            found = self._bulk(place)
            if found is not None:
                bulk, last = found
                return [], bulk, f"{TABLE_ROWS}:{last}"
        if self.filtered:
            shown, parameters = rows_in_view(self.view, self.reader, place, self.limit)
            where = f" WHERE {shown}"
        rows, last_pk = self._stored(where, parameters)
        if last_pk is not None:
            return rows, None, f"{TABLE_ROWS}:{last_pk}"
        return rows, None, f"{EXITS}:" if self.filtered and self._any_left() else self._graves_next()

    def exits(self, place: str | None) -> tuple[list[Row], Bulk | None, str | None]:
        """Rows that the peer has, and that left its view."""
        if not self.filtered:
            raise WireError("'after' is not what a page of this snapshot gave.")
        rows, last = self._stored(*self._left(place), self.limit)
        return rows, None, f"{EXITS}:{last}" if last is not None else self._graves_next()

    def _left(self, place: str | None) -> tuple[str, list[Any]]:
        where, parameters = self._bounded(place)
        left, more = rows_that_left(self.view, self.node, self.caller.node, self.reader)
        return f"{where or ' WHERE true'} AND {left}", [*parameters, *more]

    def _any_left(self) -> bool:
        where, parameters = self._left(None)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {self.reader.table} t{where} LIMIT 1", parameters)
            return cursor.fetchone() is not None

    def _stored(self, where: str, parameters: list[Any], most: int | None = None) -> tuple[list[Row], str | None]:
        """A page of rows, and the last local key where more may follow."""
        limit = most or self._fitting(where, parameters)
        with self.connection.cursor() as cursor:
            cursor.execute(f"{self.reader.select()}{where} ORDER BY {self.reader.pk_order} LIMIT {limit}", parameters)
            stored = {row.pk: row for row in self.reader.rows(cursor.fetchall())}
        found_states = states.load(self.connection, self.model.label, stored)
        return self._collect(found_states, stored), list(stored)[-1] if len(stored) == limit else None

    def _collect(self, found: dict[str, Any], stored: dict[str, Stored]) -> list[Row]:
        collector = Collector(self.node, self.view, self.caller, self.model)
        rows = collector.collect(found, stored, stored)
        return [row for row in rows.values() if row is not None]

    def _graves_next(self) -> str | None:
        return f"{TOMBSTONES}:" if self._graves(0, 1)[0] else None

    def _graves(self, place: int, limit: int) -> tuple[dict[str, State], int | None]:
        """Tombstones, and the last place where more may follow."""
        where, parameters = ("true", []) if not self.filtered else tombstones_told(self.caller.node, self.model.label)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {states.SELECT}, s.id FROM peersync_rowstate s WHERE s.model = %s AND s.key IS NOT NULL"
                f" AND s.deleted AND s.id > %s AND {where} ORDER BY s.id LIMIT {limit}",
                [self.model.label, place, *parameters],
            )
            found = cursor.fetchall()
        graves = {row[1]: states.state_from(row[:-1]) for row in found}
        return graves, int(found[-1][-1]) if len(found) == limit else None

    def tombstones(self, place: str | None) -> tuple[list[Row], Bulk | None, str | None]:
        graves, last = self._graves(int(place or 0), self.limit)
        if not self.model.plain_key and not self.model.origin:
            # below a row that got the name of another one, which ended, rows stand under the keys of those that ended with it
            keys = {key_from_json(str(state.key)): pk for pk, state in graves.items()}
            for key in find_model(self.connection, self.model, keys):
                del graves[keys[key]]
        collector = Collector(self.node, self.view, self.caller, self.model)
        rows = [row for row in collector.collect(graves, graves).values() if row is not None]
        return rows, None, None if last is None else f"{TOMBSTONES}:{last}"

    # ------------------------------------------------------------------ length

    def _fitting(self, where: str, parameters: list[Any]) -> int:
        """How many rows the page may have: the limit, or as many as are not too long together, one at least."""
        sizes = [size for field in self.model.fields if (size := self._size(field)) is not None]
        if not sizes:
            return self.limit
        column = self.reader.pk_order
        summed = f"sum({' + '.join(sizes)}) OVER (ORDER BY {column} ROWS UNBOUNDED PRECEDING)"
        page = f"SELECT {summed} AS upto FROM {self.reader.table} t{where} ORDER BY {column} LIMIT {self.limit}"
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*), count(*) FILTER (WHERE upto <= {PAGE_BYTES}) FROM ({page}) page", parameters
            )
            rows, fitting = cursor.fetchone()
        return self.limit if rows == fitting else max(1, int(fitting))

    def _size(self, field: Any) -> str | None:
        """SQL for the length of a column that may be long; of what is stored, where PostgreSQL knows that alone."""
        raw = field.raw
        wire = raw.on(self.connection).wire
        if wire == "text" and (raw.field.max_length or _SHORT + 1) <= _SHORT:
            return None
        if wire not in ("text", "bytes", "json") and not wire.startswith("native"):
            return None
        column = f"t.{self.connection.ops.quote_name(field.column)}"
        if self.connection.vendor != "postgresql":
            return f"coalesce(length(CAST({column} AS BLOB)), 0)"
        known = "octet_length" if wire in ("text", "bytes") else "pg_column_size"
        return f"coalesce({known}({column}), 0)"

    # ------------------------------------------------------------------ bulk

    def _bulk(self, place: str | None) -> tuple[Bulk, str] | None:
        """The page as a run of untracked rows; None where one of them has a state, or was written just now."""
        vendor = self.connection.vendor
        allowed = bulk_allowed(self.view, self.model)
        encodings = set(bulk_encoding(self.model, vendor, filtered=not allowed)) & set(self.caller.bulk)
        bounds = self._bounds(place) if encodings and not reads_by_name(self.connection) else None
        if bounds is None or self._touched(*bounds):
            return None
        first, last = bounds
        rows = self.reader.by_pk([first, last])
        if not all(pk in rows and self.model.local.valid(self.connection, rows[pk].key) for pk in bounds):
            return None
        found = self._copy(first, last) if vendor == "postgresql" else self._tuples(first, last)
        if found is None:
            return None
        data, count = found
        encoding = encodings.pop()
        return Bulk(self.model.label, encoding, count, rows[first].key, rows[last].key, data), last  # type: ignore[arg-type]  # one of the two literals

    def _bounds(self, place: str | None) -> tuple[str, str] | None:
        """The first and the last local key of a full page."""
        where, parameters = self._bounded(place)
        limit = self._fitting(where, parameters)
        unordered = f"SELECT {self.reader.pk_sql} FROM {self.reader.table} t{where} ORDER BY "
        select = f"{unordered}{self.reader.pk_order}"
        with self.connection.cursor() as cursor:
            cursor.execute(f"{select} LIMIT 1", parameters)
            first = cursor.fetchone()
            if first is None:
                return None
            cursor.execute(f"{select} LIMIT 1 OFFSET {limit - 1}", parameters)
            last = cursor.fetchone()
            if last is None:
                back = self.model.local.order(self.connection, "t", back=True)
                cursor.execute(f"{unordered}{back} LIMIT 1", parameters)
                last = cursor.fetchone()
        return first[0], last[0]

    def _within(self, first: str, last: str) -> tuple[str, list[Any]]:
        return self.model.local.within(self.connection, first, last, "t")

    def _touched(self, first: str, last: str) -> bool:
        """Whether a row of the run has a state, or was written just now.

        The keys are given, and nothing is joined: while states are being written neither database knows how many there
        are, and goes through all of them for each row of the run.
        """
        label = self.model.label
        where, pair = self._within(first, last)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM peersync_journal WHERE model = %s LIMIT 1", [label])
            if cursor.fetchone() is not None:
                return True
            cursor.execute("SELECT 1 FROM peersync_rowstate WHERE model = %s LIMIT 1", [label])
            if cursor.fetchone() is None:
                return False
            cursor.execute(
                f"SELECT {self.reader.pk_sql} FROM {self.reader.table} t WHERE {where} ORDER BY {self.reader.pk_order}",
                pair,
            )
            pks = [pk for (pk,) in cursor.fetchall()]
            find = "SELECT 1 FROM peersync_rowstate WHERE model = %s AND " + text_list(self.connection, "pk_text")
            for part in (pks[:_PROBED], *chunks(pks[_PROBED:])):
                cursor.execute(f"{find} LIMIT 1", [label, list_parameter(self.connection, part)])
                if cursor.fetchone() is not None:
                    return True
        return False

    def _select(self, first: str, last: str, column: str) -> tuple[str, list[Any]]:
        """The columns of the run as they stand; ``column``: how each is named, ``{}`` for its quoted name."""
        where, pair = self._within(first, last)
        quote = self.connection.ops.quote_name
        columns = ", ".join(column.replace("{}", quote(f.column)) for f in self.model.fields)
        select = f"SELECT {columns} FROM {self.reader.table} t WHERE {where} ORDER BY {self.reader.pk_order}"
        return select, pair

    def _copy(self, first: str, last: str) -> tuple[bytes, int] | None:
        """None where the rows are much longer than was thought (documents that are stored packed)."""
        select, pair = self._select(first, last, "t.{}")
        data = copy_out(self.connection, select, pair, PAGE_BYTES * 2)
        return None if data is None else (data, data.count(b"\n"))

    def _tuples(self, first: str, last: str) -> tuple[list[Any], int]:
        # the unary plus hides the declared type, which the driver would parse
        select, pair = self._select(first, last, "+t.{}")
        with self.connection.cursor() as cursor:
            cursor.execute(select, pair)
            rows = cursor.fetchall()
        return rows, len(rows)
