"""The ways to measure: over an alias, and over HTTP in both directions."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.databases import Databases
from benchmarks.processes import Server, measure, serving

IDLE_TIMES = 5
CHANGED = 10_000
EMPTY, PLAIN, SOURCE = "bench_empty", "bench_plain", "bench_source"
NEAR, FAR = "bench_near", "bench_far"


@dataclass
class Result:
    """Medians of one way. Seconds, rows, bytes."""

    way: str
    rows: int
    baseline: str
    plain_seconds: float = 0.0
    seconds: float = 0.0
    ratio: float = 0.0
    memory: int = 0
    server_memory: int = 0
    idle: float = 0.0
    again: float = 0.0
    changed: int = 0
    wrong: list[str] = field(default_factory=list)
    """What is not as it should be in the data."""


def prepare(databases: Databases, rows: int, how: str) -> None:
    """The databases that each measurement begins with copies of."""
    for name, kind in ((EMPTY, "captured"), (PLAIN, "plain"), (SOURCE, "captured")):
        databases.create(name)
        measure("migrate", kind, databases={"default": databases.settings(name)})
    measure("fill", rows, how, databases={"default": databases.settings(SOURCE)})
    for name in (EMPTY, PLAIN, SOURCE):
        databases.settle(name)


@contextmanager
def alias(databases: Databases) -> Iterator[tuple[dict[str, Any], Server | None]]:
    """The source is this node, the target the slave alias."""
    settings = {"default": databases.settings(NEAR), "slave": databases.settings(FAR)}
    yield {"arguments": ("push", "slave"), "databases": settings}, None


@contextmanager
def http_push(databases: Databases) -> Iterator[tuple[dict[str, Any], Server | None]]:
    """The source is this node, the target a server."""
    with _called(databases, FAR, NEAR) as (settings, peers, server):
        yield {"arguments": ("push", "server"), "databases": settings, "peers": peers}, server


@contextmanager
def http_pull(databases: Databases) -> Iterator[tuple[dict[str, Any], Server | None]]:
    """The source is a server, the target this node."""
    with _called(databases, NEAR, FAR) as (settings, peers, server):
        yield {"arguments": ("pull", "server"), "databases": settings, "peers": peers}, server


@contextmanager
def _called(databases: Databases, served: str, calling: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], Server]]:
    far = {"default": databases.settings(served)}
    key = measure("token", databases=far)["token"]
    with serving(far) as server:
        peers = {"server": {"URL": server.url, "TOKEN": key, "AUTO": False}}
        yield {"default": databases.settings(calling)}, peers, server


WAYS = {"alias": alias, "HTTP push": http_push, "HTTP pull": http_pull}


def run(databases: Databases, way: str, rows: int, rounds: int, *, how: str) -> Result:
    """First syncs beside plain copies, in turn; then what a sync with nothing to do and one of some changes cost."""
    result = Result(f"{way} {databases.vendor}{'' if how == 'untracked' else ', ' + how}", rows, databases.baseline)
    plain, synced = [], []
    for turn in range(rounds):
        databases.copy(SOURCE, NEAR)
        databases.copy(PLAIN, FAR)
        plain.append(databases.plain_copy(NEAR, FAR))
        databases.copy(SOURCE, NEAR)
        databases.copy(EMPTY, FAR)
        with WAYS[way](databases) as (call, server):
            synced.append(_first(databases, call, server, result))
            if turn == rounds - 1:
                _later(databases, call, result)
    result.plain_seconds, result.seconds = statistics.median(plain), statistics.median(synced)
    result.ratio = statistics.median(p / s for p, s in zip(plain, synced, strict=True))
    return result


def _first(databases: Databases, call: dict[str, Any], server: Server | None, result: Result) -> float:
    call = dict(call)
    found = measure("transfer", *call.pop("arguments"), **call)
    result.memory = max(result.memory, found["memory"])
    if server is not None:
        result.server_memory = max(result.server_memory, server.memory())
    created = found["models"]["store.Item"]["created"]
    if created != result.rows:
        result.wrong.append(f"first sync: {created} rows created instead of {result.rows}")
    _compare(databases, "first sync", result)
    return float(found["seconds"])


def _later(databases: Databases, call: dict[str, Any], result: Result) -> None:
    call = dict(call)
    arguments = call.pop("arguments")
    result.idle = measure("transfer", *arguments, IDLE_TIMES, **call)["seconds"]
    result.changed = min(CHANGED, result.rows)
    measure("change", result.changed, databases={"default": databases.settings(NEAR)})
    found = measure("transfer", *arguments, **call)
    result.again = found["seconds"]
    updated = found["models"]["store.Item"]["updated"]
    if updated != result.changed:
        result.wrong.append(f"second sync: {updated} rows updated instead of {result.changed}")
    _compare(databases, "second sync", result)


def _compare(databases: Databases, when: str, result: Result) -> None:
    if databases.contents(NEAR) != databases.contents(FAR):
        result.wrong.append(f"{when}: source and target differ")


def numbering(databases: Databases, rows: int) -> float:
    """Seconds for a numbering of so many changes."""
    databases.copy(SOURCE, NEAR)
    settings = {"default": databases.settings(NEAR)}
    measure("number", databases=settings)
    measure("change", rows, databases=settings)
    return float(measure("number", databases=settings)["seconds"])


def saves(databases: Databases, pairs: int) -> dict[str, Any]:
    """A save with capture beside one without."""
    databases.copy(SOURCE, NEAR)
    return measure("save", pairs, databases={"default": databases.settings(NEAR)})
