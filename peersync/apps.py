"""What Django does with us at start: make the checks known, listen to saves and migrations."""

from django.apps import AppConfig


class PeersyncConfig(AppConfig):
    name = "peersync"
    verbose_name = "Peersync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Asks no database; a mistake in SYNC_CONFIG is for the checks to say."""
        from peersync import capture, checks

        checks.connect()
        capture.connect()
