"""Files that travel: whether FILES names some, and where a peer may put them."""

from collections.abc import Iterator

from django.core.checks import CheckMessage

from peersync.checks.messages import message
from peersync.conf import Settings
from peersync.conf_values import nearest
from peersync.filenames import static_prefix
from peersync.registry import Registry, SyncModel, registry


def check(conf: Settings) -> list[CheckMessage]:
    everything = registry()
    found = [one for said in conf.files if "*" not in said for one in _named(said, everything)]
    for model in everything.models.values():
        found += _unbounded(model)
    return found


def _named(said: str, everything: Registry) -> Iterator[CheckMessage]:
    app, name, *field = said.split(".")
    known = {model.label.lower(): model for model in everything.models.values() if model.file_fields}
    model = known.get(f"{app}.{name}".lower())
    if model is None:
        text = f'SYNC_CONFIG["FILES"] names {app}.{name}, of which no file field is synchronised.'
        hint = nearest(f"{app}.{name}", [one.label for one in known.values()]) if known else "Take it out."
        yield message("E028", text, hint)
        return
    names = [one.name for one in model.file_fields]
    if field and field[0].lower() not in [one.lower() for one in names]:
        text = f'SYNC_CONFIG["FILES"] names {said}, which is no file field that is synchronised.'
        yield message("E028", text, nearest(field[0], names))


def _unbounded(model: SyncModel) -> Iterator[CheckMessage]:
    fields = [one for one in model.file_fields if one.name in model.files and not static_prefix(one.raw.field)]
    for field in fields:
        text = (
            f"upload_to of {model.label}.{field.name} names no fixed directory: names of files that a peer sends are "
            "bounded by the root of its storage alone."
        )
        mend = "Let upload_to begin with a directory of its own, or give the field a storage of its own."
        yield message("W020", text, mend, model.model)
