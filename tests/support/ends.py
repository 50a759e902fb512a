"""Two nodes as their owners have them: `a` is this process's own, `b` a database alias, or a server of its own.

What is synchronised is synchronised with the commands, and what stands there is looked at without peersync.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from peersync import capture, tokens
from peersync.models import PeerToken
from tests.support.commands import Answer, run
from tests.support.databases import NodeDatabase, contents
from tests.support.sites import Site, free_port
from tests.support.wiretap import Wiretap


class Servers:
    """Processes that serve nodes: started when first asked for, and told of other settings when asked again."""

    def __init__(self) -> None:
        self._sites: dict[str, tuple[Site, int]] = {}

    def serve(self, alias: str, config: dict[str, Any]) -> int:
        """The port at which the node of ``alias`` answers, with these settings from now on."""
        if alias not in self._sites:
            port = free_port()
            self._sites[alias] = Site(alias, port, AUTO_SYNC="off"), port
            self.do(alias, "from django.db import connections\nfrom django.test import override_settings")
        self.do(alias, f"override_settings(SYNC_CONFIG={config!r}).enable()")
        self.do(alias, "__import__('peersync.capture').capture.install('default')")
        self.do(alias, "connections.close_all()")
        return self._sites[alias][1]

    def do(self, alias: str, code: str) -> Any:
        """Evaluate or execute it in the process of that node."""
        return self._sites[alias][0].do(code)

    def close(self) -> None:
        for site, _ in self._sites.values():
            site.close()
        self._sites.clear()


class Ends:
    """``servers`` None: `b` is an alias. ``peer``: what `b` is called here; over HTTP this node is "hq" there."""

    def __init__(self, settings: Any, a: NodeDatabase, b: NodeDatabase, servers: Servers | None) -> None:
        self.settings, self.servers = settings, servers
        self.nodes = a, b
        self.a, self.b = a.alias, b.alias
        self.peer = "branch" if servers else self.b
        self.wire: Wiretap | None = None

    @property
    def http(self) -> bool:
        return self.servers is not None

    def configure(
        self,
        *models: str,
        here: Any = None,
        there: Any = None,
        tap: bool = False,
        scopes: Sequence[str] = tokens.DEFAULT_SCOPES,
        **both: Any,
    ) -> None:
        """SYNC_CONFIG of both nodes. ``here``, ``there``: what each narrows for the other; ``tap``: listen to the wire."""
        base = {"MODELS": list(models), "AUTO_SYNC": "off", **both}
        self._configure = partial(self._apply, base, here or {}, there or {}, tap, scopes)
        self._configure()

    def _apply(
        self, base: dict[str, Any], here: dict[str, Any], there: dict[str, Any], tap: bool, scopes: Sequence[str]
    ) -> None:
        if self.servers is None:
            assert not there, "an alias has one SYNC_CONFIG: it narrows for the slave alone"
            peers = {"PEERS": {self.b: here}} if here else {}
            self.settings.SYNC_CONFIG = {**base, "MASTER": self.a, "SLAVE": self.b, **peers}
            capture.install(self.b)
        else:
            port = self.servers.serve(self.b, {**base, "PEERS": {"hq": there}})
            if tap:
                self.wire = self.wire or Wiretap(port)
                port = self.wire.port
            entry = {"URL": f"http://127.0.0.1:{port}/peersync/", "TOKEN": self._token(scopes), **here}
            self.settings.SYNC_CONFIG = {**base, "MASTER": self.a, "PEERS": {"branch": entry}}
        capture.install(self.a)

    def _token(self, scopes: Sequence[str]) -> str:
        PeerToken.objects.using(self.b).all().delete()
        return tokens.create("hq", scopes, using=self.b)

    def command(self, direction: str, *arguments: str) -> Answer:
        """``sync_data`` as a user types it."""
        return run("sync_data", f"--direction={direction}", f"--peer={self.peer}", *arguments)

    def sync(self, direction: str, *arguments: str, status: int = 0) -> list[dict[str, dict[str, int]]]:
        """``sync_data --json``, which ends with this exit status: the figures per model, for each transfer."""
        answer = self.command(direction, *arguments, "--json")
        assert answer.status == status, answer
        return [transfer["models"] for transfer in answer.json["transfers"]]

    def equal(self, *labels: str) -> bool:
        return bool(contents(self.a, *labels) == contents(self.b, *labels))

    def other_side(self, **config: Any) -> None:
        """Over HTTP: the other node has these settings from now on, this one keeps its own."""
        assert self.servers is not None
        self.servers.serve(self.b, {"AUTO_SYNC": "off", **config})

    def do(self, code: str) -> Any:
        """In the process of the other node."""
        assert self.servers is not None
        return self.servers.do(self.b, code)

    def install(self) -> None:
        """Triggers and a token as they were, on both: for nodes whose tables were replaced, or lost them."""
        self._configure()

    def reset(self) -> None:
        """Both as they were before the first sync, with the settings that they have."""
        for node in self.nodes:
            node.reset()
        self._configure()

    def close(self) -> None:
        if self.wire:
            self.wire.close()
