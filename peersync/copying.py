"""COPY on PostgreSQL, as each of the two drivers that Django knows wants it: psycopg 3, and psycopg2."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


def copy_out(connection: Any, query: str, parameters: Sequence[Any], at_most: int) -> bytes | None:
    """The rows of a SELECT as lines of COPY's text format; None where they have more than ``at_most`` bytes."""
    kept = _Bounded(at_most)
    statement = f"COPY ({query}) TO STDOUT"
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if hasattr(cursor, "copy_expert"):
            cursor.copy_expert(cursor.mogrify(statement, parameters).decode(), kept)
        else:
            with cursor.copy(statement, parameters) as pieces:
                for piece in pieces:
                    kept.write(piece)
    return kept.data


def copy_in(connection: Any, table: str, columns: str, data: bytes) -> int:
    """Put lines of COPY's text format into the table (both names quoted); returns how many rows came in.

    Raises Django's DatabaseError for whatever the database refuses.
    """
    statement = f"COPY {table} ({columns}) FROM STDIN"
    with connection.cursor() as cursor:
        with connection.wrap_database_errors:
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(statement, io.BytesIO(data))
            else:
                with cursor.copy(statement) as pieces:
                    pieces.write(data)
        return int(cursor.rowcount)


def escaped(text: str | None) -> str:
    """A value, as the database writes it as text, as COPY's text format has it."""
    if text is None:
        return "\\N"
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


class _Bounded:
    """A file that forgets everything when it grows too long: an answer that has begun has to be read to its end."""

    def __init__(self, at_most: int) -> None:
        self._parts: list[bytes] = []
        self._left = at_most

    def write(self, part: Any) -> int:
        self._left -= len(part)
        if self._left < 0:
            self._parts.clear()
        else:
            self._parts.append(bytes(part))
        return len(part)

    @property
    def data(self) -> bytes | None:
        return None if self._left < 0 else b"".join(self._parts)
