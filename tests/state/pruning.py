"""Forgetting tombstones at a moment that the test chooses."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.state.world import Site, World

EVERYTHING = 1 << 62


def prune(world: "World", site: "Site", *, aged: bool) -> None:
    """What all neighbours have read past goes; or, `aged`, everything that nothing waits for."""
    from peersync.prune import forget
    from peersync.transactions import writing

    with writing(site.alias) as node:
        forget(node, EVERYTHING if aged else min(_told(world, site), default=-1))


def _told(world: "World", site: "Site") -> list[int]:
    """How far each node that this one is linked to says that it has read."""
    linked = {a + b - site.index for a, b in world.links if site.index in (a, b)}
    names = [world.sites[index].alias for index in linked]
    with site.connection.cursor() as cursor:
        cursor.execute("SELECT name, told FROM peersync_peer")
        told = dict(cursor.fetchall())
    return [int(told.get(name, -1)) for name in names]
