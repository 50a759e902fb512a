"""P8, what leaves: excluded fields and rows outside the filter, by content, key, count, digest or error text: nothing of them.

The bytes that really went over the socket are searched, both ways, as they went and unpacked.
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import requests

from peersync.wire import caller_headers
from tests.support.api import caller_of
from tests.support.ends import Ends
from tests.zoo.models import Child, Parent, Secret, Tag, Tagged, Wide

MODELS = ("zoo.Parent", "zoo.Child", "zoo.Tag", "zoo.Tagged", "zoo.Wide")
OPEN = {"zoo.Parent": {"b": "n"}}
HIDDEN = {"a": 918_273_000, "b": 827_364_000}
"""Where the keys of the rows begin that each side keeps to itself."""


def config(ends: Ends) -> None:
    """Each side opens to the other what is marked "n", without the field e; Secret is not synchronised."""
    ends.configure(
        *MODELS,
        here={"FILTER": OPEN},
        there={"FILTER": OPEN},
        EXCLUDE={"zoo.Parent": ["e"], "zoo.Child": ["e"]},
        tap=True,
    )


def marks(side: str) -> list[str]:
    """What must never be read on the wire, of what is written below."""
    return [f"{word}-{side}" for word in ("hidden", "excluded", "unlisted", "afterwards")]


def fill(side: str, alias: str, base: int) -> None:
    parents, children = Parent.objects.using(alias), Child.objects.using(alias)
    for n in range(1, 6):
        parents.create(id=base + n, x=f"open {side}", e=f"excluded-{side}")
        children.create(id=base + n, p_id=base + n, x=f"open {side}", e=f"excluded-{side}")
    for n in range(1, 8):
        key = HIDDEN[side] + n
        parents.create(
            id=key, x=f"hidden-{side}", y=f"hidden-{side}", u=f"hidden-{side}{n}", b="x", e=f"excluded-{side}"
        )
        children.create(id=key, p_id=key, x=f"hidden-{side}", e=f"excluded-{side}")
    Secret.objects.using(alias).create(id=HIDDEN[side] + 9, name=f"unlisted-{side}", password=f"unlisted-{side}")
    Tagged.objects.using(alias).create(id=base + 1, name="t").tags.add(
        Tag.objects.using(alias).create(id=base + 1, name=f"tag {base}")
    )


def edit(side: str, alias: str, base: int) -> None:
    """Rows in view and out of it; fields that travel and that don't; rows that leave, alone and with their parent."""
    parents, children = Parent.objects.using(alias), Child.objects.using(alias)
    parents.filter(id=base + 1).update(x="edited")
    parents.filter(id=base + 2).update(e=f"excluded-{side} again")
    parents.filter(id=HIDDEN[side] + 1).update(x=f"hidden-{side} again")
    children.filter(id=HIDDEN[side] + 2).delete()
    parents.filter(id=HIDDEN[side] + 2).delete()
    parents.filter(id=base + 3).update(b="x", x=f"afterwards-{side}", y=f"afterwards-{side}")
    children.filter(id=base + 4).update(p_id=HIDDEN[side] + 1, x=f"afterwards-{side}")


def tell(ends: Ends) -> None:
    """First contact both ways, the feed, conflicts, rows that are refused and that wait, errors, comparisons."""
    sides = (("a", ends.a, 0), ("b", ends.b, 100))
    for side in sides:
        fill(*side)
    ends.sync("both", "--batch-size=3")
    for side in sides:
        edit(*side)
    for alias in (ends.a, ends.b):
        Parent.objects.using(alias).filter(id=5).update(x=f"both edit {alias}", e=f"excluded-{alias[-1]}")
    ends.sync("both", "--batch-size=3")
    # keys and unique values that the other side holds where this one can't see
    Parent.objects.using(ends.a).create(id=HIDDEN["b"] + 3, x="mine", e="excluded-a")
    Parent.objects.using(ends.a).create(id=50, x="mine", u="of a's own")
    ends.command("both")
    for arguments in (["--verify"], ["--repair"], ["--dry-run"], ["--models", "zoo.Child", "--verify"]):
        ends.command("both", *arguments)
    ends.command("push", "--mirror", "--noinput")  # without the scope
    ends.sync("both")


def texts(raw: bytes) -> Iterator[bytes]:
    """What is packed once more inside: the tokens of pages."""
    yield raw
    for token in set(re.findall(rb"after=([A-Za-z0-9_-]{8,})", raw)):
        yield base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4))


def test_what_each_side_keeps_never_goes_over_the_wire(wired: Ends) -> None:
    config(wired)
    tell(wired)
    assert wired.wire
    raw = b"\n".join(texts(wired.wire.everything()))
    assert b"open a" in raw
    assert b"open b" in raw, "the search finds what does travel"
    for side in "ab":
        for mark in marks(side):
            assert mark.encode() not in raw, mark
    told = set(re.findall(rb"(?:918273|827364)\d{3}", raw))
    # the one key that this side gave to a row of its own; whether another row bears it there is not said
    assert told <= {str(HIDDEN["b"] + 3).encode()}, told


def test_not_even_the_name_of_an_excluded_field_leaves(wired: Ends) -> None:
    """A side that lacks a field carries it for others, so each says what it wants nothing of: not in these words."""
    wired.configure("zoo.Secret", EXCLUDE={"zoo.Secret": ["password"]}, tap=True)
    Secret.objects.using(wired.b).create(id=1, name="open", password="shut")
    wired.sync("both")
    assert wired.wire
    raw = b"\n".join(texts(wired.wire.everything()))
    assert b"open" in raw
    assert b"password" not in raw
    assert b"shut" not in raw


def test_what_travels_is_what_stands_in_view(wired: Ends) -> None:
    """The other half: nothing that is open was kept back."""
    config(wired)
    tell(wired)
    for side, here, there, base in (("a", wired.a, wired.b, 0), ("b", wired.b, wired.a, 100)):
        mine = Parent.objects.using(here).filter(b="n", id__gt=base, id__lt=base + 50)
        assert mine.count() == 4
        got = Parent.objects.using(there)
        assert {p.id: p.x for p in mine} == {p.id: p.x for p in got.filter(id__in=[p.id for p in mine])}
        assert not got.filter(id=base + 3).exists(), "it left the view"
        assert not Child.objects.using(there).filter(id=base + 4).exists(), "its parent is out of view"
        assert (
            not got.filter(e__contains=f"excluded-{side}").exclude(e__contains=f"excluded-{'ba'[side == 'b']}").exists()
        )


# ---------------------------------------------------------------------- whatever the peer asks for


class Asker:
    """A peer that asks as it likes, with its token: it names itself, or does not."""

    def __init__(self, ends: Ends, *, named: bool) -> None:
        entry = ends.settings.SYNC_CONFIG["PEERS"]["branch"]
        self.url = str(entry["URL"])
        caller = caller_headers(caller_of(ends.a)) if named else {}
        self.headers = {"Authorization": f"Token {entry['TOKEN']}", **caller}

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return requests.get(f"{self.url}v1/{path}", params=parameters, headers=self.headers, timeout=30)

    def post(self, path: str, value: Any) -> requests.Response:
        return requests.post(f"{self.url}v1/{path}", json=value, headers=self.headers, timeout=30)

    def pages(self, path: str, limit: int) -> list[Any]:
        """Page by page to the end: the keys on each, and what each says of the next."""
        found, after = [], None
        while True:
            answer = self.get(path, limit=limit, **({"after": after} if after else {}))
            assert answer.status_code == 200, answer.text
            *lines, last = (json.loads(line) for line in answer.text.splitlines())
            found.append([(row.get("kind"), row["key"], row.get("content")) for row in lines[1:]])
            after = last["next"]
            if lines[0]["done"]:
                return found
            assert len(found) < 100


def common(ends: Ends) -> None:
    """Rows of b, between which others stand or not."""
    for n in range(10, 60, 10):
        Parent.objects.using(ends.b).create(id=n, x=f"open {n}", u=f"open {n}")
        Child.objects.using(ends.b).create(id=n, p_id=n, x="open")


def wide(ends: Ends, parent: int) -> None:
    """A row in view, whose nullable key points to one that may be hidden."""
    moment = "2026-01-02T03:04:05Z"
    Wide.objects.using(ends.b).create(id=1, number="1", token=UUID(int=1), placed=moment, parent_id=parent)


def between(ends: Ends) -> None:
    """Rows that are not to be seen, before, between and behind the others; some of them deleted again."""
    for n in (1, 11, 12, 13, 21, 45, 70, 71, 72):
        Parent.objects.using(ends.b).create(id=n, x="hidden", b="x", u=f"hidden {n}", y="long " * 30)
        Child.objects.using(ends.b).create(id=n, p_id=n, x="hidden")
    Child.objects.using(ends.b).filter(id__in=(12, 71)).delete()
    Parent.objects.using(ends.b).filter(id__in=(12, 71)).delete()
    Parent.objects.using(ends.b).filter(id=10).update(e="excluded")


@pytest.mark.parametrize("named", [True, False])
def test_no_page_count_or_digest_tells_of_them(wired: Ends, named: bool) -> None:
    """All that can be asked for, once where such rows stand, and once where there are none."""
    config(wired)
    told = []
    for hidden in (True, False):
        wired.reset()
        common(wired)
        if hidden:
            between(wired)
        asker = Asker(wired, named=named)
        asker.get("")
        ask = {"ranges": [{"after": None, "upto": None}], "parts": 8}
        keys = {"keys": [[n] for n in (1, 10, 11, 12, 13, 45, 71, 99)]}
        told.append(
            {
                **{
                    f"{label} {limit}": asker.pages(f"snapshot/{label}/", limit)
                    for label in ("zoo.Parent", "zoo.Child")
                    for limit in (1, 2, 50)
                },
                "models": asker.get("").json()["models"],
                "digests": [asker.post(f"digests/{m}/", ask).json() for m in MODELS],
                "rows": [
                    [(row["key"], row.get("kind"), row.get("content")) for row in map(json.loads, lines[1:-1])]
                    for lines in (asker.post(f"rows/{m}/", keys).text.splitlines() for m in MODELS[:2])
                ],
                "feed": [row for page in asker.pages("changes/", 50) for row in page],
                **{f"feed {limit}": asker.pages("changes/", limit) for limit in (1, 2)},
            }
        )
    assert told[0] == told[1]
    assert len(told[0]["zoo.Parent 1"]) >= 5
    assert [key for _, key, _ in told[0]["feed"]].count([10]) == 2, "parent and child"


def test_a_key_to_one_of_them_is_in_no_digest(wired: Ends) -> None:
    """Whoever knows the rest of the row could try all keys: which of the hidden rows it is must make no difference."""
    config(wired)
    between(wired)
    told = []
    for parent in (1, 45):
        Wide.objects.using(wired.b).all().delete()
        wide(wired, parent)
        asker = Asker(wired, named=True)
        told.append(asker.post("digests/zoo.Wide/", {"ranges": [{"after": None, "upto": None}], "parts": 1}).json())
        row = asker.post("rows/zoo.Wide/", {"keys": [[1]]}).text.splitlines()[1]
        assert '"elsewhere"' in row
    assert told[0] == told[1]
    assert told[0]["digests"][0]["count"] == 1
