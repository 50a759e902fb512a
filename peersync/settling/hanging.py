"""What hangs on the row: rows that went with its deletion come back with it; rows that would go now are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import Collector

from peersync.apply.loading import load
from peersync.apply.session import Pending
from peersync.errors import CannotPutBack
from peersync.queries import among
from peersync.records import Key
from peersync.registry import SyncModel, label_of
from peersync.settling.kept import Kept
from peersync.settling.own import OwnSession
from peersync.settling.rows import check_names, decide, fill, key_of, own_pk, probe


@dataclass
class Returning:
    """Of a record's ``cascade``: rows that come back or get their link back, and sentences about what is left as it stands."""

    rows: list[Pending] = field(default_factory=list)
    links: list[Pending] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def returning(session: OwnSession, kept: Kept) -> Returning:
    """The rows that went with the deletion, and the links that it took from rows that stayed."""
    found = Returning()
    _rows(session, kept, found)
    _links(session, kept, found)
    return found


def _rows(session: OwnSession, kept: Kept, found: Returning) -> None:
    gone = {_key(session, row): row for row in kept.cascade if "link" not in row}
    probes = {place: _probe(session, kept, row, place) for place, row in gone.items()}
    load(session, list(probes.values()))
    wanted = []
    for place, pending in probes.items():
        if pending.local.content is not None:
            found.left.append(f"{_name(gone[place])} stands here again, and was left as it is.")
        else:
            wanted.append((pending, gone[place]))
    fill(session, [pending for pending, _ in wanted], [_fields(session, row) for _, row in wanted])
    for pending, row in wanted:
        pending.row = replace(pending.row, pk=own_pk(session.model(pending.row.model), str(row["pk"])))
        decide(session, pending, {})
        found.rows.append(pending)


def _links(session: OwnSession, kept: Kept, found: Returning) -> None:
    linked: dict[tuple[str, Key], dict[str, Any]] = {}
    for row in kept.cascade:
        if "link" in row:
            entry = linked.setdefault(_key(session, row), {"row": row, "links": {}})
            entry["links"][row["link"]] = row["fields"][row["link"]]
    back = {pending.place for pending in found.rows}
    probes = {
        place: probe(session, place[0], place[1], tuple(entry["links"]))
        for place, entry in linked.items()
        if place not in back  # it went by another link, and has come back whole
    }
    load(session, list(probes.values()))
    wanted = []
    for place, pending in probes.items():
        links, name = linked[place]["links"], _name(linked[place]["row"])
        if pending.local.content is None:
            found.left.append(f"{name} pointed to it, and is not here any more.")
        elif pending.local.content == tuple(links.values()):
            continue
        elif any(value is not None for value in pending.local.content):
            found.left.append(f"{name} points elsewhere now ({', '.join(links)}), and was left as it is.")
        else:
            wanted.append((pending, links))
    fill(session, [pending for pending, _ in wanted], [links for _, links in wanted])
    for pending, _ in wanted:
        decide(session, pending, {})
        found.links.append(pending)


def _key(session: OwnSession, row: Mapping[str, Any]) -> tuple[str, Key]:
    model = session.model(str(row["model"]))
    return model.label, key_of(model, row["fields"], (None,) * len(model.key))


def _probe(session: OwnSession, kept: Kept, row: Mapping[str, Any], place: tuple[str, Key]) -> Pending:
    names = tuple(_fields(session, row))
    check_names(session.model(place[0]), names, kept)
    return probe(session, place[0], place[1], names)


def _fields(session: OwnSession, row: Mapping[str, Any]) -> dict[str, Any]:
    """Where the identity names the row, its number is looked at apart: another row may have it now."""
    model = session.model(str(row["model"]))
    number = model.model._meta.pk.name if model.identity else ""
    return {name: value for name, value in row["fields"].items() if name != number or name in model.names}


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['model']} {row['pk']}"


# ---------------------------------------------------------------------- rows that would go now


@dataclass
class Deletion:
    """Of one row that stands, by its models' own on_delete, as the ORM does it.

    ``goes``, ``unlinked``: rows besides it that would be deleted, or lose their link to it, per model.
    """

    collector: Collector
    goes: dict[str, int]
    unlinked: dict[str, int]

    def sentence(self) -> str:
        parts = [f"{count:,} of {label} would go with it" for label, count in self.goes.items()]
        parts += [f"{count:,} of {label} would lose their link to it" for label, count in self.unlinked.items()]
        return ", ".join(parts)


def deletion(session: OwnSession, model: SyncModel, pk: str) -> Deletion:
    """Raises CannotPutBack where a PROTECT or RESTRICT stands against it."""
    collector: Any = Collector(using=session.node.alias)
    everything: QuerySet[Any] = QuerySet(model.model, using=session.node.alias)
    rows = among(everything, model.local, [pk]).only("pk")
    try:
        # a record speaks of one table: the row of a parent model has a record of its own
        collector.collect(rows, keep_parents=True)
    except (ProtectedError, RestrictedError) as error:
        raise CannotPutBack(
            f"{model.label} {pk} cannot be deleted: {error.args[0]}", hint="Delete what stands against it first."
        ) from error
    goes: Counter[str] = Counter()
    for related, instances in collector.data.items():
        goes[label_of(related)] += len(instances)
    for part in collector.fast_deletes:
        goes[label_of(part.model)] += part.count()
    goes[model.label] -= 1
    unlinked: Counter[str] = Counter()
    for (link, _), found in collector.field_updates.items():
        unlinked[label_of(link.model)] += sum(len(rows) for rows in found)
    return Deletion(collector, dict(+goes), dict(+unlinked))
