"""An app in two versions, the second with one more migration: what an upgrade does to captured tables.

Both versions have the app label ``evolving``; each is a package written into a temporary directory.
"""

import itertools
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.test.utils import override_settings

LABEL = "evolving"
_numbers = itertools.count(1)

_APPS = """
from django.apps import AppConfig

class Evolving(AppConfig):
    name = "{package}"
    label = "evolving"
    default_auto_field = "django.db.models.BigAutoField"
"""
_HEAD = "import uuid\nfrom django.db import migrations, models\n\n"


def _models(text: str) -> str:
    return "import uuid\nfrom django.db import models\n\n" + textwrap.dedent(text)


class Version:
    """One version of the app: its models, and its migrations as source text by name."""

    def __init__(self, directory: Path, models: str, migrations: dict[str, str]) -> None:
        self.package = f"evolving_{next(_numbers)}"
        root = directory / self.package
        (root / "migrations").mkdir(parents=True)
        (root / "__init__.py").touch()
        (root / "apps.py").write_text(_APPS.format(package=self.package))
        (root / "models.py").write_text(_models(models))
        (root / "migrations" / "__init__.py").touch()
        for name, text in migrations.items():
            (root / "migrations" / f"{name}.py").write_text(_HEAD + textwrap.dedent(text))

    @contextmanager
    def running(self, installed: list[str], config: dict[str, Any]) -> Iterator[None]:
        """The process as if it had been started with this version of the app."""
        config = {**config, "MODELS": [*config["MODELS"], f"{LABEL}.*"]}
        try:
            with (
                override_settings(INSTALLED_APPS=[*installed, self.package]),
                override_settings(SYNC_CONFIG=config),
            ):
                yield
        finally:
            apps.all_models.pop(LABEL, None)
            for name in [n for n in sys.modules if n.split(".")[0] == self.package]:
                del sys.modules[name]
            apps.clear_cache()


def migrate(alias: str, *target: str) -> None:
    call_command("migrate", *target, database=alias, verbosity=0, interactive=False)


def model(name: str) -> Any:
    """The class of the version that is running."""
    return apps.get_model(LABEL, name)
