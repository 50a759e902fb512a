"""``put_back``: write a version that a record keeps as a local change that has seen both, and mark the record settled.

Values go from the record to the column by the codec, as rows of a peer do: no ``save()``, no code of a field's class
and no pre_save or post_save runs on them. ``rows_applied`` tells what was written. A deletion is the ORM's own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.db import IntegrityError, transaction
from django.utils import timezone

from peersync import numbering, states
from peersync.apply.batch import rows_applied
from peersync.apply.blocks import Block, Place, named, shown
from peersync.apply.records import record, whole, write_records
from peersync.apply.session import Pending
from peersync.apply.settle import write_decided
from peersync.conf import settings
from peersync.errors import Busy, CannotPutBack, WireError
from peersync.models import Conflict
from peersync.rows import key_json
from peersync.settling.hanging import Deletion, Returning, deletion, returning
from peersync.settling.kept import Content, Fields, Kept, Side, choose, read
from peersync.settling.own import OwnSession, own_session
from peersync.settling.rows import as_it_stands, decide, fill, find, names_of, own_pk
from peersync.transactions import NodeRow, writing

UNDONE = "put back"
"""Kind of the record of a row that was put back over, where what stood there is in no record yet."""

HINTS = {
    "parent": "Bring that row back first, or leave the field out: fields=[…].",
    "unique": "Change that row first, or leave the field out: fields=[…].",
    "constraint": "Mend what the database names, or leave fields out: fields=[…].",
}


@dataclass(frozen=True)
class PutBack:
    """What :func:`put_back` did, or would do. Values are wire values, as in the record.

    ``before``: the row as it stood, None where there was none; ``written``: the fields that changed. Numbers of rows per
    model: ``returned`` came back with it, ``relinked`` point to it again, ``deleted`` went with a deletion, ``unlinked``
    lost their link to it. ``left``: sentences about rows that were left as they stand; ``seen``: a digest of what stood.
    """

    record: int
    model: str
    action: Literal["created", "updated", "deleted", "nothing"]
    before: Content | None
    written: Content = field(default_factory=dict)
    returned: Mapping[str, int] = field(default_factory=dict)
    relinked: Mapping[str, int] = field(default_factory=dict)
    deleted: Mapping[str, int] = field(default_factory=dict)
    unlinked: Mapping[str, int] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    seen: str = ""


def put_back(
    conflict: Conflict | int,
    side: Side | None = None,
    fields: Fields | None = None,
    *,
    using: str | None = None,
    cascade: bool | None = None,
    seen: str | None = None,
    dry_run: bool = False,
) -> PutBack:
    """Write the version ``side`` of a record's row here, as a local change that travels like any; the record is settled.

    ``conflict``: a record or its number. ``fields``: these alone; or ``{field: side}``, the others as ``side`` has them,
    or, without it, as they stand. ``using``: the database, else the record's own, else this node's. ``cascade``: whether
    rows that went with the deletion come back too (they do unless False), and whether rows may go that hang on one that
    is to be deleted (they may only where True). ``seen``: refuse unless the row still stands as it stood for that
    answer. ``dry_run`` writes nothing.

    All in one transaction of its own, which cannot be inside of ``atomic()``. Raises CannotPutBack with what is in the
    way, Busy where another transaction holds the row; nothing was written then.
    """
    number, alias = _place(conflict, using)
    numbering.number(alias)  # a row that went a moment ago is found by the name that its tombstone keeps
    try:
        with writing(alias) as node:
            kept = read(node, number)
            session = own_session(node, kept)
            if kept.open:
                kept = as_it_stands(session, kept)
            putting = _Putting(session, kept, seen, dry_run=dry_run)
            done = putting.run(side, fields, cascade)
            _settle(node, session, kept, done)
            if dry_run:
                transaction.set_rollback(True, using=alias)
    except WireError as error:
        raise CannotPutBack(f"Record {number} keeps a value that does not fit any more: {error}") from error
    except IntegrityError as error:  # what the database looks at when it commits
        raise CannotPutBack(f"The database refuses it: {str(error).strip().splitlines()[0]}") from error
    if putting.events and not dry_run:
        rows_applied.send(sender=None, rows=session.written, using=alias, peer="")
    return done


def _place(conflict: Conflict | int, using: str | None) -> tuple[int, str]:
    if isinstance(conflict, Conflict):
        return conflict.pk, using or conflict._state.db or settings().master
    return conflict, using or settings().master


def _settle(node: NodeRow, session: OwnSession, kept: Kept, done: PutBack) -> None:
    now = timezone.now()
    write_records(session.connection, session.records)
    records = Conflict.objects.using(node.alias)
    records.filter(model=kept.model, kind=UNDONE, settled=None).update(settled=now)
    changes: dict[str, Any] = {"settled": now, "open": False}
    if kept.open:
        # what is settled is the row as it stood now, and nobody had won before
        local = kept.sides["local"]
        changes["local"] = None if local is None else json.dumps(local, ensure_ascii=False)
        gone = done.action == "deleted" or (done.before is None and done.action == "nothing")
        changes["winner"] = kept.winner(None if gone else {**(done.before or {}), **done.written})
    records.filter(pk=kept.number).update(**changes)


class _Putting:
    """One call."""

    def __init__(self, session: OwnSession, kept: Kept, seen: str | None, *, dry_run: bool) -> None:
        self.session, self.kept, self.seen, self.dry_run = session, kept, seen, dry_run
        self.events = False
        """Whether there is something to deliver (a deletion says so by itself)."""

    def run(self, side: str | None, fields: Fields | None, cascade: bool | None) -> PutBack:
        content = choose(self.kept, side, fields)
        pending = find(self.session, self.kept, content)
        if content is None:
            return self._delete(pending, allowed=bool(cascade))
        comes_back = cascade is not False and fields is None and side == "local"
        return self._write(pending, content, returning_too=comes_back)

    # ------------------------------------------------------------------ a content

    def _write(self, pending: Pending, content: Content, *, returning_too: bool) -> PutBack:
        session, kept = self.session, self.kept
        before, standing = whole(session.model(kept.model), pending), pending.local.content
        seen = self._look(pending, before, {})
        if standing is None:
            self._check_complete(content)
            pending.row = replace(pending.row, pk=own_pk(session.model(kept.model), kept.pk))
        fill(session, [pending], [content])
        decide(session, pending, kept.version, event=kept.open, stamp=kept.stamp)
        self._keep(pending, dict(zip(pending.names, standing, strict=True)) if standing is not None else {})
        more = returning(session, kept) if returning_too else Returning()
        self._carry_out([pending, *more.rows, *more.links])
        values = dict(zip(pending.names, pending.row.content or (), strict=True))
        changed = {n: v for n, v in values.items() if before is None or before[n] != v}
        return PutBack(
            kept.number,
            kept.model,
            "created" if before is None else "updated" if changed else "nothing",
            before,
            changed,
            dict(Counter(row.row.model for row in more.rows)),
            dict(Counter(row.row.model for row in more.links)),
            left=tuple(more.left),
            seen=seen,
        )

    def _check_complete(self, content: Content) -> None:
        """A row that is gone comes back whole."""
        sides = [side for side in self.kept.sides.values() if side is not None]
        if not any(set(side) <= set(content) for side in sides):
            raise CannotPutBack(
                f"{self.kept.name} is not here any more: single fields of it cannot be put back.",
                hint="Put a version back whole; fields={field: side} may then take some from the other one.",
            )

    # ------------------------------------------------------------------ a deletion

    def _delete(self, pending: Pending, *, allowed: bool) -> PutBack:
        session, kept = self.session, self.kept
        model = session.model(kept.model)
        before = whole(model, pending)
        if before is None:
            decide(session, pending, kept.version, event=kept.open, stamp=kept.stamp)
            self._carry_out([pending])
            return PutBack(kept.number, kept.model, "nothing", None, seen=self._look(pending, None, {}))
        found = deletion(session, model, str(pending.local.pk))
        seen = self._look(pending, before, found.goes)
        if (found.goes or found.unlinked) and not allowed:
            raise CannotPutBack(
                f"{kept.name} cannot be deleted: rows hang on it that no record keeps ({found.sentence()}).",
                hint="Move or delete them first, or say cascade=True.",
            )
        decide(session, pending, kept.version, stamp=kept.stamp)
        self._keep(pending, before)
        if not self.dry_run:
            self._carry_out_deletion(pending, found)
        return PutBack(
            kept.number, kept.model, "deleted", before, deleted=found.goes, unlinked=found.unlinked, seen=seen
        )

    def _carry_out_deletion(self, pending: Pending, found: Deletion) -> None:
        session = self.session
        if pending.decision is not None and pending.decision.record:
            record(session, pending, UNDONE, "incoming")
        found.collector.delete()
        state = pending.decision.state if pending.decision is not None else None
        if state is not None:
            state.pk, state.deleted = str(pending.local.pk), True
            state.key = key_json(pending.former or pending.row.key)
            states.save(session.connection, [state])

    # ------------------------------------------------------------------ both

    def _look(self, pending: Pending, before: Content | None, goes: Mapping[str, int]) -> str:
        """A digest of what stands now; raises CannotPutBack where it is not what the caller has seen.

        A row that was renamed since must have been seen: under the number of one that is gone another may have been made.
        """
        known = names_of(self.session.model(self.kept.model), self.kept)
        if self.seen is None and not self.dry_run and pending.former is not None and pending.former not in known:
            raise CannotPutBack(
                f"{self.kept.name} is called {shown(pending.former)} now.",
                hint="Look at it with dry_run=True, and give seen= of that answer, to write over it.",
            )
        text = json.dumps([before, goes], sort_keys=True, ensure_ascii=False)
        found = hashlib.sha256(text.encode()).hexdigest()[:16]
        if self.seen is not None and self.seen != found:
            raise CannotPutBack(
                f"{self.kept.name} was changed meanwhile; nothing was written.", hint="Look at it again, then decide."
            )
        return found

    def _keep(self, pending: Pending, replaced: Content) -> None:
        """What is replaced, and was written since the record was made, gets a record of its own."""
        if replaced and pending.decision is not None and pending.decision.write and not self.kept.holds(replaced):
            pending.decision.record = UNDONE

    def _carry_out(self, pendings: Sequence[Pending]) -> None:
        wanted = [pending for pending in pendings if pending.decision is not None]
        self.events = bool(wanted)
        blocked = write_decided(self.session, wanted)
        for place, block in blocked.items():
            raise self._in_the_way(place, block)

    def _in_the_way(self, place: Place, block: Block) -> Exception:
        if block.reason == "busy":
            return Busy(f"Another transaction holds what {named(place)} needs.", hint="Try again; nothing was written.")
        hint = HINTS.get(block.reason, "")
        if block.reason == "parent" and (number := self._record_of(block.needs[0])):
            hint = f"Record {number} keeps that row: put it back first."
        if place[0] != self.kept.model:
            hint += " Or leave out what went with it: cascade=False."
        return CannotPutBack(f"{named(place)} cannot be put back: {block.detail}.", hint=hint, reason=block.reason)

    def _record_of(self, place: Place) -> int | None:
        records: Any = Conflict.objects.using(self.session.node.alias).filter(model=place[0], key=key_json(place[1]))
        found: int | None = records.exclude(local=None).order_by("-id").values_list("pk", flat=True).first()
        return found
