"""When sync_status says that nobody delivers."""

from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from peersync.management.status import PeerStatus, _silent

CONFIG = {
    "MODELS": ["zoo.Parent"],
    "PEERS": {"branch": {"URL": "https://branch.example/peersync/", "TOKEN": "abc"}},
    "AUTO_SYNC": "background",
}


@pytest.mark.parametrize(
    ("ago", "lag", "warned"),
    [
        (timedelta(hours=1), 3600.0, True),
        (None, 3600.0, True),
        (timedelta(hours=1), 1.0, False),
        (timedelta(seconds=20), 3600.0, False),
    ],
    ids=["nobody came", "it was never met", "it is a moment ago", "it comes, and holds rows back"],
)
def test_changes_that_wait_are_a_warning_where_nobody_comes_for_them(
    ago: timedelta | None, lag: float, warned: bool
) -> None:
    """A peer that was met just now has read them: what it holds back is in an open conflict there, or in quarantine."""
    met: datetime | None = None if ago is None else timezone.now() - ago
    with override_settings(SYNC_CONFIG=CONFIG):
        assert bool(_silent([PeerStatus("branch", 7, lag, met, "")])) == warned
