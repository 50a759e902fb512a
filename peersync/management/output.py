"""What commands print: tables, a progress bar, JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peersync.errors import PeersyncError
    from peersync.records import Figures
    from peersync.syncing import Differences, TransferReport

COLUMNS = ("created", "updated", "deleted", "conflicts", "quarantined", "unchanged")
BAR = 24
REDRAW = 0.1
"""Seconds between two drawings of the bar."""


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table; the first column to the left, numbers to the right."""
    text = [[_cell(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    numeric = [all(isinstance(row[i], int) for row in rows) for i in range(len(head))] if rows else []
    lines = []
    for row in text:
        cells = [
            cell.rjust(width) if i < len(numeric) and numeric[i] else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def report_lines(report: TransferReport) -> list[str]:
    """A transfer, as a terminal shows it."""
    rows = [[label, *(getattr(figures, name) for name in COLUMNS)] for label, figures in report.models.items()]
    lines = [f"{report.source} → {report.target}"]
    lines += table(("model", *COLUMNS), rows) if rows else ["(no models)"]
    lines.append(f"{report.seconds:.1f} s, {report.rows_per_second:,.0f} rows/s")
    kept = sum(figures.kept_at_target for figures in report.models.values())
    if kept:
        lines.append(f"{kept:,} {'row stands' if kept == 1 else 'rows stand'} only at {report.target}, and stayed.")
    waiting = sum(figures.quarantined for figures in report.models.values())
    if waiting:
        lines.append(f"{waiting:,} in quarantine: manage.py sync_status, and the admin, say why.")
    return lines


def difference_lines(differences: Mapping[str, Differences]) -> list[str]:
    found = {label: one for label, one in differences.items() if one.count}
    if not found:
        return ["No differences."]
    rows = [[label, one.count, _keys(one)] for label, one in found.items()]
    return ["Both sides differ:", *table(("model", "rows", "keys"), rows)]


def _keys(one: Differences) -> str:
    shown = [dumps(key) for key in one.keys[:10]]
    return ", ".join(shown) + (" …" if one.count > len(shown) else "")


def transfer_json(report: TransferReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "target": report.target,
        "models": {label: figures.as_dict() for label, figures in report.models.items()},
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_per_second, 1),
    }


def differences_json(differences: Mapping[str, Differences]) -> dict[str, Any]:
    return {label: {"count": one.count, "keys": one.keys} for label, one in differences.items() if one.count}


def error_json(error: PeersyncError | None) -> dict[str, str] | None:
    return error.as_dict() if error else None


def total(models: Mapping[str, Figures], name: str) -> int:
    return sum(getattr(figures, name) for figures in models.values())


class Bar:
    """A progress bar on the terminal's standard error; nothing at all where that is no terminal."""

    def __init__(self, *, on: bool, stream: Any = None) -> None:
        self._stream = stream or sys.stderr
        self._on = on and bool(getattr(self._stream, "isatty", lambda: False)())
        self._drawn = 0.0

    def __call__(self, label: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if not self._on or (now - self._drawn < REDRAW and done != total):
            return
        self._drawn = now
        if total:
            filled = min(BAR, BAR * done // total)
            text = f"[{'#' * filled}{'.' * (BAR - filled)}] {done:,} of {total:,}"
        else:
            text = f"{done:,} rows"
        self._stream.write(f"\r\x1b[K{label} {text}")
        self._stream.flush()

    def clear(self) -> None:
        if self._on and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
