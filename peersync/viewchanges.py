"""Filters that changed since a peer was last here: noticed, so that what is remembered of the peer stays true.

By which filters a peer last saw a model is stored beside the memory, for models without one too. The comparison that
follows (the model's fingerprint has changed) sends what came into view, and exits for what the peer has and may see no
more. Two changes need more than that:

- A filter where there was none: the peer has rows of which nothing is remembered. All that it could have read counts as
  in its view; what was born after the settings changed is not among it, since it is noticed before that is numbered.
- No filter where there was one: what was deleted out of view must never be told. The model stays under a filter that
  lets everything through, until such tombstones are pruned.
"""

from __future__ import annotations

from typing import Any

from peersync import memory
from peersync.memory import IN_VIEW, OPENED, UNFILTERED, VIEWS
from peersync.registry import SyncModel, on_change, registry
from peersync.transactions import NodeRow, writing

_looked: set[str] = set()
"""Aliases that were looked at by this process under these settings."""
on_change(_looked.clear)


def look(alias: str) -> None:
    """Notice what changed for any known peer; once in each process, before anything is numbered."""
    if alias in _looked:
        return
    with writing(alias) as node:
        with node.connection.cursor() as cursor:
            cursor.execute("SELECT name, node FROM peersync_peer WHERE node <> ''")
            peers = cursor.fetchall()
        for name, peer_node in peers:
            notice(node, name, peer_node)
    _looked.add(alias)


def notice(node: NodeRow, peer: str, peer_node: str) -> None:
    """Notice by which filters the peer sees the models now."""
    known = registry(peer)
    before = memory.views_of(node, peer_node)
    now: dict[str, int | None] = {label: known.view(label) for label in known.models}
    # closed to the peer: nobody looks any more at what it could have read
    now |= {label: None for label, view in before.items() if label not in known.models and view == UNFILTERED}
    for label, view in now.items():
        old = before.get(label)
        if view and old == UNFILTERED and peer_node in node.readers:
            _count_as_shown(node, known.models[label], peer_node)
        if view == UNFILTERED and old:
            now[label] = _opened(node, label, peer_node)
    changed = {label: view for label, view in now.items() if view != before.get(label)}
    if changed:
        memory.remember(node, peer_node, VIEWS, changed)


def _opened(node: NodeRow, label: str, peer_node: str) -> int:
    """The model is filtered no more: what it says from now on, and nothing is remembered where nothing has to be."""
    if not _is_over(node, peer_node, label):
        return OPENED
    with node.connection.cursor() as cursor:
        cursor.execute("DELETE FROM peersync_filtermemory WHERE node = %s AND model = %s", [peer_node, label])
    return UNFILTERED


def _is_over(node: NodeRow, peer_node: str, label: str) -> bool:
    """Whether the peer may hear of all that was deleted."""
    with node.connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM peersync_rowstate s WHERE s.model = %s AND s.deleted AND NOT EXISTS"
            " (SELECT 1 FROM peersync_filtermemory m WHERE m.node = %s AND m.model = s.model AND m.pk_text = s.pk_text"
            " AND m.place <> %s) UNION ALL SELECT 1 FROM peersync_journal j WHERE j.model = %s AND j.what = 'g' LIMIT 1",
            [label, peer_node, memory.KEPT, label],
        )
        return cursor.fetchone() is None


def _count_as_shown(node: NodeRow, model: SyncModel, peer_node: str) -> None:
    """All that the peer could have read: rows that stand, and deletions, but for what was born and not numbered yet."""
    connection, label = node.connection, model.label
    text = model.local.text(connection, "t")
    born = (
        "EXISTS (SELECT 1 FROM peersync_journal j WHERE j.model = %s AND j.pk_text = {pk} AND j.what = 'b')"
        " AND NOT EXISTS (SELECT 1 FROM peersync_rowstate s WHERE s.model = %s AND s.pk_text = {pk})"
    )
    table = connection.ops.quote_name(model.table)
    shown: list[tuple[str, str, list[Any]]] = [
        (text, f"{table} t", []),
        ("t.pk_text", "(SELECT pk_text FROM peersync_rowstate WHERE model = %s AND deleted) t", [label]),
        ("t.pk_text", "(SELECT DISTINCT pk_text FROM peersync_journal WHERE model = %s AND what = 'g') t", [label]),
    ]
    with connection.cursor() as cursor:
        for pk, rows, parameters in shown:
            cursor.execute(
                "INSERT INTO peersync_filtermemory (node, model, pk_text, place)"
                f" SELECT %s, %s, {pk}, %s FROM {rows} WHERE NOT ({born.format(pk=pk)})"
                " ON CONFLICT (node, model, pk_text) DO NOTHING",
                [peer_node, label, IN_VIEW, *parameters, label, label],
            )
