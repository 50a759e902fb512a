"""Values that are carried for others: which of two is newer, and what travels of them."""

from typing import Any

import pytest

from peersync import wire
from peersync.codec import both_ways, converted
from peersync.errors import WireError
from peersync.gaps import Gap, merged, only, read, stored
from peersync.records import Row
from peersync.wire.rows import RowForm

A, B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
OLD = Gap({"color": "red", "size": 1}, {A: 1}, 10, A)
NEW = Gap({"color": "blue"}, {A: 2}, 5, A)
OTHER = Gap({"color": "green"}, {A: 1, B: 7}, 20, B)


def values(gaps: tuple[Gap, ...]) -> dict[str, Any]:
    return {name: value for gap in gaps for name, value in gap.values.items()}


def test_the_version_decides_and_not_the_stamp() -> None:
    for mine, theirs in (((OLD,), (NEW,)), ((NEW,), (OLD,))):
        found, lost = merged(mine, theirs)
        assert values(found) == {"color": "blue", "size": 1}
        assert lost == ()


def test_where_neither_has_seen_the_other_the_later_one_stays_and_the_other_is_told() -> None:
    for mine, theirs in (((NEW,), (OTHER,)), ((OTHER,), (NEW,))):
        found, lost = merged(mine, theirs)
        assert values(found) == {"color": "green"}
        assert values(lost) == {"color": "blue"}


def test_what_is_stored_is_read_again() -> None:
    gaps = (OLD, OTHER)
    assert read(stored(gaps)) == gaps
    assert stored(only(gaps, {"nothing"})) is None
    assert values(only(gaps, {"size"})) == {"size": 1}
    assert values(only(gaps, {"size"}, others=True)) == {"color": "green"}


def test_it_travels_beside_the_content() -> None:
    form = RowForm(("shop.Thing",), {"shop.Thing": ("id", "name")}, {"shop.Thing": ()}, A)
    row = Row("shop.Thing", (1,), {A: 1}, (1, "one"), 10, A, seq=1, more=(OLD, OTHER))
    sent = form.write(row)
    assert sent["more"][0] == {"values": {"color": "red", "size": 1}}, "the row's own version is not repeated"
    assert form.read(wire.loads(wire.dumps(sent))) == row
    base = Row("shop.Thing", (1,), {A: 0}, (1, "one"), 0, "", base=True, more=(Gap({"color": "red"}, {A: 0}, 0, ""),))
    assert form.read(wire.loads(wire.dumps(form.write(base)))) == base


@pytest.mark.parametrize(
    "more",
    [
        [],
        {},
        [{}],
        [{"values": {}}],
        [{"values": {"name": "known to the header"}}],
        [{"values": {"color": 1}, "version": {A: 1}}],
        [{"values": {"color": 1}, "version": {A: -1}, "stamp": 0, "author": ""}],
        [{"values": {"color": 1}, "version": {}, "stamp": "0", "author": ""}],
        [{"values": {"color": 1}}] * 65,
    ],
    ids=str,
)
def test_malformed(more: Any) -> None:
    form = RowForm(("shop.Thing",), {"shop.Thing": ("id", "name")}, {"shop.Thing": ()}, A)
    row = {"key": [1], "version": {A: 1}, "content": [1, "one"], "more": more}
    with pytest.raises(WireError):
        form.read(row)
    with pytest.raises(WireError):
        form.read({**row, "content": None, "more": [{"values": {"color": 1}}]})


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("41", "int", 41),
        ("-7", "int", -7),
        ("041", "int", None),
        ("-0", "int", None),
        ("forty", "int", None),
        ("1.0", "int", 1),
        ("1.5", "int", None),
        (41, "text", "41"),
        (True, "text", None),
        (True, "int", 1),
        (1, "bool", True),
        (2, "bool", None),
        ("1.50", "decimal", "1.50"),
        (3, "decimal", "3"),
        (0.1, "decimal", "0.1"),
        ("0.1", "float", 0.1),
        ("0.12345678901234567890", "float", None),
        (2**60, "float", None),
        ("2024-02-30", "date", None),
        ("2024-02-29", "date", "2024-02-29"),
        ([1], "text", None),
    ],
    ids=str,
)
def test_values_of_another_type(value: Any, kind: str, found: Any) -> None:
    assert converted(value, kind) == found
    assert type(converted(value, kind)) is type(found)


def test_types_that_can_be_each_others() -> None:
    assert both_ways("int", "text")
    assert both_ways("decimal", "float")
    assert not both_ways("duration", "text")
    assert not both_ways("key:shop.Thing", "int")
    assert not both_ways("native:postgresql:int4range", "text")
