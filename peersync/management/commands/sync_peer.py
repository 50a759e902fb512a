from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from peersync import capture, histories, tokens
from peersync.delivery import local_alias
from peersync.errors import ConfigurationError, PeersyncError
from peersync.management import output
from peersync.management.arguments import wrong
from peersync.models import Node
from peersync.transactions import translated

ACTIONS = ("add", "list", "revoke", "rotate", "renew", "install")
NAMED = ("add", "revoke", "rotate")


class Command(BaseCommand):
    help = (
        "Tokens of the peers that call us (add, list, revoke, rotate); a new node id for a database that was"
        " restored or copied (renew); triggers (install)."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("name", nargs="?", help="the peer's name, as in PEERS if it stands there")
        parser.add_argument("--scope", help="pull, push, mirror, with commas between; pull,push by default")
        parser.add_argument("--expires", metavar="90d", help="how long the token is good (s, m, h, d, w)")
        parser.add_argument("--rebind", action="store_true", help="rotate: the peer was rebuilt")
        parser.add_argument("--database", help="the database's alias; this node's own by default")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        action, name = options["action"], options["name"]
        _check(action, name, options)
        try:
            alias = options["database"] or local_alias()
            if alias not in connections:
                raise wrong(f"There is no database alias {alias}. DATABASES has: {', '.join(connections)}.")
            with translated(alias):
                found, lines = getattr(self, f"_{action}")(name, alias, options)
        except ConfigurationError as error:
            raise wrong(str(error)) from error
        except PeersyncError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(output.dumps(found) if options["json"] else "\n".join(lines))

    def _add(self, name: str, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        given = options["scope"]
        scopes = tokens.DEFAULT_SCOPES if given is None else [part.strip() for part in given.split(",")]
        token = tokens.create(name, scopes, options["expires"], using=alias)
        return _made(name, token, alias)

    def _rotate(self, name: str, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        return _made(name, tokens.rotate(name, rebind=options["rebind"], using=alias), alias)

    def _revoke(self, name: str, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        ended = tokens.revoke(name, using=alias)
        return {"name": name}, [f"{name}: {ended} token{'' if ended == 1 else 's'} ended, and forgotten as a reader."]

    def _list(self, name: str | None, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        found = tokens.listing(name, using=alias)
        rows = [(one["name"], ",".join(one["scopes"]), one["expires"], one["revoked"]) for one in found]
        head = ("name", "scopes", "expires", "revoked")
        return found, output.table(head, rows) if rows else ["No tokens. sync_peer add NAME makes one."]

    def _renew(self, name: None, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        old, new = histories.renew(alias)
        lines = [f"The node {old} is {new} now.", "Its peers notice by themselves at the next sync."]
        return {"old": old, "new": new}, lines

    def _install(self, name: None, alias: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        Node.objects.using(alias).exists()  # NotInstalled, where there is nothing that triggers could write to
        made = capture.install(alias)
        lines = [f"Made: {', '.join(made)}." if made else "All triggers are there."]
        return {"installed": list(made)}, lines


def _check(action: str, name: str | None, options: dict[str, Any]) -> None:
    if action in NAMED and not name:
        raise wrong(f"Whose token? sync_peer {action} NAME")
    if action in ("renew", "install") and name:
        raise wrong(f"sync_peer {action} takes no name; --database={name} if an alias was meant.")
    for option, actions in (("scope", ("add",)), ("expires", ("add",)), ("rebind", ("rotate",))):
        if options[option] not in (None, False) and action not in actions:
            raise wrong(f"--{option} belongs to sync_peer {actions[0]}.")


def _made(name: str, token: str, alias: str) -> tuple[dict[str, Any], list[str]]:
    newest = tokens.listing(name, using=alias)[-1]
    found = {"name": name, "token": token, "scopes": newest["scopes"], "expires": newest["expires"]}
    expires = newest["expires"] or "never"
    return found, [
        f"Token for {name} (scopes: {', '.join(newest['scopes'])}; expires: {expires}):",
        token,
        "It is shown this once. Over there it stands in PEERS as TOKEN.",
    ]
