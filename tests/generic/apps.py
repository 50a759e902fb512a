from django.apps import AppConfig


class GenericConfig(AppConfig):
    name = "tests.generic"
    default_auto_field = "django.db.models.BigAutoField"
