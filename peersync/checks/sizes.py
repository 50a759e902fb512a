"""How large our own tables have grown: the only check that asks a database, silent where one is missing."""

from collections.abc import Iterator

from django.core.checks import CheckMessage
from django.db import Error, connections
from django.db.models import Model, QuerySet

from peersync.checks.messages import message
from peersync.conf import Settings
from peersync.models import Conflict, Journal, Quarantine

JOURNAL = 100_000
"""Rows: what an hour of a busy site may leave before it is numbered."""
QUARANTINE = 100


def check(alias: str, conf: Settings) -> list[CheckMessage]:
    try:
        return list(_sizes(alias, conf))
    except Error:  # nobody may read there, or nobody answers: not for a check of sizes to say
        return []


def _sizes(alias: str, conf: Settings) -> Iterator[CheckMessage]:
    connection = connections[alias]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    if Journal._meta.db_table in tables and _more(Journal.objects.using(alias), JOURNAL):
        text = f'On "{alias}" more than {JOURNAL} changes stand in the journal, and nobody has numbered them.'
        yield message("W010", text, "Run `manage.py sync_status`: it says which peer was last delivered to.")
    if Conflict._meta.db_table in tables:
        unsettled = Conflict.objects.using(alias).filter(settled__isnull=True)
        if _more(unsettled, conf.max_conflicts):
            text = f'On "{alias}" more than {conf.max_conflicts} records of conflicts are not settled.'
            yield message(
                "W011",
                text,
                "Look through them in the admin, or settle them with peersync.put_back; docs/conflicts.md.",
            )
    if Quarantine._meta.db_table in tables:
        listed = Quarantine.objects.using(alias).filter(listed=True)
        if _more(listed, QUARANTINE):
            text = f'On "{alias}" more than {QUARANTINE} rows wait in quarantine.'
            yield message("W012", text, "`manage.py sync_status` names the reasons; each later sync tries again.")


def _more(rows: QuerySet[Model], than: int) -> bool:
    """Counts no further than it has to."""
    return rows.order_by()[: than + 1].count() > than
