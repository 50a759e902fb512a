"""The ways that a row may take from one database to the other, and comparing what came by what Django reads."""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import models

from peersync.models import Quarantine
from peersync.replicas.database import DatabaseReplica
from peersync.reports import Options, TransferReport
from peersync.transfer import Transfer
from tests.support.bulk import Watched
from tests.support.wired import Wired

WAYS = ("bulk", "rows", "wire")
"""As the database wrote it where it may go so; row by row; through the bytes that HTTP would carry."""


def carry(source: str, target: str, way: str = "rows", **options: Any) -> TransferReport:
    """A transfer from one alias to the other; an error is raised."""
    kinds: dict[str, Any] = {"bulk": DatabaseReplica, "rows": DatabaseReplica, "wire": Wired}
    sender: Any = Watched(source, peer=target, rowwise=way == "rows")
    receiver = kinds[way](target, peer=source)
    if way == "wire":
        sender = Wired(source, peer=target)
    report = Transfer(sender, receiver, options=Options(**options)).run()
    if report.error is not None:
        raise report.error
    return report


def stored(model: type[models.Model], alias: str, *names: str) -> dict[Any, dict[str, Any]]:
    """Primary key → what Django reads of each row."""
    rows = model._base_manager.using(alias).values(*(names or [f.attname for f in model._meta.concrete_fields]))
    return {
        plain(row[model._meta.pk.attname])
        if isinstance(row[model._meta.pk.attname], memoryview)
        else row[model._meta.pk.attname]: {n: plain(v) for n, v in row.items()}
        for row in rows
    }


def plain(value: Any) -> Any:
    """Bytes as bytes; floats and what documents hold in a form in which equal things are equal."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, float):
        # PostgreSQL knows the digits of a number in a document, not whether it was a float
        return str(value) if not math.isfinite(value) else ("number", Decimal(repr(value)).normalize())
    if isinstance(value, int) and not isinstance(value, bool):
        return ("number", Decimal(value).normalize()) if abs(value) < 10**400 else value
    return value


def quarantined(alias: str) -> dict[str, str]:
    """Key → reason and detail of what waits there."""
    rows: Iterable[tuple[str, str, str]] = Quarantine.objects.using(alias).values_list("key", "reason", "detail")
    return {key: f"{reason}: {detail}" for key, reason, detail in rows}
