"""P8, from outside: what a peer was not shown it can neither read nor write; what it forges is refused.

The peer "b" may see parents of branch "n" only, and no field `e`. Row 10 is of branch "x": hidden from it.
"""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from peersync import wire
from peersync.models import PeerToken
from peersync.records import START, Batch, Point, Row
from tests.integration.api.conftest import BOTH, CONFIG
from tests.support.api import Api, batch_from, caller_of, everything, made_token
from tests.zoo.models import Child, Parent, Secret

HIDDEN = "hidden-from-b"
EXCLUDED = "excluded-everywhere"


@pytest.fixture(params=BOTH)
def aliases(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def config() -> dict[str, Any]:
    return {
        **CONFIG,
        "PEERS": {"b": {"FILTER": {"zoo.Parent": {"b": "n"}}}},
        "DIRECTION": {"zoo.Tag": "master-to-slave"},
        "ROLE": "master",
    }


@pytest.fixture
def api(api: Api) -> Api:
    Parent.objects.using(api.alias).update(e=EXCLUDED)
    Parent.objects.using(api.alias).create(id=10, x=HIDDEN, b="x", u="only once")
    Child.objects.using(api.alias).create(id=100, p_id=10, x=HIDDEN)
    Child.objects.using(api.alias).create(id=101, p_id=1, x="seen")
    Secret.objects.using(api.alias).create(id=1, name=HIDDEN, password=HIDDEN)
    return api


def said(api: Api, *, named: bool) -> bytes:
    """Everything that the peer can get by asking."""
    caller = caller_of(api.peer) if named else None
    found = [api.get(path, caller=caller).body for path in ("", "changes/", "checkpoint/")]
    for label in ("zoo.Parent", "zoo.Child", "zoo.Tagged", "zoo.Wide"):
        found.append(api.get(f"snapshot/{label}/", caller=caller).body)
        keys = {"keys": [[1], [10], [100], [101], [999]]}
        found.append(api.post(f"rows/{label}/", keys, caller=caller).body)
    return b"".join(found)


def parent(key: int, **changes: Any) -> Row:
    values = {"id": key, "x": "pushed", "y": "", "u": None, "b": "n", **changes}
    return Row("zoo.Parent", (key,), {}, tuple(values.values()))


def pushed(api: Api, *rows: Row, **changes: Any) -> Batch:
    """A first page of node b for node a, with these rows, each of a version that says "I have seen all"."""
    batch = batch_from(api.peer, api.alias)
    mine = {caller_of(api.peer).node: batch.head.seq}
    told = [replace(row, version={**mine, **row.version}, stamp=2**61, author=batch.source) for row in rows]
    return replace(batch, rows=told, **changes)


def contents(api: Api) -> Any:
    return [
        list(model._base_manager.using(api.alias).order_by("pk").values_list()) for model in (Parent, Child, Secret)
    ]


@pytest.mark.parametrize("named", [True, False])
def test_nothing_of_it_is_ever_said(api: Api, named: bool) -> None:
    heard = said(api, named=named)
    assert HIDDEN.encode() not in heard
    assert EXCLUDED.encode() not in heard
    assert b'"key":[10]' not in heard.replace(b'"kind":"none"', b"") or heard.count(b'"key":[10]') == heard.count(
        b'"key":[999]'
    )
    assert b"Secret" not in heard


def test_a_hidden_row_is_answered_like_no_row(api: Api) -> None:
    caller = caller_of(api.peer)
    rows = {
        row.key: row for row in api.post("rows/zoo.Parent/", {"keys": [[10], [999], [1]]}, caller=caller).batch.rows
    }
    assert rows[(10,)] == replace(rows[(999,)], key=(10,))
    assert rows[(10,)].kind == "none"
    assert rows[(1,)].kind == "row"
    children = api.post("rows/zoo.Child/", {"keys": [[100], [999]]}, caller=caller).batch.rows
    assert [row.kind for row in children] == ["none", "none"]


def test_digests_and_counts_leave_it_out(api: Api) -> None:
    ask = {"ranges": [{"after": None, "upto": None}], "parts": 1}
    before = api.post("digests/zoo.Parent/", ask, caller=caller_of(api.peer)).json
    assert before["digests"][0]["count"] == 1
    Parent.objects.using(api.alias).filter(pk=10).delete()
    after = api.post("digests/zoo.Parent/", ask, caller=caller_of(api.peer)).json
    assert after["digests"][0]["digest"] == before["digests"][0]["digest"]


def test_whether_a_filtered_table_is_empty_is_not_said(api: Api) -> None:
    Parent.objects.using(api.alias).filter(pk=1).delete()
    full = api.get("", caller=caller_of(api.peer)).json["models"]
    Parent.objects.using(api.alias).all().delete()
    assert [model["empty"] for model in full] == [
        model["empty"] for model in api.get("", caller=caller_of(api.peer)).json["models"]
    ]


def finished(api: Api, batch: Batch, *rows: Row, **options: Any) -> None:
    """Answers by key and the end of the transfer that the batch began: what waits is tried there."""
    here = {"cursor": batch.end["head"]}
    for kind in ("rows", "end"):
        more = pushed(api, *(rows if kind == "rows" else ()), kind=kind, start=here, end=here, options=options)
        answer = api.push(replace(more, head=batch.head), caller=caller_of(api.peer))
        assert answer.status == 200, answer
        assert HIDDEN.encode() not in answer.body


def attack(kind: str) -> Row:
    row = parent(10)
    if kind == "delete":
        return replace(row, content=None)
    if kind in ("exit", "busy", "none"):
        return replace(row, content=None, kind=kind)
    if kind == "rekeyed":
        return replace(row, key=(50,))
    if kind == "stolen":
        return replace(parent(50), earlier=((10,),))
    return row


@pytest.mark.parametrize("kind", ["edit", "delete", "exit", "busy", "none", "rekeyed", "stolen"])
def test_a_row_that_it_was_not_shown_stands(api: Api, kind: str) -> None:
    api.get("", caller=caller_of(api.peer))  # numbers what was written so far
    row = attack(kind)
    before = [one for one in contents(api)[0] if one[0] != 50]
    batch = pushed(api, row)
    answer = api.push(batch, caller=caller_of(api.peer))
    assert answer.status in (200, 400), answer
    assert HIDDEN.encode() not in answer.body
    if answer.status == 200:
        finished(api, batch, row)
    # A new row 50 is the peer's to make.
    assert [one for one in contents(api)[0] if one[0] != 50] == before


def test_a_hidden_row_is_not_deleted_as_certainly_gone(api: Api) -> None:
    """Answers by key that say "neither row nor state" delete what the source had taken over, and nothing else."""
    api.get("", caller=caller_of(api.peer))
    before = contents(api)
    claims = {"proof": True, "baseline": True, "consumed": 2**61, "pruned": 2**61}
    batch = pushed(api, options=claims)
    assert api.push(batch, caller=caller_of(api.peer)).status == 200
    finished(api, batch, attack("none"), **claims)
    assert contents(api) == before


@pytest.mark.parametrize("kind", ["edit", "delete", "exit", "busy", "none"])
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_done_to_a_hidden_row_is_answered_like_what_is_done_to_none(
    api: Api, kind: str, dry: bool, make_nodes: Any
) -> None:
    row = attack(kind)
    batch = pushed(api, row, options={"dry_run": dry})
    first = api.push(batch, caller=caller_of(api.peer)).json
    # The same again on a node where the row never was.
    make_nodes(api.alias, api.peer, api.third)
    Parent.objects.using(api.alias).create(id=1, x="of a")
    Parent.objects.using(api.peer).create(id=2, x="of b")
    api.token = made_token(api.alias, "b")
    again = pushed(api, row, options={"dry_run": dry})
    assert api.push(again, caller=caller_of(api.peer)).json == first


def test_a_row_cannot_change_another_than_its_key_names(api: Api) -> None:
    """Row 1 is in view, and was changed here: a row of key 50 with the contents of row 1 must not touch it."""
    api.get("", caller=caller_of(api.peer))
    before = contents(api)
    row = replace(parent(1, x="smuggled"), key=(50,))
    batch = pushed(api, row)
    if api.push(batch, caller=caller_of(api.peer)).status == 200:
        finished(api, batch, row)
    assert contents(api)[0][0] == before[0][0]


def test_a_child_of_a_hidden_parent(api: Api) -> None:
    """A reference to a hidden row is answered like one to nothing."""
    answers = []
    for target in (10, 999):
        row = Row("zoo.Child", (500,), {}, (500, "pushed", target, "e"))
        batch = pushed(api, row, models=("zoo.Child",), fields={"zoo.Child": ("id", "x", "p", "e")}, baselines={})
        answer = api.push(replace(batch, options={"dry_run": True}), caller=caller_of(api.peer))
        assert answer.status == 200, answer
        answers.append(answer.json)
    assert answers[0]["figures"] == answers[1]["figures"]
    assert not Child.objects.using(api.alias).filter(pk=500).exists()


def test_a_field_that_it_was_not_shown(api: Api) -> None:
    before = contents(api)
    batch = pushed(api, replace(parent(2), content=(2, "x", "", None, "n", "forced")))
    batch = replace(batch, fields={"zoo.Parent": ("id", "x", "y", "u", "b", "e")})
    answer = api.push(batch, caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (400, "unknown_field")
    assert "e" in answer.json["detail"]
    assert contents(api) == before
    unheard = replace(batch, fields={"zoo.Parent": ("id", "x", "y", "u", "b", "nope")})
    assert api.push(unheard, caller=caller_of(api.peer)).json["detail"].replace("nope", "e") == answer.json["detail"]


@pytest.mark.parametrize("label", ["zoo.Secret", "zoo.Nope", "auth.User", "peersync.PeerToken"])
def test_a_model_that_it_was_not_shown(api: Api, label: str) -> None:
    before = everything(api.alias)
    row = Row(label, (1,), {}, (1, "x", "y"))
    batch = pushed(api, row, models=(label,), fields={label: ("id", "name", "password")}, baselines={})
    answer = api.push(batch, caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (400, "unknown_model")
    mixed = pushed(
        api, row, models=("zoo.Parent", label), fields={"zoo.Parent": ("id",), label: ("id", "name", "password")}
    )
    answer = api.push(
        replace(mixed, kind="feed", start={"cursor": None}, end={"cursor": START}), caller=caller_of(api.peer)
    )
    assert 400 <= answer.status < 500
    assert everything(api.alias) == before


def test_a_model_that_travels_the_other_way_only(api: Api) -> None:
    before = everything(api.alias)
    row = Row("zoo.Tag", (1,), {}, (1, "forced"))
    batch = pushed(api, row, models=("zoo.Tag",), fields={"zoo.Tag": ("id", "name")}, baselines={})
    assert api.push(batch, caller=caller_of(api.peer)).status in (400, 409)
    assert everything(api.alias) == before


@pytest.mark.parametrize("named", ["source", "source_install"])
def test_a_batch_in_another_node_s_name(api: Api, named: str) -> None:
    before = everything(api.alias)
    for other in (str(uuid.uuid4()), caller_of(api.third).node, caller_of(api.alias).node):
        answer = api.push(pushed(api, parent(2), **{named: other}), caller=caller_of(api.peer))
        assert (answer.status, answer.code) == (403, "forbidden"), answer
    assert everything(api.alias) == before


def test_a_batch_without_headers_is_its_source_s(api: Api) -> None:
    assert api.push(pushed(api, parent(2))).status == 200
    assert PeerToken.objects.using(api.alias).get().install == caller_of(api.peer).install
    before = everything(api.alias)
    answer = api.push(
        pushed(api, parent(3), source=caller_of(api.third).node, source_install=caller_of(api.third).install)
    )
    assert (answer.status, answer.code) == (403, "token_bound")
    assert everything(api.alias) == before


def test_a_batch_in_our_own_name(api: Api) -> None:
    before = everything(api.alias)
    me = caller_of(api.alias)
    answer = api.push(pushed(api, parent(2), source=me.node, source_install=me.install), caller=me)
    assert answer.status in (403, 409), answer
    assert everything(api.alias) == before


def test_forged_versions(api: Api) -> None:
    before = everything(api.alias)
    head = batch_from(api.peer, api.alias).head.seq
    for version in ({caller_of(api.alias).node: 2**61}, {caller_of(api.peer).node: head + 1}):
        answer = api.push(pushed(api, replace(parent(2), version=version)), caller=caller_of(api.peer))
        assert (answer.status, answer.code) == (409, "impossible_version"), answer
    assert everything(api.alias) == before


@pytest.mark.parametrize("nonce", ["invented", "a" * 16 + "." + "b" * 24])
def test_invented_points_of_history(api: Api, nonce: str) -> None:
    api.get("", caller=caller_of(api.peer))
    node = caller_of(api.alias).node
    before = contents(api)
    point = Point(2**60, nonce)
    answer = api.push(pushed(api, parent(2), points=(point,)), caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (409, "unknown_point")
    liar = replace(caller_of(api.peer), points=(point,))
    for path in ("changes/", "snapshot/zoo.Parent/"):
        answer = api.get(path, caller=liar)
        assert (answer.status, answer.code) == (409, "unknown_point"), answer
    answer = api.get(f"changes/?after={wire.changes_token(point, None)}", caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (409, "cursor_unknown")
    answer = api.get("", caller=liar)
    assert answer.status in (200, 409), answer
    assert caller_of(api.alias).node == node, "nobody can make a node take a new id by inventing its history"
    assert contents(api) == before


def test_mirror_needs_its_scope(api: Api) -> None:
    before = everything(api.alias)
    batch = pushed(api, parent(2), options={"mirror": True})
    answer = api.push(batch, caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (403, "forbidden")
    assert "mirror" in answer.json["detail"]
    for kind in ("rows", "end"):
        assert api.push(replace(batch, kind=kind), caller=caller_of(api.peer)).status == 403
    assert everything(api.alias) == before
    strong = made_token(api.alias, "strong", "push", "mirror")
    assert api.push(batch, caller=caller_of(api.peer), token=strong).status == 200


def test_mirror_does_not_reach_what_is_hidden(api: Api) -> None:
    PeerToken.objects.using(api.alias).update(scopes="pull,push,mirror")
    gone = replace(parent(10), content=None, kind="none")
    for row in (gone, parent(10), replace(parent(10), content=None)):
        for kind in ("snapshot", "rows"):
            batch = pushed(api, row, kind=kind, options={"mirror": True})
            answer = api.push(batch, caller=caller_of(api.peer))
            assert answer.status < 500, answer
    assert Parent.objects.using(api.alias).filter(pk=10, x=HIDDEN).exists()


def test_a_batch_for_another_or_from_another_place(api: Api) -> None:
    before = everything(api.alias)
    answer = api.push(pushed(api, parent(2), target=caller_of(api.third).node), caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (409, "wrong_target")
    late = pushed(api, parent(2), kind="feed", start={"cursor": Point(5, "x")}, end={"cursor": Point(9, "x")})
    answer = api.push(late, caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (409, "stale_batch")
    assert everything(api.alias) == before


def test_a_repeated_batch_changes_nothing_more(api: Api) -> None:
    batch = pushed(api, parent(2))
    assert api.push(batch, caller=caller_of(api.peer)).status == 200
    before = everything(api.alias)
    answer = api.push(batch, caller=caller_of(api.peer))
    assert (answer.status, answer.code) == (409, "stale_batch")
    assert everything(api.alias) == before
