"""Values of each field class, at their edges and between: what Django itself can put into such a column."""

import datetime as dt
import ipaddress
import json
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st

from tests.typed.models import Every

INT64 = 1 << 63
DAY = dt.timedelta(days=1)
LONGEST = dt.timedelta(microseconds=INT64 - 1)
"""What both databases hold; PostgreSQL holds all that Python has."""

characters = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
texts = st.one_of(
    st.text(characters),
    st.sampled_from(["", " ", "  two blanks  ", "\\N", "\\.", "\t\r\n\x0b\x1f", "'\"`;--", "%s %% {}", "NULL", "null"]),
    st.sampled_from(["ﷺ", "é", "e\u0301", "\ud7ff\ue000", "\U0010ffff", "\ufeff", "\u202e", "😀", "\x7f\x85\u2028"]),
)


def short(most: int) -> st.SearchStrategy[str]:
    return texts.map(lambda text: text[:most])


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    """Of all lengths: most drawn at random have as many digits as there can be.

    Up to a thousandth below the largest: on SQLite Django rounds that up, and then cannot read it.
    """
    edge = Decimal(999).scaleb(digits - places - 3) - Decimal(1).scaleb(-places)
    drawn = st.builds(
        lambda number, scale: (
            Decimal(number % 10**digits)
            .scaleb(-min(scale, places))
            .quantize(Decimal(1).scaleb(-places), context=Context(prec=digits + places))
        ),
        st.one_of(st.integers(0, 10**15), st.integers(0, 10 ** (digits - places) - 1)),
        st.integers(0, places),
    ).filter(lambda number: number <= edge)
    signed = st.builds(lambda number, sign: number * sign, drawn, st.sampled_from([1, -1]))
    return st.one_of(signed, st.sampled_from([edge, -edge, Decimal(0), Decimal(1).scaleb(-places)]))


floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1 + 0.2, 1e16, 1e22, 1e23, -0.0]),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**40), 10**40), floats, texts)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)

datetimes = st.one_of(
    st.datetimes(timezones=st.just(dt.UTC)),
    st.datetimes(
        min_value=dt.datetime(1, 1, 3),
        max_value=dt.datetime(9999, 12, 29),
        timezones=st.timezones(no_cache=False),
        allow_imaginary=False,
    ),
    st.sampled_from([dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)]),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "big": st.one_of(st.integers(-INT64, INT64 - 1), st.sampled_from([-INT64, INT64 - 1])),
    "binary": st.one_of(st.binary(), st.just(bytes(range(256)))),
    "boolean": st.booleans(),
    "char": short(40),
    "date": st.one_of(st.dates(), st.sampled_from([dt.date.min, dt.date.max])),
    "datetime": datetimes,
    "decimal": decimals(38, 10),
    "amount": decimals(12, 2),
    "share": decimals(6, 6),
    "whole": decimals(15, 0),
    "duration": st.one_of(st.timedeltas(-LONGEST, LONGEST), st.sampled_from([LONGEST, -LONGEST, DAY, -DAY / 3])),
    "email": st.emails().map(lambda text: text[:254]),
    "file": short(100),
    "file_path": short(100),
    "float": st.one_of(floats, st.sampled_from([float("inf"), float("-inf")])),
    "image": short(100),
    "ip": st.one_of(
        st.ip_addresses().map(str),
        st.ip_addresses(v=6, network="::ffff:0:0/96").map(
            lambda one: f"::ffff:{ipaddress.IPv4Address(int(one) % 2**32)}"
        ),
    ),
    "integer": st.integers(-(1 << 31), (1 << 31) - 1),
    "json": documents,
    "encoded": st.one_of(st.uuids(), st.datetimes(), st.decimals(allow_nan=False, allow_infinity=False)),
    "positive": st.integers(0, (1 << 31) - 1),
    "positive_big": st.integers(0, INT64 - 1),
    "positive_small": st.integers(0, (1 << 15) - 1),
    "slug": short(50),
    "small": st.integers(-(1 << 15), (1 << 15) - 1),
    "text": texts,
    "time": st.one_of(st.times(), st.sampled_from([dt.time.min, dt.time.max])),
    "url": short(200),
    "uuid": st.one_of(st.uuids(), st.sampled_from(["0" * 32, "f" * 32])),
}
assert set(VALUES) == {field.name for field in Every._meta.fields} - {"id"}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """The values of some of the columns; the others are NULL."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=8, unique=True))
    return {name: draw(VALUES[name]) for name in names}


def kept_by_sqlite(row: dict[str, Any]) -> bool:
    """Whether SQLite keeps every value of a row that PostgreSQL had: all but decimals of more than fifteen digits."""
    return all(_digits(row[name]) <= 15 for name in ("decimal", "amount", "share", "whole") if name in row)


def _digits(number: Decimal) -> int:
    return len(number.normalize(Context(prec=100)).as_tuple().digits)


def taken_by_postgres(row: dict[str, Any]) -> bool:
    """JSON's escapes for what is no character are text to SQLite, and none to PostgreSQL."""
    text = json.dumps([row.get("json"), str(row.get("encoded"))]).lower()
    return "\\u0000" not in text
