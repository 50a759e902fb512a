"""Random histories against the real engine: `python -m tests.state.run --workload basic2 --count 200`.

Prints how many broke a promise, and the shortest history that breaks alike. A history is named by its seed.
"""

import argparse
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KINDS = {"sqlite": ("a", "b", "c"), "postgres": ("pg_a", "pg_b", "pg_c"), "mixed": ("a", "pg_b", "c")}


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.state.run", description=__doc__)
    parser.add_argument("--workload", nargs="*", help="default: all")
    parser.add_argument("--count", type=int, default=100, help="histories of each workload")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the one history of this name, like basic2-1-17")
    parser.add_argument("--kind", choices=KINDS, default="sqlite")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop a workload after so long")
    parser.add_argument("--show", type=int, default=1, help="failures of each kind that are shrunk")
    parser.add_argument("--rules", action="store_true", help="the histories of the rules instead")
    return parser.parse_args(argv)


@contextmanager
def databases(kind: str) -> Iterator[list[Any]]:
    """Databases of our own, which go when we do."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from tests.support import workspace
    from tests.support.databases import NodeDatabase
    from tests.support.janitor import Janitor

    workspace.directory().mkdir(parents=True, exist_ok=True)
    janitor = Janitor(workspace.directory())
    try:
        yield [NodeDatabase(alias) for alias in KINDS[kind]]
    finally:
        janitor.finish()


def campaign(name: str, histories: Iterator[Any], nodes: list[Any], options: argparse.Namespace) -> int:
    """Play them all; returns how many failed."""
    from tests.state.playing import play, shrink, told

    began, count, failures = time.monotonic(), 0, Counter[str]()
    for history in histories:
        verdict = play(history, nodes)
        count += 1
        if verdict.kind:
            failures[verdict.kind] += 1
            if failures[verdict.kind] <= options.show:
                kind = verdict.kind
                short = shrink(history, lambda shorter, kind=kind: play(shorter, nodes).kind == kind)  # type: ignore[misc]
                print(f"--- {history.rule}\n{told(short, play(short, nodes))}", flush=True)
        if time.monotonic() - began > options.seconds:
            break
    seconds = time.monotonic() - began
    print(f"{name}: {count} histories in {seconds:.0f} s, broken: {dict(failures) or 'none'}", flush=True)
    return failures.total()


def main(argv: list[str]) -> int:
    options = arguments(argv)
    with databases(options.kind) as nodes:
        from tests.state.histories import HISTORIES
        from tests.state.policy_histories import POLICY_HISTORIES
        from tests.state.workloads import WORKLOADS

        if options.rules:
            return int(bool(campaign("rules", iter([*HISTORIES, *POLICY_HISTORIES]), nodes, options)))
        if options.only:
            name = options.only.partition("-")[0]
            return int(bool(campaign(name, iter([WORKLOADS[name].history(options.only)]), nodes, options)))
        failed = 0
        for name in options.workload or WORKLOADS:
            seeds = itertools.islice(itertools.count(), options.count)
            histories = (WORKLOADS[name].history(f"{name}-{options.seed}-{n}") for n in seeds)
            failed += campaign(name, histories, nodes, options)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
