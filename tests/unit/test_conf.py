"""SYNC_CONFIG is read in one way only, and a mistake in it never as if it were not there."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from peersync import conf
from peersync.conf import Limits, PeerSettings, Settings, settings
from peersync.conf_peers import PEER_KEYS, plain_http_to_another_machine
from peersync.errors import ConfigurationError

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "slave": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}


def read(config: Any) -> Settings:
    with override_settings(SYNC_CONFIG=config):
        return settings()


def problem(config: Any) -> ConfigurationError:
    with override_settings(SYNC_CONFIG=config):
        found = conf.problems()
        assert len(found) == 1, found
        with pytest.raises(ConfigurationError, match=re.escape(found[0].detail)):
            settings()
        assert found[0].hint
        return found[0]


def peer(**entry: Any) -> PeerSettings:
    return read({"PEERS": {"branch": entry}}).peers["branch"]


@pytest.mark.parametrize("config", [None, {}])
def test_nothing_said_is_nothing_synchronised(config: Any) -> None:
    assert read(config) == Settings()
    assert (read(config).models, read(config).peers, read(config).conflict["*"]) == ((), {}, "latest")


def test_a_project_without_the_setting() -> None:
    with override_settings():
        del django_settings.SYNC_CONFIG
        conf._read.cache_clear()
        assert settings() == Settings()


def test_the_settings_of_the_package_that_this_replaces() -> None:
    found = read({"MODELS": ["auth.User"], "EXCLUDE": {"auth.User": ["password", "last_login"]}})
    assert found.models == ("auth.User",)
    assert found.exclude["auth.User"] == ("password", "last_login")
    assert (found.master, found.slave, found.auto_sync, found.capture) == (
        "default",
        "slave",
        "background",
        "triggers",
    )


def test_everything_said() -> None:
    found = read(
        {
            "MODELS": ("shop.*", "*.*", "!shop.Cart"),
            "INCLUDE": {"shop.Product": ["sku", "sku", "price"]},
            "FILTER": {"shop.Order": {"branch__code": "north"}, "shop.Note": "shop.sync.notes"},
            "IDENTITY": {
                "a.A": "pk",
                "a.B": "natural",
                "a.C": ["x", "y"],
                "a.D": "x",
                "a.E": ["pk"],
                "*": "pk",
            },
            "DIRECTION": {"shop.Product": "master-to-slave"},
            "CONFLICT": {"shop.Order": "target"},
            "ROLE": "slave",
            "MASTER": "a",
            "SLAVE": "b",
            "AUTO_SYNC": "inline",
            "CAPTURE": "signals",
            "MAX_CLOCK_SKEW": 1,
            "MAX_CONFLICTS": 2,
            "MAX_CASCADE": 3,
            "KEEP_TOMBSTONES": 4,
            "RETENTION": {"RUNS": 5},
            "LIMITS": {"BATCH": 6},
        }
    )
    assert found.models == ("shop.*", "*.*", "!shop.Cart")
    assert found.include["shop.Product"] == ("sku", "price")
    assert dict(found.filter) == {"shop.Order": {"branch__code": "north"}, "shop.Note": "shop.sync.notes"}
    assert dict(found.identity) == {
        "a.A": "pk",
        "a.B": "natural",
        "a.C": ("x", "y"),
        "a.D": ("x",),
        "a.E": "pk",
        "*": "pk",
    }
    assert dict(found.conflict) == {"shop.Order": "target", "*": "latest"}
    assert (found.role, found.master, found.slave) == ("slave", "a", "b")
    assert (found.max_clock_skew, found.max_conflicts, found.max_cascade, found.keep_tombstones) == (
        1,
        2,
        3,
        4,
    )
    assert found.retention == {"conflicts": 90, "runs": 5}
    assert found.limits == Limits(batch=6)
    assert read({"RETENTION": 7}).retention == {"conflicts": 7, "runs": 7}


def test_models_are_found_without_regard_to_case() -> None:
    found = read({"EXCLUDE": {"auth.user": ["password"]}}).exclude
    assert found["auth.User"] == ("password",)
    assert found.get("AUTH.USER") == ("password",)
    assert "auth.User" in found
    assert "auth.Group" not in found
    assert list(found) == ["auth.user"]


def test_what_is_said_of_a_peer() -> None:
    found = peer(
        URL="http://127.0.0.1:8000/peersync",
        TOKEN="s3cret-t0ken",
        AUTO="both",
        ROLE="master",
        MODELS=["shop.*"],
        EXCLUDE={"shop.Order": ["note"]},
        FILTER={"shop.Order": {"id__gt": 1}},
        DIRECTION={"*": "both"},
        CONFLICT={"shop.Order": "source"},
    )
    assert (found.name, found.url, found.token) == (
        "branch",
        "http://127.0.0.1:8000/peersync/",
        "s3cret-t0ken",
    )
    assert (found.auto, found.role, found.models, found.insecure) == ("both", "master", ("shop.*",), False)
    assert found.exclude["shop.order"] == ("note",)
    assert found.filter["shop.Order"] == {"id__gt": 1}
    assert (found.direction["*"], found.conflict["shop.Order"]) == ("both", "source")
    assert "s3cret" not in repr(found)


def test_a_peer_that_only_calls_us() -> None:
    assert peer() == PeerSettings("branch")
    assert peer(AUTO=True).auto is None


@pytest.mark.parametrize(("said", "meant"), [(True, "push"), (False, None), ("pull", "pull"), ("both", "both")])
def test_auto(said: Any, meant: str | None) -> None:
    assert peer(URL="https://b/", AUTO=said).auto == meant
    assert peer(URL="https://b/").auto == "push"


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_an_alias_may_stand_among_the_peers() -> None:
    with override_settings(DATABASES=DATABASES):
        assert read({"PEERS": {"slave": {}}}).peers["slave"].auto == "push"
        assert read({"PEERS": {"slave": {"AUTO": "both"}}}).peers["slave"].auto == "both"
        assert "another name" in problem({"PEERS": {"slave": {"URL": "https://b/"}}}).hint
        assert "another name" in problem({"PEERS": {"default": {}}}).hint


def test_the_reading_is_kept_until_the_settings_change() -> None:
    with override_settings(SYNC_CONFIG={"ROLE": "master"}):
        assert settings() is settings()
        assert settings().role == "master"
    with override_settings(SYNC_CONFIG={"ROLE": "slave"}):
        assert settings().role == "slave"


@pytest.mark.parametrize(
    ("config", "kind", "detail", "hint"),
    [
        ([], "type", "SYNC_CONFIG must be a dict, not list", "a dict"),
        ({"MODEL": []}, "key", 'no key "MODEL"', 'Did you mean "MODELS"?'),
        ({"models": []}, "key", 'no key "models"', 'Did you mean "MODELS"?'),
        ({"COLOUR": 1}, "key", 'no key "COLOUR"', "Known are: MODELS"),
        ({"TOKEN": "x"}, "key", 'no key "TOKEN"', '["PEERS"]["its name"]["TOKEN"]'),
        ({"PEERS": {"b": {"IDENTITY": {}}}}, "key", 'no key "IDENTITY"', "SYNC_CONFIG itself"),
        ({"LIMITS": {"BATCHES": 1}}, "key", 'no key "BATCHES"', 'Did you mean "BATCH"?'),
        ({"RETENTION": {"RUN": 1}}, "key", 'no key "RUN"', 'Did you mean "RUNS"?'),
        ({1: 2}, "type", "must be a str, not int", "a str"),
        ({"MODELS": "auth.User"}, "type", "must be a list of str, not a str", 'Write ["auth.User"]'),
        ({"MODELS": [1]}, "type", "must be a list of str", "a list of str"),
        ({"MODELS": ["User"]}, "value", '"User"', "app_label.Model"),
        ({"MODELS": ["*.User"]}, "value", '"*.User"', "app_label.Model"),
        ({"EXCLUDE": ["password"]}, "type", "must be a dict", "a dict"),
        ({"EXCLUDE": {"auth.User": "password"}}, "type", '["auth.User"]', '["password"]'),
        ({"EXCLUDE": {"User": []}}, "value", '"User"', '"app_label.Model"'),
        ({"EXCLUDE": {"*": []}}, "value", '"*"', '"app_label.Model"'),
        ({"EXCLUDE": {"auth.User": [], "auth.user": []}}, "value", "twice", "one entry"),
        ({"FILTER": {"a.B": "north"}}, "value", '"north"', "dotted path"),
        ({"FILTER": {"a.B": 1}}, "type", "look-ups", "look-ups"),
        ({"IDENTITY": {"a.B": []}}, "value", "is empty", '"pk"'),
        ({"IDENTITY": {"*": "sku"}}, "value", '"sku"', '"natural"'),
        ({"IDENTITY": {"a.B": "a b"}}, "value", '"a b"', "field names"),
        ({"MATCH": {"a.B": "same"}}, "value", '"same"', "never"),
        ({"MATCH": "pk"}, "type", "must be a dict", "a dict"),
        ({"DIRECTION": {"a.B": "push"}}, "value", '"push"', "master-to-slave"),
        ({"DIRECTION": {"a.B": "master-to-slav"}}, "value", "slav", 'Did you mean "master-to-slave"?'),
        ({"CONFLICT": {"*": "newest"}}, "value", '"newest"', "latest"),
        ({"CONFLICT": {"a.B": "shop. policies"}}, "value", "shop. policies", "latest"),
        ({"CONFLICT": "latest"}, "type", "must be a dict", "a dict"),
        ({"PEERS": [{"URL": "https://b/"}]}, "type", "must be a dict", "a dict"),
        ({"PEERS": {"b": "https://b/"}}, "type", '["b"]', "a dict"),
        ({"PEERS": {"b c": {}}}, "value", '"b c"', "letters"),
        ({"ROLE": "boss"}, "value", '"boss"', "master"),
        ({"MASTER": "slave"}, "value", "both", "own database"),
        ({"SLAVE": ""}, "value", "is empty", "take the line out"),
        ({"AUTO_SYNC": True}, "type", "must be one of", "background"),
        ({"AUTO_SYNC": "of"}, "value", '"of"', 'Did you mean "off"?'),
        ({"CAPTURE": "trigger"}, "value", '"trigger"', 'Did you mean "triggers"?'),
        ({"MAX_CLOCK_SKEW": "5"}, "type", "must be an int", "an int"),
        ({"MAX_CLOCK_SKEW": True}, "type", "must be an int", "an int"),
        ({"KEEP_TOMBSTONES": 0}, "value", "is 0", "at least 1"),
        ({"RETENTION": -1}, "value", "is -1", "at least 1"),
        ({"KEEP_TOMBSTONES": 10**9}, "value", "is 1000000000", "at most 36500"),
        ({"MAX_CASCADE": 10**30}, "value", "is 1000", "at most"),
        ({"LIMITS": {"WAIT": 30}}, "value", "WAIT", "smaller"),
        ({"LIMITS": {"BODY": 1 << 40}}, "value", "UNPACKED", "smaller"),
        ({"LIMITS": {"BATCH": 1.5}}, "type", "must be an int", "an int"),
    ],
)
def test_a_mistake_names_the_key_and_the_mend(config: Any, kind: str, detail: str, hint: str) -> None:
    found = problem(config)
    assert found.extra["kind"] == kind
    assert detail in found.detail
    assert hint in found.hint


@pytest.mark.parametrize(
    ("entry", "detail", "hint"),
    [
        ({"URL": "branch.example"}, "must begin with https://", "https://host/peersync/"),
        ({"URL": "ftp://branch.example"}, "must begin with https://", "https://host/peersync/"),
        ({"URL": "https:///peersync/"}, "names no host", "https://host/peersync/"),
        ({"URL": "https://a b/"}, "names no host", "https://host/peersync/"),
        ({"URL": "https://b:port/"}, "is not a URL", "https://host/peersync/"),
        ({"URL": "https://[::1/"}, "is not a URL", "https://host/peersync/"),
        ({"URL": "https://b/?token=1"}, "? or #", "https://host/peersync/"),
        ({"URL": 1}, "must be a str", "a str"),
        ({"URL": "http://branch.example/"}, "plain http", '"INSECURE": True'),
        ({"URL": "https://b/", "INSECURE": "yes"}, "True or False", "True or False"),
        ({"URL": "https://b/", "AUTO": 1}, "AUTO", '"push"'),
        ({"URL": "https://b/", "AUTO": "poll"}, '"poll"', 'Did you mean "pull"?'),
        ({"AUTO": "pull"}, "has no URL", "calls us"),
        ({"TOKEN": ""}, "is empty", "take the line out"),
        ({"ROLE": "Master"}, '"Master"', 'Did you mean "master"?'),
        ({"MODELS": "shop.*"}, '["PEERS"]["branch"]["MODELS"]', '["shop.*"]'),
    ],
)
def test_a_mistake_in_a_peer(entry: dict[str, Any], detail: str, hint: str) -> None:
    found = problem({"PEERS": {"branch": entry}})
    assert detail in found.detail
    assert hint in found.hint


@pytest.mark.parametrize(
    "entry",
    [
        {"TOKEN": ["s3cret"]},
        {"TOKEN": "s3cret with a space"},
        {"TOKEN": "s3cret\nX-Header: 1"},
        {"URL": "https://user:s3cret@branch.example/"},
    ],
)
def test_no_message_repeats_a_secret(entry: dict[str, Any]) -> None:
    assert "s3cret" not in str(problem({"PEERS": {"branch": entry}}))


def test_all_mistakes_are_found_at_once() -> None:
    with override_settings(SYNC_CONFIG={"MODEL": [], "ROLE": 1, "CAPTURE": "x"}):
        assert len(conf.problems()) == 3
        with pytest.raises(ConfigurationError, match="lists 2 more"):
            settings()


@pytest.mark.parametrize(
    ("url", "open_to_see"),
    [
        ("http://branch.example/", True),
        ("http://192.168.0.7/", True),
        ("http://127.0.0.1:8000/", False),
        ("http://127.9.9.9/", False),
        ("http://[::1]/", False),
        ("http://localhost:8000/", False),
        ("http://localhost.example/", True),
        ("https://branch.example/", False),
    ],
)
def test_what_can_be_read_on_the_way(url: str, open_to_see: bool) -> None:
    assert plain_http_to_another_machine(url) is open_to_see


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    limits = [field.name.upper() for field in dataclasses.fields(Limits)]
    assert sorted(rows) == sorted([*conf.KEYS, *PEER_KEYS, *limits])
    for field in dataclasses.fields(Limits):
        assert f"| `{field.name.upper()}` | `{field.default}` |" in page
    for name in ("max_clock_skew", "max_conflicts", "max_cascade", "keep_tombstones"):
        assert re.search(rf"^\| `{name.upper()}` \| \w+ \| `{getattr(Settings(), name)}` \|", page, re.MULTILINE)
