"""Writing in sets what the database may refuse: the rows that it does refuse are found by halves, and named in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction

from peersync.apply.blocks import Block, Place
from peersync.apply.session import Pending, Session
from peersync.transactions import bound_wait

Write = Callable[[Sequence[Pending]], None]

_UNIQUE, _EXCLUSION, _CHECK, _NOT_NULL, _FOREIGN_KEY = "23505", "23P01", "23514", "23502", "23503"
_BUSY = ("55P03", "40P01", "40001")


class Poison(Exception):
    """Rows that the database refused: the set is written again without them."""

    def __init__(self, rows: dict[Place, Block]) -> None:
        super().__init__()
        self.rows = rows


class Clash(Exception):
    """Unique values got into each other's way, or could not be parked: the set is looked at closely, and written again."""


class Unnamed(Exception):
    """A constraint that is checked at the commit is broken; the database does not say by which row."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block


def guarded(session: Session, rows: Sequence[Pending], write: Write, *, clash: str = "") -> None:
    """Write the rows in one savepoint; where that fails, find those that the database refuses, by halves: raises Poison.

    ``clash``: raise Clash instead, and look for nobody, where unique values collide ("unique"), or where any constraint
    is broken ("any").
    """
    if not rows:
        return
    culprits: dict[Place, Block] = {}
    halve(session, rows, write, culprits, clash)
    if culprits:
        raise Poison(culprits)


def halve(
    session: Session, rows: Sequence[Pending], write: Write, culprits: dict[Place, Block], clash: str = ""
) -> None:
    """Write the rows that the database takes; the others are noted in ``culprits``. For k of n, k log n statements."""
    bound_wait(session.node)
    try:
        with transaction.atomic(using=session.node.alias):
            write(rows)
    except (DatabaseError, ValueError, OverflowError, KeyError) as error:
        if collides(error) if clash == "unique" else clash == "any" and isinstance(error, IntegrityError):
            raise Clash from error
        if len(rows) == 1:
            culprits[rows[0].place] = reason(error)
            return
        middle = len(rows) // 2
        halve(session, rows[:middle], write, culprits, clash)
        halve(session, rows[middle:], write, culprits, clash)


# ---------------------------------------------------------------------- what the database says


def collides(error: Exception) -> bool:
    """Whether a unique or an exclusion constraint is broken."""
    if isinstance(error, IntegrityError) and _state(error) is None:
        return "UNIQUE constraint failed" in str(error)
    return _state(error) in (_UNIQUE, _EXCLUSION)


def reason(error: Exception) -> Block:
    """Why the database refuses a row, in words."""
    state = _state(error)
    if state in _BUSY:
        return Block("busy", [], "another transaction holds what the row needs")
    text = str(error).strip().splitlines()
    said = text[0] if text else type(error).__name__
    return Block("constraint", [], _in_words(error, state, said) or said)


def _state(error: Exception) -> str | None:
    cause = error.__cause__
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)


def _in_words(error: Exception, state: str | None, said: str) -> str:
    if isinstance(error, KeyError):
        return "a row that it points to is not here"
    if state is None:
        return _of_sqlite(said)
    found: Any = getattr(error.__cause__, "diag", None)
    name, detail = getattr(found, "constraint_name", None), getattr(found, "message_detail", None)
    if state == _CHECK and name:
        return f"a value is refused by the check constraint {name} of the table {found.table_name}"
    if state == _NOT_NULL:
        return f"the column {found.column_name} of the table {found.table_name} takes no NULL"
    kind = {_UNIQUE: "unique", _EXCLUSION: "exclusion", _FOREIGN_KEY: "foreign key"}.get(state)
    return f"the {kind} constraint {name} refuses it: {detail or said}" if kind and name else ""


def _of_sqlite(said: str) -> str:
    what, _, name = said.partition(" constraint failed: ")
    if what == "CHECK":
        return f"a value is refused by the check constraint {name}"
    if what == "NOT NULL":
        return f"the column {name} takes no NULL"
    return f"the unique constraint over {name} refuses it: another row has these values" if what == "UNIQUE" else ""
