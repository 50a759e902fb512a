from django.apps import AppConfig


class CompositeConfig(AppConfig):
    name = "tests.composite"
    default_auto_field = "django.db.models.BigAutoField"
