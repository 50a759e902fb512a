from django.apps import AppConfig


class NarrowConfig(AppConfig):
    """Stands for the app ``typed`` of an older release of the project."""

    name = "tests.narrow"
    label = "typed"
    default_auto_field = "django.db.models.BigAutoField"
