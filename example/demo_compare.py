"""Both databases row by row, in plain SQL: the verdict that peersync has no say in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo_databases import Database

TABLES = {"geo_country": "code", "geo_subdivision": "code", "geo_city": "geonameid"}
"""What is synchronised, and its primary key."""
EXCLUDED = {"geo_country": ("internal_note",)}
"""What stays home: it may differ, and is not compared."""


@dataclass
class Comparison:
    """Of one table. ``differing``: keys of rows that stand on one side only, or have another content there."""

    table: str
    rows: int
    differing: list[Any] = field(default_factory=list)


def compare(
    one: Database,
    other: Database,
    tables: Mapping[str, str] = TABLES,
    excluded: Mapping[str, Sequence[str]] = EXCLUDED,
) -> list[Comparison]:
    """Every row and every column of ``tables`` but the ``excluded`` ones."""
    return [_compare(one, other, table, key, excluded.get(table, ())) for table, key in tables.items()]


def _compare(one: Database, other: Database, table: str, key: str, excluded: Sequence[str]) -> Comparison:
    columns = [name for name in one.columns(table) if name not in excluded]
    if sorted(columns) != sorted(name for name in other.columns(table) if name not in excluded):
        raise ValueError(f"{table} does not have the same columns on both sides")
    columns.sort(key=lambda name: name != key)  # the key first
    names = ", ".join(f'"{name}"' for name in columns)
    sides = [{row[0]: row for row in side.run(f'SELECT {names} FROM "{table}"')} for side in (one, other)]
    found = Comparison(table, max(len(side) for side in sides))
    for value in sorted({**sides[0], **sides[1]}):
        if sides[0].get(value) != sides[1].get(value):
            found.differing.append(value)
    return found


def equal(comparisons: Sequence[Comparison]) -> bool:
    return not any(each.differing for each in comparisons)


def verdict(comparisons: Sequence[Comparison]) -> str:
    """One sentence."""
    rows = sum(each.rows for each in comparisons)
    if not rows:
        return "VERDICT: nothing was compared, the tables are empty."
    if equal(comparisons):
        return f"VERDICT: both databases are equal, all {rows:,} rows in {len(comparisons)} tables."
    count = sum(len(each.differing) for each in comparisons)
    return f"VERDICT: the databases differ in {count:,} of {rows:,} rows."


def lines(comparisons: Sequence[Comparison]) -> list[str]:
    found = []
    for each in comparisons:
        text = f"{each.table:<16} {each.rows:>7,} rows  "
        if each.differing:
            keys = ", ".join(map(str, each.differing[:5]))
            text += f"{len(each.differing):,} differ: {keys}{' …' if len(each.differing) > 5 else ''}"
        else:
            text += "equal"
        found.append(text)
    return found
