from django.apps import AppConfig


class SingleConfig(AppConfig):
    name = "tests.single"
    default_auto_field = "django.db.models.BigAutoField"
