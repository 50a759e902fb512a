"""Transfers of a world: whole, in single steps, cut off, and batches that arrive again."""

from typing import TYPE_CHECKING, Any

from peersync.errors import PeersyncError
from tests.state import tables
from tests.state.failure import Failure

if TYPE_CHECKING:
    from tests.state.world import World

ENDLESS = 400
STAGES = {"read": ("snapshot", "changes"), "applied": ("apply",), "asked": ("rows",)}


class Watched:
    """A replica, and the verbs that were asked of it."""

    def __init__(self, replica: Any, verbs: list[str]) -> None:
        self._replica, self._verbs = replica, verbs

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._replica, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._verbs.append(name)
            return found(*args, **kwargs)

        return call


class Run:
    """One transfer under way."""

    def __init__(self, world: "World", source: int, target: int, size: int, local: str) -> None:
        from peersync.replicas.database import DatabaseReplica
        from peersync.syncing import Options, Transfer

        self.source, self.target, self.steps = source, target, 0
        self.error: PeersyncError | None = None
        self.verbs: list[str] = []
        """What was asked of either replica so far."""
        a, b = world.sites[source].alias, world.sites[target].alias
        self.transfer = Transfer(
            Watched(DatabaseReplica(a, peer=b), self.verbs),
            Watched(DatabaseReplica(b, peer=a), self.verbs),
            options=Options(batch_size=size),
            local=local,
        )

    @property
    def sent(self) -> int:
        return int(self.transfer.sent)


class Travel:
    """What travels between the sites of a world."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.open: list[Run] = []
        self.applied: list[tuple[int, int, Any, Any]] = []
        """Source, target, caller and batch of all that was ever applied, the newest last."""

    def begin(self, source: int, target: int, size: int, local: str) -> Run:
        run = Run(self.world, source, target, size, local)
        self.open.append(run)
        return run

    def whole(self, source: int, target: int, size: int, local: str) -> Run:
        run = Run(self.world, source, target, size, local)
        while not self._step(run):
            pass
        return run

    def step(self, which: int) -> bool:
        """One call to a replica; True when the transfer is over."""
        over = self._step(self.open[which])
        if over:
            self.open.pop(which)
        return over

    def until(self, which: int, stage: str) -> None:
        """Steps until a batch was read, or applied, or an answer by key came; or the transfer is over."""
        run = self.open[which]
        done = len(run.verbs)
        while not self.step(which):
            if any(verb in STAGES[stage] for verb in run.verbs[done:]):
                return

    def cut(self, site: int) -> None:
        """All transfers with this site end here."""
        self.open = [run for run in self.open if site not in (run.source, run.target)]

    def _step(self, run: Run) -> bool:
        run.steps += 1
        self.world.now += 1
        if run.steps > ENDLESS:
            raise Failure("endless", f"a transfer does not end in {ENDLESS} steps")
        before = self.world.rows()
        last = run.transfer.log[-1:]
        try:
            over = bool(run.transfer.step())
        except PeersyncError as error:
            run.error, over = error, True
        run.error = run.error or getattr(run.transfer, "error", None)
        if run.error is not None:
            self.world.trace.append(f"   refused: {run.error!r}")
        now = run.transfer.log[-1:]
        if now and (not last or now[0] is not last[0]):
            caller, batch = now[0]
            self.applied.append((run.source, run.target, caller, batch))
            self.world.judge.saw(run.source, run.target, batch)
        after = self.world.rows()
        self.world.judge.step(run, before, after)
        if over:
            self.world.judge.ended(run, after)
        return over

    def again(self, which: int) -> None:
        if not self.applied:
            return
        source, target, caller, batch = self.applied[-1 - which % len(self.applied)]
        world = self.world
        before, waited = world.rows(), tables.waiting(world.sites[target].connection)
        self._deliver(source, target, caller, batch)
        between = world.rows()
        # answers by key and the end of a transfer move no checkpoint: what waited for a writer is rightly tried again
        moved = batch.kind in ("snapshot", "feed") and batch.start != batch.end
        moved = moved or (batch.kind in ("rows", "end") and not waited)
        if moved and not world.rewound and between != before:
            raise Failure("P5 repeated", f"a batch that had been applied changed something again: {batch}")
        self._deliver(source, target, caller, batch)
        if world.rows() != between:
            raise Failure("P5 repeated", f"a batch that came twice changed something twice: {batch}")

    def _deliver(self, source: int, target: int, caller: Any, batch: Any) -> None:
        from peersync.replicas.database import DatabaseReplica

        aliases = [site.alias for site in self.world.sites]
        try:
            DatabaseReplica(aliases[target], peer=aliases[source]).apply(caller, batch)
        except PeersyncError as error:
            self.world.trace.append(f"   refused: {error!r}")

    def state(self) -> dict[str, Any]:
        """All of peersync's tables, for a person."""
        return {site.alias: tables.traces(site.alias) for site in self.world.sites}
