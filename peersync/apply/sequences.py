"""Automatic primary keys: the database must not give a number that a row from a peer bears, nor a row one that somebody holds.

Sequences of PostgreSQL are moved forward by drawing from them, like everybody else: a number that was drawn is ours alone, a
sequence never goes back under a writer who draws at the same time, and one that counts in steps stays in its step. Only
over a long way is it set, where nobody can come near the place meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peersync.registry import SyncModel

FAR = 1_000_000
"""Steps of a sequence that are drawn (a third of a second); a longer way is jumped."""


@dataclass(frozen=True, slots=True)
class Counter:
    """The sequence of an automatic key. ``last``: the highest number that it has given."""

    name: str
    last: int
    step: int
    most: int
    may_draw: bool
    may_jump: bool
    accepts: bool
    """Rows may bring a number of their own along, and none is ever given twice."""

    def steps(self, number: int) -> int:
        """How often it has to be drawn from until all that it gives are behind the number."""
        return max(0, (number - self.last) // self.step)

    def gives(self, number: int) -> bool:
        """Whether the number is among those that it gives, sooner or later."""
        return (number - self.last) % self.step == 0


_COUNTER = (
    "SELECT s.name, CASE WHEN has_sequence_privilege(s.name, 'USAGE, SELECT')"
    " THEN pg_sequence_last_value(s.name::regclass) END, q.seqstart, q.seqincrement, q.seqmax,"
    " has_sequence_privilege(s.name, 'USAGE'), has_sequence_privilege(s.name, 'UPDATE'),"
    " has_sequence_privilege(s.name, 'SELECT'),"
    " NOT q.seqcycle AND a.attidentity <> 'a'"
    " FROM (SELECT pg_get_serial_sequence(%s, %s) AS name) s"
    " JOIN pg_sequence q ON q.seqrelid = s.name::regclass"
    " JOIN pg_attribute a ON a.attrelid = %s::regclass AND a.attname = %s"
)


def counter(connection: Any, model: SyncModel) -> Counter | None:
    """The sequence that numbers the model's rows; None where none does that is known to the database, or one that counts down."""
    if connection.vendor != "postgresql" or not model.pk.automatic:
        return None
    table = connection.ops.quote_name(model.table)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTER, [table, model.pk.name] * 2)
        found = cursor.fetchone()
    if found is None or found[3] < 1:
        return None
    name, last, start, step, most, draw, jump, look, accepts = found
    if last is None:
        last = _first(connection, name, start, look) - step
    return Counter(name, last, step, most, draw, jump, accepts)


def _first(connection: Any, name: str, start: int, look: bool) -> int:
    """The number that a sequence gives first which has given none: whoever may not look takes it to begin where it did."""
    if not look:
        return start
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT last_value FROM {name}")
        return int(cursor.fetchone()[0])


def move_past(connection: Any, model: SyncModel, numbers: Iterable[Any]) -> str | None:
    """Move the sequence of an automatic key past numbers that are about to be written. A warning where that is refused."""
    found = counter(connection, model)
    if found is None:
        return None
    highest = max((n for n in numbers if isinstance(n, int) and n <= found.most), default=0)
    steps = found.steps(highest)
    if not steps:
        return None
    if not (found.may_draw and (steps <= FAR or found.may_jump)):
        name = found.name
        return f"The sequence {name} could not be moved past {highest}: GRANT ALL ON SEQUENCE {name} to this role."
    if steps <= FAR:
        _drawn(connection, found, steps, ())
    else:
        _jump(connection, found, highest)
    return None


def own(connection: Any, found: Counter, numbers: set[int]) -> set[int]:
    """Those of the numbers that are ours from now on: the sequence gave none of them to anybody, and never will."""
    mine = {n for n in numbers if not found.gives(n)}
    ahead = {n for n in numbers - mine if n > found.last}
    near = {n for n in ahead if found.steps(n) <= FAR}
    if near and found.may_draw:
        mine |= _drawn(connection, found, found.steps(max(near)), near)
    if (far := ahead - near) and found.may_draw and found.may_jump:
        # whoever drew between our drawing and our setting got one close behind
        beyond = _jump(connection, found, max(far)) + FAR * found.step
        mine |= {n for n in far if n > beyond}
    return mine


def _drawn(connection: Any, found: Counter, steps: int, wanted: Iterable[int]) -> set[int]:
    """Draw so often; those of the numbers that were wanted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n FROM (SELECT nextval(%s) AS n FROM generate_series(1, %s) OFFSET 0) drawn"
            " WHERE n = ANY(%s::bigint[])",
            [found.name, steps, list(wanted)],
        )
        return {n for (n,) in cursor.fetchall()}


def _jump(connection: Any, found: Counter, number: int) -> int:
    """Set the sequence past the number, in its step; the last number that it had given before."""
    place = found.last + found.steps(number) * found.step
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n, setval(%s, greatest(n, %s)) FROM (SELECT nextval(%s) AS n OFFSET 0) drawn",
            [found.name, place, found.name],
        )
        return int(cursor.fetchone()[0])


def draw(connection: Any, model: SyncModel, count: int) -> Sequence[int]:
    """So many numbers that the database would give next. Rows may stand ahead of a sequence: look before they are used."""
    found = counter(connection, model)
    table, pk = connection.ops.quote_name(model.table), connection.ops.quote_name(model.pk.name)
    with connection.cursor() as cursor:
        if found is not None:
            cursor.execute("SELECT nextval(%s) FROM generate_series(1, %s)", [found.name, count])
            return [number for (number,) in cursor.fetchall()]
        cursor.execute(f"SELECT max({pk}) FROM {table}")
        given = [cursor.fetchone()[0]]
        if connection.vendor == "sqlite":
            cursor.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = %s", [model.table])
            given.append(cursor.fetchone()[0])
    first = max((number for number in given if number is not None), default=0) + 1
    reserve(connection, model, first + count - 1)
    return range(first, first + count)


def catch_up(connection: Any, model: SyncModel) -> None:
    """Rows stand ahead of the sequence: move it past them."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max({quote(model.pk.name)}) FROM {quote(model.table)}")
        move_past(connection, model, [number for (number,) in cursor.fetchall()])


def reserve(connection: Any, model: SyncModel, highest: int) -> None:
    """SQLite: rows that the database numbers get numbers above this one. There is one writer, so nobody holds any."""
    if connection.vendor != "sqlite" or not model.pk.automatic:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
        if cursor.fetchone() is None:
            return
        cursor.execute("UPDATE sqlite_sequence SET seq = max(seq, %s) WHERE name = %s", [highest, model.table])
        if not cursor.rowcount:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [model.table, highest])
