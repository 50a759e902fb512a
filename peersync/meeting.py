"""The first contact of a model between two nodes whose rows stood there before: which of them are one row.

Where nobody said so, and it may be a mistake, the transfer stops before it writes a row of that model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from peersync.comparing import Comparison, Side
from peersync.errors import MatchNeeded
from peersync.handshake import Agreement
from peersync.records import Match, ModelInfo, Progress
from peersync.registry import ORIGIN, numbered, registry
from peersync.reports import Options

TOLERATED = 10
"""Rows that may differ under one number without anybody having said what they are."""


class Meeting:
    """Of both sides of a transfer. ``remote``: they speak over HTTP, so that one is hardly a copy of the other."""

    def __init__(self, agreement: Agreement, options: Options, source: Side, target: Side, *, remote: bool) -> None:
        self.agreement, self.options, self.remote = agreement, options, remote
        self.source, self.target = source, target
        self._taken: list[Mapping[str, Progress]] = []

    def _infos(self, label: str) -> tuple[ModelInfo, ModelInfo]:
        found = self.agreement.source.model(label), self.agreement.target.model(label)
        assert found[0] is not None and found[1] is not None  # noqa: S101,PT018  # agreed on because both have it
        return found[0], found[1]

    def by_origin(self, label: str) -> bool:
        return self._infos(label)[0].identity == (ORIGIN,)

    def how(self, label: str) -> str:
        """How rows of the model that stood before are matched: as was agreed, as the caller says, as MATCH says, or ``pk``.

        Raises MatchNeeded where the settings of the two sides say different things.
        """
        infos = self._infos(label)
        agreed = [info.match for info in infos if info.met]
        if agreed or self.options.match:
            return agreed[0] if agreed else str(self.options.match)
        said = {info.match for info in infos if info.match}
        if len(said) > 1 and self.by_origin(label):
            raise MatchNeeded(
                f"MATCH of {label} is {' at one side and '.join(map(repr, sorted(said)))} at the other.",
                hint='Set SYNC_CONFIG["MATCH"] alike on both sides, or say: sync_data --match pk|content|never',
            )
        return said.pop() if len(said) == 1 else "pk"

    def said(self, label: str) -> str:
        """The same, but empty where nobody said anything."""
        said = self.options.match or any(info.match for info in self._infos(label))
        return self.how(label) if said else ""

    def match(self, label: str) -> Match | None:
        """What the source is told with the first page; None for a model whose rows are named otherwise."""
        return Match(self.said(label), self._infos(label)[1].base) if self.by_origin(label) else None

    def taken(self) -> Generator[None, None, Mapping[str, Progress]]:
        """How far the source has read the target, as it said when it was asked first: one call, and not one for each model."""
        if not self._taken:
            self._taken.append(self.source.replica.checkpoint(self.source.caller))
            yield
        return self._taken[0]

    def look(self, label: str, place: Progress) -> Iterator[None]:
        """Before a first contact: whether too many rows of one number differ. Each step is a call to a replica.

        Raises MatchNeeded.
        """
        most = self._tolerated(label, place)
        if most is None:
            return
        there = (yield from self.taken()).get(label)
        if there is not None and (there.baseline or there.compared):
            return  # the other way round they met already
        comparison = Comparison(self.source, self.target, label, self.agreement.names[label])
        looked, unseen = 0, 0
        for _ in comparison.steps():
            yield
            new = comparison.both[looked:]
            if not new:
                continue
            looked += len(new)
            keys = self.source.born_unseen(label, new)
            yield
            keys &= self.target.born_unseen(label, new)
            yield
            unseen += len(keys)
            if unseen > most:
                raise self._needed(label, unseen)

    def _tolerated(self, label: str, place: Progress) -> int | None:
        """How many such rows may differ; None where nothing has to be looked at."""
        infos = self._infos(label)
        if self.options.mirror or place.baseline or place.compared or place.head is not None:
            return None
        if any(info.met or info.empty for info in infos):
            return None
        if not self.by_origin(label):
            known = registry().models.get(label)
            if infos[0].identity or known is None or not numbered(known.model):
                return None
        how = self.how(label)
        if how == "pk":
            return None if self.said(label) or not self.remote else TOLERATED
        shared = not self.by_origin(label) or (infos[0].base is not None and infos[0].base == infos[1].base)
        return 0 if shared else None

    def _needed(self, label: str, count: int) -> MatchNeeded:
        how, origin = self.how(label), self.by_origin(label)
        rename = f'name them by their origin, SYNC_CONFIG["IDENTITY"]: {{"{label}": "origin"}}, and say --match never'
        if how != "pk":
            why = "known by one name already" if origin else "named by their primary key"
            return MatchNeeded(
                f"Rows of {label} that differ are {why} at both sides: --match {how} cannot keep them apart."
                " Nothing of it was written.",
                hint="They can only be taken as the same rows: sync_data --match pk"
                if origin
                else f"If they are different rows, {rename}; if not, say --match pk.",
            )
        return MatchNeeded(
            f"{count} or more rows of {label} stand at both sides under one number and differ, and nobody saw them being"
            " born. Nothing of it was written.",
            hint="If one database began as a copy of the other, say: sync_data --match pk. If they are different rows, "
            + ("say --match never, or --match content where only equal ones are the same." if origin else f"{rename}."),
        )
