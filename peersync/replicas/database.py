"""A database as a replica: the engine behind the five verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings as django_settings

from peersync import bases, clock, digests, feed, greeting, numbering, progress, snapshot, standing, watching
from peersync.apply import apply_batch, filling
from peersync.apply.session import own_role, travels_to
from peersync.conf import require_sound
from peersync.errors import UnknownField, UnknownModel, WireError
from peersync.file_records import FileInfo, FilePage, FileState, FileWant
from peersync.files import reading as files_here
from peersync.files import waits
from peersync.files.storing import Store
from peersync.histories import newest_passes, point_at, retired_of, take_new_id
from peersync.records import (
    PROTOCOL,
    Batch,
    Caller,
    Description,
    Digest,
    Key,
    ModelInfo,
    Outcome,
    Point,
    Progress,
    Range,
)
from peersync.registry import SyncModel
from peersync.rows import check_keys
from peersync.transactions import NodeRow, reading, writing
from peersync.undecoded import forgiving
from peersync.views import View

DEFAULT_LIMIT = 2000
T = TypeVar("T")


class DatabaseReplica:
    """The database behind an alias, as one peer may see it.

    ``peer``: the name under which this database knows whoever asks; what PEERS narrows for it holds.
    Raises ConfigurationError where the settings have a mistake: nothing is read or written on top of one.
    """

    def __init__(self, alias: str, *, peer: str = "") -> None:
        require_sound()
        self.alias, self.peer = alias, peer
        self.name = alias
        self.view = View(alias, peer)

    def __repr__(self) -> str:
        return f"DatabaseReplica({self.alias!r}, peer={self.peer!r})"

    # ------------------------------------------------------------------ who I am

    def describe(self, caller: Caller | None = None) -> Description:
        """See :meth:`peersync.replicas.base.Replica.describe`. Without a caller: as the last known peer of that name sees me."""
        numbering.number(self.alias)
        warnings = greeting.look_at_capture(self.alias)
        filling.look(self.alias)
        numbering.pass_missed(self.alias)
        if caller is not None and caller.node:
            with writing(self.alias) as node:
                greeting.greet(node, self.peer, caller)
                self.view = View(self.alias, self.peer)
                self.view.refresh(node, caller.node, caller.told)
            numbering.number(self.alias)
        with reading(self.alias) as node:
            return self._description(node, caller, (*warnings, *standing.sentences(self.alias, self.view.missing)))

    def _description(self, node: NodeRow, caller: Caller | None, warnings: tuple[str, ...]) -> Description:
        connection = node.connection
        with connection.cursor() as cursor:
            head = point_at(cursor, node.last_seq)
            # only a copy of this database asks in its own name, and it has to find where the two parted
            passes = newest_passes(cursor) if caller is not None and caller.node == node.node else ()
        other = caller.node if caller is not None and caller.node else greeting.last_id(node, self.peer)
        checkpoint = progress.load(node, other)
        place, read_only = greeting.place_of(connection)
        return Description(
            node=node.node,
            install=node.install,
            protocol=PROTOCOL,
            clock=clock.now_ms(self.alias),
            models=tuple(self._models(connection, greeting.install_of(node, self.peer, caller))),
            head=head,
            points=tuple(checkpoint.points) if other else (),
            about=other,
            retired=retired_of(node),
            pruned=node.pruned_seq,
            role=own_role(self.alias, self.peer) or "",
            use_tz=django_settings.USE_TZ,
            time_zone=django_settings.TIME_ZONE,
            vendor=connection.vendor,
            limits=greeting.limits(),
            passes=passes,
            place=place,
            read_only=read_only,
            told=greeting.told(node, checkpoint, list(self.view.registry.models)),
            missed=greeting.missed(node, list(self.view.registry.models)),
            warnings=warnings,
        )

    def _models(self, connection: Any, asker: str) -> Iterable[ModelInfo]:
        """``asker``: the install of whoever asks, as far as it is known."""
        models = list(self.view.registry.models.values())
        empty = greeting.empty_tables(connection, [m for m in models if not self.view.filtered(m.label)])
        for model in models:
            filtered = self.view.filtered(model.label)
            yield ModelInfo(
                model.label,
                model.types(connection),
                model.identity,
                self.view.registry.fingerprint(model.label),
                model.policy,
                model.direction,
                filtered,
                snapshot.bulk_encoding(
                    model, connection.vendor, filtered=filtered or model.label in self.view.registry.bounded
                ),
                model.label in empty,
                model.pk.wire if model.brings_pk else "",
                *bases.matching(connection, model, asker),
                key=tuple(field.name for field in model.key),
                closed=model.closed,
                files=model.files,
            )

    def renew(self, common: Point) -> str:
        """Take a new id, the history being common up to that point. Returns the new id."""
        with writing(self.alias) as node:
            return take_new_id(node, common)

    # ------------------------------------------------------------------ reading

    def _model(self, label: str) -> SyncModel:
        model = self.view.registry.models.get(label)
        if model is None:
            raise UnknownModel(f"The model {label!r} is not synchronised with this peer.")
        return model

    def _points(self, caller: Caller) -> tuple[Point, ...]:
        with reading(self.alias) as node:
            return tuple(progress.load(node, caller.node).points)

    @forgiving
    def snapshot(self, caller: Caller, model: str, head: Point | None, after: str | None, limit: int) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.snapshot`."""
        self._model(model)
        numbering.number(self.alias)
        if head is None and caller.node:
            with writing(self.alias) as node:
                snapshot.note_reader(node, caller.node)
            if self._model(model).origin and caller.match is not None:
                with writing(self.alias) as node:
                    bases.agree(node, self._model(model), caller.install, caller.match)
        return snapshot.snapshot(self.view, caller, model, head, after, limit, self._points(caller))

    @forgiving
    def changes(
        self,
        caller: Caller,
        models: Sequence[str],
        cursor: Point,
        head: Point | None,
        limit: int,
        wait: float = 0,
    ) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.changes`. ``wait``: seconds; nothing is held meanwhile."""
        for label in models:
            self._model(label)
        numbering.number(self.alias)
        if head is None and caller.node and any(watching.unseen(self._model(label)) for label in models):
            with writing(self.alias) as node:
                self.view.refresh(node, caller.node, cursor.seq)
            numbering.number(self.alias)
        batch = feed.changes(self.view, caller, models, cursor, head, limit, self._points(caller))
        idle = wait > 0 and head is None and not batch.rows and batch.done
        if idle and greeting.wait_for_change(self.alias, batch.head.seq, wait):
            return feed.changes(self.view, caller, models, cursor, head, limit, self._points(caller))
        return batch

    @forgiving
    def rows(self, caller: Caller, model: str, keys: Iterable[Key]) -> Batch:
        """See :meth:`peersync.replicas.base.Replica.rows`."""
        known, wanted = self._model(model), list(keys)
        if not wanted:
            raise WireError("Rows were asked for without a key.")
        check_keys(known, wanted)
        numbering.number(self.alias)
        return feed.by_key(self.view, caller, model, wanted, self._points(caller))

    @forgiving
    def digests(
        self,
        caller: Caller,
        model: str,
        ranges: Sequence[Range],
        parts: int,
        fields: Sequence[str] | None = None,
    ) -> list[Digest]:
        """See :meth:`peersync.replicas.base.Replica.digests`. ``fields``: those to compare; all where None."""
        known = self._model(model)
        names = known.names if fields is None else tuple(fields)
        unknown = [name for name in names if name not in known.names]
        if unknown:
            raise UnknownField(f"The field {model}.{unknown[0]} is not synchronised with this peer.")
        if parts < 1:
            raise WireError("A range is cut into one part at least.")
        check_keys(known, [bound for one in ranges for bound in (one.after, one.upto) if bound is not None])
        return digests.digests(self.view, model, ranges, parts, names)

    def checkpoint(self, caller: Caller) -> dict[str, Progress]:
        """See :meth:`peersync.replicas.base.Replica.checkpoint`."""
        with reading(self.alias) as node:
            found = progress.load(node, caller.node).progress
        return {label: place for label, place in found.items() if label in self.view.registry.models}

    # ------------------------------------------------------------------ writing

    @forgiving
    def apply(self, caller: Caller, batch: Batch) -> Outcome:
        """See :meth:`peersync.replicas.base.Replica.apply`."""
        return apply_batch(self.view, caller, batch)

    # ------------------------------------------------------------------ contents of files

    def file_wants(self, caller: Caller, fields: Mapping[str, Sequence[str]], after: int) -> FilePage:
        """See :meth:`peersync.replicas.base.Replica.file_wants`."""
        taken = self._taken()
        return waits.page(self.view, caller, {label: fields[label] for label in fields if label in taken}, after)

    def file_infos(self, caller: Caller, wants: Sequence[FileWant]) -> list[FileInfo]:
        """See :meth:`peersync.replicas.base.Replica.file_infos`."""
        return files_here.infos(self.view, caller, wants)

    def file_offers(self, caller: Caller, offers: Sequence[tuple[int, FileInfo]]) -> list[FileState]:
        """See :meth:`peersync.replicas.base.Replica.file_offers`."""
        return Store(self.view, caller, self._taken()).offers(offers)

    def file_read(self, caller: Caller, want: FileWant, offset: int, take: Callable[[Iterator[bytes]], T]) -> T:
        """See :meth:`peersync.replicas.base.Replica.file_read`."""
        return files_here.read(self.view, caller, want, offset, take)

    def file_write(self, caller: Caller, number: int, offset: int, pieces: Iterator[bytes]) -> FileState:
        """See :meth:`peersync.replicas.base.Replica.file_write`."""
        return Store(self.view, caller, self._taken()).write(number, offset, pieces)

    def _taken(self) -> frozenset[str]:
        """Labels of the models whose rows are taken in from this peer."""
        role = own_role(self.alias, self.peer)
        models = self.view.registry.models
        return frozenset(label for label, model in models.items() if travels_to(model.direction, role))


__all__ = ["DEFAULT_LIMIT", "DatabaseReplica"]
