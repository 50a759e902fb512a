"""The calls of docs/protocol.md, one view each: read what is asked, ask the replica, write its answer."""

from peersync_api.views.changes import ChangesView
from peersync_api.views.files import (
    FileContentView,
    FileReceivedView,
    FilesOfferedView,
    FilesView,
    FilesWantedView,
)
from peersync_api.views.open import DocsView, HealthView, NotFoundView, SchemaView
from peersync_api.views.reading import (
    CheckpointView,
    DescribeView,
    DigestsView,
    RowsView,
    SnapshotView,
)

__all__ = [
    "ChangesView",
    "CheckpointView",
    "DescribeView",
    "DigestsView",
    "DocsView",
    "FileContentView",
    "FileReceivedView",
    "FilesOfferedView",
    "FilesView",
    "FilesWantedView",
    "HealthView",
    "NotFoundView",
    "RowsView",
    "SchemaView",
    "SnapshotView",
]
