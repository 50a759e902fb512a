"""Django system checks: every mistake in the settings, by a stable id, with its mend. docs/checks.md has all.

Nothing here asks a database, but :func:`check_database`, which Django runs for ``migrate`` and
``check --database`` alone, and which is content where a table is missing: a fresh database can be migrated.
"""

from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Tags, register

from peersync import conf
from peersync.checks import databases, files, filters, form, models, names, roles, sizes, travel
from peersync.checks.messages import has_errors

__all__ = ["check_database", "check_settings", "connect"]


def check_settings(**_: Any) -> list[CheckMessage]:
    """All that can be said without asking a database.

    What stands on a mistake is not looked at before that is mended. ``manage.py check app`` looks at
    everything too: the settings are of one piece.
    """
    found = form.check()
    if found:
        return found
    settings = conf.settings()
    found = [*names.check(settings), *databases.check(settings), *roles.check(settings)]
    if has_errors(found):
        return found
    found += models.check(settings)
    if not has_errors(found):
        found += [*travel.check(settings), *filters.check(settings), *files.check(settings)]
    return found


def check_database(databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """How large our own tables have grown."""
    if form.check():
        return []
    return [message for alias in databases or () for message in sizes.check(alias, conf.settings())]


def connect() -> None:
    """Make Django know them; called from ``AppConfig.ready``."""
    register(check_settings, "peersync")
    register(check_database, "peersync", Tags.database)
