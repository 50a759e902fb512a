"""First contacts with a node that has pruned tombstones: what is new there has not come back."""

from peersync import capture
from peersync.models import Node
from peersync.replicas.database import DatabaseReplica
from peersync.transfer import Transfer
from tests.support.pairs import Pair, records
from tests.zoo.models import Child, Parent


def test_several_models_of_a_node_that_is_new(pair: Pair, nodes: object) -> None:
    """The first one's contact is over when the second one's begins: its place in the feed says nothing of the others."""
    c = nodes.c.alias  # type: ignore[attr-defined]
    pair.configure("zoo.Parent", "zoo.Child")
    capture.install(c)
    Parent.objects.using(pair.b).create(id=1)
    pair.both()
    Parent.objects.using(pair.b).all().delete()
    for _ in range(3):
        pair.both()
    assert Node.objects.using(pair.a).get().pruned_seq
    Child.objects.using(c).create(id=2, p=Parent.objects.using(c).create(id=2))
    report = Transfer(DatabaseReplica(c, peer=pair.a), DatabaseReplica(pair.a, peer=c)).run()
    assert report.error is None
    assert Child.objects.using(pair.a).get().p_id == 2
    assert records(pair.a) == []
