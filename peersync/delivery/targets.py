"""Whom automatic sync serves: every entry of PEERS with a URL and AUTO, and the slave alias."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings as django_settings

from peersync.conf import PeerSettings, settings

__all__ = ["Target", "automatic", "local_alias", "reachable", "slave_alias"]


@dataclass(frozen=True)
class Target:
    """A peer that can be reached from here. ``push``, ``pull``: what automatic sync does with it."""

    name: str
    push: bool = False
    pull: bool = False
    alias: bool = False
    """It is a database alias, not a URL."""


def local_alias() -> str:
    """The alias of this node's own database."""
    return settings().master


def slave_alias() -> str | None:
    """The alias of the other database, where it is configured."""
    slave = settings().slave
    return slave if slave in django_settings.DATABASES else None


def reachable() -> list[Target]:
    """All peers that this node can call, the slave alias first."""
    conf = settings()
    slave = slave_alias()
    found = [_target(slave, conf.peers.get(slave, PeerSettings(slave, auto="push")), alias=True)] if slave else []
    found += [_target(name, peer) for name, peer in conf.peers.items() if peer.url and name != slave]
    return found


def automatic() -> list[Target]:
    """Those that something is sent to, or fetched from, by itself."""
    return [target for target in reachable() if target.push or target.pull]


def _target(name: str, peer: PeerSettings, *, alias: bool = False) -> Target:
    return Target(name, peer.auto in ("push", "both"), peer.auto in ("pull", "both"), alias)
