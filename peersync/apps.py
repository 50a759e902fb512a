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


def catch_up(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Sent when all is migrated. What is known of a model that was renamed follows it; what was kept for others in fields
    that this release has now goes into its columns.
    """
    from django.db import DatabaseError, connections

    from peersync.apply.filling import fill
    from peersync.capture.deploying import moved
    from peersync.errors import PeersyncError
    from peersync.relabelling import refield, relabel, renamed_fields

    plan = kwargs.get("plan") or ()
    try:
        renamed = renamed_fields(plan)
        if plan:
            refield(using, renamed)
            labels = moved(connections[using], kwargs.get("apps"))
            relabel(using, labels)
            # fields that were renamed after their model was
            refield(using, [one for one in renamed if one[0] in map(str.lower, labels.values())])
        fill(using, migrated=bool(plan), renamed={new for _, _, new in renamed})
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
        post_migrate.connect(catch_up, sender=self, dispatch_uid="peersync.catching_up")
        checks.connect()
        capture.connect()
        delivery.connect()
