"""Whom a command speaks with: a name, all peers, a URL, or whoever is the only one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from peersync.conf import settings
from peersync.delivery import Target, reachable, slave_alias
from peersync.management.arguments import wrong
from peersync.replicas.base import Replica
from peersync.replicas.http import HttpReplica

TOKEN = "PEERSYNC_TOKEN"  # noqa: S105  # a variable's name


@dataclass(frozen=True)
class Chosen:
    """A peer. ``replica``: where the command line says more than the settings."""

    target: Target
    replica: Replica | None = None

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def peer(self) -> str | Replica:
        """As ``peersync.push`` takes it."""
        return self.replica or self.name


def choose(options: dict[str, Any]) -> list[Chosen]:
    """Raises CommandError (exit status 2) where it isn't clear who is meant."""
    known = {target.name: target for target in reachable()}
    if options["peer_url"]:
        return [_by_url(options)]
    if options["all_peers"]:
        if not known:
            raise wrong(_nobody())
        return [_named(target, options) for target in known.values()]
    return [_named(_one(known, options["peer"]), options)]


def _one(known: dict[str, Target], name: str | None) -> Target:
    if name is not None:
        if name in known:
            return known[name]
        if name in settings().peers:
            raise wrong(
                f"The peer {name} has no URL, so only it can call us. Give it a URL in PEERS, or use --peer-url."
            )
        raise wrong(f"There is no peer {name}. {_who(known)}")
    slave = slave_alias()
    if slave:
        return known[slave]
    if len(known) == 1:
        return next(iter(known.values()))
    raise wrong(f"Which peer? {_who(known)}" if known else _nobody())


def _who(known: dict[str, Target]) -> str:
    if not known:
        return _nobody()
    return f"Name one with --peer ({', '.join(known)}), or take --all-peers."


def _nobody() -> str:
    return (
        'There is nobody to synchronise with: put a peer with a URL into SYNC_CONFIG["PEERS"], '
        f'configure the database alias "{settings().slave}", or use --peer-url.'
    )


def _named(target: Target, options: dict[str, Any]) -> Chosen:
    if target.alias:
        if options["token"] or options["token_file"]:
            raise wrong(f"{target.name} is a database alias and takes no token.")
        return Chosen(target)
    peer = settings().peers[target.name]
    token = _given_token(options) or peer.token or os.environ.get(TOKEN)
    if not token:
        raise wrong(_no_token(target.name))
    if token == peer.token:
        return Chosen(target)
    return Chosen(target, HttpReplica(target.name, str(peer.url), token, insecure=peer.insecure))


def _by_url(options: dict[str, Any]) -> Chosen:
    url = options["peer_url"].rstrip("/") + "/"
    host = _host(url)
    if not host:
        raise wrong(f'{options["peer_url"]} is no URL. Write it as "https://host/peersync/".')
    entry = next((peer for peer in settings().peers.values() if peer.url == url), None)
    token = _given_token(options) or os.environ.get(TOKEN) or (entry.token if entry else None)
    name = entry.name if entry else host
    if not token:
        raise wrong(_no_token(name))
    insecure = entry.insecure if entry else False
    return Chosen(Target(name), HttpReplica(name, url, token, insecure=insecure))


def _host(url: str) -> str:
    """Host and port; empty where the text is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that do not close
        return ""
    return parts.netloc.rpartition("@")[2] if parts.scheme in ("http", "https") else ""


def _given_token(options: dict[str, Any]) -> str | None:
    if options["token"]:
        return str(options["token"]).strip()
    if not options["token_file"]:
        return None
    try:
        token = Path(options["token_file"]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise wrong(f"{options['token_file']} cannot be read: {reason}.") from error
    if not token:
        raise wrong(f"{options['token_file']} is empty.")
    return token


def _no_token(name: str) -> str:
    return (
        f"There is no token for {name}. Run `manage.py sync_peer add NAME` over there, and give it with "
        f'--token, --token-file, {TOKEN} in the environment, or "TOKEN" in PEERS.'
    )
