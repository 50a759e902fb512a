"""P3: records are kept for RETENTION from when the conflict was settled, and never go while it is open."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from peersync.models import Conflict, Run
from tests.support.pairs import Pair


def record(alias: str, kind: str, at: int, settled: int | None = None, *, still_open: bool = False) -> None:
    """Made and settled so many days ago."""
    now = timezone.now()
    found = Conflict.objects.using(alias).create(
        model="zoo.Parent",
        key="[1]",
        kind=kind,
        winner="local",
        source="x",
        open=still_open,
        settled=None if settled is None else now - timedelta(days=settled),
    )
    Conflict.objects.using(alias).filter(pk=found.pk).update(at=now - timedelta(days=at))


def kept(alias: str) -> list[str]:
    return sorted(Conflict.objects.using(alias).values_list("kind", flat=True))


@pytest.mark.parametrize(("retention", "days"), [({}, 90), ({"RETENTION": {"CONFLICTS": 10}}, 10)])
def test_p3_records_are_kept_for_retention(pair: Pair, retention: Any, days: int) -> None:
    pair.configure("zoo.Parent", **retention)
    record(pair.b, "made long ago, by a policy", days + 1)
    record(pair.b, "made not so long ago", days - 1)
    record(pair.b, "settled by hand long ago", days + 9, days + 1)
    record(pair.b, "made long ago, settled by hand lately", days + 900, days - 1)
    record(pair.b, "open for years", 900, still_open=True)
    pair.push()
    assert kept(pair.b) == ["made long ago, settled by hand lately", "made not so long ago", "open for years"]


def test_p3_runs_are_kept_for_thirty_days(pair: Pair) -> None:
    pair.configure("zoo.Parent")
    for days in (29, 31):
        started = timezone.now() - timedelta(days=days)
        Run.objects.using(pair.b).create(peer=str(days), source="x", target="y", started=started, status="ok")
    pair.push()
    assert list(Run.objects.using(pair.b).values_list("peer", flat=True)) == ["29"]
