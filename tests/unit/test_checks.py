"""Each id is shown by a setting that earns it; its text names the key or field, its hint the mend."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.checks.registry import registry as django_checks
from django.db import connections
from django.test import override_settings
from django.utils import timezone

import peersync.checks
from peersync import checks
from peersync.checks import databases, sizes
from peersync.checks.travel import looks_secret
from peersync.errors import ConfigurationError
from peersync.models import Checkpoint, Conflict, Journal, Quarantine
from peersync.patterns import expand
from peersync.views import filtered_by
from tests.support import filters
from tests.zoo.models import Parent

ODD = [*django_settings.INSTALLED_APPS, "tests.unit.odd"]
RIGHT = {
    "MODELS": ["auth.User", "odd.Place", "odd.Shop", "odd.Natural"],
    "EXCLUDE": {"auth.user": ["password", "last_login", "date_joined", "is_superuser", "is_staff"]},
    "FILTER": {"odd.Place": {"name__startswith": "a"}, "odd.Shop": "tests.unit.odd.models.everything"},
    "IDENTITY": {"odd.Natural": "natural"},
    "DIRECTION": {"odd.Place": "master-to-slave"},
    "CONFLICT": {"*": "latest", "odd.Shop": "master"},
    "PEERS": {
        "branch": {
            "URL": "https://branch.example/peersync",
            "TOKEN": "abc",
            "MODELS": ["odd.*", "!odd.Natural"],
        }
    },
    "ROLE": "master",
}


def found(config: Any, **others: Any) -> list[CheckMessage]:
    with override_settings(SYNC_CONFIG=config, INSTALLED_APPS=ODD, **others):
        return checks.check_settings()


def ids(config: Any, **others: Any) -> set[str]:
    return {str(one.id).removeprefix("peersync.") for one in found(config, **others)}


def one(number: str, config: Any, **others: Any) -> str:
    """The text and the hint of the finding with that id; there is one only."""
    messages = [m for m in found(config, **others) if m.id == f"peersync.{number}"]
    assert len(messages) == 1, messages
    assert messages[0].hint
    assert {"E": 40, "W": 30, "I": 20}[number[0]] == messages[0].level
    return f"{messages[0].msg} {messages[0].hint}"


def test_a_right_configuration_has_nothing_to_be_said_about() -> None:
    assert found(RIGHT) == []


def test_the_settings_of_the_package_that_this_replaces_are_no_error() -> None:
    config = {
        "MODELS": ["auth.User"],
        "EXCLUDE": {"auth.User": ["password", "last_login", "date_joined"]},
    }
    assert {m.id for m in found(config)} == {"peersync.W003"}


@pytest.mark.parametrize("config", [None, {}, {"MODELS": []}])
def test_without_settings_it_says_so_and_is_no_error(config: Any) -> None:
    assert 'SYNC_CONFIG = {"MODELS"' in one("W009", config)


@pytest.mark.parametrize(
    ("number", "config", "says"),
    [
        ("E001", {"EXLCUDE": {}}, 'Did you mean "EXCLUDE"?'),
        ("E001", {"PEERS": {"b": {"ULR": "https://b"}}}, 'Did you mean "URL"?'),
        ("E002", {"MODELS": "auth.User"}, 'Write ["auth.User"]'),
        ("E002", {"MAX_CASCADE": "many"}, "an int"),
        ("E003", {"AUTO_SYNC": "backgrund"}, 'Did you mean "background"?'),
        ("E003", {"PEERS": {"b": {"URL": "branch.example"}}}, "https://"),
    ],
)
def test_form(number: str, config: dict[str, Any], says: str) -> None:
    assert says in one(number, {"MODELS": ["odd.Place"], **config})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"MODELS": ["auth.Usr"]}, 'Did you mean "auth.User"?'),
        ({"MODELS": ["odd.Place", "!odd.Shopp"]}, 'Did you mean "odd.Shop"?'),
        ({"MODELS": ["od.*"]}, 'Did you mean "odd"?'),
        ({"MODELS": ["odd.Place"], "EXCLUDE": {"odd.Plaice": ["name"]}}, 'Did you mean "odd.Place"?'),
        ({"MODELS": ["odd.Place"], "PEERS": {"b": {"MODELS": ["odd.Plaice"]}}}, '["PEERS"]["b"]["MODELS"]'),
    ],
)
def test_unknown_models(config: dict[str, Any], says: str) -> None:
    assert says in one("E005", config)


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (["peersync.*"], "do not travel"),
        (["peersync.Node"], "do not travel"),
        (["odd.ShopProxy"], 'Write "odd.Shop"'),
    ],
)
def test_models_that_cannot_be_synchronised(models: list[str], says: str) -> None:
    assert says in one("E006", {"MODELS": models})


def test_a_composite_primary_key_names_rows_like_any_other() -> None:
    assert ids({"MODELS": ["odd.Pair"]}) == set()


def test_a_swapped_model_names_the_one_that_stands_in_for_it() -> None:
    assert 'Write "odd.Account"' in one("E006", {"MODELS": ["auth.User"]}, AUTH_USER_MODEL="odd.Account")


def test_exclude_and_include_of_one_model() -> None:
    config = {"MODELS": ["odd.Place"], "EXCLUDE": {"odd.Place": ["name"]}, "INCLUDE": {"odd.place": ["name"]}}
    assert "odd.place" in one("E007", config)


@pytest.mark.parametrize(
    ("key", "label", "name", "says"),
    [
        ("EXCLUDE", "auth.User", "pasword", 'Did you mean "password"?'),
        ("INCLUDE", "auth.User", "pasword", 'Did you mean "password"?'),
        ("IDENTITY", "auth.User", "usernme", 'Did you mean "username"?'),
        ("IDENTITY", "auth.User", "groups", "groups"),
        ("EXCLUDE", "odd.Shop", "name", 'name it under "odd.Place"'),
        ("EXCLUDE", "odd.Code", "place_id", 'Write "place"'),
        ("EXCLUDE", "odd.Place", "code", "no column"),
    ],
)
def test_unknown_fields(key: str, label: str, name: str, says: str) -> None:
    assert says in one("E008", {"MODELS": [label], key: {label: [name]}})


def test_a_many_to_many_field_may_be_excluded() -> None:
    assert "E008" not in ids({"MODELS": ["auth.*"], "EXCLUDE": {"auth.User": ["groups"]}})


@pytest.mark.parametrize("key", ["MASTER", "SLAVE"])
def test_aliases_that_do_not_exist(key: str) -> None:
    assert 'Did you mean "default"?' in one("E009", {"MODELS": ["odd.Place"], key: "defalt"})


@pytest.mark.parametrize(
    "value",
    [
        {"nme": "x"},
        {"id": "x"},
        "tests.unit.odd.models.missing",
        "tests.unit.odd.models.too_few",
        "no.such.module",
    ],
)
def test_filters_that_nobody_understands(value: Any) -> None:
    assert '"odd.Place"' in one("E010", {"MODELS": ["odd.Place"], "FILTER": {"odd.Place": value}})


@pytest.mark.parametrize("where", ["model", "all", "peer"])
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("tests.unit.odd.models.missing", "cannot be imported"),
        ("no.such.module", "cannot be imported"),
        ("tests.unit.odd.broken.settle", "division by zero"),
        ("tests.unit.odd.models.everything", "one argument"),
        ("tests.unit.odd.models.RULES", "one argument"),
    ],
)
def test_policies_of_ones_own_that_cannot_be_called(path: str, says: str, where: str) -> None:
    said = {"CONFLICT": {"*" if where == "all" else "odd.Place": path}}
    config = {"MODELS": ["odd.Place"], **(said if where != "peer" else {"PEERS": {"b": said}})}
    text = one("E020", config)
    assert path in text
    assert says in text


@pytest.mark.parametrize("policy", ["merge", "manual", "tests.unit.odd.models.settle"])
def test_policies_that_can_be_used(policy: str) -> None:
    config = {"MODELS": ["odd.Place"], "IDENTITY": {"odd.Place": "pk"}}
    assert ids({**config, "CONFLICT": {"*": policy}}) == ids(config)


@pytest.mark.parametrize("name", ["number", "label"])
def test_identity_that_is_not_unique(name: str) -> None:
    assert "UniqueConstraint" in one("E011", {"MODELS": ["odd.Code"], "IDENTITY": {"odd.Code": [name]}})


def test_identity_of_a_whole_constraint() -> None:
    assert ids({"MODELS": ["odd.Code"], "IDENTITY": {"odd.Code": ["label", "day"]}}) == {"W002"}


@pytest.mark.parametrize("where", ["all", "peer"])
def test_identity_that_is_excluded(where: str) -> None:
    own = {"EXCLUDE": {"auth.User": ["username"]}}
    config = {"MODELS": ["auth.User"], **(own if where == "all" else {"PEERS": {"b": own}})}
    assert "username" in one("E012", config)


def test_a_key_that_is_excluded() -> None:
    assert "odd.Place" in one("E012", {"MODELS": ["odd.Place"], "EXCLUDE": {"odd.Place": ["id"]}})


@pytest.mark.parametrize(
    "config",
    [
        {"CONFLICT": {"*": "master"}},
        {"DIRECTION": {"odd.Place": "master-to-slave"}},
        {"CONFLICT": {"*": "slave"}, "PEERS": {"b": {"URL": "https://b/", "TOKEN": "x"}}},
        {"PEERS": {"north": {"CONFLICT": {"*": "slave"}}}},
    ],
)
def test_roles_that_nobody_has(config: dict[str, Any]) -> None:
    config = {"MODELS": ["odd.Place"], **config}
    assert '"ROLE": "master"' in one("E013", config)
    assert ids({**config, "ROLE": "slave"}) == set()
    assert "E013" not in ids({**config, "PEERS": {"a": {"DIRECTION": {"*": "both"}}}, "SLAVE": "a"})


def test_one_peer_that_says_its_role_is_enough_for_itself() -> None:
    config = {"MODELS": ["odd.Place"], "CONFLICT": {"*": "master"}, "PEERS": {"north": {"ROLE": "slave"}}}
    assert ids(config) == set()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"EXCLUDE": {"odd.Code": ["place"]}}, "place"),
        ({"EXCLUDE": {"odd.Code": ["day"]}}, "day"),
        ({"EXCLUDE": {"odd.Code": ["slug"]}}, "unique"),
        ({"PEERS": {"b": {"EXCLUDE": {"odd.Code": ["day"]}}}}, '["PEERS"]["b"]'),
        ({"INCLUDE": {"odd.Code": ["slug", "label", "day"]}}, "place"),
    ],
)
def test_excluded_fields_that_a_new_row_cannot_do_without(setting: dict[str, Any], says: str) -> None:
    assert says in one("E014", {"MODELS": ["odd.Code"], **setting})


def test_excluded_fields_that_a_new_row_can_do_without() -> None:
    config = {"MODELS": ["odd.Code"], "EXCLUDE": {"odd.Code": ["code", "label", "made"]}}
    assert ids(config) == {"W002"}


def test_triggers_on_a_database_that_has_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "mysql")
    assert '"CAPTURE": "signals"' in one("E015", {"MODELS": ["odd.Place"]})


def test_one_database_under_two_aliases() -> None:
    """As a second entry with the same NAME, which Django itself lets pass."""
    connections["b"].settings_dict = {**(before := connections["b"].settings_dict)}
    connections["b"].settings_dict["NAME"] = connections["default"].settings_dict["NAME"]
    try:
        assert "NAME, HOST or PORT" in one("E016", {"MODELS": ["odd.Place"], "SLAVE": "b"})
    finally:
        connections["b"].settings_dict = before


@pytest.mark.parametrize(("model", "says"), [("FloatKey", "FloatField"), ("LongKey", "15 digits")])
def test_keys_that_no_two_databases_write_alike(model: str, says: str) -> None:
    assert says in one("E017", {"MODELS": [f"odd.{model}"]})


@pytest.mark.parametrize("setting", ["odd.Unclear", "*"])
def test_a_natural_key_whose_code_is_unclear(setting: str) -> None:
    said = one("E018", {"MODELS": ["odd.Unclear"], "IDENTITY": {setting: "natural"}})
    assert "odd.Unclear.natural_key()" in said
    assert '"odd.Unclear": ["name"]' in said


def test_natural_identity_of_a_model_that_has_nothing_unique() -> None:
    assert "unique" in one("E018", {"MODELS": ["odd.Place"], "IDENTITY": {"odd.Place": "natural"}})


@pytest.mark.parametrize(("label", "says"), [("odd.Shop", "Write it for odd.Place"), ("odd.FloatKey", '"pk"')])
def test_origin_of_rows_that_the_database_does_not_number(label: str, says: str) -> None:
    assert says in one("E021", {"MODELS": [label], "IDENTITY": {label: "origin"}})


def test_what_matches_rows_that_have_one_key() -> None:
    config = {"MODELS": ["zoo.Sku"], "IDENTITY": {"zoo.Sku": "sku"}}
    assert '"origin"' in one("E022", {**config, "MATCH": {"zoo.Sku": "never"}})
    assert ids({**config, "MATCH": {"*": "never"}}) == set()
    assert ids({**config, "MATCH": {"zoo.Sku": "pk"}}) == set()
    assert ids({**config, "IDENTITY": {"zoo.Sku": "origin"}, "MATCH": {"zoo.Sku": "content"}}) == set()


@pytest.mark.parametrize(
    ("label", "names", "says"),
    [
        ("odd.Code", ["code"], "NULL"),
        ("odd.Code", ["upper"], "generates"),
        ("odd.Tree", ["parent", "name"], "odd.Tree → odd.Tree"),
    ],
)
def test_identity_that_cannot_name_a_row(label: str, names: list[str], says: str) -> None:
    assert says in one("E019", {"MODELS": [label], "IDENTITY": {label: names}})


def test_an_object_id_in_an_identity() -> None:
    identity = {"generic.Mark": ["content_type", "object_id"]}
    assert "object_id" in one("W013", {"MODELS": ["generic.Mark"], "IDENTITY": identity})


@pytest.mark.parametrize(
    "setting",
    [{"EXCLUDE": {"auth.Group": ["name"]}}, {"PEERS": {"b": {"MODELS": ["auth.Group"]}}}],
)
def test_settings_for_a_model_that_does_not_travel(setting: dict[str, Any]) -> None:
    assert '"auth.Group"' in one("W001", {"MODELS": ["odd.Place"], **setting})


def test_references_to_a_model_that_does_not_travel() -> None:
    assert '"odd.Place"' in one("W002", {"MODELS": ["odd.Code"]})


def test_references_to_the_models_that_every_installation_has_are_fine() -> None:
    assert "W002" not in ids({"MODELS": ["auth.Permission"]})


def test_rights_that_travel_both_ways() -> None:
    config: dict[str, Any] = {"MODELS": ["auth.User"], "EXCLUDE": {"auth.User": ["password"]}}
    text = one("W003", config)
    for part in ("is_superuser", "is_staff", '"EXCLUDE"', '"DIRECTION"'):
        assert part in text
    assert "W003" not in ids({**config, "DIRECTION": {"auth.User": "master-to-slave"}, "ROLE": "master"})
    assert "W003" not in ids({**config, "EXCLUDE": {"auth.User": ["is_superuser", "is_staff"]}})


def test_groups_and_permissions_are_rights_too() -> None:
    texts = [m.msg for m in found({"MODELS": ["auth.*"]}) if m.id == "peersync.W003"]
    assert any("groups of auth.User" in text for text in texts)
    assert any("user_permissions of auth.User" in text for text in texts)
    assert any("permissions of auth.Group" in text for text in texts)


def test_secrets_that_travel() -> None:
    assert "password" in one("W004", {"MODELS": ["auth.User"]})
    assert one("W004", {"MODELS": ["odd.Vault"]}).startswith("apiKey of odd.Vault may be secret")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("api_key", True),
        ("private_keys", True),
        ("otp_code", True),
        ("clientSecret", True),
        ("recovery_codes", True),
        ("monkey", False),
        ("tokenizer", False),
        ("pinned", False),
        ("country_code", False),
    ],
)
def test_what_looks_like_a_secret(name: str, secret: bool) -> None:
    from django.db.models import CharField

    assert looks_secret(CharField(name=name)) is secret


def test_numbers_that_two_nodes_give_at_once() -> None:
    config: dict[str, Any] = {"MODELS": ["zoo.Sku"]}
    mend = one("W005", config)
    assert 0 < mend.index('{"zoo.Sku": "origin"}') < mend.index('{"zoo.Sku": ["sku"]}') < mend.index("UUID")
    assert ids({**config, "IDENTITY": {"zoo.Sku": "origin"}}) == set()
    assert ids({**config, "IDENTITY": {"*": "origin"}}) == set()
    assert ids({**config, "IDENTITY": {"zoo.Sku": "sku"}}) == set()
    assert ids({**config, "IDENTITY": {"*": "pk"}}) == set()
    assert ids({**config, "DIRECTION": {"zoo.Sku": "slave-to-master"}, "ROLE": "slave"}) == set()


def test_what_signals_cannot_see() -> None:
    text = one("W006", {"MODELS": ["odd.Place"], "CAPTURE": "signals"})
    for unseen in ("QuerySet.update()", "bulk_create()", "bulk_update()", "raw SQL", "TRUNCATE"):
        assert unseen in text


def test_sqlite_that_is_not_set_up_for_two_writers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one_file = tmp_path / "site.sqlite3"
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", str(one_file))
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    text = one("W007", {"MODELS": ["odd.Place"]})
    assert '"transaction_mode": "IMMEDIATE"' in text
    assert "journal_mode=WAL" in text
    with sqlite3.connect(one_file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {"transaction_mode": "IMMEDIATE"})
    assert ids({"MODELS": ["odd.Place"]}) == set()


def test_a_database_in_memory_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {})
    assert ids({"MODELS": ["odd.Place"]}) == set()
    assert databases._place("default") is None


def test_automatic_sync_without_a_token() -> None:
    config = {"MODELS": ["odd.Place"], "PEERS": {"b": {"URL": "https://b/"}}}
    assert "sync_peer add" in one("W008", config)
    assert ids({**config, "AUTO_SYNC": "off"}) == set()
    assert ids({**config, "PEERS": {"b": {"URL": "https://b/", "AUTO": False}}}) == set()


def test_a_model_that_declares_its_natural_key_gets_a_hint() -> None:
    assert '{"odd.Natural": "natural"}' in one("I001", {"MODELS": ["odd.Natural"]})
    assert ids({"MODELS": ["odd.Natural"], "IDENTITY": {"odd.Natural": "pk"}}) == set()


def test_a_project_with_many_models_gets_one_message_of_a_kind() -> None:
    messages = found({"MODELS": ["zoo.*", "shapes.*", "generic.*", "odd.Natural", "odd.OtherNatural"]})
    many = [m for m in messages if m.id in ("peersync.W002", "peersync.W005", "peersync.I001")]
    assert sorted(str(m.id) for m in many) == ["peersync.I001", "peersync.W005"]
    numbered = next(m for m in many if m.id == "peersync.W005")
    assert numbered.msg.count(", ") < 20
    assert numbered.msg.endswith("more.")
    assert '{"*": "origin"}' in str(numbered.hint)
    text = one("W002", {"MODELS": ["shapes.City", "shapes.Passport"]})
    assert "shapes.City.country to shapes.Country" in text
    assert "shapes.Passport.person to shapes.Person" in text


class Apart:
    """A router that keeps an app in a database that is not synchronised."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "elsewhere" if app_label == "shapes" else None


def test_models_that_a_router_keeps_in_another_database() -> None:
    routed = {"DATABASE_ROUTERS": [Apart()]}
    text = one("W018", {"MODELS": ["zoo.*", "shapes.*"]}, **routed)
    assert "shapes.Cafe" in text
    assert "zoo." not in text
    assert "MASTER" in one("E027", {"MODELS": ["shapes.Cafe"]}, **routed)
    with override_settings(SYNC_CONFIG={"MODELS": ["*.*"]}, **routed):
        labels = {model._meta.label for model in expand(["*.*"])}
    assert "shapes.Cafe" not in labels
    assert "zoo.Sku" in labels


def test_a_table_that_no_migration_makes() -> None:
    assert "sync_peer install" in one("W019", {"MODELS": ["kin.Ledger"]})
    with override_settings(SYNC_CONFIG={"MODELS": ["*.*"]}):
        assert "kin.Ledger" not in {model._meta.label for model in expand(["*.*"])}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["filed.Papr"], 'Did you mean "filed.Paper"?'),
        (["filed.Paper.number"], "Known are: file, scan, cover"),
        (["filed.Paper.fil"], 'Did you mean "file"?'),
        (["odd.Place"], "of which no file field is synchronised"),
    ],
)
def test_files_of_what_has_none(files: list[str], says: str) -> None:
    assert says in one("E028", {"MODELS": ["filed.*", "odd.Place"], "FILES": files})


def test_files_that_are_bounded_by_their_storage_alone() -> None:
    config = {"MODELS": ["filed.*"], "IDENTITY": {"*": "pk"}}
    assert ids(config) == ids({**config, "FILES": ["filed.paper.FILE", "filed.Plain"]}) == set()
    assert "upload_to of filed.Paper.scan" in one("W020", {**config, "FILES": True})
    assert ids({**config, "FILES": ["filed.*"]}) == {"W020"}


@pytest.mark.django_db
def test_tables_that_have_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "JOURNAL", 2)
    monkeypatch.setattr(sizes, "QUARANTINE", 1)
    source = Checkpoint.objects.create(source="x")
    for number in range(3):
        settled = None if number < 2 else timezone.now()
        Conflict.objects.create(model="odd.Place", key=str(number), kind="edit", source="x", settled=settled)
        Quarantine.objects.create(
            checkpoint=source, model="odd.Place", key=str(number), row="{}", reason="x", listed=number < 2
        )
        if number:
            Journal.objects.create(model="odd.Place", pk_text=str(number), what="b", stamp=1)
    assert _grown(1) == {"W011", "W012"}
    Journal.objects.create(model="odd.Place", pk_text="4", what="b", stamp=1)
    assert _grown(1) == {"W010", "W011", "W012"}
    assert _grown(2) == {"W010", "W012"}


def _grown(max_conflicts: int) -> set[str]:
    with override_settings(SYNC_CONFIG={"MODELS": ["zoo.Parent"], "MAX_CONFLICTS": max_conflicts}):
        messages = checks.check_database(databases=["default"])
    assert all(m.hint for m in messages)
    return {str(m.id).removeprefix("peersync.") for m in messages}


def test_a_database_that_is_not_there_is_not_for_a_check_of_sizes_to_say(
    tmp_path: Path, django_db_blocker: Any
) -> None:
    """No table, and no file either; and a mistake in the settings beside it."""
    before = connections["b"].settings_dict
    try:
        for name in (tmp_path / "empty.sqlite3", tmp_path / "no" / "such" / "directory"):
            connections["b"].close()
            connections["b"].settings_dict = {**before, "NAME": str(name)}
            with django_db_blocker.unblock():
                assert checks.check_database(databases=["b"]) == []
    finally:
        connections["b"].close()
        connections["b"].settings_dict = before
    with override_settings(SYNC_CONFIG={"MODEL": []}):
        assert checks.check_database(databases=["default"]) == []


def test_only_the_check_of_sizes_asks_a_database() -> None:
    """In this test nobody may ask one: pytest-django fails whoever does."""
    assert {checks.check_settings, checks.check_database} <= django_checks.registered_checks
    assert Tags.database in checks.check_database.tags  # type: ignore[attr-defined]  # register() sets it
    assert Tags.database not in checks.check_settings.tags  # type: ignore[attr-defined]  # register() sets it
    with override_settings(SYNC_CONFIG=RIGHT, INSTALLED_APPS=ODD):
        assert run_checks(tags=["peersync"]) == []


def ids_in_the_code() -> set[str]:
    folder = Path(peersync.checks.__file__).parent
    return {i for file in folder.glob("*.py") for i in re.findall(r'"([EWI]\d{3})"', file.read_text(encoding="utf-8"))}


def test_every_id_is_documented_and_tested() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`peersync\.([EWI]\d{3})`", page))
    assert documented == ids_in_the_code()
    assert ids_in_the_code() <= set(re.findall(r'"([EWI]\d{3})"', Path(__file__).read_text(encoding="utf-8")))


@pytest.mark.parametrize("value", [{"nme": "a"}, {"name__nope": 1}, "tests.unit.odd.nothing"])
def test_an_accept_that_is_not_understood(value: Any) -> None:
    assert '"ACCEPT"' in one("E023", {"MODELS": ["odd.Place"], "ACCEPT": {"odd.Place": value}})


@pytest.mark.parametrize(
    ("said", "word"), [("name", "no list"), (["nme"], '"nme"'), (["name__x"], ""), (["odd.Nowhere"], "odd.Nowhere")]
)
def test_what_a_filter_says_that_it_depends_on(said: Any, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"MODELS": ["zoo.Tag"], "FILTER": {"zoo.Tag": "tests.support.filters.shown"}}
    monkeypatch.setattr(filters.shown, "depends_on", said, raising=False)
    if word:
        assert word in one("E024", config)
    else:
        assert "E024" not in ids(config), "a transform of a field"


def test_an_exit_where_nothing_leaves() -> None:
    config: Any = {"MODELS": ["zoo.*"], "FILTER_EXIT": {"zoo.Parent": "keep", "zoo.Tag": "keep"}}
    found = [m.msg for m in checks_of("W014", {**config, "PEERS": {"x": {"FILTER": {"zoo.Parent": {"b": "n"}}}}})]
    assert len(found) == 1
    assert "zoo.Tag" in found[0]
    assert "W014" not in ids({"MODELS": ["zoo.*"], "FILTER_EXIT": {"*": "keep"}})


def checks_of(number: str, config: Any) -> list[CheckMessage]:
    return [m for m in found(config) if m.id == f"peersync.{number}"]


def test_children_that_stay_under_parents_that_go() -> None:
    config: Any = {"MODELS": ["zoo.Parent", "zoo.Child"], "FILTER": {"zoo.Parent": {"b": "n"}}}
    text = one("W014", {**config, "FILTER_EXIT": {"zoo.Child": "keep"}})
    assert "zoo.Child" in text
    assert '"zoo.Parent": "keep"' in text


def test_an_accept_without_effect() -> None:
    accept: Any = {"ACCEPT": {"odd.Place": {"name": "a"}}}
    config = {"MODELS": ["odd.Place"], "SLAVE": "b"}
    assert "alias" in one("W015", {**config, "PEERS": {"b": accept}})
    way: Any = {"DIRECTION": {"odd.Place": "master-to-slave"}, "ROLE": "master"}
    assert "DIRECTION" in one("W015", {**config, **way, **accept})


def test_a_value_of_a_filter_that_cannot_be_worked_out_is_named_when_it_is_used() -> None:
    """It could be when the project started: the error has the filter and the mend, and is none of Python's."""
    with pytest.raises(ConfigurationError) as raised:
        filtered_by({"x": lambda: 1 // 0}, Parent._base_manager.all(), "branch", "FILTER of zoo.Parent")
    assert "FILTER of zoo.Parent failed: ZeroDivisionError" in str(raised.value)
