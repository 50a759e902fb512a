"""Whether master and slave mean something wherever the settings say them."""

from collections.abc import Iterator

from django.conf import settings as django_settings
from django.core.checks import CheckMessage

from peersync.checks.messages import message
from peersync.conf import PeerSettings, Settings

_ROLES = ("master", "slave", "master-to-slave", "slave-to-master")


def check(conf: Settings) -> list[CheckMessage]:
    return [*_missing_roles(conf), *_tokens(conf)]


def _missing_roles(conf: Settings) -> Iterator[CheckMessage]:
    if conf.role is not None:
        return
    common = _uses(conf)
    with_alias = conf.slave in django_settings.DATABASES
    if common and not conf.peers and not with_alias:
        yield _missing("SYNC_CONFIG", common[0])
    for name, peer in conf.peers.items():
        uses = _uses(peer) or common
        over_http = peer.url is not None or name not in django_settings.DATABASES
        if uses and over_http and peer.role is None:
            yield _missing(f'SYNC_CONFIG["PEERS"]["{name}"]', uses[0])


def _uses(said: Settings | PeerSettings) -> list[str]:
    """Where master or slave is said, as text."""
    both = (("DIRECTION", said.direction), ("CONFLICT", said.conflict))
    return [f'{key} "{label}": "{v}"' for key, m in both for label, v in m.items() if v in _ROLES]


def _missing(where: str, use: str) -> CheckMessage:
    text = f"{use} is said, but over HTTP nobody knows whether this node is the master or the slave."
    mend = f'Add "ROLE": "master" or "ROLE": "slave" to {where}, and the other role on the other node.'
    return message("E013", text, mend)


def _tokens(conf: Settings) -> Iterator[CheckMessage]:
    for name, peer in conf.peers.items():
        if peer.url and peer.auto and peer.token is None and conf.auto_sync != "off":
            text = f'SYNC_CONFIG["PEERS"]["{name}"] has no TOKEN, so automatic sync cannot call it.'
            mend = (
                "On the other node run `manage.py sync_peer add NAME`, and write what it prints as TOKEN; "
                'or write "AUTO": False, and give the token to sync_data.'
            )
            yield message("W008", text, mend)
