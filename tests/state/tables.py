"""The rows under test, by plain SQL: nothing here knows how peersync reads or writes a row.

A key is ``P1`` (a parent with that primary key) or ``Q1`` (a child). What a row says is the tuple of its
synchronised fields: ``(x, y, u, b)`` of a parent, ``(x, p)`` of a child (``p``: the key of the parent).
Where each node numbers its rows itself (:func:`use`), the number in a key is the row's ``tag``.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db import connections

from tests.state.failure import Failure

Key = str
Content = tuple[Any, ...]

FIELDS = {"P": ("x", "y", "u", "b"), "Q": ("x", "p")}
PLAIN = {"P": "zoo.Parent", "Q": "zoo.Child"}
BORN = {"P": "zoo.Born", "Q": "zoo.BornChild"}
LABEL = dict(PLAIN)
TABLE: dict[str, str] = {}
KIND: dict[str, str] = {}
COLUMN = {"p": "p_id"}
FIRST_TAG = 100
"""Of a row that is made while a history is played; below it stand those of the start."""
MARK = 16
TAGS: dict[tuple[str, str], int] = {}
"""Label and wire key → tag, of each row that was read."""
NEW = {"P": {"x": "a", "y": "y", "u": None, "b": "n"}, "Q": {"x": "a", "p": None}}


class Stored(NamedTuple):
    """A row as it stands: the synchronised fields, and the excluded one."""

    content: Content
    excluded: str


def use(labels: Mapping[str, str]) -> None:
    """These tables are looked at from now on: :data:`PLAIN` or :data:`BORN`."""
    LABEL.update(labels)
    TABLE.update({kind: label.replace(".", "_").lower() for kind, label in labels.items()})
    KIND.clear()
    KIND.update({label: kind for kind, label in labels.items()})
    TAGS.clear()


use(PLAIN)


def born() -> bool:
    return LABEL == BORN


def _id() -> str:
    """The column that the number of a key stands in."""
    return "tag" if born() else "id"


def number(key: Key) -> int:
    return int(key[1:])


def read(connection: Any) -> dict[Key, Stored]:
    """Every row of both tables."""
    return _read_born(connection) if born() else _read(connection)


def _read(connection: Any) -> dict[Key, Stored]:
    found: dict[Key, Stored] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, x, y, u, b, e FROM zoo_parent ORDER BY id")
        for pk, x, y, u, b, e in cursor.fetchall():
            found[f"P{pk}"] = Stored((x, y, u, b), e)
        cursor.execute("SELECT id, x, p_id, e FROM zoo_child ORDER BY id")
        for pk, x, p, e in cursor.fetchall():
            found[f"Q{pk}"] = Stored((x, f"P{p}"), e)
    return found


def _read_born(connection: Any) -> dict[Key, Stored]:
    """By their tags; two rows with one tag are one that was made twice."""
    found: dict[Key, Stored] = {}

    def add(key: Key, named: tuple[str, int], row: Stored) -> None:
        if key in found:
            raise Failure("one row twice", f"{key}: {found[key]} and {row}")
        found[key] = row
        if len(named[0]) == MARK or number(key) < FIRST_TAG:  # else no pass has named it yet
            TAGS[LABEL[key[0]], json.dumps(named, separators=(",", ":"))] = number(key)

    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_name('P', 't')}, t.tag, t.x, t.y, t.u, t.b, t.e FROM zoo_born t {_join('P')} ORDER BY 3"
        )
        for origin, there, tag, x, y, u, b, e in cursor.fetchall():
            add(f"P{tag}", (origin, there), Stored((x, y, u, b), e))
        cursor.execute(
            f"SELECT {_name('Q', 't')}, t.tag, t.x, p.tag, t.e FROM zoo_bornchild t {_join('Q')}"
            " LEFT JOIN zoo_born p ON p.id = t.p_id ORDER BY 3"
        )
        for origin, there, tag, x, p, e in cursor.fetchall():
            add(f"Q{tag}", (origin, there), Stored((x, f"P{p}"), e))
    return found


def _name(kind: str, alias: str) -> str:
    base = f"(SELECT name FROM peersync_originbase WHERE model = '{LABEL[kind]}')"
    return f"COALESCE(o.origin, {base}, ''), COALESCE(o.there, {alias}.id)"


def _join(kind: str) -> str:
    return f"LEFT JOIN peersync_origin o ON o.model = '{LABEL[kind]}' AND o.local = t.id AND o.main"


def as_dict(key: Key, content: Content) -> dict[str, Any]:
    return dict(zip(FIELDS[key[0]], content, strict=True))


def content_of(key: Key, values: Mapping[str, Any]) -> Content:
    return tuple(values[name] for name in FIELDS[key[0]])


def children(rows: Mapping[Key, Stored], parent: Key) -> list[Key]:
    return [key for key, row in rows.items() if key[0] == "Q" and row.content[1] == parent]


def _local(name: str, value: Any) -> Any:
    return number(value) if name == "p" else value


def _mark(name: str) -> str:
    """A parameter; of a foreign key it is the parent's tag, where rows have one."""
    return "(SELECT id FROM zoo_born WHERE tag = %s)" if name == "p" and born() else "%s"


def insert(connection: Any, key: Key, content: Content, excluded: str = "dflt", *, pk: int | None = None) -> None:
    """``pk``: the primary key of a row with a tag, else the database gives one."""
    values = as_dict(key, content)
    first = {_id(): number(key)} if pk is None or not born() else {"id": pk, "tag": number(key)}
    columns = [*first, *(COLUMN.get(name, name) for name in values), "e"]
    marks = ", ".join([*["%s"] * len(first), *(_mark(name) for name in values), "%s"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE[key[0]]} ({', '.join(columns)}) VALUES ({marks})",
            [*first.values(), *(_local(name, value) for name, value in values.items()), excluded],
        )


def update(connection: Any, key: Key, field: str, value: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE[key[0]]} SET {COLUMN.get(field, field)} = {_mark(field)} WHERE {_id()} = %s",
            [_local(field, value), number(key)],
        )


def delete(connection: Any, key: Key) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE[key[0]]} WHERE {_id()} = %s", [number(key)])


def forget_history(connection: Any) -> None:
    """The rows that stand are as they were before peersync came: untracked."""
    with connection.cursor() as cursor:
        for table in ("peersync_journal", "peersync_rowstate", "peersync_origin"):
            cursor.execute(f"DELETE FROM {table}")


def journal_end(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM peersync_journal")
        return int(cursor.fetchone()[0])


def stamp_journal(connection: Any, after: int, stamp: int) -> None:
    """What the triggers wrote behind ``after`` was written at ``stamp``, as this node's clock has it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE peersync_journal SET stamp = %s WHERE id > %s", [stamp, after])


def dangling(connection: Any) -> list[Key]:
    """Children whose parent does not stand there."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_id()} FROM {TABLE['Q']} WHERE p_id NOT IN (SELECT id FROM {TABLE['P']})")
        return [f"Q{pk}" for (pk,) in cursor.fetchall()]


def _plain(value: Any) -> Any:
    """A key of one part stands for itself, however it is nested in a record."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def key_of(label: str, text: str) -> Key:
    """``zoo.Parent`` and ``[1]`` → ``P1``."""
    if born():
        named = json.dumps(json.loads(text), separators=(",", ":"))
        return f"{KIND[label]}{TAGS.get((label, named), named)}"
    return f"{KIND[label]}{_plain(json.loads(text))}"


def recorded_content(key: Key, values: Mapping[str, Any]) -> Content | None:
    """What a record says of a row; None where it does not hold it whole."""
    found = []
    for name in FIELDS[key[0]]:
        if name not in values:
            return None
        value = _plain(values[name])
        if name == "p":
            value = key_of(LABEL["P"], json.dumps(value)) if born() else f"P{value}"
        found.append(value)
    return tuple(found)


class Record(NamedTuple):
    key: Key
    kind: str
    contents: tuple[Content, ...]
    open: bool
    number: int = 0


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)


def records(connection: Any) -> list[Record]:
    """What peersync_conflict holds of our two models, and the rows that went with a deletion."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT model, key, kind, local, incoming, "cascade", open, id FROM peersync_conflict ORDER BY id'
        )
        for label, text, kind, local, incoming, gone, still_open, number in cursor.fetchall():
            if label not in KIND:
                continue
            key = key_of(label, text)
            sides = [json.loads(side) for side in (local, incoming) if side]
            if len({side.get("tag") for side in sides}) > 1:
                raise Failure("two rows under one name", f"{key}: {sides}")
            contents = [recorded_content(key, side) for side in sides if side]
            found.append(Record(key, kind, tuple(c for c in contents if c), bool(still_open), number))
            for item in json.loads(gone or "[]"):
                found += _with_it(item)
    return found


def _with_it(item: Mapping[str, Any]) -> Iterator[Record]:
    """A row that went with a deletion: an object of its model, its key and its values."""
    label = next((v for v in item.values() if isinstance(v, str) and v in KIND), None)
    named = next((v for v in item.values() if isinstance(v, list)), None)
    if label is None or named is None:
        return
    key = key_of(label, json.dumps(named))
    for values in _objects(item):
        content = recorded_content(key, values)
        if content:
            yield Record(key, "cascade", (content,), open=False)


def waiting(connection: Any) -> dict[Key, str]:
    """Keys that stand in quarantine or wait, and why."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT model, key, reason FROM peersync_quarantine ORDER BY id")
        return {key_of(label, text): reason for label, text, reason in cursor.fetchall() if label in KIND}


def traces(alias: str) -> dict[str, Any]:
    """States, checkpoints and passes as they stand, for a person who looks for a cause."""
    found = {}
    with connections[alias].cursor() as cursor:
        for name in ("node", "rowstate", "checkpoint", "quarantine", "baseline", "origin", "originbase"):
            cursor.execute(f"SELECT * FROM peersync_{name} ORDER BY 1")
            columns = [column[0] for column in cursor.description]
            found[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return found
