"""Two nodes under one SYNC_CONFIG, and whole transfers between them: `pair.push()` goes from a to b."""

from typing import Any

from django.db import connections, models

from peersync import capture
from peersync.models import Conflict, Quarantine
from peersync.reports import Options, TransferReport
from peersync.syncing import Differences, compare, pull, push
from tests.support.databases import contents


class Pair:
    """`a` is this node (MASTER), `b` the other (SLAVE); both are aliases."""

    def __init__(self, settings: Any, a: str, b: str) -> None:
        self.settings, self.a, self.b = settings, a, b

    @property
    def aliases(self) -> tuple[str, str]:
        return self.a, self.b

    def configure(self, *models: str, **more: Any) -> None:
        """Set SYNC_CONFIG for these models, with the triggers that it asks for."""
        base = {"MODELS": list(models), "AUTO_SYNC": "off", "MASTER": self.a, "SLAVE": self.b}
        self.settings.SYNC_CONFIG = {**base, **more}
        for alias in self.aliases:
            capture.install(alias)

    def push(self, **options: Any) -> TransferReport:
        """From a to b; an error in the report is raised."""
        return _good(push(self.b, Options(**options)))

    def pull(self, **options: Any) -> TransferReport:
        return _good(pull(self.b, Options(**options)))

    def both(self, **options: Any) -> tuple[TransferReport, TransferReport]:
        return self.pull(**options), self.push(**options)

    def failed(self, direction: str = "push", **options: Any) -> Any:
        """The error that such a transfer ends with."""
        report = (push if direction == "push" else pull)(self.b, Options(**options))
        assert report.error is not None, "it was expected to fail"
        return report.error

    def compare(self, **options: Any) -> dict[str, Differences]:
        return compare(self.b, Options(**options))

    def differences(self) -> dict[str, Differences]:
        """Of the models that differ only."""
        return {label: found for label, found in self.compare().items() if found.count}

    def rows(self, model: type[models.Model], *names: str, alias: str | None = None) -> list[tuple[Any, ...]]:
        """These fields of all rows, sorted; of both sides, which must be equal, where no alias is given."""
        if alias is not None:
            return sorted(model._base_manager.using(alias).values_list(*names), key=repr)
        here, there = (self.rows(model, *names, alias=one) for one in self.aliases)
        assert here == there
        return here

    def equal(self, *labels: str) -> bool:
        return contents(self.a, *labels) == contents(self.b, *labels)


def _good(report: TransferReport) -> TransferReport:
    if report.error is not None:
        raise report.error
    return report


def records(alias: str) -> list[tuple[str, str, str]]:
    """Kind, model and winner of what was recorded there."""
    return list(Conflict.objects.using(alias).order_by("id").values_list("kind", "model", "winner"))


def waiting(alias: str) -> list[tuple[str, str, str]]:
    """Model, key and reason of what is in quarantine there."""
    return list(Quarantine.objects.using(alias).order_by("model", "key").values_list("model", "key", "reason"))


def sql(alias: str, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    """Plain SQL, as psql would run it."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []
