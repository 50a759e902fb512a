"""Runs of untracked rows, moved as the database wrote them: the same result as row by row, in bounded pieces."""

import datetime as dt
import uuid
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F, JSONField, Value
from django.db.models.functions import Concat

from peersync import capture, snapshot
from peersync.errors import PeersyncError, WireError
from peersync.handshake import shake_hands
from peersync.models import RowState
from peersync.replicas.database import DatabaseReplica
from tests.support.bulk import Result, both_ways, counted, first_contact, untracked
from tests.support.databases import contents
from tests.zoo.models import AllFields, Child, Parent, Sku, Wide

MODELS = ["zoo.Parent", "zoo.Child", "zoo.Wide", "zoo.AllFields"]
AWKWARD = [
    "", " ", "\t", "\n", "\r", "\r\n", "\\", "\\N", "\\.", "\\t", "a\tb\\\nc", "\\x41", "\b\f\v", "'\"`", "{}", "NULL",
    "é ☃ 😀 \ufeff \u2028 \x85 \x7f", "\\\\.\n\\.\n", "%s %(a)s %%",
]  # fmt: skip
ROWS = 10_000
STATEMENTS = 600
"""For ROWS rows, on both sides together: what a page costs, some times over."""


@pytest.fixture(params=["sqlite", "postgres"])
def pair(request: pytest.FixtureRequest, make_nodes: Any, settings: Any) -> Any:
    names = ("a", "b", "c") if request.param == "sqlite" else ("pg_a", "pg_b", "pg_c")
    nodes = make_nodes(*names)
    configure(settings, nodes)
    return nodes


def configure(settings: Any, nodes: Any, models: Any = MODELS, **more: Any) -> None:
    """SYNC_CONFIG, and the triggers that it asks for."""
    base = {"MODELS": list(models), "AUTO_SYNC": "off", "MASTER": nodes.a.alias, "SLAVE": nodes.b.alias}
    settings.SYNC_CONFIG = {**base, **more}
    for node in nodes:
        capture.install(node.alias)


def parents(*numbers: int, x: str = "x") -> list[Parent]:
    return [Parent(id=n, x=f"{x}{n}", u=f"u{n}", e=f"e{n}") for n in numbers]


def wide(*numbers: int) -> list[Wide]:
    moment = dt.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=dt.UTC)
    return [
        Wide(
            id=n,
            parent_id=n if n % 2 else None,
            number=f"number {n}",
            token=uuid.UUID(int=n),
            amount=Decimal(n) / 7,
            placed=moment + dt.timedelta(hours=n),
            active=n % 3 == 0,
            text=AWKWARD[n % len(AWKWARD)],
            day=None if n % 4 == 0 else dt.date(2024, 1, 1) + dt.timedelta(days=n),
            ratio=n / 3,
            data={"n": n, "text": AWKWARD[n % len(AWKWARD)], "none": None},
        )
        for n in numbers
    ]


def make(node: Any, *rows: Any, seen: bool = False) -> None:
    """Write rows, by default unnoticed by capture: as if they had been there before peersync."""
    if seen:
        for row in rows:
            row.save(using=node.alias, force_insert=True)
        return
    with untracked(node.alias):
        for model in dict.fromkeys(type(row) for row in rows):
            model._base_manager.using(node.alias).bulk_create([row for row in rows if type(row) is model])


def alike(nodes: Any, *, runs: int, **options: Any) -> Result:
    """Both ways lead to the same; ``runs``: rows that the source gives in runs."""
    bulk, rowwise, given = both_ways(nodes.a, nodes.b, **options)
    assert bulk.rows == rowwise.rows
    assert bulk.states == rowwise.states
    assert bulk == rowwise
    assert given == runs
    return bulk


# ---------------------------------------------------------------------- the same result


def test_an_empty_target(pair: Any) -> None:
    make(pair.a, *parents(*range(1, 31)), *[Child(id=n, p_id=1 + n % 7) for n in range(1, 41)], *wide(*range(1, 31)))
    found = alike(pair, runs=100, batch_size=7)
    assert found.rows == contents(pair.a.alias, *found.rows)
    assert found.states == []


def test_rows_stand_in_the_range_and_around_it(pair: Any) -> None:
    make(pair.a, *parents(*range(10, 30)))
    make(pair.b, *parents(5, 12, 40), *parents(15, 16, x="other "))
    found = alike(pair, runs=20, batch_size=8)
    assert found.figures["zoo.Parent"] | {"kept_at_target": 0} == {
        "created": 17, "updated": 2, "deleted": 0, "unchanged": 1, "conflicts": 2, "quarantined": 0, "kept_at_target": 0,
    }  # fmt: skip


def test_a_unique_value_is_held_by_a_row_outside_of_the_range(pair: Any) -> None:
    make(pair.a, *parents(*range(10, 20)))
    make(pair.b, Parent(id=99, u="u15"))
    found = alike(pair, runs=10)
    assert found.figures["zoo.Parent"]["quarantined"] == 1


def test_a_tombstone_in_the_range(pair: Any) -> None:
    make(pair.a, *parents(*range(10, 20)))
    make(pair.b, *parents(12), seen=True)
    Parent.objects.using(pair.b.alias).filter(id=12).delete()
    alike(pair, runs=10)


def test_a_parent_is_missing(pair: Any) -> None:
    make(pair.a, *parents(1, 2, 3), *[Child(id=n, p_id=1 + n % 3) for n in range(1, 10)])
    make(pair.b, *parents(1, 2))
    found = alike(pair, runs=9, models=("zoo.Child",))
    assert found.figures["zoo.Child"]["created"] == 6
    assert len(found.waiting) == 3


def test_excluded_columns_get_their_defaults(pair: Any, settings: Any) -> None:
    exclude = {"zoo.Parent": ["e", "b"], "zoo.Wide": ["text", "data", "placed", "day", "amount", "active"]}
    settings.SILENCED_SYSTEM_CHECKS = ["peersync.E014"]  # a date has no empty value: it becomes that of the making
    configure(settings, pair, EXCLUDE=exclude)
    make(pair.a, *parents(1, 2, 3), *wide(1, 2, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: dt.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC))
        alike(pair, runs=6)
    assert {(p.b, p.e) for p in Parent.objects.using(pair.b.alias)} == {("n", "dflt")}
    found = Wide.objects.using(pair.b.alias).get(id=3)
    assert (found.text, found.data, found.day, found.amount, found.active) == ("", {}, None, Decimal(0), True)


@pytest.mark.parametrize("rowwise", [False, True])
def test_an_excluded_column_with_a_default_of_its_own_for_each_row(pair: Any, settings: Any, rowwise: bool) -> None:
    configure(settings, pair, EXCLUDE={"zoo.Wide": ["token"]})
    make(pair.a, *parents(1, 2, 3), *wide(1, 2, 3))
    first_contact(pair.a.alias, pair.b.alias, rowwise=rowwise)
    assert len(set(Wide.objects.using(pair.b.alias).values_list("token"))) == 3


def test_excluded_columns_of_every_type(pair: Any, settings: Any) -> None:
    names = [f.name for f in AllFields._meta.fields if f.name not in ("id", "integer", "datetime", "date")]
    configure(settings, pair, EXCLUDE={"zoo.AllFields": names})
    make(pair.a, *[AllFields(id=n, integer=n) for n in (1, 2)])
    alike(pair, runs=2)


def test_every_awkward_text(pair: Any) -> None:
    rows = [Parent(id=n, x=text, y=text * 2, u=f"{n}{text}") for n, text in enumerate(AWKWARD, 1)]
    make(pair.a, *rows, *[AllFields(id=n, text=text, char=text) for n, text in enumerate(AWKWARD, 1)])
    found = alike(pair, runs=2 * len(AWKWARD))
    assert found.rows == contents(pair.a.alias, *found.rows)


def test_nulls_and_every_type(pair: Any) -> None:
    full = AllFields(
        id=2, big=-(2**63), binary=b"\x00\t\n\\N\xff", boolean=False, char="\\N", date=dt.date(1, 1, 1),
        datetime=dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), decimal=Decimal("-0.0000000001"),
        duration=dt.timedelta(days=-3, microseconds=1), email="a@b.example", file="f", file_path="p", float=1e-300,
        ip="2001:db8::1", integer=0, json=None, positive=1, positive_big=2**63 - 1, positive_small=2, slug="s", small=-1,
        text="", time=dt.time(23, 59, 59, 999999), url="https://a.example/", uuid=uuid.UUID(int=2**128 - 1),
    )  # fmt: skip
    make(
        pair.a,
        AllFields(id=1),
        full,
        AllFields(id=3, json=Value(None, JSONField()), binary=b""),
        AllFields(id=4, json=[1, "\\"]),
    )
    found = alike(pair, runs=4)
    assert found.rows == contents(pair.a.alias, *found.rows)


def test_a_row_with_a_state_in_the_page(pair: Any) -> None:
    make(pair.a, *parents(*range(1, 31)))
    Parent.objects.using(pair.a.alias).filter(id=15).update(x="edited")
    found = alike(pair, runs=20, batch_size=10)
    assert [state[1] for state in found.states] == ["15"]


def test_somebody_else_reads_the_target(pair: Any) -> None:
    """Rows that came get states there, so that they are passed on."""
    first_contact(pair.b.alias, pair.c.alias)
    make(pair.a, *parents(*range(1, 11)))
    found = alike(pair, runs=10)
    assert len(found.states) == 10


def test_the_next_own_row_gets_a_number_behind_those_that_came(pair: Any) -> None:
    make(pair.a, *[AllFields(id=n) for n in (1, 2, 70)])
    first_contact(pair.a.alias, pair.b.alias)
    assert AllFields.objects.using(pair.b.alias).create().pk == 71


# ---------------------------------------------------------------------- what no run may pass by


def hands(a: str, b: str) -> Any:
    replicas = DatabaseReplica(a, peer=b), DatabaseReplica(b, peer=a)
    found = list(shake_hands(*replicas, local="source", models=None))
    return found[-1]


def page(source: Any, target: Any, label: str) -> tuple[Any, Any]:
    """The first page of the model as a run, ready to be taken in; and who sends it."""
    agreed = hands(source.alias, target.alias)
    asked = replace(agreed.as_target(), bulk=("pgcopy", "tuples"))
    found = DatabaseReplica(source.alias, peer=target.alias).snapshot(asked, label, None, None, 100)
    assert found.bulk is not None
    return replace(found, start={"head": None, "after": None, "cursor": None}), agreed.as_source()


def test_a_reference_out_of_view_does_not_travel(pair: Any, settings: Any) -> None:
    """A nullable foreign key to a row that the peer may not see is none of its business, in whatever form."""
    configure(settings, pair, PEERS={pair.b.alias: {"FILTER": {"zoo.Parent": {"b": "n"}}}})
    make(pair.a, *parents(1, 2), Parent(id=3, b="s"), *wide(1, 2, 3))
    _, source = first_contact(pair.a.alias, pair.b.alias)
    assert source.runs == 0
    assert list(Wide.objects.using(pair.b.alias).order_by("id").values_list("parent_id", flat=True)) == [1, None, None]


def test_a_run_may_not_point_to_rows_that_its_sender_was_not_shown(pair: Any, settings: Any) -> None:
    make(pair.b, *parents(1, 3), *wide(1, 3))
    make(pair.a, *parents(1), Parent(id=3, b="s"))
    batch, sender = page(pair.b, pair.a, "zoo.Wide")
    configure(settings, pair, PEERS={pair.b.alias: {"FILTER": {"zoo.Parent": {"b": "n"}}}})
    DatabaseReplica(pair.a.alias, peer=pair.b.alias).apply(sender, batch)
    assert list(Wide.objects.using(pair.a.alias).values_list("id", flat=True)) == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "feed", "start": {"cursor": None}},
        {"fields": {}},
        {"bulk": {"first": ()}},
        {"bulk": {"first": ("x",)}},
        {"bulk": {"last": (1, 2)}},
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_refused(pair: Any, change: dict[str, Any]) -> None:
    make(pair.a, *parents(1, 2, 3))
    batch, sender = page(pair.a, pair.b, "zoo.Parent")
    more = {name: replace(batch.bulk, **value) if name == "bulk" else value for name, value in change.items()}
    with pytest.raises(PeersyncError):
        DatabaseReplica(pair.b.alias, peer=pair.a.alias).apply(sender, replace(batch, **more))
    assert not Parent.objects.using(pair.b.alias).exists()


@pytest.mark.parametrize(("first", "last", "count"), [(1, 2, 3), (2, 3, 3), (1, 3, 2)])
def test_a_run_that_says_what_is_not_so_goes_row_by_row(pair: Any, first: int, last: int, count: int) -> None:
    """Rows outside of the range that was looked at are looked at one by one: nothing is replaced unseen."""
    make(pair.a, *parents(1, 2, 3))
    make(pair.b, *parents(0, x="mine "))
    batch, sender = page(pair.a, pair.b, "zoo.Parent")
    batch = replace(batch, bulk=replace(batch.bulk, first=(first,), last=(last,), count=count))
    outcome = DatabaseReplica(pair.b.alias, peer=pair.a.alias).apply(sender, batch)
    assert outcome.figures["zoo.Parent"].created == 3
    assert Parent.objects.using(pair.b.alias).count() == 4


def test_a_model_with_an_identity_takes_no_run(pair: Any, settings: Any) -> None:
    configure(settings, pair, models=["zoo.Sku"], IDENTITY={"zoo.Sku": "pk"})
    make(pair.a, Sku(id=1, sku="a"))
    batch, sender = page(pair.a, pair.b, "zoo.Sku")
    configure(settings, pair, models=["zoo.Sku"], IDENTITY={"zoo.Sku": ["sku"]})
    with pytest.raises(WireError):
        DatabaseReplica(pair.b.alias, peer=pair.a.alias).apply(sender, batch)


@pytest.mark.parametrize(
    "line", [b"1\\tx", b"not a number", b"2\t\\N\t\\N\t\\N\t\\N\t\\N", b"\\.", b"1\tx\ty\tu\tn\te\tmore"], ids=repr
)
def test_lines_that_are_no_rows_of_the_table(pg_nodes: Any, settings: Any, line: bytes) -> None:
    configure(settings, pg_nodes)
    make(pg_nodes.a, *parents(1))
    batch, sender = page(pg_nodes.a, pg_nodes.b, "zoo.Parent")
    batch = replace(batch, bulk=replace(batch.bulk, data=line + b"\n"))
    replica = DatabaseReplica(pg_nodes.b.alias, peer=pg_nodes.a.alias)
    with suppress(WireError):
        replica.apply(sender, batch)
    assert not Parent.objects.using(pg_nodes.b.alias).exists()


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 00:00:00+00 BC", "20000-01-01 00:00:00+00"])
def test_a_date_that_python_has_not(pg_nodes: Any, settings: Any, moment: str) -> None:
    configure(settings, pg_nodes)
    make(pg_nodes.a, AllFields(id=1, datetime=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)))
    batch, sender = page(pg_nodes.a, pg_nodes.b, "zoo.AllFields")
    data = batch.bulk.data.replace(b"2024-01-01 00:00:00+00", moment.encode())
    assert data != batch.bulk.data
    batch = replace(batch, bulk=replace(batch.bulk, data=data))
    with suppress(WireError):
        DatabaseReplica(pg_nodes.b.alias, peer=pg_nodes.a.alias).apply(sender, batch)
    assert all(row.id == 1 for row in AllFields.objects.using(pg_nodes.b.alias).all())  # what stands can be read


# ---------------------------------------------------------------------- bounds


@pytest.mark.parametrize("rowwise", [False, True])
def test_a_page_ends_by_its_length_too(pair: Any, monkeypatch: pytest.MonkeyPatch, rowwise: bool) -> None:
    """However long rows are, a page stands in memory at once, not the table."""
    monkeypatch.setattr(snapshot, "PAGE_BYTES", 100_000)
    sizes = [10, 60_000, 60_000, 300_000, *[5] * 50, 30_000, 30_000, 30_000, 30_000]
    letters = "".join(map(chr, range(0x4E00, 0x9000)))  # nothing that is stored packed
    make(pair.a, *[AllFields(id=n, text=(letters * 9)[n : n + size // 3]) for n, size in enumerate(sizes, 1)])
    _, source = first_contact(pair.a.alias, pair.b.alias, rowwise=rowwise)
    pages = [page.bulk.count if page.bulk else len(page.rows) for page in source.pages]
    assert sum(pages) == len(sizes)
    assert max(pages[1:]) < 60
    assert len([one for one in pages if one]) >= 5
    assert contents(pair.a.alias, "zoo.AllFields") == contents(pair.b.alias, "zoo.AllFields")


def test_documents_that_unpack_to_much_more(pg_nodes: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(settings, pg_nodes)
    monkeypatch.setattr(snapshot, "PAGE_BYTES", 20_000)
    make(pg_nodes.a, *[AllFields(id=n, json=["x" * 30_000]) for n in range(1, 5)])
    _, source = first_contact(pg_nodes.a.alias, pg_nodes.b.alias)
    assert source.runs == 0
    assert contents(pg_nodes.a.alias, "zoo.AllFields") == contents(pg_nodes.b.alias, "zoo.AllFields")


def test_statements_are_per_page_and_never_per_row(pair: Any) -> None:
    """First sync, as runs and row by row; updates; deletions."""
    a, b = pair.a.alias, pair.b.alias
    make(pair.a, *parents(*range(1, ROWS + 1)), *[Child(id=n, p_id=n) for n in range(1, ROWS + 1)])
    seen = {}

    def sync(name: str, **options: Any) -> None:
        with counted([a, b]) as statements:
            first_contact(a, b, **options)
        seen[name] = len(statements)

    sync("first")
    Parent.objects.using(a).update(x=Concat(F("x"), Value("!")))
    sync("updates")
    Child.objects.using(a).all().delete()
    sync("deletions")
    Parent.objects.using(a)._raw_delete(a)
    sync("deletions of parents")
    Parent.objects.using(a).bulk_create(parents(*range(1, ROWS + 1)))
    sync("tracked rows")
    assert contents(a, "zoo.Parent", "zoo.Child") == contents(b, "zoo.Parent", "zoo.Child")
    assert RowState.objects.using(b).count() >= ROWS
    assert max(seen.values()) <= STATEMENTS, seen


def test_a_first_contact_with_a_table_full_of_equal_rows(pair: Any) -> None:
    for node in (pair.a, pair.b):
        make(node, *parents(*range(1, ROWS + 1)))
    with counted([pair.a.alias, pair.b.alias]) as statements:
        transfer, _ = first_contact(pair.a.alias, pair.b.alias)
    assert transfer.report.models["zoo.Parent"].unchanged == ROWS
    assert len(statements) <= STATEMENTS
    assert not RowState.objects.using(pair.b.alias).exists()
