"""Row states: reading and writing the table RowState in sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from peersync.versions import State

COLUMNS = (
    "model",
    "pk_text",
    "own",
    "changed",
    "others",
    "stamp",
    "author",
    "sender",
    "seq",
    "deleted",
    "pre",
    "gone",
    "key",
    "earlier",
    "fields",
    "gaps",
)
SELECT = ", ".join(f's."{name}"' for name in COLUMNS)
_TYPES = [
    "text",
    "text",
    "bigint",
    "bool",
    "text",
    "bigint",
    "text",
    "text",
    "bigint",
    "bool",
    "bool",
    "bool",
    "text",
    "text",
    "text",
    "text",
]
CHUNK = 5000


def state_from(values: Sequence[Any]) -> State:
    """A state from a row of :data:`SELECT`."""
    (model, pk, own, changed, others, stamp, author, sender, seq, deleted, pre, gone, key, earlier, fields, gaps) = (
        values
    )
    return State(
        model,
        pk,
        own,
        bool(changed),
        json.loads(others) if others != "{}" else {},
        stamp,
        author,
        sender,
        seq,
        bool(deleted),
        bool(pre),
        bool(gone),
        key,
        earlier,
        fields,
        gaps,
        True,
    )


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def text_list(connection: Any, expression: str) -> str:
    """``expression IN (a list given as one parameter)``; the parameter is :func:`list_parameter`'s."""
    if connection.vendor == "postgresql":
        return f"{expression} = ANY(%s)"
    return f"{expression} IN (SELECT value FROM json_each(%s))"


def list_parameter(connection: Any, values: Iterable[Any]) -> Any:
    return list(values) if connection.vendor == "postgresql" else json.dumps(list(values))


def load(connection: Any, model: str, pks: Iterable[str]) -> dict[str, State]:
    """The states of these rows, by primary key."""
    return _load(connection, model, "pk_text", pks, "")


def load_tombstones(connection: Any, model: str, keys: Iterable[str]) -> dict[str, State]:
    """The tombstones that had these wire keys, by key."""
    found = _load(connection, model, "key", keys, " AND s.deleted")
    return {str(state.key): state for state in found.values()}


def _load(connection: Any, model: str, column: str, values: Iterable[str], more: str) -> dict[str, State]:
    found = {}
    with connection.cursor() as cursor:
        for part in chunks(list(values)):
            cursor.execute(
                f"SELECT {SELECT} FROM peersync_rowstate s WHERE s.model = %s AND "
                + text_list(connection, f's."{column}"')
                + more,
                [model, list_parameter(connection, part)],
            )
            found.update({row[1]: state_from(row) for row in cursor.fetchall()})
    return found


def _values(state: State) -> list[Any]:
    return [
        state.model,
        state.pk,
        state.own,
        state.changed,
        json.dumps(state.others) if state.others else "{}",
        state.stamp,
        state.author,
        state.sender,
        state.seq,
        state.deleted,
        state.pre,
        state.gone,
        state.key,
        state.earlier,
        state.fields,
        state.gaps,
    ]


def save(connection: Any, states: Iterable[State]) -> None:
    """Write the states, in place of what stood there."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    update = ", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS[2:])
    tail = f" ON CONFLICT (model, pk_text) DO UPDATE SET {update}"
    insert = f"INSERT INTO peersync_rowstate ({names}) "
    rows = sorted((_values(state) for state in states), key=lambda values: (values[0], values[1]))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for part in chunks(rows):
                select, parameters = as_rows(list(zip(*part, strict=True)), _TYPES)
                cursor.execute(f"{insert}{select}{tail}", parameters)
        elif rows:
            cursor.executemany(f"{insert}VALUES ({', '.join(['%s'] * len(COLUMNS))}){tail}", rows)


def as_rows(columns: Sequence[Sequence[Any]], types: Sequence[str]) -> tuple[str, list[Any]]:
    """PostgreSQL: a SELECT that gives these columns as rows. What is the same in all rows is sent once.

    Two thirds of the cost of writing states were the arrays on their way.
    """
    values, arrays, single, many = [], [], [], []
    for place, (column, kind) in enumerate(zip(columns, types, strict=True)):
        if place and column.count(column[0]) == len(column):
            values.append(f"%s::{kind}")
            single.append(column[0])
        else:
            values.append(f"u.c{place}")
            arrays.append((f"c{place}", f"%s::{kind}[]"))
            many.append(list(column))
    names, marks = zip(*arrays, strict=True)
    source = f"unnest({', '.join(marks)}) AS u({', '.join(names)})"
    return f"SELECT {', '.join(values)} FROM {source}", [*single, *many]


def place(connection: Any, states: Iterable[State]) -> None:
    """Write the places in the feed (``own``, ``changed``, ``seq``) of states that are otherwise as they are stored.

    Those that are not stored yet are written whole.
    """
    found = list(states)
    save(connection, [state for state in found if not state.stored])
    rows = [(s.own, s.changed, s.seq, s.model, s.pk) for s in found if s.stored]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for part in chunks(rows):
                select, parameters = as_rows(
                    list(zip(*part, strict=True)), ["bigint", "bool", "bigint", "text", "text"]
                )
                cursor.execute(
                    "UPDATE peersync_rowstate s SET own = v.own, changed = v.changed, seq = v.seq"
                    f" FROM ({select}) AS v(own, changed, seq, model, pk) WHERE s.model = v.model AND s.pk_text = v.pk",
                    parameters,
                )
        elif rows:
            cursor.executemany(
                "UPDATE peersync_rowstate SET own = %s, changed = %s, seq = %s WHERE model = %s AND pk_text = %s", rows
            )


def delete(connection: Any, model: str, pks: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for part in chunks(list(pks)):
            cursor.execute(
                "DELETE FROM peersync_rowstate WHERE model = %s AND " + text_list(connection, "pk_text"),
                [model, list_parameter(connection, part)],
            )
