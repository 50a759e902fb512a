"""The figures, each beside the plainest way to do the same in the same run: `make bench`, or with options
`make bench BENCH_ARGS="--rows 20000 --quick"`.

A figure that misses what is expected of it says so; the exit status is 1 only where data came out wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import ways  # the path comes first
from benchmarks.databases import Databases, Postgres, SQLite
from benchmarks.ways import Result

EXPECTED = {
    "alias PostgreSQL": 0.5,
    "HTTP push PostgreSQL": 0.4,
    "HTTP pull PostgreSQL": 0.4,
    "alias SQLite": 0.3,
}
"""Rows/s of a first sync, as a share of the plain copy's."""
SAVE_AT_MOST = 1.2
MEMORY_BELOW = 200 * 10**6
SAVES = 2000


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table (default: 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="first syncs of each way; medians are shown")
    parser.add_argument("--quick", action="store_true", help="one round, fewer saves")
    parser.add_argument("--only", choices=["postgresql", "sqlite"], help="this kind of database alone")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds = 1
    return options


@contextmanager
def databases(kind: type[Postgres] | type[SQLite], directory: Path) -> Iterator[Databases]:
    found = kind(directory)
    try:
        yield found
    finally:
        found.stop()


def main(argv: list[str]) -> int:
    options = arguments(argv)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="peersync-bench-") as place:
        for name, kind in (("postgresql", Postgres), ("sqlite", SQLite)):
            if options.only not in (None, name):
                continue
            with databases(kind, Path(place)) as found:
                wrong += one_kind(found, options)
    for line in wrong:
        print(f"WRONG DATA: {line}")
    return 1 if wrong else 0


def one_kind(found: Databases, options: argparse.Namespace) -> list[str]:
    """All figures of one kind of database; returns what is wrong in the data."""
    print(f"{found.vendor}, {options.rows:,} rows, median of {options.rounds}; beside it {found.baseline}\n")
    print(f"{'first sync':32} {'rows/s':>9} {'plain':>9} {'ratio':>6} {'memory':>7} {'server':>7}")
    ways.prepare(found, options.rows, "untracked")
    names = list(ways.WAYS) if isinstance(found, Postgres) else ["alias"]
    results = [show(ways.run(found, way, options.rows, options.rounds, how="untracked")) for way in names]
    numbered = ways.numbering(found, options.rows)
    saved = ways.saves(found, SAVES // 4 if options.quick else SAVES)
    ways.prepare(found, options.rows, "tracked")
    results.append(show(ways.run(found, "alias", options.rows, options.rounds, how="tracked")))
    print(f"\n{'later':32} {'nothing to do':>14} {'changed rows':>13} {'seconds':>8} {'rows/s':>9}")
    for result in results:
        rate = result.changed / result.again
        print(f"{result.way:32} {result.idle * 1000:11.0f} ms {result.changed:13,} {result.again:8.2f} {rate:9,.0f}")
    print(f"\nnumbering {options.rows:,} changes: {numbered:.2f} s")
    verdict = meets(saved["ratio"] <= SAVE_AT_MOST, f"at most {SAVE_AT_MOST}")
    print(
        f"save() with capture {saved['captured'] * 1e6:,.0f} µs, without {saved['plain'] * 1e6:,.0f} µs,"
        f" ratio {saved['ratio']:.2f}: {verdict}\n"
    )
    return [f"{result.way}: {line}" for result in results for line in result.wrong]


def show(result: Result) -> Result:
    """A line of the table, with verdicts where something is expected."""
    rate: Callable[[float], str] = lambda seconds: f"{result.rows / seconds:,.0f}"  # noqa: E731  # said once
    server = f"{result.server_memory / 1e6:,.0f} MB" if result.server_memory else ""
    memory = max(result.memory, result.server_memory)
    verdicts = [meets(memory < MEMORY_BELOW, "below 200 MB")]
    if result.way in EXPECTED:
        least = EXPECTED[result.way]
        verdicts.insert(0, meets(result.ratio >= least, f"at least {least}"))
    print(
        f"{result.way:32} {rate(result.seconds):>9} {rate(result.plain_seconds):>9} {result.ratio:6.2f}"
        f" {result.memory / 1e6:4,.0f} MB {server:>7}  {'; '.join(verdicts)}",
        flush=True,
    )
    return result


def meets(holds: bool, what: str) -> str:
    return f"{'meets' if holds else 'MISSES'} {what}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
