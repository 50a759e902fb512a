"""Taking a run of untracked rows in as the database wrote it: straight into the table where nothing stands in its range."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, transaction

from peersync import capture
from peersync.apply.accepting import bounded
from peersync.apply.defaults import Default, defaults
from peersync.apply.sequences import move_past
from peersync.apply.session import Session
from peersync.apply.write import Writer
from peersync.copying import copy_in, escaped
from peersync.errors import WireError
from peersync.files import noting
from peersync.loose import is_number
from peersync.records import Bulk, Row
from peersync.registry import SyncModel
from peersync.rows import Reader
from peersync.snapshot import bulk_allowed, bulk_encoding

STAGE = "peersync_bulk"


class _Loader:
    """Of one run. Raises WireError where the model may not travel like this."""

    def __init__(self, session: Session, bulk: Bulk) -> None:
        self.session, self.bulk = session, bulk
        self.model: SyncModel = session.model(bulk.model)
        self.connection = session.connection
        self.postgres = self.connection.vendor == "postgresql"
        self._check_form()
        self.writer = Writer(session, self.model)
        self.reader = Reader(self.connection, self.model)
        self.quote = self.connection.ops.quote_name
        by_name = {field.name: field for field in self.model.fields}
        self.fields = [by_name[name] for name in session.batch.fields[bulk.model]]
        self.defaults = defaults(self.connection, self.model, {field.column for field in self.fields})
        self.columns = ", ".join(self.quote(field.column) for field in self.fields)
        first, last = (self.model.local.key_text(key) for key in (bulk.first, bulk.last))
        self.within, self.pair = self.model.local.within(self.connection, first, last, "t")

    def _check_form(self) -> None:
        batch, bulk, label = self.session.batch, self.bulk, self.model.label
        if batch.kind != "snapshot" or batch.rows or label not in batch.fields:
            raise WireError(f"A run of rows of {label} belongs into a page of its snapshot, and stands there alone.")
        if bulk.encoding not in bulk_encoding(self.model, self.connection.vendor, filtered=False):
            raise WireError(f"Rows of {label} cannot be taken in as {bulk.encoding!r} here.")
        if not all(self.model.local.valid(self.connection, key) for key in (bulk.first, bulk.last)):
            raise WireError(f"A run of rows of {label} names a key that is not of its type.")

    def free(self) -> bool:
        """Whether nothing here speaks about the range: no row, no tombstone, nothing noted, nothing that waits."""
        label = self.model.label
        if self.session.node.pruned_seq or self.session.batch.options.get("mirror"):
            return False
        if bounded(self.session, label):
            return False
        if not bulk_allowed(self.session.view, self.model) or any(default.varies for default in self.defaults):
            return False
        queries: list[tuple[str, list[Any]]] = [
            (f"SELECT 1 FROM {self.reader.table} t WHERE {self.within}", self.pair),
            ("SELECT 1 FROM peersync_rowstate WHERE model = %s AND key IS NOT NULL", [label]),
            ("SELECT 1 FROM peersync_rowstate WHERE model = %s AND gone", [label]),
            ("SELECT 1 FROM peersync_journal WHERE model = %s", [label]),
            ("SELECT 1 FROM peersync_quarantine WHERE model = %s", [label]),
        ]
        with self.connection.cursor() as cursor:
            for query, parameters in queries:
                cursor.execute(f"{query} LIMIT 1", parameters)
                if cursor.fetchone() is not None:
                    return False
        return True

    def write(self) -> bool:
        """Put the rows in, with states where somebody else may read; False where the database refuses one of them."""
        warning = move_past(self.connection, self.model, self.bulk.last)
        if warning and warning not in self.session.warnings:
            self.session.warnings.append(warning)
        try:
            with transaction.atomic(using=self.session.node.alias):
                with capture.off(self.connection, [self.model.table]):
                    self._copy() if self.bulk.encoding == "pgcopy" else self._insert()
                self._check()
                if self.model.file_fields:
                    checkpoint = self.session.checkpoint.id
                    noting.note_range(self.connection, checkpoint, self.model, self.within, self.pair)
                if not self._stateless():
                    self._states()
        except DatabaseError:
            return False
        return True

    def _stateless(self) -> bool:
        """Whether the rows may stay untracked here, as for single rows (:mod:`peersync.conflicts`)."""
        batch, node = self.session.batch, self.session.node
        others = node.baseline(self.model.label) - {batch.source_install}
        return self.session.alone and not batch.filtered and not others

    def _copy(self) -> None:
        columns, data = self.columns, self.bulk.data
        left = self.defaults
        if left:
            columns = ", ".join([columns, *(self.quote(default.raw.name) for default in left)])
            tail = "".join(f"\t{escaped(text)}" for text in self._texts(left))
            data = data.replace(b"\n", f"{tail}\n".encode())
        if copy_in(self.connection, self.reader.table, columns, data) != self.bulk.count:
            raise DatabaseError("the run has another number of rows than it says")

    def _texts(self, left: Sequence[Default]) -> list[str | None]:
        """The values as the database writes them."""
        casts = ", ".join(f"CAST(%s AS {default.type})::text" for default in left)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {casts}", [default.value() for default in left])
            return list(cursor.fetchone())

    def _insert(self) -> None:
        """By way of a temporary table: its rows meet indexes and triggers in one statement."""
        left = self.defaults
        columns = ", ".join([self.columns, *(self.quote(default.raw.name) for default in left)])
        values = ", ".join([self.columns, *["%s"] * len(left)])
        with self._staged(), self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self.reader.table} ({columns}) SELECT {values} FROM {STAGE}",
                [default.value() for default in left],
            )

    @contextmanager
    def _staged(self) -> Iterator[None]:
        """The run in a temporary table."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {STAGE}")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {STAGE} AS SELECT {self.columns} FROM {self.reader.table} WHERE 1 = 0"
            )
            if self.bulk.encoding == "pgcopy":
                copy_in(self.connection, STAGE, self.columns, self.bulk.data)
            else:
                marks = ", ".join(["%s"] * len(self.fields))
                cursor.executemany(f"INSERT INTO {STAGE} ({self.columns}) VALUES ({marks})", self.bulk.data)
            yield
            cursor.execute(f"DROP TABLE {STAGE}")

    def _check(self) -> None:
        """Every parent must stand here, and every row in the range that the page names."""
        with self.connection.cursor() as cursor:
            if self.postgres:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for field in self.model.foreign_keys:
                link: Any = field.raw.field
                if field not in self.fields or is_number(field) or (self.postgres and link.db_constraint):
                    continue
                parent = link.related_model._meta
                column = f"t.{self.quote(field.column)}"
                cursor.execute(
                    f"SELECT 1 FROM {self.reader.table} t LEFT JOIN {self.quote(parent.db_table)} p"
                    f" ON p.{self.quote(field.target_column)} = {column}"
                    f" WHERE {self.within} AND {column} IS NOT NULL AND p.{self.quote(field.target_column)} IS NULL"
                    " LIMIT 1",
                    self.pair,
                )
                if cursor.fetchone() is not None:
                    raise DatabaseError("a parent is missing")
            if strange := self._strange():
                cursor.execute(
                    f"SELECT 1 FROM {self.reader.table} t WHERE {self.within} AND ({strange}) LIMIT 1", self.pair
                )
                if cursor.fetchone() is not None:
                    raise DatabaseError("a date is none that Python has")
            cursor.execute(f"SELECT count(*) FROM {self.reader.table} t WHERE {self.within}", self.pair)
            if cursor.fetchone()[0] != self.bulk.count:
                raise DatabaseError("a row of the run lies outside of the range that it names")

    def _strange(self) -> str:
        """SQL for dates that the database takes, and nobody could read again; they are refused as single rows are."""
        bounds = {
            "date": "NOT {} BETWEEN '0001-01-01' AND '9999-12-31'",
            "datetime": "NOT {} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'",
        }
        found = []
        for field in self.fields if self.postgres else ():
            wire, column = field.raw.on(self.connection).wire, f"t.{self.quote(field.column)}"
            if wire in bounds:
                found.append(f"isfinite({column}) AND {bounds[wire].replace('{}', column)}")
            elif wire == "time":
                found.append(f"{column} = '24:00:00'")
        return " OR ".join(found)

    def _states(self) -> None:
        """As for single rows: the version of an untracked row of the source, and who sent it."""
        batch = self.session.batch
        others = dict.fromkeys((batch.source_install, *batch.baselines.get(self.model.label, ())), 0)
        with self.connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO peersync_rowstate (model, pk_text, changed, others, stamp, author, sender, deleted, pre,"
                f" gone) SELECT %s, {self.reader.pk_sql}, %s, %s, 0, %s, %s, %s, %s, %s FROM {self.reader.table} t"
                f" WHERE {self.within}",
                [
                    self.model.label,
                    False,
                    json.dumps(others),
                    batch.source_install,
                    batch.source,
                    False,
                    False,
                    False,
                    *self.pair,
                ],
            )

    def rows(self) -> list[Row]:
        """The rows of the run, one by one."""
        batch = self.session.batch
        reader = Reader(self.connection, self.model, self.fields)
        try:
            with (
                transaction.atomic(using=self.session.node.alias),
                self._staged(),
                self.connection.cursor() as cursor,
            ):
                cursor.execute(f"SELECT {', '.join(reader.columns)} FROM {STAGE} t")
                found = reader.rows(cursor.fetchall())
        except DatabaseError as error:
            raise WireError(f"A run of rows of {self.model.label} is not of the types of its columns.") from error
        version = dict.fromkeys((batch.source_install, *batch.baselines.get(self.model.label, ())), 0)
        return [
            Row(self.model.label, row.key, version, row.content, 0, batch.source_install, base=True) for row in found
        ]


def take_bulk(session: Session) -> Sequence[Row] | None:
    """Take the batch's run in. Returns the rows that have to go the ordinary way: None where all are in."""
    bulk = session.batch.bulk
    if bulk is None:
        return None
    loader = _Loader(session, bulk)
    if not session.batch.options.get("dry_run") and loader.free() and loader.write():
        session.count(bulk.model).created += bulk.count
        session.written.setdefault(bulk.model, [])
        return None
    return loader.rows()
