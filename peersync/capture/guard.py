"""The off-switch: what a peer sent is written without being captured as a change of our own.

It holds in the running transaction only, and only for the tables that it names: a user's trigger that writes
another table meanwhile is captured as always.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.db.utils import DatabaseError

from peersync.capture.postgres import token
from peersync.errors import PeersyncError
from peersync.models import Applying

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ATTRIBUTE = "_peersync_off"


def tables_off(connection: Any) -> frozenset[str]:
    """The tables whose capture is off on this connection now: for what is captured by signals."""
    return getattr(connection, _ATTRIBUTE, frozenset())


@contextmanager
def off(connection: Any, tables: Iterable[str]) -> Iterator[None]:
    """Capture is off for these tables (names as in ``db_table``) inside the block.

    Only inside of a transaction; raises PeersyncError outside of one. Blocks may be nested.
    """
    if not connection.in_atomic_block:
        raise PeersyncError("Capture can be switched off inside of a transaction only.", hint="Use atomic().")
    before = tables_off(connection)
    added = sorted(set(tables) - before)
    _switch(connection, before, before | set(added), added)
    setattr(connection, _ATTRIBUTE, before | set(added))
    try:
        yield
    except BaseException:
        # Where the transaction is broken, its rollback takes the switch with it.
        with suppress(DatabaseError):
            _switch(connection, before | set(added), before, added)
        raise
    else:
        _switch(connection, before | set(added), before, added)
    finally:
        setattr(connection, _ATTRIBUTE, before)


def _switch(connection: Any, old: frozenset[str], new: frozenset[str], moved: list[str]) -> None:
    if not moved:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT set_config('peersync.off', %s, true)",
                ["".join(token(table) for table in sorted(new))],
            )
        elif connection.vendor == "sqlite":
            name = connection.ops.quote_name(Applying._meta.db_table)
            insert = f'INSERT INTO {name} ("table") VALUES (%s)'
            delete = f'DELETE FROM {name} WHERE "table" = %s'
            statement = insert if len(new) > len(old) else delete
            cursor.executemany(statement, [(table,) for table in moved])
