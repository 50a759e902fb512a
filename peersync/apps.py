"""What Django does with us at start: make the checks known, listen to saves and to migrations."""

from django.apps import AppConfig


class PeersyncConfig(AppConfig):
    name = "peersync"
    verbose_name = "Peersync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Asks no database, and a mistake in SYNC_CONFIG stops nothing here: the checks speak of it."""
        from peersync import capture, checks, delivery

        checks.connect()
        capture.connect()
        delivery.connect()
