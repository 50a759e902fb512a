"""The values of incoming rows beside the columns that they are for: malformed, more than a column holds, or fine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from peersync import loose
from peersync.apply import pointers
from peersync.apply.session import Pending
from peersync.codec import Codec, converted, is_odd
from peersync.errors import WireError
from peersync.filenames import why_refused
from peersync.generics import GenericId, formed, is_gone
from peersync.registry import SyncField, SyncModel
from peersync.rows import key_json
from peersync.views import ELSEWHERE, View


class Values:
    """Of one model on one database."""

    def __init__(self, connection: Any, model: SyncModel, view: View, *, convert: bool = False) -> None:
        """``convert``: the source has some of the fields as another type."""
        self.model, self.view, self.convert, self.vendor = model, view, convert, connection.vendor
        self.fields = {field.name: field for field in model.fields}
        self.codecs = {field.name: field.raw.on(connection) for field in model.fields}
        self.loose = {field.name for field in model.fields if loose.dangles(field, model.key)}
        self.keys = [field.raw.codec(connection.vendor) for field in model.key]

    def check_key(self, pending: Pending) -> None:
        """Note why no row of that (plain) key can stand here; WireError where it is not of the key's type."""
        key = pending.row.key
        for codec, part in zip(self.keys, key, strict=False):
            if len(key) == len(self.keys) and codec.valid(part):
                continue
            reason = codec.judge(part) if len(key) == len(self.keys) else None
            if reason is None:
                self._malformed(
                    pending, "", f"A row of {self.model.label} has a key of another type: {key_json(key)[:80]}"
                )
            elif reason or "\x00" in str(part):
                pending.unfit = f"its key: {reason or 'it has the character U+0000'}"

    def complete(self, pending: Pending) -> None:
        """Look at each value; what is "elsewhere" for the source stays what it is here."""
        content = pending.row.content
        if content is None:
            return
        self._check_content(pending, content)
        local = pending.local.content
        values: list[Any] | None = None
        for place, (name, value) in enumerate(zip(pending.names, content, strict=True)):
            if value is None:
                continue
            here = None if local is None else local[place]
            taken = self._taken(pending, self.fields[name], value, here)
            if taken is not value:
                values = values or list(content)
                values[place] = taken
        if values is not None:
            pending.row = replace(pending.row, content=tuple(values))

    def _taken(self, pending: Pending, field: SyncField, value: Any, here: Any) -> Any:
        """The value to take: what stands here, where that says the same."""
        if isinstance(field, GenericId) and isinstance(value, dict):
            return self._pointed(pending, field, value, here)
        if field.target is not None:
            if value == ELSEWHERE:
                return here
            if field.name in self.loose and isinstance(value, dict):
                return self._nothing(pending, field, value, here)
            if not _names_a_row(value):
                self._malformed(pending, field.name, f"A value of {self.model.label}.{field.name} names no row.")
            return value
        codec = self.codecs[field.name]
        if not codec.valid(value) and (self.convert or _any_type(pending, field.name)):
            made = converted(value, codec.wire)
            value = value if made is None else made
        if not codec.valid(value):
            self._judge(pending, field, codec, value)
        elif field.name in self.model.files and value != here and (why := why_refused(field.raw.field, value)):
            pending.unfit = pending.unfit or f"{field.name}: {why}"
        elif codec.alike is not None and here is not None and value != here and codec.alike(value) == codec.alike(here):
            return here
        return value

    def _pointed(self, pending: Pending, field: GenericId, value: dict[str, Any], here: Any) -> Any:
        if value == ELSEWHERE:
            return field.empty if pending.local.content is None else here
        if not formed(value):
            self._malformed(pending, field.name, f"A value of {self.model.label}.{field.name} names no row.")
        elif value["of"] not in field.labels:
            pending.unfit = pending.unfit or f"{field.name}: points to a row of a model that is not synchronised here"
        elif value.get("gone") is not None and not self.codecs[field.name].valid(value["gone"]):
            self._judge(pending, field, self.codecs[field.name], value["gone"])
        elif pointers.emptied(field, value, here) and self.view.filtered(value["of"]):
            return here  # it was hidden from the peer what this points to
        else:
            return pointers.taken(value, here)
        return value

    def _nothing(self, pending: Pending, field: SyncField, value: dict[str, Any], here: Any) -> Any:
        """A reference to no row."""
        if not is_gone(value) or value["of"] != field.target or value["gone"] is None:
            self._malformed(pending, field.name, f"A value of {self.model.label}.{field.name} names no row.")
            return value
        if not field.raw.codec(self.vendor).valid(value["gone"]):
            self._judge(pending, field, field.raw.codec(self.vendor), value["gone"])
            return value
        return loose.taken(field, value, here)

    def _judge(self, pending: Pending, field: SyncField, codec: Codec, value: Any) -> None:
        reason = codec.judge(value)
        if reason is None:
            if self.convert:
                pending.unfit = pending.unfit or f"{field.name}: {str(value)[:60]!r} is no {field.wire}, its type here"
            else:
                self._malformed(
                    pending, field.name, f"A value of {self.model.label}.{field.name} is not of the type {field.wire}."
                )
        elif reason:
            pending.unfit = pending.unfit or f"{field.name}: {reason}"
        else:
            pending.odd = pending.odd or is_odd(value)

    @staticmethod
    def _malformed(pending: Pending, name: str, why: str) -> None:
        """No honest peer sends it as a value of that field, or as a key ("")."""
        if not _any_type(pending, name):
            raise WireError(why)
        pending.unfit = pending.unfit or why

    def _check_content(self, pending: Pending, content: tuple[Any, ...]) -> None:
        """As many values as fields, and those that name the row as its key says; raises WireError."""
        label = self.model.label
        if len(content) != len(pending.names):
            raise WireError(f"A row of {label} has {len(content)} values for {len(pending.names)} fields.")
        for part, one in zip(pending.row.key, self.model.key, strict=True):
            if one.name in pending.names and _frozen(content[pending.names.index(one.name)]) != part:
                raise WireError(f"A row of {label} has another {one.name} than its key says.")


def _any_type(pending: Pending, name: str) -> bool:
    """What waits here was of its type once, and the type has changed since; what a node carries it does not look at."""
    return pending.waiting is not None or name in pending.wide


def _names_a_row(value: Any) -> bool:
    """Whether it has the form of a key, or of one part of it."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_names_a_row(part) for part in value)
    return isinstance(value, (str, int))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value
