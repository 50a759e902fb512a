"""What of a row travels: excluded and included fields, values at the edges of their types, keys that are counted."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from peersync.models import Conflict
from peersync.replicas.database import DatabaseReplica
from tests.support.pairs import Pair, records, sql, waiting
from tests.zoo.models import AllFields, Parent, Secret, SelfRef, Wide

DAY = dt.date(2026, 2, 28)
NOON = dt.datetime(2026, 2, 28, 12, 0, 0, 123456, tzinfo=dt.UTC)
EXTREMES: list[dict[str, Any]] = [
    {},
    {
        "big": -(2**63),
        "binary": bytes(range(256)),
        "boolean": False,
        "char": "ünï ☃ 𝄞 \t\n\"'\\ %s {} \u200b",
        "date": dt.date.min,
        "datetime": NOON,
        "decimal": Decimal("-12345.0123456789"),
        "duration": dt.timedelta(days=-400, microseconds=1),
        "email": "a@b.example",
        "file": "some/where.txt",
        "file_path": "/tmp/x",
        "float": 1e-310,
        "ip": "2001:db8::1",
        "integer": -(2**31),
        "json": {"z": [1, 2.5, None, True, "ü"], "a": {"nested": {}}, "big": 2**60},
        "positive": 0,
        "positive_big": 2**63 - 1,
        "positive_small": 32767,
        "slug": "a-slug_1",
        "small": -32768,
        "text": "long " * 2000,
        "time": dt.time(23, 59, 59, 999999),
        "url": "https://example.org/?a=b&c=%20",
        "uuid": uuid.UUID(int=0),
    },
    {
        "big": 2**63 - 1,
        "binary": b"",
        "boolean": True,
        "char": "",
        "date": dt.date.max,
        "datetime": dt.datetime(1, 1, 1, 0, 0, tzinfo=dt.UTC),
        "decimal": Decimal("0.0000000001"),
        "duration": dt.timedelta(0),
        "float": 1.7976931348623157e308,
        "ip": "10.0.0.1",
        "integer": 2**31 - 1,
        "json": [],
        "text": "",
        "time": dt.time(0, 0),
        "uuid": uuid.UUID(int=2**128 - 1),
    },
    {"float": 0.1 + 0.2, "json": "a string", "decimal": Decimal("1.10"), "datetime": NOON.replace(microsecond=0)},
    {"json": 0, "float": -1.5e-8, "datetime": dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)},
]


def canonical(value: Any) -> Any:
    """A value that plain SQL gave, in a form that both kinds of database share."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, float):
        return repr(value)
    return value


@pytest.mark.parametrize("way", ["push", "pull"])
def test_every_type_at_its_edges(pair: Pair, way: str) -> None:
    pair.configure("zoo.AllFields")
    source, target = (pair.a, pair.b) if way == "push" else (pair.b, pair.a)
    for values in EXTREMES:
        AllFields.objects.using(source).create(**values)
    report = getattr(pair, way)()
    assert report.models["zoo.AllFields"].created == len(EXTREMES)
    names = [field.name for field in AllFields._meta.fields]
    here = [
        {n: canonical(v) for n, v in row.items()}
        for row in AllFields.objects.using(source).order_by("id").values(*names)
    ]
    there = [
        {n: canonical(v) for n, v in row.items()}
        for row in AllFields.objects.using(target).order_by("id").values(*names)
    ]
    assert here == there
    for given, got in zip(EXTREMES, there, strict=True):
        for name, value in given.items():
            assert got[name] == canonical(value), name
    assert pair.differences() == {}


def test_json_null_is_not_null(pair: Pair) -> None:
    pair.configure("zoo.AllFields")
    from django.db.models import Value
    from django.db.models.fields.json import JSONField

    AllFields.objects.using(pair.a).create(id=1, json=Value(None, JSONField()))
    AllFields.objects.using(pair.a).create(id=2, json=None)
    pair.push()
    for alias in pair.aliases:
        assert sql(alias, "SELECT id FROM zoo_allfields WHERE json IS NULL") == [(2,)]
        assert sql(alias, "SELECT id FROM zoo_allfields WHERE CAST(json AS TEXT) = 'null'") == [(1,)]


def test_there_and_back_changes_nothing(pair: Pair) -> None:
    """A row that came is not changed by its way: the next sync has nothing to do, an edit comes back exactly."""
    pair.configure("zoo.AllFields")
    for values in EXTREMES:
        AllFields.objects.using(pair.a).create(**values)
    pair.both()
    sql(pair.b, "UPDATE zoo_allfields SET slug = 'edited'")
    pair.pull()
    names = [f.name for f in AllFields._meta.fields if f.name != "slug"]
    for given, got in zip(EXTREMES, AllFields.objects.using(pair.a).order_by("id").values(*names), strict=True):
        for name, value in given.items():
            if name != "slug":
                assert canonical(got[name]) == canonical(value), name
    figures = pair.push().models["zoo.AllFields"]
    assert (figures.created, figures.updated, figures.conflicts) == (0, 0, 0)


# ---------------------------------------------------------------------- excluded


def test_an_excluded_field_stays_home(pair: Pair) -> None:
    """Not read, sent, compared or written."""
    pair.configure("zoo.Secret", EXCLUDE={"zoo.Secret": ["password"]})
    Secret.objects.using(pair.a).create(id=1, name="one", password="of a")
    pair.push()
    assert pair.rows(Secret, "name", "password", alias=pair.b) == [("one", "")]
    Secret.objects.using(pair.b).update(password="of b")
    Secret.objects.using(pair.a).update(name="edited")
    assert pair.push().models["zoo.Secret"].updated == 1
    assert pair.rows(Secret, "name", "password", alias=pair.b) == [("edited", "of b")]
    assert pair.differences() == {}
    assert records(pair.b) == []
    description = DatabaseReplica(pair.a, peer=pair.b).describe()
    info = description.model("zoo.Secret")
    assert info is not None
    assert "password" not in info.fields


def test_an_excluded_field_is_never_read(pair: Pair) -> None:
    """No statement of a transfer names the column, but the one that creates a row at the receiver."""
    pair.configure("zoo.Secret", EXCLUDE={"zoo.Secret": ["password"]})
    Secret.objects.using(pair.a).create(id=1, name="one", password="hidden")
    seen: list[str] = []

    def note(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        if "password" in statement and "zoo_secret" in statement and "TRIGGER" not in statement.upper():
            seen.append(statement)
        assert "hidden" not in repr(parameters)
        return execute(statement, parameters, many, context)

    with connections[pair.a].execute_wrapper(note), connections[pair.b].execute_wrapper(note):
        pair.push()
        Secret.objects.using(pair.a).filter(pk=1).update(name="edited")
        pair.both()
        pair.compare()
    assert all(statement.startswith("INSERT INTO") for statement in seen), seen


def test_a_change_of_excluded_fields_alone_is_no_event(pair: Pair) -> None:
    pair.configure("zoo.Secret", EXCLUDE={"zoo.Secret": ["password"]})
    Secret.objects.using(pair.a).create(id=1, name="one")
    pair.both()
    Secret.objects.using(pair.b).update(name="edited at b")
    Secret.objects.using(pair.a).update(password="changed at a, later")
    pair.both()
    assert pair.rows(Secret, "name") == [("edited at b",)]
    assert records(pair.a) == records(pair.b) == []


def test_only_included_fields_travel(pair: Pair) -> None:
    pair.configure("zoo.Parent", INCLUDE={"zoo.Parent": ["x", "u"]})
    Parent.objects.using(pair.a).create(id=1, x="x", y="y", u="u", b="b", e="e")
    pair.push()
    assert pair.rows(Parent, "x", "y", "u", "b", "e", alias=pair.b) == [("x", "", "u", "n", "dflt")]
    Parent.objects.using(pair.b).update(y="of b")
    Parent.objects.using(pair.a).update(x="x2", y="y2")
    pair.both()
    assert pair.rows(Parent, "x", "y", alias=pair.b) == [("x2", "of b")]


def test_a_peer_sees_less(pair: Pair) -> None:
    """PEERS narrows fields and models for one peer; the other way it is narrowed too."""
    pair.configure(
        "zoo.Parent", "zoo.Secret", PEERS={pair.b: {"MODELS": ["zoo.Parent"], "EXCLUDE": {"zoo.Parent": ["y"]}}}
    )
    Parent.objects.using(pair.a).create(id=1, x="x", y="secret")
    Secret.objects.using(pair.a).create(id=1, name="stays")
    report = pair.push()
    assert set(report.models) == {"zoo.Parent"}
    assert any("zoo.Secret" in warning for warning in report.warnings)
    assert pair.rows(Parent, "x", "y", alias=pair.b) == [("x", "")]
    assert pair.rows(Secret, "id", alias=pair.b) == []
    Parent.objects.using(pair.b).update(x="edited", y="of b")
    pair.pull()
    assert pair.rows(Parent, "x", "y", alias=pair.a) == [("edited", "secret")]


def test_a_record_holds_no_excluded_field(pair: Pair) -> None:
    pair.configure("zoo.Secret", EXCLUDE={"zoo.Secret": ["password"]})
    Secret.objects.using(pair.a).create(id=1, name="of a", password="hidden")
    Secret.objects.using(pair.b).create(id=1, name="of b", password="hidden")
    pair.both()
    for alias in pair.aliases:
        for record in Conflict.objects.using(alias).all():
            assert "hidden" not in f"{record.local}{record.incoming}{record.cascade}"
    assert len([*records(pair.a), *records(pair.b)]) == 1


def test_a_user_gets_an_unusable_password(pair: Pair) -> None:
    pair.configure("auth.User", EXCLUDE={"auth.User": ["password", "last_login", "date_joined"]})
    User.objects.db_manager(pair.a).create_user("anna", "a@example.org", "pass-word")
    pair.push()
    there = User.objects.using(pair.b).get(username="anna")
    assert not there.has_usable_password()
    assert there.email == "a@example.org"
    there.set_password("her own")
    there.save()
    User.objects.using(pair.a).filter(username="anna").update(first_name="Anna")
    pair.push()
    there.refresh_from_db()
    assert there.first_name == "Anna"
    assert there.check_password("her own")


def test_defaults_of_what_does_not_come(pair: Pair) -> None:
    """Each new row gets a default of its own, the type's empty value where there is none."""
    pair.configure("zoo.Wide", INCLUDE={"zoo.Wide": ["number", "placed"]})
    for pk in (1, 2, 3):
        Wide.objects.using(pair.a).create(
            id=pk, number=str(pk), placed=NOON, amount=5, text="t", data={"a": 1}, ratio=2.5, active=False
        )
    assert pair.push().models["zoo.Wide"].created == 3
    there = list(Wide.objects.using(pair.b).order_by("id"))
    assert [(w.amount, w.text, w.data, w.ratio, w.active, w.parent_id) for w in there] == [
        (Decimal("0.0000"), "", {}, 0.0, True, None)
    ] * 3
    assert len({w.token for w in there}) == 3
    assert json.dumps([str(w.placed) for w in there]) == json.dumps([str(NOON)] * 3)
    assert waiting(pair.b) == []


# ---------------------------------------------------------------------- keys that are counted


def test_the_next_local_row_finds_a_free_number(pair: Pair) -> None:
    pair.configure("zoo.SelfRef")
    for _ in range(5):
        SelfRef.objects.using(pair.a).create(name="of a")
    pair.push()
    mine = SelfRef.objects.using(pair.b).create(name="of b")
    assert mine.pk == 6
    pair.pull()
    assert SelfRef.objects.using(pair.a).create(name="of a again").pk == 7
    SelfRef.objects.using(pair.a).create(id=1000, name="far")
    pair.push()
    assert SelfRef.objects.using(pair.b).create(name="behind").pk == 1001


def test_a_sequence_never_goes_back(pair: Pair) -> None:
    pair.configure("zoo.SelfRef")
    for _ in range(9):
        SelfRef.objects.using(pair.b).create(name="gone").delete()
    SelfRef.objects.using(pair.a).create(id=2, name="of a")
    pair.push()
    assert SelfRef.objects.using(pair.b).create(name="next").pk == 10
