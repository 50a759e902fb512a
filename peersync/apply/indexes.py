"""What the database itself says of a table: its columns, and all unique indexes, whoever made them, as SQL over those."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class UniqueIndex:
    """``parts``: SQL of each value, over the bare columns; ``condition``: SQL of the rows that it speaks of, or empty."""

    name: str
    parts: tuple[str, ...]
    condition: str = ""
    nulls_equal: bool = False

    @property
    def where(self) -> str:
        return f" WHERE {self.condition}" if self.condition else ""


def unique_indexes(connection: Any, table: str) -> list[UniqueIndex]:
    """Of the table (a name as in ``db_table``), but for its primary key."""
    found = _of_postgres if connection.vendor == "postgresql" else _of_sqlite
    return list(found(connection, table))


def stored_columns(connection: Any, table: str) -> str:
    """All columns of the table, also those that no model knows, but for what the database works out by itself."""
    query, parameter = (
        (_COLUMNS, connection.ops.quote_name(table))
        if connection.vendor == "postgresql"
        else ("SELECT name FROM pragma_table_xinfo(%s) WHERE hidden = 0 ORDER BY cid", table)
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [parameter])
        return ", ".join(connection.ops.quote_name(name) for (name,) in cursor.fetchall())


# ---------------------------------------------------------------------- PostgreSQL

_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""

_INDEXES = """
SELECT c.relname,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k),
       coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       coalesce((to_jsonb(i)->>'indnullsnotdistinct')::bool, false)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %s::regclass AND i.indisunique AND NOT i.indisprimary ORDER BY 1
"""


def _of_postgres(connection: Any, table: str) -> Iterator[UniqueIndex]:
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES, [connection.ops.quote_name(table)])
        for name, parts, condition, nulls_equal in cursor.fetchall():
            yield UniqueIndex(name, tuple(parts), condition, nulls_equal)


def has_exclusions(connection: Any, table: str) -> bool:
    """Whether a constraint keeps rows apart by more than equality: no look-up finds the row in the way."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_index WHERE indrelid = %s::regclass AND indisexclusion LIMIT 1",
            [connection.ops.quote_name(table)],
        )
        return cursor.fetchone() is not None


# ---------------------------------------------------------------------- SQLite


def _of_sqlite(connection: Any, table: str) -> Iterator[UniqueIndex]:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.name, m.sql FROM pragma_index_list(%s) l LEFT JOIN sqlite_master m ON m.name = l.name"
            " AND m.type = 'index' WHERE l.\"unique\" AND l.origin <> 'pk' ORDER BY 1",
            [table],
        )
        for name, sql in cursor.fetchall():
            cursor.execute("SELECT name, coll FROM pragma_index_xinfo(%s) WHERE key ORDER BY seqno", [name])
            columns = cursor.fetchall()
            texts, condition = _read(sql) if sql else ([], "")
            parts = [
                f"{quote(column) if column else f'({text})'} COLLATE {collation}"
                for (column, collation), text in zip(columns, texts or [""] * len(columns), strict=True)
            ]
            label = name if sql else ", ".join(column for column, _ in columns)
            yield UniqueIndex(label, tuple(parts), condition)


_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[(),]|[^'"`\[(),]+""")
_ORDER = re.compile(r"\s+(?:ASC|DESC)\s*$", re.IGNORECASE)
_WHERE = re.compile(r"^\s*WHERE\s+", re.IGNORECASE)


def _read(sql: str) -> tuple[list[str], str]:
    """What a CREATE INDEX is over, part by part, and its condition."""
    parts, depth = [""], 0
    pieces = iter(_TOKENS.findall(sql))
    for piece in pieces:
        depth += (piece == "(") - (piece == ")")
        if depth == 0 and piece == ")":
            break
        if depth == 0 or (depth == 1 and piece == "("):
            continue
        if depth == 1 and piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return [_ORDER.sub("", part.strip()) for part in parts], _WHERE.sub("", "".join(pieces)).strip()
