"""Making, looking at and taking away the triggers of a database.

Only ``migrate`` and ``sync_peer install`` make them. A table whose text is right is not touched; each other
one gets a short transaction of its own with a lock timeout, so that a busy site never stands still behind
us.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.utils import OperationalError, ProgrammingError

from peersync.capture import postgres, sqlite
from peersync.capture.plans import Made, Plan, Standing, models_on, plan, tables_exist
from peersync.conf import settings
from peersync.errors import PeersyncError
from peersync.models import InstalledTrigger, MissedCapture, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from peersync.registry import SyncModel

logger = logging.getLogger("peersync.capture")

LOCK_TIMEOUT_MS = 2000
"""How long a CREATE TRIGGER waits for its table; as long an insert may have to wait behind it."""
RETRIES = 3
PAUSE = 0.5
"""Seconds between two tries: whoever queued up behind the first one goes first."""
_BUSY = ("55P03", "40P01")


@dataclass(frozen=True)
class Problem:
    """What is wrong with the capture of one model.

    ``lost``: changes may have gone by unseen, so that the model owes a comparison; otherwise it is captured,
    but not by the text that these settings ask for.
    """

    label: str
    reason: str
    lost: bool

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}"


def supported(connection: Any) -> bool:
    return connection.vendor in ("postgresql", "sqlite")


def by_triggers(connection: Any) -> bool:
    """Whether triggers are what captures in this database."""
    return settings().capture == "triggers" and supported(connection)


def check(alias: str) -> list[Problem]:
    """What is wrong with the triggers; reads only.

    Empty where signals capture, or where peersync's tables are missing.
    """
    connection = connections[alias]
    if not by_triggers(connection) or not tables_exist(connection):
        return []
    found = []
    for label, model, standing in _standings(connection, models_on(alias)):
        problem = _problem(connection, label, model, standing)
        if problem is not None:
            found.append(problem)
    return found


def install(alias: str, labels: Iterable[str] | None = None) -> list[str]:
    """Make what is missing or other than it should be; returns the labels of those made.

    Without ``labels``: all, and models that are synchronised no more lose theirs. A model that had triggers
    and lost them is noted as :class:`MissedCapture`. A table that stays busy is left, and :func:`check` goes
    on naming it. Raises PeersyncError where the role has no right to make them.
    """
    connection = connections[alias]
    if not supported(connection) or not tables_exist(connection):
        return []
    if not by_triggers(connection):
        remove(alias)
        return []
    wanted = models_on(alias)
    chosen = {k: v for k, v in wanted.items() if labels is None or k in set(labels)}
    known = dict(InstalledTrigger.objects.using(alias).values_list("model", "digest"))
    done = []
    standings = _standings(connection, chosen)
    for label, model, standing in standings:
        made = _install_one(connection, model, standing, known.get(label))
        if made:
            done.append(label)
    if labels is None:
        standing_labels = {label for label, _, _ in standings}
        InstalledTrigger.objects.using(alias).filter(model__in=set(wanted) - standing_labels).delete()
        _take_away(connection, [model.table for model in wanted.values()])
        InstalledTrigger.objects.using(alias).exclude(model__in=wanted).exclude(digest="").update(digest="")
    return done


def remove(alias: str) -> None:
    """Take every trigger and function of ours away."""
    connection = connections[alias]
    if not supported(connection) or not tables_exist(connection):
        return
    _take_away(connection, [])
    InstalledTrigger.objects.using(alias).exclude(digest="").update(digest="")


def mark(alias: str, problems: Iterable[Problem]) -> None:
    """Note the models whose changes may have gone by unseen: they owe a comparison begun after now."""
    lost = [problem for problem in problems if problem.lost]
    if not lost:
        return
    seq = Node.objects.using(alias).values_list("last_seq", flat=True).first() or 0
    for problem in lost:
        MissedCapture.objects.using(alias).update_or_create(
            model=problem.label, defaults={"reason": problem.reason, "seq": seq}
        )


def _standings(connection: Any, models: dict[str, SyncModel]) -> list[tuple[str, SyncModel, Standing]]:
    backend: Any = postgres if connection.vendor == "postgresql" else sqlite
    found = backend.look(connection, models.values())
    return [(label, model, found[label]) for label, model in models.items() if label in found]


def _made(connection: Any, planned: Plan) -> Made:
    if connection.vendor == "postgresql":
        return postgres.make(connection, planned, postgres.own_schema(connection))
    return sqlite.make(connection, planned)


def _problem(connection: Any, label: str, model: SyncModel, standing: Standing) -> Problem | None:
    if standing.reason:
        return Problem(label, standing.reason, lost=True)
    planned = plan(model, standing)
    if planned is None:
        return Problem(label, f"its table has no column {', '.join(map(repr, model.local.names))}", lost=True)
    if _made(connection, planned).digest != standing.digest:
        return Problem(label, "its trigger is not the one that the settings ask for", lost=False)
    return None


def _install_one(connection: Any, model: SyncModel, standing: Standing, known: str | None) -> bool:
    """Make the triggers of one table unless they are right.

    ``known``: InstalledTrigger's digest, if it has any.
    """
    planned = plan(model, standing)
    if planned is None:
        return False
    made = _made(connection, planned)
    alias = connection.alias
    if not standing.reason and standing.digest == made.digest:
        if known != made.digest:
            record(alias, model.label, made.digest)
        return False
    lost = _lost(alias, model.label, standing, known)
    statements = list(made.statements)
    if connection.vendor == "postgresql":
        statements += postgres.after(connection, planned, standing)

    def write() -> None:
        if connection.vendor == "sqlite":
            sqlite.drop(connection, planned.table)
        _run(connection, statements)
        record(alias, model.label, made.digest)
        mark(alias, lost)

    if _patiently(connection, write, model.label):
        return True
    mark(alias, lost)
    return False


def _lost(alias: str, label: str, standing: Standing, known: str | None) -> list[Problem]:
    """Whether something was promised before: by an install, or by a sync that went on without triggers."""
    promised = known is not None or MissedCapture.objects.using(alias).filter(model=label).exists()
    return [Problem(label, standing.reason, lost=True)] if standing.reason and promised else []


def record(alias: str, label: str, digest: str) -> None:
    """Note what was installed for a model: from now on its changes are promised to be seen."""
    InstalledTrigger.objects.using(alias).update_or_create(model=label, defaults={"digest": digest})


def _run(connection: Any, statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _take_away(connection: Any, keep: Iterable[str]) -> None:
    backend: Any = postgres if connection.vendor == "postgresql" else sqlite
    for statements in backend.strangers(connection, keep):
        _patiently(connection, partial(_run, connection, statements), statements[0])
    if connection.vendor == "postgresql":
        postgres.drop_unused_functions(connection)


def _patiently(connection: Any, write: Callable[[], None], what: str) -> bool:
    """Run ``write`` in a transaction that does not wait long; False where the table stayed busy."""
    for attempt in range(RETRIES):
        try:
            with transaction.atomic(using=connection.alias), _lock_timeout(connection):
                write()
        except ProgrammingError as error:
            if _sqlstate(error) != "42501":
                raise
            raise PeersyncError(
                f"The database role of {connection.alias!r} may not make triggers ({what}).",
                hint="Run as the role that owns the tables: manage.py sync_peer install",
            ) from error
        except OperationalError as error:
            if not _busy(error):
                raise
            if attempt + 1 < RETRIES:
                time.sleep(PAUSE)
        else:
            return True
    logger.warning("peersync: %s is busy, its triggers were left. Run later: manage.py sync_peer install", what)
    return False


@contextmanager
def _lock_timeout(connection: Any) -> Iterator[None]:
    """A lock timeout inside the block. After a failure the rollback brings the former value back."""
    if connection.vendor != "postgresql":
        yield
        return
    setting = "SELECT set_config('lock_timeout', %s, true)"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        former = cursor.fetchone()[0]
        cursor.execute(setting, [str(LOCK_TIMEOUT_MS)])
    yield
    with connection.cursor() as cursor:
        cursor.execute(setting, [former])


def _busy(error: OperationalError) -> bool:
    return _sqlstate(error) in _BUSY or "locked" in str(error)


def _sqlstate(error: Exception) -> str | None:
    """psycopg2 calls it pgcode, psycopg sqlstate; SQLite has none."""
    cause = error.__cause__
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
