from django.apps import AppConfig


class TypedConfig(AppConfig):
    name = "tests.typed"
    default_auto_field = "django.db.models.BigAutoField"
