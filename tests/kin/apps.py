from django.apps import AppConfig


class KinConfig(AppConfig):
    name = "tests.kin"
    default_auto_field = "django.db.models.BigAutoField"
