"""What is said of filters and of pushes, and is without effect, or not what it seems."""

from collections.abc import Iterator

from django.conf import settings as django_settings
from django.core.checks import CheckMessage

from peersync.checks.messages import message
from peersync.checks.sections import Section, sections
from peersync.conf import Settings
from peersync.registry import Registry, SyncModel, registry


def check(conf: Settings) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for section in sections(conf):
        known = [registry(section.peer)] if section.peer else [registry(name) for name in ("", *conf.peers)]
        found += [*_exits(section, known), *_accepts(section, conf)]
    return found + list(_kept_under_removed(conf))


def _exits(section: Section, known: list[Registry]) -> Iterator[CheckMessage]:
    for label in section.by_model["FILTER_EXIT"]:
        standing = {name.lower() for one in known for name in one.models}
        filtered = {name.lower() for one in known for name in one.filtered}
        if label == "*" or label.lower() not in standing or label.lower() in filtered:
            continue
        text = f"{section.at('FILTER_EXIT', label)} says what becomes of rows that leave, but no FILTER hides any."
        yield message("W014", text, f'Write a FILTER for "{label}", or take this out.')


def _kept_under_removed(conf: Settings) -> Iterator[CheckMessage]:
    """Rows that stay would hold up the removal of those that they hang on."""
    seen: set[tuple[str, str]] = set()
    for known in (registry(name) for name in ("", *conf.peers)):
        for model in (known.models[label] for label in known.filtered):
            for parent in _removed_parents(known, model):
                if (model.label, parent) not in seen:
                    seen.add((model.label, parent))
                    text = (
                        f"FILTER_EXIT keeps rows of {model.label} where they left, and removes those of {parent},"
                        " on which they hang: neither goes."
                    )
                    yield message("W014", text, f'Write FILTER_EXIT {{"{parent}": "keep"}} too.')


def _removed_parents(known: Registry, model: SyncModel) -> Iterator[str]:
    for field in model.foreign_keys if model.exit == "keep" else ():
        target = str(field.target)
        if not field.null and target in known.filtered and known.models[target].exit == "remove":
            yield target


def _accepts(section: Section, conf: Settings) -> Iterator[CheckMessage]:
    accepted = section.by_model["ACCEPT"]
    if accepted and section.peer and section.peer in django_settings.DATABASES and section.peer == conf.slave:
        text = f"{section.at('ACCEPT')} bounds what {section.peer} pushes here, but an alias pushes nothing."
        yield message("W015", text, "Take it out; what is fetched from the alias is not bounded by ACCEPT.")
    known = registry(section.peer)
    role = (conf.peers[section.peer].role if section.peer else None) or conf.role
    sends = {"master": "master-to-slave", "slave": "slave-to-master"}.get(role or "")
    for label in accepted:
        model = next((m for name, m in known.models.items() if name.lower() == label.lower()), None)
        if model is not None and sends is not None and model.direction == sends:
            text = f"{section.at('ACCEPT', label)} bounds pushes, but DIRECTION lets rows of {label} only leave."
            yield message("W015", text, "Take one of the two out.")
