"""Django's signals: a save or a deletion of a synchronised model wakes the delivery when it is committed.

A receiver does nothing but register one call on commit; that call sets an event (``background``), or does a
round in the caller's thread (``inline``). What was changed is read from the feed: signals only say that it
is time to look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from django.core.signals import request_started, setting_changed
from django.db import connections, transaction
from django.db.backends.signals import connection_created
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_migrate, post_save, pre_migrate

from peersync.delivery import gate, process
from peersync.delivery.targets import local_alias, slave_alias
from peersync.errors import PeersyncError
from peersync.registry import registry

__all__ = ["connect"]

UID = "peersync.delivery"
STARTING = 3.0
"""Seconds that a process which only opened a connection is left alone: most commands are over by then."""

logger = logging.getLogger("peersync.delivery")


def connect() -> None:
    """Called from ``AppConfig.ready``; asks neither settings nor a database."""
    post_save.connect(_saved, dispatch_uid=UID)
    post_delete.connect(_saved, dispatch_uid=UID)
    m2m_changed.connect(_related, dispatch_uid=UID)
    request_started.connect(_requested, dispatch_uid=UID)
    connection_created.connect(_connected, dispatch_uid=UID)
    pre_migrate.connect(_migrating, dispatch_uid=UID)
    post_migrate.connect(_migrated, dispatch_uid=UID)
    setting_changed.connect(_forget, dispatch_uid=UID)
    from peersync.apply.batch import rows_applied

    rows_applied.connect(_applied, dispatch_uid=UID)
    process.prepare()


@lru_cache(maxsize=4096)
def _synchronised(sender: type[Model]) -> bool:
    """Whether a save of this model writes a table that is synchronised: its own, or that of a parent."""
    known = {model.model for model in registry().models.values()}
    concrete = sender._meta.concrete_model
    return concrete in known or any(parent in known for parent in sender._meta.all_parents)


@lru_cache(maxsize=64)
def _watched(alias: str) -> bool:
    return alias in (local_alias(), slave_alias())


def _forget(**kwargs: Any) -> None:
    if kwargs.get("setting") in ("SYNC_CONFIG", "INSTALLED_APPS", "DATABASES", "AUTH_USER_MODEL"):
        _synchronised.cache_clear()
        _watched.cache_clear()


def _saved(sender: type[Model], using: str, **_: Any) -> None:
    try:
        if gate.mode() == "off" or not _watched(using) or not _synchronised(sender):
            return
    except PeersyncError:  # SYNC_CONFIG is wrong: the checks say so, and the save stands
        return
    _on_commit(using)


def _related(sender: type[Model], action: str, using: str, **_: Any) -> None:
    if action.startswith("post_"):
        _saved(sender, using)


def _applied(using: str, peer: str, **_: Any) -> None:
    """What came from one peer goes on to the others. Sent after the commit."""
    try:
        if gate.mode() != "off" and _watched(using):
            _committed(using, peer)
    except PeersyncError:
        return


def _on_commit(using: str) -> None:
    call = _call(using)
    waiting = getattr(connections[using], "run_on_commit", None)
    # A thousand saves in one transaction (and savepoint) need one call.
    if waiting and waiting[-1][1] is call and waiting[-1][0] == set(connections[using].savepoint_ids):
        return
    transaction.on_commit(call, using=using, robust=True)


@lru_cache(maxsize=64)
def _call(using: str) -> Callable[[], None]:
    return partial(_committed, using)


def _committed(using: str, sender: str = "") -> None:
    mode = gate.mode()
    if mode == "background":
        process.wake()
    elif mode == "inline":
        from peersync.delivery import inline

        inline.deliver_now(using, sender)


def _requested(**_: Any) -> None:
    _start(0.0)


def _connected(connection: Any, **_: Any) -> None:
    """A worker that neither serves requests nor saves (a queue, a bot) delivers too."""
    try:
        if not process.running() and _watched(connection.alias):
            _start(STARTING)
    except PeersyncError:
        return


def _start(delay: float) -> None:
    if process.running():
        return
    try:
        if gate.mode() == "background" and registry().models:
            process.start(delay)
    except PeersyncError:
        return


def _migrating(**_: Any) -> None:
    process.rest(True)


def _migrated(**_: Any) -> None:
    process.rest(False)
