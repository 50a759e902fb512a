"""One row as JSON. An object whose members are left out where they say nothing.

``{"model", "key", "version", "content", "stamp", "author", "base", "seq", "kind", "earlier", "pk", "fields", "more"}``

* ``model``: left out in a batch of one model.
* ``version``: left out where it is that of an untracked row (``base`` is true then), ``{install: 0}`` and the
  baselines of the row's model; the reader makes it again from the header.
* ``content``: the values in the order of the header's ``fields``; null for a tombstone; kind ``row``
  alone has it, and always.
* ``pk``: the source's primary key, where the key does not name it; only beside contents.
* ``fields``: ``{name: [stamp, author, place]}`` of the last change of each field, ``*`` of all that are not named;
  only where the model's policy looks at fields. Left out where the row's own stamp and author say it of all of them.
* ``more``: ``[{"values": {name: value}, "version", "stamp", "author"}]``, what is known of the row in fields that the header
  does not name; ``version``, ``stamp`` and ``author`` are left out together where they are the row's own.
* ``stamp`` 0, ``author`` "", ``base`` false, ``seq`` 0, ``kind`` "row", ``earlier`` [] and no ``pk`` are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from peersync.errors import WireError
from peersync.gaps import Gap, names_of
from peersync.marks import ALL, Mark
from peersync.records import Batch, Kind, Row
from peersync.wire import checks

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: tuple[str, ...] = get_args(Kind)
MAX_EARLIER = 1000
MAX_MARKS = 2000
MAX_GAPS = 64
_MEMBERS = frozenset(
    ("model", "key", "version", "content", "stamp", "author", "base", "seq", "kind", "earlier", "pk", "fields", "more")
)
_UNTRACKED = frozenset(("key", "content"))


class RowForm:
    """How the rows of one batch are shortened: its models, their fields and their untracked versions."""

    def __init__(
        self,
        models: tuple[str, ...] = (),
        fields: Mapping[str, tuple[str, ...]] | None = None,
        baselines: Mapping[str, tuple[str, ...]] | None = None,
        install: str = "",
    ) -> None:
        self.model = models[0] if len(models) == 1 else None
        self.models = frozenset(models)
        self.lengths = {label: len(names) for label, names in (fields or {}).items()}
        self.names = {label: frozenset(names) for label, names in (fields or {}).items()}
        self.untracked: dict[str, dict[str, int]] = {}
        if install:
            known = baselines or {}
            self.untracked = {label: dict.fromkeys((install, *known.get(label, ())), 0) for label in models}

    @classmethod
    def of(cls, batch: Batch) -> RowForm:
        return cls(batch.models, batch.fields, batch.baselines, batch.source_install)

    def write(self, row: Row) -> dict[str, Any]:
        """The row as JSON."""
        obj: dict[str, Any] = {} if row.model == self.model else {"model": row.model}
        obj["key"] = row.key
        if not (row.base and row.version == self.untracked.get(row.model)):
            obj["version"] = row.version
            if row.base:
                obj["base"] = True
        if row.kind == "row":
            obj["content"] = row.content
        else:
            obj["kind"] = row.kind
        for name in ("stamp", "author", "seq", "earlier"):
            value = getattr(row, name)
            if value:
                obj[name] = value
        if row.pk is not None:
            obj["pk"] = row.pk
        if row.fields is not None:
            obj["fields"] = row.fields
        if row.more:
            obj["more"] = [_more_json(gap, row) for gap in row.more]
        return obj

    def read(self, obj: Any) -> Row:
        """The row of this JSON; WireError where it is malformed."""
        if type(obj) is not dict:
            raise WireError("the row is not a JSON object")
        if obj.keys() == _UNTRACKED and self.model is not None:
            return self._read_untracked(obj, self.model)
        if not obj.keys() <= _MEMBERS:
            raise WireError(f"the row has an unknown member {checks.shown(min(obj.keys() - _MEMBERS))}")
        model = self._model(obj)
        key = checks.key(obj.get("key"))
        kind = self._kind(obj)
        base, version = self._version(obj, model)
        content = self._content(obj, model, kind)
        stamp = checks.integer(obj.get("stamp", 0), "stamp", high=checks.MAX_STAMP)
        author = checks.uuid_or_empty(obj.get("author", ""), "author")
        return Row(
            model=model,
            key=key,
            version=version,
            content=content,
            stamp=stamp,
            author=author,
            base=base,
            seq=checks.integer(obj.get("seq", 0), "seq"),
            kind=kind,
            earlier=checks.listing(obj["earlier"], "earlier", checks.key, MAX_EARLIER) if "earlier" in obj else (),
            pk=self._pk(obj, content),
            fields=self._fields(obj["fields"], model) if "fields" in obj else None,
            more=self._more(obj["more"], model, content, Gap({}, version, stamp, author)) if "more" in obj else (),
        )

    def _read_untracked(self, obj: dict[str, Any], model: str) -> Row:
        """The shortest form, which most rows of a first sync have."""
        untracked = self.untracked.get(model)
        if untracked is None:
            raise WireError("the row lacks the member 'version'")
        return Row(model, checks.key(obj["key"]), dict(untracked), self._content(obj, model, "row"), base=True)

    def _model(self, obj: dict[str, Any]) -> str:
        if "model" not in obj and self.model is not None:
            return self.model
        model = obj.get("model")
        if model is None:
            raise WireError("the row lacks the member 'model'")
        checks.label(model, "model")
        if self.models and model not in self.models:
            raise WireError(f"the row is of {model}, which the header does not name")
        return str(model)

    def _fields(self, value: Any, model: str) -> dict[str, Mark]:
        """Marks of fields that the header names."""
        if type(value) is not dict or len(value) > MAX_MARKS:
            raise WireError(f"fields is not an object of at most {MAX_MARKS} members")
        known = self.names.get(model)
        for name in value:
            if name != ALL and known is not None and name not in known:
                raise WireError(f"fields has {checks.shown(name)}, which is none of the header's fields of {model}")
        return {name: _mark(mark) for name, mark in value.items()}

    def _more(self, value: Any, model: str, content: Any, own: Gap) -> tuple[Gap, ...]:
        """Values of fields that the header does not name. Their types are whoever's who has such fields."""
        if content is None:
            raise WireError("a row without content has no more")
        if type(value) is not list or not 0 < len(value) <= MAX_GAPS:
            raise WireError(f"more is not a list of at most {MAX_GAPS} objects")
        found = tuple(_gap(one, own) for one in value)
        known = self.names.get(model, frozenset())
        for name in names_of(found):
            if name in known:
                raise WireError(f"more has {checks.shown(name)}, which the header names")
        return found

    def _kind(self, obj: dict[str, Any]) -> Kind:
        kind = obj.get("kind", "row")
        if type(kind) is not str or kind not in KINDS:
            raise WireError("the row's member 'kind' is none of " + ", ".join(KINDS))
        return cast("Kind", kind)

    def _version(self, obj: dict[str, Any], model: str) -> tuple[bool, dict[str, int]]:
        if "version" in obj:
            return checks.boolean(obj.get("base", False), "base"), checks.version(obj["version"])
        untracked = self.untracked.get(model)
        if untracked is None or "base" in obj:
            raise WireError("the row lacks the member 'version'")
        return True, dict(untracked)

    @staticmethod
    def _pk(obj: dict[str, Any], content: tuple[Any, ...] | None) -> Any:
        if "pk" not in obj:
            return None
        if content is None:
            raise WireError("a row without content has no pk")
        return checks.scalar(obj["pk"], "pk")

    def _content(self, obj: dict[str, Any], model: str, kind: str) -> tuple[Any, ...] | None:
        if kind != "row":
            if "content" in obj:
                raise WireError(f"a row of kind {kind!r} has no content")
            return None
        if "content" not in obj:
            # Silence must not read as a deletion.
            raise WireError("the row lacks the member 'content'")
        content = obj["content"]
        if content is None:
            return None
        if type(content) is not list:
            raise WireError("content is neither a list of values nor null")
        length = self.lengths.get(model, -1)
        if length != len(content) and (length >= 0 or self.models):
            raise WireError(f"content has {len(content)} values, the header's fields of {model} are {max(length, 0)}")
        return tuple(content)


def _more_json(gap: Gap, row: Row) -> dict[str, Any]:
    if gap[1:] == (row.version, row.stamp, row.author):
        return {"values": gap.values}
    return {"values": gap.values, "version": gap.version, "stamp": gap.stamp, "author": gap.author}


def _gap(value: Any, own: Gap) -> Gap:
    signed = ("version", "stamp", "author") if type(value) is dict and len(value) > 1 else ()
    obj = checks.members(value, "an item of more", ("values", *signed))
    values = checks.mapping(obj["values"], "values", lambda item, _: item, checks.name)
    if not 0 < len(values) <= MAX_MARKS:
        raise WireError(f"values in more is not an object of 1 to {MAX_MARKS} members")
    if not signed:
        return own._replace(values=values)
    stamp = checks.integer(obj["stamp"], "a stamp in more", high=checks.MAX_STAMP)
    return Gap(values, checks.version(obj["version"]), stamp, checks.uuid_or_empty(obj["author"], "an author in more"))


def _mark(value: Any) -> Mark:
    if type(value) is not list or len(value) != 3:
        raise WireError("fields holds an item that is not [stamp, author, place]")
    stamp, author, place = value
    return Mark(
        checks.integer(stamp, "a stamp in fields", high=checks.MAX_STAMP),
        checks.uuid_or_empty(author, "an author in fields"),
        checks.integer(place, "a place in fields"),
    )


_WHOLE = RowForm()


def row_json(row: Row) -> dict[str, Any]:
    """The row as an object that stands alone (model and version are in it always)."""
    return _WHOLE.write(row)


def read_row(obj: Any) -> Row:
    """The row of :func:`row_json`; WireError where it is malformed."""
    return _WHOLE.read(obj)
