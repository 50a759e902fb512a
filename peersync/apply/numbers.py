"""Which rows that are made here keep the primary key that they have at the source, where that does not name them.

Rows that are named by their origin say in their name which one they had where they were born; they keep that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from peersync import origins, states
from peersync.apply.blocks import Place
from peersync.apply.sequences import catch_up, counter, draw, own, reserve
from peersync.apply.session import Pending, Session
from peersync.codec import key_text
from peersync.journal import journal_of
from peersync.registry import SyncModel
from peersync.rows import NO_ROW, existing

TRIES = 4


def given(session: Session, model: SyncModel, born: Sequence[Pending]) -> dict[Place, str]:
    """Place of a row that is about to be made → the primary key that it gets; where none is said, the database chooses.

    It is said of each row that is named by its origin, but where the database gives only numbers that are taken.
    """
    numbers = kept(session, model, born)
    if model.origin:
        numbers |= drawn(session, model, [p for p in born if p.place not in numbers])
    return numbers


def kept(session: Session, model: SyncModel, born: Sequence[Pending]) -> dict[Place, str]:
    """Place of a row that is about to be made → the primary key that it brings along, where that is free here.

    Free: nothing stands or stood under it. An automatic key of PostgreSQL must besides be one that the sequence has not
    given yet, since an open transaction may hold it; the sequence is moved first, for good. Of two rows that want one
    number the first gets it.
    """
    wanted = _wanted(session, model, born)
    if not wanted:
        return {}
    free = _free(session, model, wanted)
    if model.pk.automatic:
        back = {pk for pk in free if _its_own(wanted[pk], pk)}
        free = back | _above(session, model, free - back)
        reserve(session.connection, model, max((int(pk) for pk in free), default=0))
    return {wanted[pk].place: pk for pk in free}


def _wanted(session: Session, model: SyncModel, born: Sequence[Pending]) -> dict[str, Pending]:
    if not (model.brings_pk or model.origin):
        return {}
    valid = model.pk.codec(session.connection.vendor).valid
    most = _most(session, model)
    found: dict[str, Pending] = {}
    for pending in born:
        pk = _birth_number(pending) if model.origin else pending.row.pk
        # a row that waited may have come under other settings
        if pk is not None and valid(pk) and (most is None or pk <= most):
            found.setdefault(key_text(pk), pending)
    return found


def _birth_number(pending: Pending) -> int | None:
    """The number where the row was born, or the one that it had here before it was deleted; no number from below 1."""
    before = pending.local.pk
    number = int(pending.row.key[1]) if before is None or before.startswith(NO_ROW) else int(before)
    return number if number > 0 else None


def _most(session: Session, model: SyncModel) -> int | None:
    """The highest automatic key that a peer may bring: he must not use up the numbers that this node has left."""
    if not model.pk.automatic:
        return None
    highest = session.connection.ops.integer_field_range(model.pk.field.get_internal_type())[1]
    return None if highest is None else int(highest) // 4 * 3


def _free(session: Session, model: SyncModel, wanted: dict[str, Pending]) -> set[str]:
    """Those under which no row stands, no state of another one, and nothing that was noted and has no state yet."""
    connection, label = session.connection, model.label
    free = set(wanted) - existing(connection, model, wanted)
    free -= {pk for pk in states.load(connection, label, free) if not _its_own(wanted[pk], pk)}
    if model.origin:
        others = [int(pk) for pk in free if not _its_own(wanted[pk], pk)]
        free -= {str(local) for local in origins.known(connection, label, others)}
    return free - set(journal_of(session.node, label, free, take=False))


def _its_own(pending: Pending, pk: str) -> bool:
    """Whether the row itself stood under it before it was deleted here."""
    return pending.local.state is not None and pending.local.state.pk == pk


def _above(session: Session, model: SyncModel, pks: Iterable[str]) -> set[str]:
    """Those that nobody was given by the sequence. What was drawn for a set that was then refused is still ours."""
    if session.connection.vendor != "postgresql":
        return set(pks)
    numbers = {int(pk): pk for pk in pks}
    mine = session.drawn.setdefault(model.label, set())
    missing = numbers.keys() - mine
    found = counter(session.connection, model) if missing else None
    if found is not None and found.accepts:
        mine |= own(session.connection, found, missing)
    return {pk for number, pk in numbers.items() if number in mine}


def drawn(session: Session, model: SyncModel, born: Sequence[Pending]) -> dict[Place, str]:
    """Place of a row that is about to be made, and cannot keep its number → the next one that the database gives.

    Of models with an automatic key. Some are left out where the database gives only numbers that are taken.
    """
    connection = session.connection
    found: list[int] = []
    for _ in range(TRIES):
        if len(found) >= len(born):
            break
        new = {*draw(connection, model, len(born) - len(found))} - {*found}
        used = {int(pk) for pk in existing(connection, model, map(str, new))} | origins.known(
            connection, model.label, new
        )
        used |= {int(pk) for pk in states.load(connection, model.label, map(str, new))}
        found += sorted(new - used)
        if used:
            catch_up(connection, model)
    return {pending.place: str(number) for pending, number in zip(born, found, strict=False)}


def note_names(session: Session, model: SyncModel, made: Sequence[Pending]) -> None:
    """Note what rows are called that were just made here, where their number here does not say it."""
    if not model.origin:
        return
    base = origins.base_name(session.connection, model.label)
    called = {int(str(p.local.pk)): [p.row.key, *p.row.earlier] for p in made}
    entries = {number: keys for number, keys in called.items() if keys != [(base, number)]}
    origins.save(session.connection, model.label, entries)
