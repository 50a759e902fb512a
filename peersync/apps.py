"""What Django does with us at start: make the checks known, listen to saves and to migrations."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def make_node(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """The database has its id from its first migrate on: a backup taken right afterwards is known again."""
    from peersync.errors import PeersyncError
    from peersync.transactions import writing

    try:
        with writing(using):
            pass
    except PeersyncError:
        # a router keeps the tables out of this database, or a migration leaves them behind: nothing to make then
        return


def fill_in(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """What was kept for others in fields that this release has now goes into its columns. Sent when all is migrated."""
    from django.db import DatabaseError

    from peersync.apply.filling import fill
    from peersync.errors import PeersyncError

    try:
        fill(using, migrated=bool(kwargs.get("plan")))
    except (PeersyncError, DatabaseError):
        return  # not all is migrated yet, or the settings have a mistake: the next sync looks again


class PeersyncConfig(AppConfig):
    name = "peersync"
    verbose_name = "Peersync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Asks no database, and a mistake in SYNC_CONFIG stops nothing here: the checks speak of it."""
        from peersync import capture, checks, delivery

        post_migrate.connect(make_node, sender=self, dispatch_uid="peersync.node")
        post_migrate.connect(fill_in, sender=self, dispatch_uid="peersync.filling")
        checks.connect()
        capture.connect()
        delivery.connect()
