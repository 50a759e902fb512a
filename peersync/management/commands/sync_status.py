from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from peersync.errors import PeersyncError
from peersync.management import output, status

if TYPE_CHECKING:
    from peersync.management.status import Status


class Command(BaseCommand):
    help = "How this node stands with its peers: lag, errors, open conflicts, quarantine, the last runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = status.read()
        except PeersyncError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(output.dumps(found.as_dict()))
        else:
            self.stdout.write("\n".join(_lines(found)))
        for warning in found.warnings:
            self.stderr.write(f"Warning: {warning}")


def _lines(found: Status) -> list[str]:
    lines = [f"Node {found.node}", ""]
    head = ("peer", "lag (rows)", "lag (s)", "last contact", "delivered by", "last error")
    rows = [
        (
            peer.name,
            peer.lag_rows,
            f"{peer.lag_seconds:.0f}",
            peer.last_contact and f"{peer.last_contact:%Y-%m-%d %H:%M:%S}",
            peer.delivered_by or None,
            peer.last_error or None,
        )
        for peer in found.peers
    ]
    lines += output.table(head, rows) if rows else ["No peers."]
    lines += [f"  {peer.name}: {text}" for peer in found.peers for text in peer.left_out]
    lines += ["", f"Open conflicts: {found.conflicts:,}", *_records(found), *_quarantine(found), ""]
    runs = [
        (run["started"][:19], f"{run['source']} → {run['target']}", run["status"], _moved(run), run["error"])
        for run in found.runs
    ]
    columns = ("last runs", "transfer", "status", "changed rows", "error")
    return lines + (output.table(columns, runs) if runs else ["No runs yet."])


def _records(found: Status) -> list[str]:
    lines = [f"Records of conflicts: {found.records:,}"]
    if found.records:
        lines[0] += f", {found.unsettled:,} of them not settled by hand"
        lines.append("  They are in the admin, and in peersync.models.Conflict; peersync.put_back(number, side) puts a")
        lines.append("  version back.")
    return lines


def _quarantine(found: Status) -> list[str]:
    lines = [f"In quarantine: {found.quarantined:,}", *(f"  {name}: {why}" for name, why in found.waiting)]
    more = found.quarantined - len(found.waiting)
    return [*lines, f"  and {more:,} more, in the admin and in peersync.models.Quarantine"] if more > 0 else lines


def _moved(run: dict[str, Any]) -> int:
    return sum(figures.get(name, 0) for figures in run["models"].values() for name in ("created", "updated", "deleted"))
