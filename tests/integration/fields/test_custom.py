"""Fields of a project's own: as their column holds them, and no code of theirs runs on what a peer sent."""

import pickle
from decimal import Decimal
from typing import Any

import pytest

from peersync.models import Conflict
from peersync.syncing import compare
from tests.integration.fields.conftest import Between
from tests.integration.fields.ways import WAYS, carry, quarantined
from tests.support.pairs import sql
from tests.typed import fields
from tests.typed.models import Own


class Trap:
    """Whoever unpickles this notes it, as the shell command of a real attack would have been run."""

    sprung: list[str] = []

    def __reduce__(self) -> Any:
        return (Trap.sprung.append, ("sprung",))


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    fields.ran.clear()
    Trap.sprung.clear()


def columns(alias: str) -> list[Any]:
    """As plain SQL finds them."""
    rows = sql(alias, "SELECT id, secret, anything, colour, CAST(price AS text), hand FROM typed_own ORDER BY id")
    return [
        (*row[:2], None if row[2] is None else bytes(row[2]), row[3], row[4] and Decimal(row[4]), row[5])
        for row in rows
    ]


@pytest.mark.parametrize("way", WAYS)
def test_they_travel_as_their_columns_hold_them(between: Between, way: str) -> None:
    between.configure("typed.Own")
    values = {
        "secret": "a secret",
        "anything": {"any": ["thing", 1]},
        "colour": fields.Colour.GREEN,
        "price": fields.Money(Decimal("12.30")),
        "hand": "N♠QJT3",
    }
    Own.objects.using(between.source).create(**values)
    Own.objects.using(between.source).create()
    fields.ran.clear()
    assert carry(between.source, between.target, way).status == "ok"
    assert fields.ran == []
    assert columns(between.target) == columns(between.source)
    there = Own.objects.using(between.target).get(id=1)
    assert {name: getattr(there, name) for name in values} == values


@pytest.mark.parametrize("way", WAYS)
def test_no_code_of_theirs_runs_on_what_a_peer_sent(between: Between, way: str) -> None:
    """In a first contact, an edit, a conflict with its record, a deletion, a comparison: values that would blow up."""
    between.configure("typed.Own")
    trap = pickle.dumps(Trap())

    def write(alias: str, pk: int, colour: str) -> None:
        sql(alias, "DELETE FROM typed_own WHERE id = %s", [pk])
        sql(
            alias,
            "INSERT INTO typed_own (id, secret, anything, colour, hand) VALUES (%s, %s, %s, %s, %s)",
            [pk, "not base64 at all", trap, colour, "x"],
        )

    for pk in (1, 2, 3):
        write(between.source, pk, "none")
    carry(between.source, between.target, way)
    write(between.source, 1, "edit")
    write(between.source, 2, "one")
    write(between.target, 2, "two")
    sql(between.source, "DELETE FROM typed_own WHERE id = 3")
    carry(between.source, between.target, way)
    carry(between.target, between.source, way)
    assert compare(between.target)["typed.Own"].count == 0
    assert Conflict.objects.using(between.target).exists()
    assert columns(between.target) == columns(between.source)
    assert quarantined(between.target) == {}
    assert fields.ran == []
    assert Trap.sprung == []
    with pytest.raises(ValueError, match=r".+"):  # it would have, had anybody looked
        list(Own.objects.using(between.target).all())
