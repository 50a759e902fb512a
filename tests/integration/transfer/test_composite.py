"""Models whose primary key has several columns are models like any other."""

import datetime as dt
from typing import Any

import pytest
from django.db import connections

from peersync.models import Conflict, RowState
from peersync.replicas.database import DatabaseReplica
from peersync.settling import put_back
from tests.integration.fields.ways import WAYS, carry
from tests.keyed.models import Hall, Place, Seat, Ticket
from tests.support.pairs import Pair, waiting

NOON = dt.datetime(2026, 2, 28, 12, 0, 0, 5, tzinfo=dt.UTC)
ROWS = ["", "a,b", "a\\,b", "a\\", "~[1]", "é/'\"%s", "x"]
ELSEWHERE = [f"!keyed.{name}" for name in ("Book", "Chapter", "Shelf", "Box")]
IDENTITY = {"keyed.Hall": "origin", "keyed.Ticket": ["code"]}


@pytest.fixture(autouse=True)
def _configured(pair: Pair) -> None:
    pair.configure("keyed.*", *ELSEWHERE, IDENTITY=IDENTITY, MATCH={"*": "never"})
    Hall.objects.using(pair.b).bulk_create([Hall(name="of b 1"), Hall(name="of b 2")])


def seats(pair: Pair) -> list[tuple[Any, ...]]:
    return pair.rows(Seat, "row", "number", "since", "note")


def settled(pair: Pair) -> None:
    assert waiting(pair.a) == waiting(pair.b) == []
    assert pair.differences() == {}


def make(alias: str, *rows: str, **more: Any) -> list[Seat]:
    return Seat.objects.using(alias).bulk_create([Seat(row=row, number=7, since=NOON, **more) for row in rows])


@pytest.mark.parametrize("way", WAYS)
def test_rows_travel_and_are_found_again(pair: Pair, way: str) -> None:
    make(pair.a, *ROWS)
    Seat.objects.using(pair.a).create(row="x", number=-(2**63), since=dt.datetime(1, 1, 1, tzinfo=dt.UTC))
    report = carry(pair.a, pair.b, way)
    assert report.models["keyed.Seat"].created == len(ROWS) + 1
    assert len(seats(pair)) == len(ROWS) + 1
    for place, row in enumerate(ROWS):
        Seat.objects.using(pair.a if place % 2 else pair.b).filter(row=row).update(note=f"edited {place}")
    Seat.objects.using(pair.b).filter(row="a,b", number=7).delete()
    Seat.objects.using(pair.a).filter(row="a\\", number=7).update(number=8)
    carry(pair.b, pair.a, way)
    carry(pair.a, pair.b, way)
    assert {(row, number) for row, number, _, _ in seats(pair)} == {
        *((row, 7) for row in ROWS if row not in ("a,b", "a\\")),
        ("a\\", 8),
        ("x", -(2**63)),
    }
    settled(pair)
    # one part of a key changes, and nothing else: another row, and this one is gone
    Seat.objects.using(pair.a).filter(row="a\\", number=8).update(number=9)
    figures = carry(pair.a, pair.b, way).models["keyed.Seat"]
    assert (figures.created, figures.deleted) == (1, 1)
    settled(pair)
    make(pair.a, "a,b", note="again")
    carry(pair.a, pair.b, way)
    settled(pair)
    assert not RowState.objects.using(pair.b).filter(model="keyed.Seat", pk_text__startswith="a\\,b").get().deleted


def test_pages_of_a_snapshot_and_ranges_of_digests(pair: Pair) -> None:
    rows = [Seat(row=row, number=n, since=NOON) for row in ("a", "b") for n in range(-5, 20)]
    Seat.objects.using(pair.a).bulk_create(rows)
    replica = DatabaseReplica(pair.a, peer=pair.b)
    assert [model.label for model in replica.describe().models if model.label == "keyed.Seat"]
    pair.push(batch_size=3)
    assert len(seats(pair)) == 50
    Seat.objects.using(pair.b).filter(row="b", number=3).update(note="differs")
    assert {label: found.keys for label, found in pair.differences().items()}["keyed.Seat"] == [
        ["b", 3, "2026-02-28T12:00:00.000005Z"]
    ]
    pair.both()
    settled(pair)


def test_a_part_that_points_to_a_row_numbered_otherwise(pair: Pair) -> None:
    hall = Hall.objects.using(pair.a).create(name="of a")
    other = Hall.objects.using(pair.a).create(name="other")
    Place.objects.using(pair.a).bulk_create([Place(hall=one, number=n) for one in (hall, other) for n in (1, 2)])
    pair.both()
    names = ("hall__name", "number", "note")
    assert pair.rows(Place, *names) == [("of a", 1, ""), ("of a", 2, ""), ("other", 1, ""), ("other", 2, "")]
    assert Place.objects.using(pair.b).filter(hall__name="of a").first().hall_id != hall.pk
    Place.objects.using(pair.b).filter(hall__name="of a", number=1).update(note="edited")
    Place.objects.using(pair.a).filter(hall=hall, number=2).delete()
    other.delete()  # with its places
    pair.both()
    assert pair.rows(Place, *names) == [("of a", 1, "edited")]
    settled(pair)


def test_an_identity_beside_it(pair: Pair) -> None:
    Ticket.objects.using(pair.a).create(box=1, number=1, code="one")
    Ticket.objects.using(pair.b).create(box=1, number=2, code="two")
    pair.both()
    Ticket.objects.using(pair.b).filter(code="one").update(code="renamed")
    pair.both()
    assert pair.rows(Ticket, "box", "number", "code") == [(1, 1, "renamed"), (1, 2, "two")]
    settled(pair)


def test_conflicts_are_kept_and_put_back(pair: Pair) -> None:
    make(pair.a, "x")
    pair.both()
    Seat.objects.using(pair.a).update(note="of a")
    Seat.objects.using(pair.b).update(note="of b")
    pair.both()
    assert len({note for *_, note in seats(pair)}) == 1
    record = Conflict.objects.using(pair.a).order_by("id").first() or Conflict.objects.using(pair.b).get()
    lost = "of a" if seats(pair)[0][-1] == "of b" else "of b"
    put_back(record, "local" if record.winner == "incoming" else "incoming")
    pair.both()
    assert [note for *_, note in seats(pair)] == [lost]
    settled(pair)


def test_under_a_filter(pair: Pair) -> None:
    pair.configure("keyed.Seat", PEERS={pair.b: {"FILTER": {"keyed.Seat": {"note": "seen"}}}})
    make(pair.a, *ROWS[:4], note="seen")
    make(pair.a, *ROWS[4:], note="hidden")
    pair.push(batch_size=2)
    there = Seat.objects.using(pair.b)
    assert set(there.values_list("row", flat=True)) == set(ROWS[:4])
    Seat.objects.using(pair.a).filter(row=ROWS[1]).update(note="left")
    Seat.objects.using(pair.a).filter(row=ROWS[5]).update(note="seen")
    Seat.objects.using(pair.a).filter(row=ROWS[2]).delete()
    pair.push()
    assert set(there.values_list("row", flat=True)) == {ROWS[0], ROWS[3], ROWS[5]}
    assert waiting(pair.b) == []


def test_what_hangs_on_a_row_goes_with_it_where_it_stays_home(pair: Pair) -> None:
    pair.configure("keyed.Hall", IDENTITY=IDENTITY, MATCH={"*": "never"})
    hall = Hall.objects.using(pair.a).create(name="of a")
    pair.push()
    Place.objects.using(pair.b).create(hall=Hall.objects.using(pair.b).get(name="of a"), number=1)
    hall.delete()
    pair.push()
    assert not Place.objects.using(pair.b).exists()
    assert waiting(pair.b) == []


def test_captured_by_signals(pair: Pair) -> None:
    pair.configure("keyed.Seat", CAPTURE="signals", EXCLUDE={"keyed.Seat": ["secret"]})
    seat = Seat.objects.using(pair.a).create(row="x,y", number=1, since=NOON)
    pair.both()
    seat.note = "edited"
    seat.save(using=pair.a)
    pair.both()
    assert [note for *_, note in seats(pair)] == ["edited"]
    seat.delete()
    pair.both()
    assert seats(pair) == []
    with connections[pair.b].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM peersync_journal")
        assert cursor.fetchone()[0] == 0
