"""What is measured, each in a process of its own: ``python -m benchmarks.measures NAME [ARGUMENT …]``.

A process prints one JSON object, with its peak memory beside the figures.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

MAKERS = 100
NUMBERS = {
    "postgresql": "SELECT generate_series(1, %s) AS i",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT i FROM n",
}
VALUES = {
    "postgresql": "i, 1 + i %% {makers}, 'N-' || i, md5(i::text)::uuid, i * 0.37, timestamptz '2024-01-01 00:00Z' +"
    " i * interval '61.000123 second', i %% 3 = 0, repeat('some text \\ of a row ', 3) || i,"
    " CASE WHEN i %% 5 > 0 THEN date '2024-01-01' + i %% 1000 END, i / 7.0::float8,"
    " jsonb_build_object('a', i, 'b', jsonb_build_array(i %% 7, 'x'))",
    "sqlite": "i, 1 + i %% {makers}, 'N-' || i, printf('%%032x', i), round(i * 0.37, 4), strftime('%%Y-%%m-%%d %%H:%%M:%%S',"
    " 1704067200 + i * 61, 'unixepoch') || '.000123', i %% 3 = 0, printf('%%.*c', 60, 'x') || ' \\ ' || i,"
    " CASE WHEN i %% 5 > 0 THEN date('2024-01-01', i %% 1000 || ' day') END, i / 7.0,"
    " json_object('a', i, 'b', json_array(i %% 7, 'x'))",
}


def migrate(capture: str) -> dict[str, Any]:
    """Tables, with triggers or ("plain") without."""
    from django.core.management import call_command

    from peersync import capture as triggers

    call_command("migrate", verbosity=0)
    if capture == "plain":
        triggers.remove("default")
    return {}


def fill(rows: str, how: str) -> dict[str, Any]:
    """Rows in both tables. ``how``: "untracked", as if they had been there before peersync, or "tracked"."""
    from contextlib import nullcontext

    from django.db import connection, transaction

    from benchmarks.databases import COLUMNS, TABLES
    from peersync import capture

    numbers, values = NUMBERS[connection.vendor], VALUES[connection.vendor].format(makers=MAKERS)
    quiet = capture.off if how == "untracked" else lambda *_: nullcontext()
    with transaction.atomic(), quiet(connection, TABLES), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO store_maker (id, name) SELECT i, 'maker ' || i FROM ({numbers}) n", [MAKERS])
        cursor.execute(f"INSERT INTO store_item ({COLUMNS}) SELECT {values} FROM ({numbers}) n", [int(rows)])
    return {}


def change(rows: str) -> dict[str, Any]:
    """Change so many rows in one statement."""
    from django.db.models import F

    from benchmarks.store.models import Item

    began = time.perf_counter()
    changed = Item.objects.filter(id__lte=int(rows)).update(ratio=F("ratio") + 1)
    return {"seconds": time.perf_counter() - began, "rows": changed}


def token() -> dict[str, Any]:
    """Make the token of the peer that calls."""
    from peersync import tokens

    return {"token": tokens.create("bench")}


def transfer(direction: str, peer: str, times: str = "1") -> dict[str, Any]:
    """One transfer, or the median of several."""
    from peersync import syncing as sync

    go: Callable[[str], Any] = {"push": sync.push, "pull": sync.pull}[direction]
    seconds = []
    for _ in range(int(times)):
        began = time.perf_counter()
        report = go(peer)
        seconds.append(time.perf_counter() - began)
        if report.status != "ok":
            raise SystemExit(f"The transfer is {report.status}: {report.error} {report.models}")
    return {"seconds": statistics.median(seconds), "models": {k: v.as_dict() for k, v in report.models.items()}}


def number() -> dict[str, Any]:
    """One numbering of all that the journal holds."""
    from peersync import numbering

    began = time.perf_counter()
    numbering.number("default")
    return {"seconds": time.perf_counter() - began}


def save(pairs: str) -> dict[str, Any]:
    """``save()`` with its own commit, on a captured table and on its twin, in turn. ``ratio``: median of the pairs'."""
    from benchmarks.store.models import Item, Twin

    couples: list[tuple[Any, Any]] = []
    for item in Item.objects.order_by("id")[: min(int(pairs), 500)]:
        twin = Twin(**{field.attname: getattr(item, field.attname) for field in Item._meta.fields})
        twin.save(force_insert=True)
        couples.append((item, twin))
    captured, plain = [], []
    for turn in range(int(pairs)):
        couple = couples[turn % len(couples)]
        for row, times in ((couple[0], captured), (couple[1], plain))[:: 1 if turn % 2 else -1]:
            row.ratio += 1
            began = time.perf_counter()
            row.save()
            times.append(time.perf_counter() - began)
    ratios = [mine / theirs for mine, theirs in zip(captured, plain, strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "captured": statistics.median(captured),
        "plain": statistics.median(plain),
    }


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    f.__name__: f for f in (migrate, fill, change, token, transfer, number, save)
}


def main(name: str, *arguments: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    import django

    django.setup()
    if profile := os.environ.get("BENCH_PROFILE"):
        import cProfile

        profiler = cProfile.Profile()
        found = profiler.runcall(MEASURES[name], *arguments)
        profiler.dump_stats(profile)
    else:
        found = MEASURES[name](*arguments)
    print(json.dumps({**found, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
