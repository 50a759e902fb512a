"""The settings as a list of sections: what holds for all peers, and what narrows it for one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model

from peersync.conf import Settings


@dataclass(frozen=True)
class Section:
    """``where``: how one reaches it in the settings; ``peer``: its name, empty for what holds for all."""

    where: str
    peer: str
    models: tuple[str, ...]
    by_model: Mapping[str, Mapping[str, Any]]
    """The mappings by model, by their key in the settings."""

    def at(self, key: str, label: str = "") -> str:
        return f'{self.where}["{key}"]' + (f'["{label}"]' if label else "")


def sections(conf: Settings) -> Iterator[Section]:
    common = {
        "EXCLUDE": conf.exclude,
        "INCLUDE": conf.include,
        "FILTER": conf.filter,
        "FILTER_EXIT": conf.filter_exit,
        "ACCEPT": conf.accept,
        "IDENTITY": conf.identity,
        "MATCH": conf.match,
        "DIRECTION": conf.direction,
        "CONFLICT": conf.conflict,
    }
    yield Section("SYNC_CONFIG", "", conf.models, common)
    for name, peer in conf.peers.items():
        own = {
            "EXCLUDE": peer.exclude,
            "FILTER": peer.filter,
            "FILTER_EXIT": peer.filter_exit,
            "ACCEPT": peer.accept,
            "DIRECTION": peer.direction,
            "CONFLICT": peer.conflict,
        }
        yield Section(f'SYNC_CONFIG["PEERS"]["{name}"]', name, peer.models or (), own)


def known_models() -> dict[str, type[Model]]:
    """Every model of the project by its label in lower case; proxies, swapped and automatic ones too."""
    found = apps.get_models(include_auto_created=True, include_swapped=True)
    return {model._meta.label_lower: model for model in found}
