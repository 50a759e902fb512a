"""A chain of rows is deleted at one node, while the other hangs something on its end."""

import pytest

from tests.kin.models import Box, Label, Shelf
from tests.support.pairs import Pair, records, waiting


@pytest.mark.parametrize("order", ["push", "pull"])
@pytest.mark.parametrize("identity", ["pk", "origin"])
def test_what_hangs_on_the_end_of_a_chain_keeps_all_of_it(lite: Pair, order: str, identity: str) -> None:
    """The box comes back for its new label, and the shelf for the box: it was one step up only, and both nodes waited."""
    pair = lite
    pair.configure("kin.Shelf", "kin.Box", "kin.Label", IDENTITY={"*": identity})
    shelf = Shelf.objects.using(pair.a).create(text="shelf")
    Shelf.objects.using(pair.a).create(text="other shelf")
    Box.objects.using(pair.a).create(text="box", shelf=shelf)
    label = Label.objects.using(pair.a).create(text="label")
    pair.both()
    Shelf.objects.using(pair.b).get(text="shelf").delete()
    Box.objects.using(pair.a).get().labels.add(label)
    for step in (order, {"push": "pull", "pull": "push"}[order]):
        getattr(pair, step)()
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.rows(Box, "text", "shelf__text", "labels__text") == [("box", "shelf", "label")]
    assert pair.differences() == {}
    kinds = {kind for alias in pair.aliases for kind, _, _ in records(alias)}
    assert kinds == {"deletion lost"}
