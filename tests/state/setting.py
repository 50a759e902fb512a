"""The settings that a world lives under, and databases that are ready for it."""

from collections.abc import Sequence
from typing import Any

from django.test import override_settings

from tests.support.databases import NodeDatabase

MODELS = ["zoo.Parent", "zoo.Child"]
BASE: dict[str, Any] = {
    "MODELS": MODELS,
    "EXCLUDE": {"zoo.Parent": ["e"], "zoo.Child": ["e"]},
    "AUTO_SYNC": "off",
    # Clocks that are wrong by a day must decide wrongly here, not be refused at the door.
    "MAX_CLOCK_SKEW": 30 * 86_400,
    "MAX_CONFLICTS": 100_000,
}
VIEW = {"zoo.Parent": {"b": "n"}}

_prepared: dict[tuple[str, str], str] = {}


def configuration(aliases: Sequence[str], policy: str, filtered: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """SYNC_CONFIG of a world. `filtered`: (source, target), where the target sees what is in view only."""
    found = {**BASE, "CONFLICT": {"*": policy}, "MASTER": aliases[0], "SLAVE": aliases[1]}
    if filtered:
        found["PEERS"] = {aliases[target]: {"FILTER": VIEW} for _, target in filtered}
    if len(aliases) > 2:
        # One settings module stands for all nodes, so it can't say who is whose peer. With one who never
        # reads nothing is pruned by itself; `prune` does it where it is right.
        found["PEERS"] = {"nobody": {}}
    return found


def prepared(database: NodeDatabase, policy: str) -> str:
    """A copy of the database, migrated and empty, with the triggers that the settings ask for; made once."""
    policy = "merge" if policy == "merge" else "latest"  # the triggers of the others are all alike
    place = database.alias, policy
    if place not in _prepared:
        from peersync import capture

        database.reset()
        with override_settings(SYNC_CONFIG=configuration([database.alias, "another"], policy, ())):
            capture.install(database.alias)
            assert not capture.check(database.alias)
            _prepared[place] = database.backup()
    return _prepared[place]
