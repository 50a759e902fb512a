"""A row that waits, as the database keeps it: JSON, with the names of its values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from peersync.apply.session import Pending
from peersync.gaps import Gap
from peersync.marks import Mark
from peersync.records import Row
from peersync.rows import as_key


def pack(pending: Pending) -> str:
    """A waiting row as JSON, with the names of its values."""
    row = pending.row
    return json.dumps(
        {
            "kind": row.kind,
            "names": pending.names,
            "install": pending.source_install,
            "pushed": pending.pushed,
            "key": row.key,
            "version": dict(row.version),
            "content": row.content,
            "stamp": row.stamp,
            "author": row.author,
            "base": row.base,
            "seq": row.seq,
            "earlier": row.earlier,
            "pk": row.pk,
            "fields": row.fields,
            "more": row.more,
        },
        ensure_ascii=False,
    )


def unpack(model: str, text: str, source: str, waiting: int | None) -> Pending:
    """The row that was packed; ``waiting``: the number of its record."""
    found = json.loads(text)
    content = found["content"]
    row = Row(
        model,
        as_key(found["key"]),
        found["version"],
        None if content is None else tuple(content),
        found["stamp"],
        found["author"],
        found["base"],
        found["seq"],
        found.get("kind", "row"),
        tuple(as_key(key) for key in found["earlier"]),
        found.get("pk"),
        _marks(found.get("fields")),
        tuple(Gap(*gap) for gap in found.get("more", ())),
    )
    return Pending(row, source, found["install"], tuple(found["names"]), waiting, found.get("pushed"))


def _marks(found: Mapping[str, Sequence[Any]] | None) -> dict[str, Mark] | None:
    return None if found is None else {name: Mark(*mark) for name, mark in found.items()}
