"""Plays a history, and makes one that fails as short as it gets."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.state.failure import Failure
from tests.state.histories import History
from tests.state.world import NAMES, World
from tests.support.databases import NodeDatabase


@dataclass(frozen=True)
class Verdict:
    """`kind` is empty where all promises held."""

    kind: str
    detail: str
    trace: tuple[str, ...] = ()


def play(history: History, databases: Sequence[NodeDatabase]) -> Verdict:
    """What becomes of a history. An error of any kind is a verdict too."""
    with World(
        databases,
        history.links,
        policy=history.policy,
        filtered=history.filtered,
        born=history.born,
        match=history.match,
        exits=history.exits,
    ) as world:
        try:
            world.begin(history.rows)
            for line in history.lines:
                world.play(line)
            world.finish(rounds=history.rounds)
        except Failure as failure:
            return Verdict(failure.kind, failure.detail, tuple(world.trace))
        except Exception as error:
            return Verdict(f"crash {type(error).__name__}", traceback.format_exc(), tuple(world.trace))
    return Verdict("", "", tuple(world.trace))


def shrink(history: History, fails: Callable[[History], bool]) -> History:
    """The shortest history found that still fails: fewer operations, then fewer rows at the start."""
    again = True
    while again:
        lines, start = history.lines, history.start
        history = _fewer_lines(history, fails)
        history = _fewer_rows(history, fails)
        again = (history.lines, history.start) != (lines, start)
    return history


def _fewer_lines(history: History, fails: Callable[[History], bool]) -> History:
    size = max(1, len(history.lines) // 2)
    while size:
        at = 0
        while at < len(history.lines):
            lines = history.lines
            shorter = replace(history, operations="\n".join(lines[:at] + lines[at + size :]))
            if fails(shorter):
                history = shorter
            else:
                at += size
        size //= 2
    return history


def _fewer_rows(history: History, fails: Callable[[History], bool]) -> History:
    for node in NAMES:
        for row in history.start.get(node, "").split(";"):
            kept = [part for part in history.start.get(node, "").split(";") if part != row]
            gone = row.split()[0] if row.split() else ""
            kept = [part for part in kept if f"p={gone}" not in part.split()]
            fewer = replace(history, start={**history.start, node: ";".join(kept)})
            if row.strip() and fails(fewer):
                history = fewer
    return history


def told(history: History, verdict: Verdict) -> str:
    """A failing history for a person."""
    start = {node: rows for node, rows in history.start.items() if rows}
    head = f"{verdict.kind}: {verdict.detail}\n  links={history.links} start={start}"
    more = [
        f"{name}={value}"
        for name, value in (
            ("policy", history.policy),
            ("filtered", history.filtered),
            ("born", history.born),
            ("match", history.match),
            ("exits", history.exits),
        )
    ]
    return "\n  ".join([f"{head} {' '.join(more)} rounds={history.rounds}", *verdict.trace])
