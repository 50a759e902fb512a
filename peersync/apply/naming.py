"""Which row here an incoming one is, where rows are named by an identity and somebody renamed one.

The source says under which names it had the row before (``earlier``); and it may not have read yet that a row was
renamed here: what it sends then bears the former name, and so do the foreign keys that point there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from django.apps import apps

from peersync import states
from peersync.apply import waiting
from peersync.apply.accepting import bounded
from peersync.apply.parts import in_parts
from peersync.apply.session import Pending, Session
from peersync.records import Key, Row
from peersync.registry import SyncField, SyncModel, key_fields
from peersync.rows import Reader, as_key, find_model, plain_reference
from peersync.tombstones import ended_in, unread_names
from peersync.versions import State, covers

Renamed = Mapping[str, Mapping[Key, tuple[str, Key]]]
"""Label → a former key → the local primary key of the row, and its key now."""
Doubles = Mapping[Key, Sequence[str]]
"""Key of an incoming row → local primary keys of rows that are one with it at the source."""


def renamed_here(session: Session) -> Renamed:
    """Rows whose former names the source may still use."""
    if session.renamed is None:
        models = session.view.registry.models
        labels = [label for label, m in models.items() if m.identity and not m.through and not m.origin]
        session.renamed = {label: found for label in labels if (found := _of_model(session, label))} if labels else {}
    return session.renamed


def _of_model(session: Session, label: str) -> dict[Key, tuple[str, Key]]:
    connection = session.connection
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pk_text, earlier FROM peersync_rowstate WHERE model = %s AND earlier IS NOT NULL AND NOT deleted"
            " AND NOT gone AND (seq IS NULL OR seq > %s)",
            [label, session.told],
        )
        former = {pk: unread_names(text, session.batch.source, session.told) for pk, text in cursor.fetchall()}
    former = {pk: names for pk, names in former.items() if names}
    if not former:
        return {}
    standing = Reader(connection, session.model(label)).by_pk(former)
    return {key: (pk, standing[pk].key) for pk, keys in former.items() if pk in standing for key in keys}


# ---------------------------------------------------------------------- rows


def local_keys(session: Session, model: SyncModel, pendings: Sequence[Pending]) -> dict[Key, str]:
    """Wire key → local primary key, by the row's name, by its earlier ones, or by what it was called here."""
    if model.origin:
        return find_model(session.connection, model, [p.row.key for p in pendings])
    waits = {p.row.key: p.row for p in waiting.renamed(session, model.label)}
    _go_on(pendings, waits)
    found = _find(session, model, [p.row.key for p in pendings], {p.row.key for p in pendings if p.row.deleted})
    claimed = _by_earlier(session, model, pendings, found, waits)
    for key, pk in [*found.items()]:
        if pk in claimed and claimed[pk] != key:
            del found[key]  # the name belongs to another row now
    keys = {p.row.key for p in pendings}
    found.update({key: pk for pk, key in claimed.items() if key in keys})
    gone = {p.row.key for p in pendings if p.row.deleted and p.row.key not in found}
    taken = set(found.values())
    found.update({key: pk for key, pk in _before(session, model, gone).items() if pk not in taken})
    former = renamed_here(session).get(model.label, {})
    missing = [p for p in pendings if p.row.key not in found]
    if missing and former:
        taken = set(found.values())
        known = states.load(session.connection, model.label, [pk for pk, _ in former.values()])
        for pending in missing:
            names = (pending.row.key, *pending.row.earlier)
            here = next((former[name][0] for name in names if name in former), None)
            if here is not None and not akin(pending.row, known.get(here), session.node.node):
                continue  # the source never saw that row
            if here is not None and here not in taken:
                found[pending.row.key] = here
                taken.add(here)
    _note_joins(pendings, found, former)
    return found


def _note_joins(pendings: Sequence[Pending], found: Mapping[Key, str], former: Mapping[Key, tuple[str, Key]]) -> None:
    """Rows of the source that meet one under a name which that got here just now: the source has two rows to make one of."""
    now = {key: pk for pk, key in former.values()}
    names: dict[str, set[Key]] = {}
    for name, (pk, _) in former.items():
        names.setdefault(pk, set()).add(name)
    for pending in pendings:
        here = now.get(pending.row.key)
        met = here is not None and found.get(pending.row.key) == here
        pending.joins = met and not names[str(here)] & {*pending.row.earlier}


def doubles(session: Session, model: SyncModel, pendings: Sequence[Pending], found: Mapping[Key, str]) -> Doubles:
    """Rows here that ended at the source under a name which an incoming one has taken over: of both, one is to be made.

    Only once the feed was read: until then such a row may turn out to be called otherwise.
    """
    if session.batch.kind not in ("rows", "end") or model.origin or session.view.filtered(model.label):
        return {}
    if bounded(session, model.label):
        return {}  # a row would go, and others be changed, that nobody has looked at
    ended = {p.row.key: keys for p in pendings if not p.row.deleted and (keys := ended_in(p.row))}
    if not ended:
        return {}
    standing = _find(session, model, [key for keys in ended.values() for key in keys])
    former = renamed_here(session).get(model.label, {})
    standing = {key: former[key][0] for keys in ended.values() for key in keys if key in former} | standing
    used = set(found.values())
    pairs = {key: [pk for one in keys if (pk := standing.get(one)) and pk not in used] for key, keys in ended.items()}
    return {key: pks for key, pks in pairs.items() if pks and key in found}


def becoming(rows: Sequence[Pending]) -> dict[str, dict[Key, str]]:
    """Of a set that is to be written: label → key → local primary key of the rows that it renames."""
    found: dict[str, dict[Key, str]] = {}
    for pending in rows:
        if renames(pending):
            found.setdefault(pending.row.model, {})[pending.row.key] = str(pending.local.pk)
    return found


def renames(pending: Pending) -> bool:
    """Whether it is called otherwise here than at its source."""
    return pending.former not in (None, pending.row.key) and pending.content is not None and bool(pending.local.pk)


def note_names(session: Session, model: SyncModel, pendings: Sequence[Pending]) -> None:
    """What is to be renamed, in this set or by rows that wait: what is named by it stands here under its present name."""
    names = {p.row.key: p.former for p in pendings if p.former is not None and p.former != p.row.key}
    waits = {p.row.key: p.row for p in waiting.renamed(session, model.label)}
    for key in {p.row.key for p in pendings}:
        waits.pop(key, None)
    if waits:
        before = _find(session, model, [key for row in waits.values() for key in row.earlier])
        known = states.load(session.connection, model.label, before.values())
        for key, row in waits.items():
            here = (one for one in row.earlier if one in before)
            if name := next((one for one in here if akin(row, known.get(before[one]), session.node.node)), None):
                names[key] = name
    if names:
        session.called = {**session.called, model.label: names}
    if former := {p.local.pk: p.row.earlier for p in pendings if p.local.pk is not None and p.row.earlier}:
        session.formerly = {**session.formerly, model.label: former}
    if ended := {key for row in (*(p.row for p in pendings), *waits.values()) for key in ended_in(row)}:
        session.ended = {**session.ended, model.label: ended}


def _find(session: Session, model: SyncModel, keys: Sequence[Key], deleted: Collection[Key] = ()) -> dict[Key, str]:
    """The rows with these keys, also where a row that is part of a key is renamed in this very set, or waits for that.

    What has the key now, below another row that bears that name meanwhile, is none of them. ``deleted``: keys of rows
    that may have ended with a row whose name another one has taken over.
    """
    here = {key: in_parts(model.key, key, session.called) if session.called else key for key in keys}
    if session.ended and (below := {k for k in deleted if here[k] != k and _below_ended(model.key, k, session.ended)}):
        here.update({key: key for key in below})
    found = find_model(session.connection, model, here.values())
    return {key: found[called] for key, called in here.items() if called in found}


def _below_ended(fields: Sequence[SyncField], key: Key, ended: Mapping[str, Collection[Key]]) -> bool:
    """Whether a part of the key, at any depth, is a name that a row took over from another."""
    for field, part in zip(fields, key, strict=True):
        if field.target is not None and not plain_reference(field):
            inner = as_key(part)
            parts = key_fields(apps.get_model(field.target))
            if inner in ended.get(field.target, ()) or _below_ended(parts, inner, ended):
                return True
    return False


def _go_on(pendings: Sequence[Pending], waits: Mapping[Key, Row]) -> None:
    """A row that waits for its new name, and comes again: the source takes it that the name is known here since then."""
    if not waits:
        return
    renamed = {key for p in pendings for key in p.row.earlier if key != p.row.key}
    for pending in pendings:
        row = pending.row
        keys = [key for key in row.earlier if key in waits] or [row.key] * (row.key in waits and row.key not in renamed)
        if pending.waiting is None and (
            more := [k for key in keys for k in waits[key].earlier if k not in row.earlier]
        ):
            pending.row = replace(row, earlier=(*dict.fromkeys(more), *row.earlier))


def _by_earlier(
    session: Session,
    model: SyncModel,
    pendings: Sequence[Pending],
    found: Mapping[Key, str],
    waits: Mapping[Key, Row],
) -> dict[str, Key]:
    """Local primary key → wire key, of rows that stand here under an earlier name.

    The feed names what this node has not read yet only: there an earlier name counts before the present one, unless
    the row of that name has seen this very change. So it does in what came with the feed and waits here: until it is
    written, no other incoming row is the one that it renames.
    """
    first = session.batch.kind == "feed"
    renamed = [
        p.row
        for p in pendings
        if p.row.earlier and (first or p.waiting is not None or p.row.key in waits or p.row.key not in found)
    ]
    incoming = {p.row.key for p in pendings}
    renamed += [row for key, row in waits.items() if key not in incoming]
    if not renamed:
        return {}
    before = _before(session, model, {key for row in renamed for key in row.earlier})
    known = states.load(session.connection, model.label, {*found.values(), *before.values()})
    claimed: dict[str, Key] = {}
    for row in renamed:
        direct = known.get(found.get(row.key, ""))
        if direct is not None and covers(direct.stored_version(session.node.node), row.version):
            continue
        here = (before[key] for key in row.earlier if key in before)
        pk = next((pk for pk in here if akin(row, known.get(pk), session.node.node)), None)
        if pk is not None:
            claimed.setdefault(pk, row.key)
    return claimed


def _before(session: Session, model: SyncModel, keys: Collection[Key]) -> dict[Key, str]:
    """The rows that stand here under these earlier keys, or those of rows that were deleted.

    Such a key is as old as the renaming, or the deletion, that left it behind: a row that is part of it may bear another
    name since, and that may have been read already.
    """
    found = _find(session, model, list(keys))
    targets = {str(field.target) for field in model.key if field.target is not None and not plain_reference(field)}
    left = [key for key in keys if key not in found]
    if not left or not targets:
        return found
    names = {label: _ever(session, label) for label in targets if label in session.view.registry.models}
    now = {key: in_parts(model.key, key, names) for key in left}
    standing = find_model(session.connection, model, list(now.values()))
    return {**{key: standing[one] for key, one in now.items() if one in standing}, **found}


def _ever(session: Session, label: str) -> dict[Key, Key]:
    """Every former name of rows that stand here → the present one; but for those that several had, or that one has.

    A name that its maker gave up in a conflict comes with the row: it never stood here.
    """
    with session.connection.cursor() as cursor:
        cursor.execute(
            "SELECT pk_text, earlier FROM peersync_rowstate WHERE model = %s AND earlier IS NOT NULL AND NOT deleted",
            [label],
        )
        former = {pk: {*unread_names(text, "", -1)} for pk, text in cursor.fetchall()}
    for pk, keys in session.formerly.get(label, {}).items():
        former[pk] = former.get(pk, set()).union(keys)
    standing = Reader(session.connection, session.model(label)).by_pk(former)
    counted = Counter(key for pk, keys in former.items() if pk in standing for key in keys)
    now = {key: standing[pk].key for pk, keys in former.items() if pk in standing for key in keys if counted[key] == 1}
    others = find_model(session.connection, session.model(label), list(now))
    return {key: one for key, one in now.items() if key not in others}


def akin(row: Row, state: State | None, node: str) -> bool:
    """Whether both may be one row: of a row that somebody has from the other side, both sides know some change.

    What is looked up to be put back by hand has no version: it may be any.
    """
    if state is None or state.pre or row.base or not row.version:
        return True
    return bool(row.version.keys() & state.others.keys()) or node in row.version
