"""The options of ``sync_data``, and what of them may not stand together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from peersync.conf_values import MATCHES
from peersync.errors import PeersyncError
from peersync.registry import expand, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

DIRECTIONS = {
    "master-to-slave": ("push",),
    "push": ("push",),
    "slave-to-master": ("pull",),
    "pull": ("pull",),
    "both": ("pull", "push"),
}
"""What each direction does, in order. Master is this node, slave the other one."""

WRONG_ARGUMENTS = 2


class WrongArguments(PeersyncError):
    """The arguments contradict themselves, or name what there is not."""

    code = "arguments"


def wrong(message: str) -> CommandError:
    """Exit status 2. No class of its own: Django prints the name of the class before the message."""
    return CommandError(message, returncode=WRONG_ARGUMENTS)


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--direction",
        required=True,
        choices=list(DIRECTIONS),
        help="master is this node, slave the other: master-to-slave (push), slave-to-master (pull), or both"
        " (pull, then push)",
    )
    _add_peer_arguments(parser)
    _add_mode_arguments(parser)
    parser.add_argument(
        "--match",
        choices=MATCHES,
        help="at a first contact: which rows that stood on both sides before are one row: those of equal primary key (one"
        " database began as a copy of the other), those of equal primary key and content, or none; overrides MATCH",
    )
    parser.add_argument("--models", nargs="+", metavar="app.Model", help="only these (app.* for a whole app)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="rows in a batch")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--noinput", "--no-input", action="store_true", help="ask nothing")


def _add_peer_arguments(parser: CommandParser) -> None:
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--peer", metavar="NAME", help="a name in PEERS, or the alias of the other database")
    whom.add_argument("--all-peers", action="store_true", help="every peer that has a URL, and the slave alias")
    whom.add_argument("--peer-url", metavar="URL", help="a peer that stands in no settings")
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", help="else --token-file, the settings, or PEERSYNC_TOKEN in the environment")
    token.add_argument("--token-file", metavar="FILE", help="a file that holds nothing but the token")


def _add_mode_arguments(parser: CommandParser) -> None:
    for name, text in {
        "--dry-run": "say what would be done, and write nothing on either side",
        "--mirror": "make the target exactly the source, deletions included",
        "--verify": "compare both sides and list what differs; nothing is written (but with --repair)",
        "--repair": "a full comparison, which mends what it finds; what differs without a change is as the source has it",
        "--retry": "try the rows in quarantine again",
        "--watch": "go on until stopped",
        "--accept-conflicts": "go on where a first contact meets more conflicts than MAX_CONFLICTS",
    }.items():
        parser.add_argument(name, action="store_true", help=text)


def check(options: dict[str, Any]) -> None:
    """Refuse what contradicts itself."""
    if options["mirror"] and options["direction"] == "both":
        raise wrong("--mirror needs one direction: of two sides only one can be the original.")
    for one, other in (
        ("mirror", "repair"),
        ("mirror", "verify"),
        ("mirror", "watch"),
        ("watch", "verify"),
        ("watch", "dry_run"),
        ("watch", "repair"),
        ("verify", "dry_run"),
    ):
        if options[one] and options[other]:
            raise wrong(f"{_option(one)} and {_option(other)} do not go together.")
    if options["mirror"] and options["json"] and not (options["noinput"] or options["dry_run"]):
        raise wrong("--mirror asks before it deletes; with --json, say --noinput.")
    if options["batch_size"] is not None and options["batch_size"] < 1:
        raise wrong("--batch-size must be at least 1.")
    if (options["token"] or options["token_file"]) and options["all_peers"]:
        raise wrong("One token does not open all peers: put each one's TOKEN into PEERS.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def labels(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    """The labels that ``--models`` means, many-to-many tables of the models among them; None for all."""
    if not patterns:
        return None
    known = registry().models
    chosen: dict[str, None] = {}
    for pattern in patterns:
        models = set(expand([pattern]))
        found = [
            label
            for label, model in known.items()
            if model.model in models
            or label.lower() == pattern.lower()
            or (model.through and owner(model.model) in models)
        ]
        if not found:
            raise wrong(f"{pattern} is not synchronised. Synchronised are: {', '.join(known) or 'no models'}.")
        chosen.update(dict.fromkeys(found))
    return tuple(label for label in known if label in chosen)


def owner(through: type[Model]) -> Any:
    """The model whose many-to-many field made this table."""
    return through._meta.auto_created
