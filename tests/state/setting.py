"""The settings that a world lives under, and databases that are ready for it."""

from collections.abc import Sequence
from typing import Any

from django.test import override_settings

from tests.state import tables
from tests.support.databases import NodeDatabase

MODELS = list(tables.PLAIN.values())
BASE: dict[str, Any] = {
    "MODELS": MODELS,
    "EXCLUDE": {label: ["e"] for label in MODELS},
    "AUTO_SYNC": "off",
    # Clocks that are wrong by a day must decide wrongly here, not be refused at the door.
    "MAX_CLOCK_SKEW": 30 * 86_400,
    "MAX_CONFLICTS": 100_000,
}
VIEW = {"zoo.Parent": {"b": "n"}, "zoo.Born": {"b": "n"}}
_BORN = list(tables.BORN.values())
BORN = {"MODELS": _BORN, "EXCLUDE": {label: ["e"] for label in _BORN}, "IDENTITY": dict.fromkeys(_BORN, "origin")}
"""Instead, where each node numbers its rows itself."""

_prepared: dict[tuple[str, str, bool], str] = {}


def configuration(
    aliases: Sequence[str], policy: str, filtered: Sequence[tuple[int, int]], *, born: bool = False
) -> dict[str, Any]:
    """SYNC_CONFIG of a world. `filtered`: (source, target), where the target sees what is in view only."""
    found = {**BASE, **(BORN if born else {}), "CONFLICT": {"*": policy}, "MASTER": aliases[0], "SLAVE": aliases[1]}
    if filtered:
        view = {label: value for label, value in VIEW.items() if label in found["MODELS"]}
        found["PEERS"] = {aliases[target]: {"FILTER": view} for _, target in filtered}
    if len(aliases) > 2:
        # One settings module stands for all nodes, so it can't say who is whose peer. With one who never
        # reads nothing is pruned by itself; `prune` does it where it is right.
        found["PEERS"] = {"nobody": {}}
    return found


def prepared(database: NodeDatabase, policy: str, *, born: bool = False) -> str:
    """A copy of the database, migrated and empty, with the triggers that its settings ask for; made once."""
    policy = "merge" if policy == "merge" else "latest"  # the triggers of the others are all alike
    place = database.alias, policy, born
    if place not in _prepared:
        from peersync import capture

        database.reset()
        with override_settings(SYNC_CONFIG=configuration([database.alias, "another"], policy, (), born=born)):
            capture.install(database.alias)
            assert not capture.check(database.alias)
            _prepared[place] = database.backup()
    return _prepared[place]
