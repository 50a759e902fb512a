from django.apps import AppConfig


class FiledConfig(AppConfig):
    name = "tests.filed"
    default_auto_field = "django.db.models.BigAutoField"
