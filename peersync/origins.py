"""Rows that are named by their origin: a mark given at birth, and the primary key that the row had there.

Rows that stood before they were first captured have no mark. They are called by a name that all such rows of the model
share here (:mod:`peersync.bases`), and their primary key; no entry is kept for them. docs/keys.md has the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Model

from peersync.columns import NamePart, label_of
from peersync.records import Key
from peersync.states import chunks, list_parameter, text_list

MARK = 16
"""Characters of a mark; what a base is called has another length."""
_ORIGIN = re.compile(r"[0-9a-f-]{0,36}").fullmatch
_INT = 1 << 63


def by_origin(parts: Sequence[Any]) -> bool:
    """Whether a key of these parts is an origin's."""
    return isinstance(parts[0], NamePart)


def valid(key: Sequence[Any]) -> bool:
    """Whether a wire key has the form of an origin's."""
    if len(key) != 2 or not isinstance(key[0], str) or isinstance(key[1], bool) or not isinstance(key[1], int):
        return False
    return _ORIGIN(key[0]) is not None and -_INT <= key[1] < _INT


def is_base(key: Sequence[Any]) -> bool:
    """Whether the row of this key stood somewhere before it was captured."""
    return len(key[0]) != MARK


# ---------------------------------------------------------------------- SQL


def _base(label: str) -> str:
    return f"COALESCE((SELECT b.name FROM peersync_originbase b WHERE b.model = '{label}'), '')"


def join(connection: Any, label: str, alias: str, local: str) -> str:
    """The join, as ``alias``, that finds the name of the row whose primary key here is ``local``.

    One by one, by the index: while names are being written PostgreSQL does not know how many there are, and would read
    all of them for a page of rows.
    """
    if connection.vendor != "postgresql":
        return f"LEFT JOIN peersync_origin {alias} ON {alias}.model = '{label}' AND {alias}.local = {local} AND {alias}.main"
    return (
        f"LEFT JOIN LATERAL (SELECT o.origin, o.there, o.local FROM peersync_origin o WHERE o.model = '{label}'"
        f" AND o.local = {local} AND o.main LIMIT 1) {alias} ON true"
    )


def columns(label: str, alias: str, local: str) -> tuple[str, str]:
    """What the two parts of the key are, where :func:`join` stands; both NULL where ``local`` is."""
    bare = f"CASE WHEN {local} IS NOT NULL THEN {_base(label)} END"
    return f"COALESCE({alias}.origin, {bare})", f"COALESCE({alias}.there, {local})"


# ---------------------------------------------------------------------- looking up


def base_name(connection: Any, label: str) -> str:
    """What the rows are called here that stood before they were captured."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_base(label)}")
        return str(cursor.fetchone()[0])


def named(connection: Any, label: str, keys: Iterable[Key]) -> dict[Key, int]:
    """Those of the keys that have an entry here → the primary key here, whether the row still stands or not."""
    postgres = connection.vendor == "postgresql"
    source = (
        "unnest(%s::text[], %s::bigint[]) AS w(origin, there)"
        if postgres
        else "(SELECT json_extract(value, '$[0]') AS origin, json_extract(value, '$[1]') AS there FROM json_each(%s)) w"
    )
    joined = "JOIN" if postgres else "CROSS JOIN"  # SQLite would go through all names, and through the list for each
    found: dict[Key, int] = {}
    with connection.cursor() as cursor:
        for part in chunks(list(keys)):
            parameters: list[Any] = [[k[0] for k in part], [k[1] for k in part]] if postgres else [json.dumps(part)]
            cursor.execute(
                f"SELECT o.origin, o.there, o.local FROM {source} {joined} peersync_origin o"
                " ON o.model = %s AND o.origin = w.origin AND o.there = w.there",
                [*parameters, label],
            )
            found.update({(origin, there): local for origin, there, local in cursor.fetchall()})
    return found


def names(connection: Any, label: str, locals_: Iterable[int], *, main: bool = True) -> dict[int, list[Key]]:
    """The entries of these rows: those under which they are sent, or their other names."""
    found: dict[int, list[Key]] = {}
    with connection.cursor() as cursor:
        for part in chunks(list(locals_)):
            cursor.execute(
                f"SELECT local, origin, there FROM peersync_origin WHERE model = %s AND {'' if main else 'NOT '}main AND "
                + text_list(connection, "local"),
                [label, list_parameter(connection, part)],
            )
            for local, origin, there in cursor.fetchall():
                found.setdefault(local, []).append((origin, there))
    return found


def known(connection: Any, label: str, locals_: Iterable[int]) -> set[int]:
    """Those of the primary keys here under which a row has, or had, a name of its own."""
    wanted = list(locals_)
    return {*names(connection, label, wanted), *names(connection, label, wanted, main=False)}


def keys_of(connection: Any, label: str, locals_: Iterable[int]) -> dict[int, Key]:
    """The keys of rows that stand here or stood here; a birth that was not numbered yet has none of its own."""
    wanted = list(locals_)
    known = names(connection, label, wanted)
    base = base_name(connection, label)
    return {local: known[local][0] if local in known else (base, local) for local in wanted}


def several(connection: Any) -> set[str]:
    """Labels of the models in which some row has more than one name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT model FROM peersync_origin WHERE NOT main")
        return {label for (label,) in cursor.fetchall()}


def others(connection: Any, label: str, keys: Iterable[Key]) -> dict[Key, list[Key]]:
    """The other names of the rows of these names; only those that have some."""
    located = named(connection, label, [key for key in keys if valid(key)])
    every: dict[int, list[Key]] = {}
    for main in (True, False):
        for local, found in names(connection, label, set(located.values()), main=main).items():
            every.setdefault(local, []).extend(found)
    return {
        key: left for key, local in located.items() if (left := [one for one in every.get(local, ()) if one != key])
    }


def of_number(connection: Any, label: str, numbers: Iterable[int]) -> dict[int, list[int]]:
    """Rows that stood somewhere before under these primary keys, by those → their primary keys here.

    Only such as have an entry here: those of this node's own base are under the number itself.
    """
    found: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        for part in chunks(list(numbers)):
            cursor.execute(
                "SELECT there, local FROM peersync_origin WHERE model = %s AND base AND "
                + text_list(connection, "there"),
                [label, list_parameter(connection, part)],
            )
            for there, local in cursor.fetchall():
                found.setdefault(there, []).append(local)
    return {there: sorted(locals_) for there, locals_ in found.items()}


def find(connection: Any, model: type[Model], keys: Iterable[Key]) -> dict[Key, int]:
    """The rows that stand here under these keys → their primary key here."""
    label = label_of(model)
    wanted = [key for key in keys if valid(key)]
    known = named(connection, label, wanted)
    base = base_name(connection, label)
    bare = {key[1]: key for key in wanted if key[0] == base and key not in known}
    standing = stands(connection, model, [*known.values(), *bare])
    found = {key: local for key, local in known.items() if local in standing}
    bare = {local: key for local, key in bare.items() if local in standing}
    if bare:
        # asked after the rows were: who was born meanwhile shows its entry
        other = {*names(connection, label, bare), *unnamed(connection, label, bare)}
        found.update({key: local for local, key in bare.items() if local not in other})
    return found


def stands(connection: Any, model: type[Model], locals_: Iterable[int]) -> set[int]:
    """Those of the primary keys under which a row stands."""
    quote, meta = connection.ops.quote_name, model._meta
    pk = quote(str(meta.pk.column))
    found: set[int] = set()
    with connection.cursor() as cursor:
        for part in chunks(list(locals_)):
            cursor.execute(
                f"SELECT {pk} FROM {quote(meta.db_table)} WHERE " + text_list(connection, pk),
                [list_parameter(connection, part)],
            )
            found.update(local for (local,) in cursor.fetchall())
    return found


def unnamed(connection: Any, label: str, locals_: Iterable[int]) -> set[int]:
    """Those of the rows that were born and that no pass has named yet."""
    first: dict[str, str] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM peersync_journal LIMIT 1")
        if cursor.fetchone() is None:
            return set()
        for part in chunks([str(local) for local in locals_]):
            cursor.execute(
                "SELECT pk_text, what FROM peersync_journal WHERE model = %s AND "
                + text_list(connection, "pk_text")
                + " ORDER BY id",
                [label, list_parameter(connection, part)],
            )
            for pk, what in cursor.fetchall():
                first.setdefault(pk, what)
        born = [pk for pk, what in first.items() if what == "b"]
        known: set[str] = set()
        for part in chunks(born):
            cursor.execute(
                "SELECT pk_text FROM peersync_rowstate WHERE model = %s AND " + text_list(connection, "pk_text"),
                [label, list_parameter(connection, part)],
            )
            known.update(pk for (pk,) in cursor.fetchall())
    return {int(pk) for pk in born if pk not in known}


# ---------------------------------------------------------------------- writing


def save(connection: Any, label: str, entries: Mapping[int, Sequence[Key]]) -> None:
    """Give names to rows that have none; the first of each is the one under which it is sent.

    A name that another row has here is taken from it.
    """
    rows = [
        (label, local, key[0], key[1], place == 0, is_base(key))
        for local, keys in entries.items()
        for place, key in enumerate(keys)
    ]
    tail = " ON CONFLICT (model, origin, there) DO UPDATE SET local = excluded.local, main = excluded.main"
    head = "INSERT INTO peersync_origin (model, local, origin, there, main, base) "
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for part in chunks(rows):
                cursor.execute(
                    f"{head}SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bool[],"
                    f" %s::bool[]){tail}",
                    [list(column) for column in zip(*part, strict=True)],
                )
        elif rows:
            cursor.executemany(f"{head}VALUES (%s, %s, %s, %s, %s, %s){tail}", rows)


def forget(connection: Any, label: str, locals_: Iterable[int]) -> None:
    """Take all names from these rows."""
    with connection.cursor() as cursor:
        for part in chunks(list(locals_)):
            cursor.execute(
                "DELETE FROM peersync_origin WHERE model = %s AND " + text_list(connection, "local"),
                [label, list_parameter(connection, part)],
            )
