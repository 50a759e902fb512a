"""The wire: what goes out comes back the same, and what is malformed is refused by name."""

import contextlib
import dataclasses
import gzip
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peersync import errors, wire
from peersync.marks import Mark
from peersync.records import (
    FIGURES,
    PROTOCOL,
    START,
    Batch,
    Bulk,
    Caller,
    Description,
    Digest,
    Figures,
    Match,
    ModelInfo,
    Outcome,
    Point,
    Progress,
    Range,
    Retired,
    Row,
)

NODE = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
INSTALL = "16763be4-6022-406e-a950-fcd5018633ca"
OTHER = "00000000-0000-4000-8000-000000000001"
PLACE = (1 << 62) - 1

uuids = st.uuids().map(str)
text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
values = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), text)
keys = st.recursive(
    st.lists(values, min_size=1, max_size=3).map(tuple),
    lambda inner: st.lists(st.one_of(values, inner), min_size=1, max_size=3).map(tuple),
    max_leaves=5,
)
contents = st.one_of(values, st.floats(allow_nan=False, allow_infinity=False), st.just({"hex": "00ff"}))
places = st.integers(0, PLACE)
versions = st.dictionaries(uuids, places, max_size=3)
points = st.builds(Point, places, st.text("0123456789abcdef.", max_size=40))
labels = st.sampled_from(["zoo.Parent", "zoo.Child", "zoo.Tagged_tags"])
FIELDS = {"zoo.Parent": ("id", "name"), "zoo.Child": ("id",), "zoo.Tagged_tags": ()}


marks = st.builds(Mark, st.integers(0, 1 << 62), st.one_of(st.just(""), uuids), places)


@st.composite
def rows(draw: st.DrawFn, models: tuple[str, ...], untracked: dict[str, dict[str, int]]) -> Row:
    model = draw(st.sampled_from(models))
    kind = draw(st.sampled_from(["row", "row", "row", "busy", "exit", "none"]))
    width = len(FIELDS[model])
    content = None
    if kind == "row" and draw(st.booleans()):
        content = tuple(draw(st.lists(contents, min_size=width, max_size=width)))
    base = draw(st.booleans())
    version = untracked[model] if base and draw(st.booleans()) else draw(versions)
    return Row(
        model,
        draw(keys),
        version,
        content,
        stamp=draw(st.integers(0, 1 << 62)),
        author=draw(st.one_of(st.just(""), uuids)),
        base=base,
        seq=draw(places),
        kind=kind,
        earlier=tuple(draw(st.lists(keys, max_size=2))),
        pk=draw(st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1), text)) if content is not None else None,
        fields=draw(st.one_of(st.none(), st.dictionaries(st.sampled_from(["*", *FIELDS[model]]), marks))),
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    models = tuple(draw(st.lists(labels, min_size=1, max_size=3, unique=True)))
    baselines = {label: tuple(draw(st.lists(uuids, max_size=2))) for label in models}
    install = draw(uuids)
    untracked = {label: dict.fromkeys((install, *baselines[label]), 0) for label in models}
    places_ = st.one_of(
        st.builds(lambda p: {"cursor": p}, st.one_of(st.none(), points)),
        st.builds(lambda p, after: {"head": p, "after": after}, points, st.one_of(st.none(), text)),
    )
    return Batch(
        kind=draw(st.sampled_from(["snapshot", "feed", "rows", "end"])),
        source=draw(uuids),
        source_install=install,
        target=draw(st.one_of(st.just(""), uuids)),
        models=models,
        fields={label: FIELDS[label] for label in models},
        baselines=baselines,
        start=draw(places_),
        end=draw(places_),
        head=draw(points),
        points=tuple(draw(st.lists(points, max_size=3))),
        rows=draw(st.lists(rows(models, untracked), max_size=4)),
        done=draw(st.booleans()),
        filtered=draw(st.booleans()),
        options=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "mirror": st.booleans(),
                    "proof": st.booleans(),
                    "pruned": places,
                    "fingerprint": text,
                },
            )
        ),
    )


def batch(*some: Row, **changes: object) -> Batch:
    plain = Batch(
        kind="feed",
        source=NODE,
        source_install=INSTALL,
        target=OTHER,
        models=("zoo.Parent",),
        fields={"zoo.Parent": ("id", "name")},
        baselines={"zoo.Parent": (OTHER,)},
        start={"cursor": START},
        end={"cursor": Point(9, "n")},
        head=Point(9, "n"),
        points=(),
        rows=list(some),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


ROW = Row("zoo.Parent", (1,), {INSTALL: 0, OTHER: 0}, (1, "anna"), base=True)
TRACKED = Row("zoo.Parent", (2,), {NODE: 8}, (2, "bob"), stamp=5, author=NODE, seq=8, earlier=((3,),))


@given(batches())
@settings(max_examples=150, deadline=None)
def test_a_batch_comes_back_as_it_went_out(given_: Batch) -> None:
    assert wire.read_batch(wire.batch_lines(given_)) == given_


@given(batches())
@settings(max_examples=60, deadline=None)
def test_a_row_stands_alone_too(given_: Batch) -> None:
    for row in given_.rows:
        assert wire.read_row(json.loads(json.dumps(wire.row_json(row)))) == row


def test_an_untracked_row_does_not_repeat_its_version() -> None:
    lines = list(wire.batch_lines(batch(ROW, TRACKED)))
    assert json.loads(lines[1]) == {"key": [1], "content": [1, "anna"]}
    assert INSTALL.encode() not in lines[1]
    assert wire.read_batch(lines).rows[0].version == {INSTALL: 0, OTHER: 0}


def test_places_come_back_as_points() -> None:
    """A Point is no list: a checkpoint compares them."""
    found = wire.read_batch(wire.batch_lines(batch(start={"head": Point(9, "n"), "after": "x", "cursor": None})))
    assert found.start == {"head": Point(9, "n"), "after": "x", "cursor": None}
    assert type(found.start["head"]) is Point


def test_rebuilt_versions_are_not_shared() -> None:
    one, two = wire.read_batch(wire.batch_lines(batch(ROW, ROW))).rows
    assert one.version is not two.version


def test_a_bulk_comes_back() -> None:
    bulk = Bulk("zoo.Parent", "pgcopy", 2, (1,), (2,), b"1\tan\\nna\n2\tb\xc3\xb6b\n")
    found = wire.read_batch(wire.batch_lines(batch(TRACKED, bulk=bulk)))
    assert found.bulk == bulk
    assert found.rows == [TRACKED]


def test_tuples_never_travel() -> None:
    bulk = Bulk("zoo.Parent", "tuples", 1, (1,), (1,), [(1, "anna")])
    with pytest.raises(errors.WireError, match="cannot travel"):
        list(wire.batch_lines(batch(bulk=bulk)))


def test_a_bulk_that_miscounts_itself_is_not_sent() -> None:
    bulk = Bulk("zoo.Parent", "pgcopy", 3, (1,), (2,), b"1\ta\n2\tb\n")
    with pytest.raises(errors.WireError, match="3 rows and holds 2"):
        list(wire.batch_lines(batch(bulk=bulk)))


@pytest.mark.parametrize("raw", [b"\\.", b"1\ta\r", b"1\t\x00", b"1\t\xff"])
def test_what_would_break_a_copy_is_refused(raw: bytes) -> None:
    bulk = Bulk("zoo.Parent", "pgcopy", 1, (1,), (1,), b"1\ta\n")
    lines = list(wire.batch_lines(batch(bulk=bulk)))
    lines[2] = raw + b"\n"
    with pytest.raises(errors.WireError):
        wire.read_batch(lines)


@pytest.mark.parametrize("kept", range(4))
def test_without_its_last_record_a_batch_was_cut_off(kept: int) -> None:
    lines = list(wire.batch_lines(batch(ROW, TRACKED)))
    with pytest.raises(errors.AnswerCutOff):
        wire.read_batch(lines[:kept])


def test_a_last_line_that_breaks_off_was_cut_off() -> None:
    lines = list(wire.batch_lines(batch(ROW, TRACKED)))
    with pytest.raises(errors.AnswerCutOff):
        wire.read_batch([*lines[:-1], lines[-1][:10]])


def test_a_source_may_break_off_with_its_reason() -> None:
    lines = list(wire.batch_lines(batch(ROW)))
    lines[-1] = wire.dumps({"problem": wire.problem_json(errors.CursorUnknown("Gone.", hint="Compare."), 409)})
    with pytest.raises(errors.CursorUnknown, match=r"Gone\. Compare\."):
        wire.read_batch(lines)


def header(**changes: object) -> bytes:
    return wire.dumps({**wire.header_json(batch()), **changes})


NAN = b'{"key":[1],"content":[NaN,"a"]}'
BAD_HEADERS = {
    "kind": ["push", None, [], {}],
    "protocol": ["1", None, 1.0, True, -1],
    "source": ["", NODE.upper(), "x", None, 5],
    "source_install": ["", None],
    "target": [None, "me"],
    "models": [None, "zoo.Parent", ["zoo"], [1], ["zoo.Parent", "zoo.Parent"], ["a.B"] * 1001],
    "fields": [None, [], {"zoo.Parent": "id"}, {"zoo": []}, {"zoo.Parent": [1]}],
    "baselines": [{"zoo.Parent": ["x"]}, {"zoo.Parent": None}, 1],
    "start": [None, [], {"cursor": 5}, {"cursor": [1]}, {"place": 1}, {"after": 1, "head": None}],
    "end": [{"cursor": [-1, ""]}, {"cursor": [1, "\n"]}, {"cursor": [1, "é"]}],
    "head": [None, [1], [1, 2], ["1", "n"], [(1 << 62) + 1, "n"], [True, "n"]],
    "points": [None, {}, [[1]], [[0, ""]] * 65],
    "filtered": [0, None, "no"],
    "done": [1, None],
    "options": [None, [], {"sudo": True}, {"mirror": 1}, {"pruned": "0"}, {"fingerprint": 1}],
}


@pytest.mark.parametrize(("member", "value"), [(m, v) for m, found in BAD_HEADERS.items() for v in found])
def test_a_malformed_header_is_refused_by_name(member: str, value: object) -> None:
    lines = list(wire.batch_lines(batch()))
    with pytest.raises(errors.WireError, match=f"line 1: .*{member}"):
        wire.read_batch([header(**{member: value}), *lines[1:]])


@pytest.mark.parametrize("member", list(wire.header_json(batch())))
def test_a_missing_member_is_named(member: str) -> None:
    obj = wire.header_json(batch())
    del obj[member]
    with pytest.raises(errors.WireError, match=f"lacks the member '{member}'"):
        wire.read_batch([wire.dumps(obj)])


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(errors.WireError, match="unknown member 'sudo'"):
        wire.read_batch([header(sudo=1)])


def test_another_protocol_is_told_apart() -> None:
    with pytest.raises(errors.ProtocolDiffers, match="version 2"):
        wire.read_batch([header(protocol=2)])


DEEP = "[" * 100_000 + "]" * 100_000
BAD_ROWS = [
    (b'{"key":[1],"content":[1]}', "2"),
    (b'{"key":[1]}', "content"),
    (b'{"content":[1,"a"]}', "key"),
    (b'{"key":[],"content":[1,"a"]}', "key"),
    (b'{"key":1,"content":[1,"a"]}', "key"),
    (b'{"key":[1.5],"content":[1,"a"]}', "key"),
    (b'{"key":[{}],"content":[1,"a"]}', "key"),
    (b'{"key":[9223372036854775808],"content":[1,"a"]}', "64 bits"),
    (b'{"key":[[[[[[[[[1]]]]]]]]],"content":[1,"a"]}', "nested"),
    (wire.dumps({"key": [1] * 101, "content": [1, "a"]}), "too long"),
    (wire.dumps({"key": ["a" * 70_000], "content": [1, "a"]}), "key"),
    (b'{"key":[1],"content":{"id":1}}', "content"),
    (b'{"key":[1],"content":[1,"a"],"sudo":1}', "unknown member 'sudo'"),
    (b'{"key":[1],"content":[1,"a"],"model":"zoo.Child"}', "does not name"),
    (b'{"key":[1],"content":[1,"a"],"model":5}', "model"),
    (b'{"key":[1],"content":[1,"a"],"stamp":4611686018427387905}', "stamp"),
    (b'{"key":[1],"content":[1,"a"],"stamp":-1}', "stamp"),
    (b'{"key":[1],"content":[1,"a"],"stamp":true}', "stamp"),
    (b'{"key":[1],"content":[1,"a"],"stamp":1e3}', "stamp"),
    (b'{"key":[1],"content":[1,"a"],"author":"me"}', "author"),
    (b'{"key":[1],"content":[1,"a"],"seq":"1"}', "seq"),
    (b'{"key":[1],"content":[1,"a"],"base":true}', "version"),
    (b'{"key":[1],"content":[1,"a"],"version":[]}', "version"),
    (b'{"key":[1],"content":[1,"a"],"version":{"x":1}}', "UUID"),
    (wire.dumps({"key": [1], "content": [1, "a"], "version": {NODE: 1 << 62}}), "place"),
    (wire.dumps({"key": [1], "content": [1, "a"], "version": {NODE: -1}}), "place"),
    (wire.dumps({"key": [1], "content": [1, "a"], "version": {NODE: True}}), "place"),
    (wire.dumps({"key": [1], "content": [1, "a"], "version": {NODE.upper(): 1}}), "UUID"),
    (wire.dumps({"key": [1], "version": {str(n): 1 for n in range(1001)}}), "1000"),
    (b'{"key":[1],"content":[1,"a"],"version":{},"base":1}', "base"),
    (b'{"key":[1],"content":[1,"a"],"kind":"sudo"}', "kind"),
    (b'{"key":[1],"content":[1,"a"],"kind":[]}', "kind"),
    (b'{"key":[1],"content":[1,"a"],"kind":"busy"}', "no content"),
    (b'{"key":[1],"content":[1,"a"],"earlier":[1]}', "earlier"),
    (b'{"key":[1],"content":[1,"a"],"pk":null}', "pk"),
    (b'{"key":[1],"content":[1,"a"],"pk":true}', "pk"),
    (b'{"key":[1],"content":[1,"a"],"pk":1.5}', "pk"),
    (b'{"key":[1],"content":[1,"a"],"pk":[1]}', "pk"),
    (b'{"key":[1],"content":[1,"a"],"pk":9223372036854775808}', "pk"),
    (b'{"key":[1],"content":null,"version":{},"pk":1}', "pk"),
    (b'{"key":[1],"kind":"exit","version":{},"pk":1}', "pk"),
    *[
        (b'{"key":[1],"content":[1,"a"],"fields":' + fields + b"}", "fields")
        for fields in (
            b"null",
            b"[]",
            b'{"secret":[1,"",1]}',
            b'{"name":[1,""]}',
            b'{"name":[1,"",1,1]}',
            b'{"name":"x"}',
            b'{"name":[-1,"",1]}',
            b'{"name":[4611686018427387905,"",1]}',
            b'{"name":[1.5,"",1]}',
            b'{"name":[true,"",1]}',
            b'{"name":["1","",1]}',
            b'{"name":[1,"me",1]}',
            b'{"name":[1,null,1]}',
            b'{"name":[1,"",-1]}',
            b'{"name":[1,"",null]}',
            b'{"name":[1,"",4611686018427387905]}',
        )
    ],
    (b'{"key":[1],"content":[1,"a"],"earlier":[]' + b"}" * 2, "JSON"),
    (NAN, "NaN"),
    (b'{"key":[1],"content":[Infinity,"a"]}', "Infinity"),
    (b'{"key":[1],"content":[-Infinity,"a"]}', "Infinity"),
    (b'{"key":[1],"content":[1e999,"a"]}', "float"),
    (b'{"key":[1],"content":[1,"\\ud800"]}', "UTF-8"),
    (b'{"key":[1],"content":[1,"\xff"]}', "UTF-8"),
    (b'{"key":[1],"content":[' + b"9" * 5000 + b',"a"]}', "JSON"),
    (DEEP.encode(), "nested"),
    (b"[]", "object"),
    (b"", "JSON"),
    (b"null", "object"),
]


@pytest.mark.parametrize(("line", "named"), BAD_ROWS)
def test_a_malformed_row_is_refused_by_line_and_name(line: bytes, named: str) -> None:
    lines = list(wire.batch_lines(batch(ROW)))
    with pytest.raises(errors.WireError, match=f"line 2: .*{named}"):
        wire.read_batch([lines[0], line, *lines[2:]])


def test_an_astral_character_may_be_escaped() -> None:
    lines = list(wire.batch_lines(batch(ROW)))
    lines[1] = b'{"key":[1],"content":[1,"\\ud83d\\ude00"]}\n'
    assert wire.read_batch(lines).rows[0].content == (1, "\N{GRINNING FACE}")


@pytest.mark.parametrize(
    "last",
    [{"end": {"cursor": [8, "n"]}, "rows": 1}, {"end": {"cursor": [9, "n"]}, "rows": 2},
     {"end": {}, "rows": 1},
     {"end": {"cursor": [9, "n"]}}, {"end": {"cursor": [9, "n"]}, "rows": 1, "x": 1},
     {"end": {"cursor": [9, "n"]}, "rows": 1, "next": 5}],
)  # fmt: skip
def test_the_last_record_must_fit(last: dict[str, object]) -> None:
    lines = list(wire.batch_lines(batch(ROW)))
    with pytest.raises(errors.WireError):
        wire.read_batch([*lines[:-1], wire.dumps(last)])


def test_nothing_follows_the_last_record() -> None:
    with pytest.raises(errors.WireError, match="follow"):
        wire.read_batch([*wire.batch_lines(batch(ROW)), b"{}"])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(NODE)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_read_or_refused(data: st.DataObject) -> None:
    """A member replaced, a byte changed, a line lost, doubled or moved: never another error."""
    lines = list(wire.batch_lines(data.draw(batches())))
    how = data.draw(st.sampled_from(["member", "bytes", "lines", "junk"]))
    at = data.draw(st.integers(0, len(lines) - 1))
    if how == "member":
        obj = json.loads(lines[at])
        obj[data.draw(st.sampled_from([*obj, "model", "version", "kind", "bulk"]))] = data.draw(json_values)
        lines[at] = json.dumps(obj).encode()
    elif how == "bytes":
        spoilt = bytearray(lines[at])
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        lines[at] = bytes(spoilt)
    elif how == "lines":
        lines = data.draw(st.lists(st.sampled_from(lines), max_size=6))
    else:
        lines[at] = data.draw(st.binary(max_size=30))
    with contextlib.suppress(errors.WireError, errors.AnswerCutOff, errors.ProtocolDiffers):
        wire.read_batch(lines)


CALLER = Caller(
    NODE,
    INSTALL,
    points=(Point(1, "a.b"), Point(7, "c")),
    told=12,
    name="branch",
    retired=(Retired(OTHER, 5, "n.m", INSTALL),),
    clock=1_700_000_000_000,
    about=OTHER,
    bulk=("pgcopy",),
    match=Match("never", INSTALL),
)


@pytest.mark.parametrize("match", [Match("never", INSTALL), Match("", None), Match("pk", ""), None])
def test_the_caller_comes_back(match: Match | None) -> None:
    caller = dataclasses.replace(CALLER, match=match)
    assert wire.read_caller(wire.caller_headers(caller), "branch") == caller


def test_header_names_have_no_case() -> None:
    lowered = {name.lower(): value for name, value in wire.caller_headers(CALLER).items()}
    assert wire.read_caller(lowered, "branch") == CALLER


def test_a_call_without_headers_names_no_node() -> None:
    assert wire.read_caller({"Host": "x"}, "branch") == Caller("", "", name="branch")
    assert wire.caller_headers(Caller("", "", name="branch")) == {}


def test_headers_stay_short() -> None:
    many = tuple(Retired(OTHER, n, "n" * 41, INSTALL) for n in range(1000))
    headers = wire.caller_headers(dataclasses.replace(CALLER, retired=many))
    assert max(map(len, headers.values())) < 8000
    assert wire.read_caller(headers, "b").retired[-1].seq == 999


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Peersync-Node", "x"),
        ("Peersync-Install", ""),
        ("Peersync-Points", "[[1]]"),
        ("Peersync-Points", "nope"),
        ("Peersync-Points", "[" * 20_000),
        ("Peersync-Points", '[[1,"\udcff"]]'),
        ("Peersync-Told", "-2"),
        ("Peersync-Told", "1" * 5000),
        ("Peersync-Told", "٣"),
        ("Peersync-Told", "--1"),
        ("Peersync-About", "me"),
        ("Peersync-Clock", "soon"),
        ("Peersync-Clock", "-1"),
        ("Peersync-Retired", '[["x",1,"n","y"]]'),
        ("Peersync-Match", '["perhaps", null]'),
        ("Peersync-Match", '["pk"]'),
        ("Peersync-Match", '["pk", 7]'),
        ("Peersync-Protocol", "one"),
    ],
)
def test_a_malformed_header_of_the_caller_is_named(name: str, value: str) -> None:
    with pytest.raises(errors.WireError, match=name):
        wire.read_caller({**wire.caller_headers(CALLER), name: value}, "branch")


@pytest.mark.parametrize("name", ["Peersync-Node", "Peersync-Install", "Peersync-Protocol"])
def test_a_missing_header_of_the_caller_is_named(name: str) -> None:
    headers = wire.caller_headers(CALLER)
    del headers[name]
    with pytest.raises(errors.WireError, match=name):
        wire.read_caller(headers, "branch")


def test_a_caller_of_another_protocol_is_told() -> None:
    with pytest.raises(errors.ProtocolDiffers):
        wire.read_caller({**wire.caller_headers(CALLER), "Peersync-Protocol": "2"}, "branch")


def through_json(value: object) -> object:
    return wire.loads(wire.dumps(value))


def test_the_description_comes_back() -> None:
    model = ModelInfo("zoo.Parent", {"id": "int", "name": "text"}, ("id",), "ff", "merge", "both", True, ("pgcopy",))
    found = Description(
        node=NODE,
        install=INSTALL,
        protocol=PROTOCOL,
        clock=5,
        models=(model,),
        head=Point(1, "n"),
        points=(Point(2, "m"),),
        about=OTHER,
        retired=(Retired(OTHER, 5, "n", INSTALL),),
        pruned=0,
        role="master",
        use_tz=True,
        time_zone="Europe/Berlin",
        vendor="sqlite",
        limits={"batch": 5000},
        passes=(Point(3, "k"),) * 4096,
        missed={"zoo.Parent": 4},
        warnings=("slow",),
    )
    assert wire.read_description(through_json(wire.description_json(found))) == found


def test_a_description_of_another_protocol_is_told_apart_whatever_else_it_has() -> None:
    with pytest.raises(errors.ProtocolDiffers):
        wire.read_description({"protocol": 2, "new": 1})


@given(st.builds(Figures, **dict.fromkeys(FIGURES, places)), st.lists(keys, max_size=3))
@settings(max_examples=30, deadline=None)
def test_the_outcome_comes_back(figures: Figures, wanted: list[tuple[object, ...]]) -> None:
    found = Outcome({"zoo.Parent": figures}, {"zoo.Child": tuple(wanted)}, {"zoo.Child": 2}, ("slow",))
    assert wire.read_outcome(through_json(wire.outcome_json(found))) == found


def test_the_progress_comes_back() -> None:
    found = {
        "zoo.Parent": Progress(cursor=Point(5, "n"), baseline=True),
        "zoo.Child": Progress(head=START, after="opaque", past=("a", ("b",))),
    }
    assert wire.read_progress(through_json(wire.progress_json(found))) == found


def test_ranges_and_digests_come_back() -> None:
    ranges = (Range(None, (1, ("a",))), Range((1, ("a",)), None))
    assert wire.read_ranges(through_json(wire.ranges_json(ranges, 16))) == (ranges, 16, None)
    digests = [Digest(ranges[0], 5, "ff"), Digest(ranges[1], 0, "")]
    assert wire.read_digests(through_json(wire.digests_json(digests))) == digests


def test_keys_come_back() -> None:
    assert wire.read_keys(through_json(wire.keys_json([(1,), ("a", ("b",))]))) == ((1,), ("a", ("b",)))


READERS = [
    wire.read_description,
    wire.read_outcome,
    wire.read_progress,
    wire.read_ranges,
    wire.read_digests,
    wire.read_keys,
    wire.read_row,
    wire.read_problem,
    wire.read_header,
]


@pytest.mark.parametrize("reader", READERS)
@given(value=json_values)
@settings(max_examples=60, deadline=None)
def test_no_reader_fails_otherwise_than_by_refusing(reader: object, value: object) -> None:
    with contextlib.suppress(errors.WireError, errors.ProtocolDiffers):
        reader(value)  # type: ignore[operator]


@pytest.mark.parametrize("body", [{"ranges": [], "parts": 0}, {"ranges": [{}], "parts": 1}, {"parts": 1}, [], None])
def test_malformed_ranges_are_refused(body: object) -> None:
    with pytest.raises(errors.WireError):
        wire.read_ranges(body)


@given(points, st.one_of(st.none(), text), st.one_of(st.none(), points))
@settings(max_examples=50, deadline=None)
def test_tokens_come_back(point: Point, after: str | None, head: Point | None) -> None:
    assert wire.read_snapshot_token(wire.snapshot_token(point, after)) == (point, after)
    assert wire.read_changes_token(wire.changes_token(point, head)) == (point, head)


@given(st.one_of(st.text(max_size=40), st.just(wire.changes_token(START, None))))
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(errors.WireError):
        wire.read_snapshot_token(token)


def test_a_page_names_the_next() -> None:
    last = json.loads(list(wire.batch_lines(batch(ROW)))[-1])
    assert wire.read_changes_token(last["next"]) == (Point(9, "n"), None)
    page = batch(ROW, kind="snapshot", end={"head": [9, "n"], "after": "x"})
    assert wire.read_snapshot_token(json.loads(list(wire.batch_lines(page))[-1])["next"]) == (
        Point(9, "n"),
        "x",
    )
    over = dataclasses.replace(page, done=True)
    assert json.loads(list(wire.batch_lines(over))[-1])["next"] is None


@pytest.mark.parametrize("cls", [errors.StaleBatch, errors.Busy, errors.UnknownField, errors.Unauthorized])
def test_a_problem_comes_back_as_its_class(cls: type[errors.PeersyncError]) -> None:
    found = wire.read_problem(wire.problem_json(cls("What. ", hint="How."), 409))
    assert type(found) is cls
    assert str(found) == "What.  How."


def test_a_problem_of_an_unknown_code_is_still_one() -> None:
    found = wire.read_problem({"code": "brand_new", "detail": "Hm.\x1b[31m\n" + "x" * 9000})
    assert type(found) is errors.PeersyncError
    assert found.extra["code"] == "brand_new"
    assert "\x1b" not in str(found)
    assert len(str(found)) <= 2000


def pieces(data: bytes, seed: int = 1) -> list[bytes]:
    source = random.Random(seed)
    cuts = sorted({0, len(data), *(source.randrange(len(data) + 1) for _ in range(9))})
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


@given(st.lists(st.binary(max_size=10).map(lambda b: b.replace(b"\n", b" ")), max_size=8), st.integers(0, 99))
def test_lines_do_not_depend_on_where_bytes_were_cut(lines: list[bytes], seed: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    assert list(wire.split_lines(pieces(data, seed), 10, errors.AnswerTooLarge)) == lines


@pytest.mark.parametrize(
    "chunks", [[b"a" * 11], [b"a" * 6, b"a" * 6], [b"a\n", b"b" * 11 + b"\n"], [b"a\nbb", b"b" * 9]]
)
def test_a_line_is_bounded(chunks: list[bytes]) -> None:
    with pytest.raises(errors.AnswerTooLarge, match="10 bytes"):
        list(wire.split_lines(chunks, 10, errors.AnswerTooLarge))


@given(st.binary(max_size=3000), st.integers(0, 99))
@settings(deadline=None)
def test_gzip_comes_back(data: bytes, seed: int) -> None:
    packed = gzip.compress(data)
    assert b"".join(wire.gunzip(pieces(packed, seed), 3000, errors.AnswerTooLarge)) == data


def test_a_bomb_is_not_unpacked() -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    unpacked = wire.gunzip([packed], 1_000_000, errors.PayloadTooLarge)
    sizes = map(len, unpacked)
    seen = [next(sizes) for _ in range(3)]
    with pytest.raises(errors.PayloadTooLarge):
        list(sizes)
    assert max(seen) <= 1 << 18


def test_gzip_that_ends_too_early_was_cut_off() -> None:
    packed = gzip.compress(random.Random(1).randbytes(5000))
    for cut in (0, 5, 3000, len(packed) - 1):
        with pytest.raises(errors.AnswerCutOff):
            list(wire.gunzip([packed[:cut]], 1 << 20, errors.AnswerTooLarge))


# named, since a gzip stream holds the second in which it was made: processes must collect the same tests
@pytest.mark.parametrize(
    "data",
    [b"plain text", gzip.compress(b"a") + b"more", gzip.compress(b"a") * 2],
    ids=["text", "more behind it", "two"],
)
def test_what_is_not_one_gzip_stream_is_refused(data: bytes) -> None:
    with pytest.raises(errors.WireError):
        list(wire.gunzip([data], 1 << 20, errors.AnswerTooLarge))


def test_the_page_about_the_protocol_names_every_member() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    names = [field.name for cls in (Description, ModelInfo, Progress) for field in dataclasses.fields(cls)]
    missing = [name for name in [*names, *wire.header_json(batch())] if f"`{name}`" not in page]
    assert missing == []


def test_every_member_of_a_batch_travels() -> None:
    members = {field.name for field in dataclasses.fields(Batch)}
    assert {*wire.header_json(batch())} == members - {"rows", "bulk"} | {"protocol"}
