"""A session of this node's own: the apply room's ways of finding, weighing and writing rows, without a peer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.apps import apps

from peersync.apply.session import Session
from peersync.errors import CannotPutBack
from peersync.progress import Checkpoint
from peersync.records import START, Batch
from peersync.registry import Registry, SyncModel, registry, stand_in
from peersync.settling.kept import SIDES, Kept
from peersync.transactions import NodeRow
from peersync.views import View


class OwnView(View):
    """All that stands here. ``registry`` has models that are not synchronised too, where a record speaks of them."""

    def __init__(self, alias: str, more: Iterable[SyncModel]) -> None:
        super().__init__(alias, "")
        self.synchronised = frozenset(self.registry.models)
        self.registry = Registry({**self.registry.models, **{model.label: model for model in more}})

    def filtered(self, label: str) -> bool:
        return False


class OwnSession(Session):
    """Writes in either direction, and to models that stay home; capture is on."""

    view: OwnView

    def model(self, label: str) -> SyncModel:
        return self.view.registry.models[label]

    def synchronised(self, label: str) -> bool:
        return label in self.view.synchronised


def own_session(node: NodeRow, kept: Kept) -> OwnSession:
    """Raises CannotPutBack where a model of the record does not exist any more."""
    others = {str(row["model"]) for row in kept.cascade} - {kept.model}
    more = [_whole(label, kept) for label in sorted(others)]
    if kept.model not in registry().models:
        more.append(_whole(kept.model, kept))
    nothing = Batch("rows", node.node, node.install, node.node, (), {}, {}, {}, {}, START, ())
    session = OwnSession(node, OwnView(node.alias, more), nothing, Checkpoint(node.node))
    session.captured = True
    here, came = (kept.sides[side] or {} for side in SIDES)
    session.names_from = {
        (kept.model, name, value): kept.source
        for name, value in came.items()
        if isinstance(value, str) and here.get(name) != value
    }
    return session


def _whole(label: str, kept: Kept) -> SyncModel:
    """With all columns: a row that went with another one came from the table as it stood."""
    try:
        whole = stand_in(apps.get_model(label))
    except LookupError as error:
        raise CannotPutBack(
            f"Record {kept.number} speaks of the model {label}, which does not exist any more."
        ) from error
    known = registry().models.get(label)
    if known is None:
        return whole
    columns = {*(field.column for field in known.fields), *known.excluded_columns}
    return replace(known, fields=tuple(field for field in whole.fields if field.column in columns))
