"""Taking a run of untracked rows in as the database wrote it: straight into the table where nothing stands in its range."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import DatabaseError, transaction

from peersync import capture
from peersync.apply.session import Session
from peersync.apply.write import Writer, forward_sequence
from peersync.codec import key_text
from peersync.errors import WireError
from peersync.records import Bulk, Row
from peersync.registry import SyncModel
from peersync.rows import Reader, local_value
from peersync.snapshot import COPY_SETTINGS

STAGE = "peersync_bulk"


class _Loader:
    def __init__(self, session: Session, bulk: Bulk) -> None:
        self.session, self.bulk = session, bulk
        self.model: SyncModel = session.model(bulk.model)
        self.connection = session.connection
        self.writer = Writer(session, self.model)
        self.reader = Reader(self.connection, self.model)
        self.quote = self.connection.ops.quote_name
        names = tuple(session.batch.fields[bulk.model])
        self.fields = [next(f for f in self.model.fields if f.name == name) for name in names]
        first, last = (key_text(key[0]) for key in (bulk.first, bulk.last))
        mark = self.model.pk.codec(self.connection.vendor).write_sql("%s")
        self.within = f"{self.reader.pk_column} >= {mark} AND {self.reader.pk_column} <= {mark}"
        self.pair = [local_value(self.connection, self.model.pk, pk) for pk in (first, last)]

    def free(self) -> bool:
        """Whether nothing here speaks about the range: no row, no tombstone, nothing noted, nothing that waits."""
        label = self.model.label
        if self.session.node.pruned_seq or self.session.batch.options.get("mirror"):
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
        try:
            with transaction.atomic(using=self.session.node.alias):
                with capture.off(self.connection, [self.model.table]):
                    self._copy() if self.bulk.encoding == "pgcopy" else self._insert()
                self._check()
                if not (self.session.alone and not self.session.batch.filtered):
                    self._states()
        except DatabaseError:
            return False
        if self.model.pk.automatic:
            forward_sequence(self.writer, int(self.bulk.last[0]))
        return True

    def _defaults(self) -> list[tuple[Any, Any]]:
        return self.writer._defaults(self.fields)  # one room: what a row gets that did not come

    def _copy(self) -> None:
        defaults = self._defaults()
        data = self.bulk.data
        if defaults:
            tail = "".join("\t" + _copy_text(value) for _, value in defaults) + "\n"
            data = data.replace(b"\n", tail.encode())
        columns = ", ".join(self.quote(c) for c in [f.column for f in self.fields] + [f.column for f, _ in defaults])
        with self.connection.cursor() as cursor:
            cursor.execute(COPY_SETTINGS)
            cursor.copy_expert(f"COPY {self.reader.table} ({columns}) FROM STDIN", io.BytesIO(data))
            if cursor.rowcount != self.bulk.count:
                raise DatabaseError("the run has another number of rows than it says")

    def _insert(self) -> None:
        defaults = self._defaults()
        columns = [f.column for f in self.fields] + [f.column for f, _ in defaults]
        tail = tuple(value for _, value in defaults)
        rows = [(*row, *tail) for row in self.bulk.data] if tail else self.bulk.data
        marks = ", ".join(["%s"] * len(columns))
        names = ", ".join(self.quote(c) for c in columns)
        with self.connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {self.reader.table} ({names}) VALUES ({marks})", rows)

    def _check(self) -> None:
        """Every parent must stand here, and every row in the range that the page names."""
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for field in self.model.foreign_keys:
                link: Any = field.raw.field
                if field not in self.fields or (self.connection.vendor == "postgresql" and link.db_constraint):
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
            cursor.execute(f"SELECT count(*) FROM {self.reader.table} t WHERE {self.within}", self.pair)
            if cursor.fetchone()[0] != self.bulk.count:
                raise DatabaseError("a row of the run lies outside of the range that it names")

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

    def rows(self) -> Iterator[Row]:
        """The rows of the run, one by one, by way of a temporary table."""
        batch = self.session.batch
        columns = ", ".join(self.quote(f.column) for f in self.fields)
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {STAGE}")
            cursor.execute(f"CREATE TEMPORARY TABLE {STAGE} AS SELECT {columns} FROM {self.reader.table} WHERE 1 = 0")
            if self.bulk.encoding == "pgcopy":
                try:
                    with transaction.atomic(using=self.session.node.alias):
                        cursor.execute(COPY_SETTINGS)
                        cursor.copy_expert(f"COPY {STAGE} ({columns}) FROM STDIN", io.BytesIO(self.bulk.data))
                except DatabaseError as error:
                    raise WireError(
                        f"A run of rows of {self.model.label} is not of the types of its columns."
                    ) from error
            else:
                marks = ", ".join(["%s"] * len(self.fields))
                cursor.executemany(f"INSERT INTO {STAGE} ({columns}) VALUES ({marks})", self.bulk.data)
            reader = Reader(self.connection, self.model, self.fields)
            cursor.execute(f"SELECT {', '.join(reader.columns)} FROM {STAGE} t")
            found = [reader.row(values) for values in cursor.fetchall()]
            cursor.execute(f"DROP TABLE {STAGE}")
        version = dict.fromkeys((batch.source_install, *batch.baselines.get(self.model.label, ())), 0)
        for stored in found:
            yield Row(self.model.label, stored.key, version, stored.content, 0, batch.source_install, base=True)


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
    return list(loader.rows())


def _copy_text(value: Any) -> str:
    """A value as COPY's text format has it."""
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
