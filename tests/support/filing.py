"""Two nodes with a storage each, in one process: whoever is asked works with its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.core.files.storage import FileSystemStorage

from peersync import capture, tokens
from peersync.file_models import FileName, FileWait
from peersync.replicas.database import DatabaseReplica
from peersync.replicas.http import HttpReplica
from peersync.reports import Options, TransferReport
from peersync.transfer import Transfer
from tests.filed import stores
from tests.filed.models import Paper


class At:
    """A replica whose calls are made where its own storage is the project's; nothing in them says where that is."""

    def __init__(self, node: str, replica: Any) -> None:
        self._node, self._replica = node, replica

    @property
    def name(self) -> str:
        return str(self._replica.name)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._replica, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with stores.at(self._node):
                return found(*args, **kwargs)

        return call

    def file_infos(self, caller: Any, wants: Any) -> Any:
        with stores.at(self._node):
            return self._replica.file_infos(caller, [replace(want, place=None) for want in wants])

    def file_read(self, caller: Any, want: Any, offset: int, take: Callable[[Any], Any]) -> Any:
        def pieces() -> Any:
            with stores.at(self._node):
                found = self._replica.file_read(caller, want, offset, lambda some: _until_broken(some))
            for piece in found:
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        return take(pieces())


def _until_broken(pieces: Any) -> list[Any]:
    """What comes, and what it breaks off with."""
    found: list[Any] = []
    try:
        found.extend(pieces)
    except Exception as error:
        found.append(error)
    return found


class Filed:
    """`a` and `b`, with files on; ``a`` is the node of this process."""

    def __init__(self, settings: Any, a: str, b: str, kind: str, served: Any = None, **config: Any) -> None:
        self.aliases = {"a": a, "b": b}
        self.settings, self.kind = settings, kind
        self.served = served
        for node in ("a", "b"):
            stores.store.stores[node] = stores.KINDS[kind]()
        if served is not None:
            stores.store.stores["b"] = FileSystemStorage(location=served.media)
        self.configure(**config)
        self.token = tokens.create(a, using=b) if served is not None else ""

    def configure(self, **config: Any) -> None:
        base = {"MODELS": ["filed.*"], "AUTO_SYNC": "off", "FILES": True, **config}
        if self.served is not None:
            self.served.configure(base)
        self.settings.SYNC_CONFIG = {
            **base,
            "MASTER": self.aliases["a"],
            "SLAVE": self.aliases["b"],
        }
        for alias in self.aliases.values():
            capture.install(alias)

    def replica(self, node: str) -> Any:
        if node == "b" and self.served is not None:
            return HttpReplica("b", self.served.url, self.token)
        other = self.aliases["b" if node == "a" else "a"]
        return At(node, DatabaseReplica(self.aliases[node], peer=other))

    def transfer(self, source: str = "a", **options: Any) -> Transfer:
        target = "b" if source == "a" else "a"
        local = "source" if source == "a" else "target"
        return Transfer(self.replica(source), self.replica(target), options=Options(**options), local=local)

    def sync(self, source: str = "a", **options: Any) -> TransferReport:
        report = self.transfer(source, **options).run()
        if report.error is not None:
            raise report.error
        return report

    def make(self, node: str, data: bytes = b"", **values: Any) -> Paper:
        """A row there, and its file, if it has one."""
        row = Paper(**{"title": "a paper", **values})
        row.save(using=self.aliases[node])
        if row.file.name and data:
            stores.put(node, row.file.name, data)
        return row

    def names(self, node: str) -> dict[int, str]:
        """What the column holds: row → name in the node's own storage."""
        return dict(Paper.objects.using(self.aliases[node]).values_list("pk", "file"))

    def contents(self, node: str) -> dict[int, bytes | None]:
        return {pk: stores.got(node, name) for pk, name in self.names(node).items()}

    def waiting(self, node: str) -> list[tuple[str, str, bool]]:
        """Name, reason, and whether it is listed."""
        found = FileWait.objects.using(self.aliases[node]).order_by("id")
        return list(found.values_list("name", "reason", "listed"))

    def called(self, node: str) -> list[tuple[str, str]]:
        return list(FileName.objects.using(self.aliases[node]).order_by("id").values_list("name", "local"))
