"""What MODELS takes: patterns pass by what should stay home, an exact name takes it."""

from collections.abc import Iterable

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from peersync.patterns import expand

APPS = [
    *django_settings.INSTALLED_APPS,
    *(
        app
        for app in ("django.contrib.admin", "django.contrib.sessions", "tests.unit.authtoken")
        if app not in django_settings.INSTALLED_APPS
    ),
]


def taken(*patterns: str) -> set[str]:
    with override_settings(INSTALLED_APPS=APPS):
        return {model._meta.label for model in expand(patterns)}


def apps_of(labels: Iterable[str]) -> set[str]:
    return {label.partition(".")[0] for label in labels}


def test_all_there_is() -> None:
    found = taken("*.*")
    assert {"auth.User", "contenttypes.ContentType", "zoo.Parent"} <= found
    assert not apps_of(found) & {"peersync", "admin", "sessions", "authtoken"}


@pytest.mark.parametrize("pattern", ["authtoken.*", "admin.*", "sessions.*"])
def test_a_pattern_for_one_app_passes_them_by_too(pattern: str) -> None:
    assert taken(pattern) == set()


@pytest.mark.parametrize("name", ["authtoken.Token", "admin.LogEntry", "sessions.Session", "AuthToken.token"])
def test_named_exactly_they_travel(name: str) -> None:
    assert {label.lower() for label in taken(name)} == {name.lower()}


@pytest.mark.parametrize("pattern", ["peersync.*", "peersync.Node", "*.*"])
def test_our_own_tables_never_do(pattern: str) -> None:
    assert "peersync" not in apps_of(taken(pattern))


def test_an_exact_name_beside_a_pattern() -> None:
    assert "authtoken.Token" in taken("*.*", "authtoken.Token")


def test_what_is_left_out_by_name() -> None:
    assert "zoo.Parent" not in taken("zoo.*", "!zoo.Parent")
    assert taken("zoo.Parent", "zoo.Child", "!zoo.*") == set()
