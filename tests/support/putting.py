"""What the tests of putting back share: conflicts that are made, records that are found, and that all is quiet afterwards."""

from typing import Any

from peersync.models import Conflict
from tests.support.pairs import Pair, records, waiting
from tests.zoo.models import Parent


def the_record(pair: Pair, **wanted: Any) -> Conflict:
    """The only one that fits, whichever node it is on."""
    found = [one for alias in pair.aliases for one in Conflict.objects.using(alias).filter(**wanted)]
    assert len(found) == 1, found
    return found[0]


def loser(record: Conflict) -> Any:
    return "local" if record.winner == "incoming" else "incoming"


def settled_and_quiet(pair: Pair, *settled: Conflict) -> None:
    """The records are settled; two more rounds find nothing to do, and no conflict."""
    for record in settled:
        record.refresh_from_db()
        assert record.settled is not None
        assert not record.open
    before = [records(alias) for alias in pair.aliases]
    for report in (*pair.both(), *pair.both()):
        assert report.status == "ok"
        assert sum(figures.conflicts for figures in report.models.values()) == 0
    assert [records(alias) for alias in pair.aliases] == before
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def edited_on_both_sides(pair: Pair, pk: int = 1) -> None:
    Parent.objects.using(pair.a).create(id=pk, x="base", y="base", u=f"u{pk}")
    pair.both()
    Parent.objects.using(pair.b).filter(pk=pk).update(x="of b", y="b's")
    Parent.objects.using(pair.a).filter(pk=pk).update(x="of a", y="a's")


def lost_at_b(pair: Pair, **more: Any) -> Conflict:
    """b's edit lost against that of a, and both nodes have heard of it; the record is on b."""
    pair.configure("zoo.Parent", CONFLICT={"*": "source"}, **more)
    edited_on_both_sides(pair)
    pair.push()
    pair.both()
    return the_record(pair)
