"""What only the system checks find is refused where rows move too: a server under WSGI or ASGI runs no checks."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from peersync import compare, pull, push
from peersync.errors import ConfigurationError
from peersync.replicas.database import DatabaseReplica
from tests.zoo.models import Parent

MISSPELT = {"EXCLUDE": {"zoo.Parent": ["xx"]}}


@pytest.fixture
def pair(sqlite_nodes: Any, settings: Any) -> Iterator[Any]:
    settings.SYNC_CONFIG = {"MODELS": ["zoo.Parent"], "AUTO_SYNC": "off", "MASTER": "a", "SLAVE": "b"}
    return sqlite_nodes


def broken_filter(rows: Any, peer: str) -> Any:
    raise LookupError("a typo of the project")


def no_filter(rows: Any, peer: str) -> Any:
    return None


def test_nothing_is_sent_or_served(pair: Any, settings: Any) -> None:
    Parent.objects.using("a").create(id=1, x="secret")
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, **MISSPELT}
    for way in (push, pull, compare):
        with pytest.raises(ConfigurationError, match="E008"):
            way("b")
    with pytest.raises(ConfigurationError, match="E008"):
        DatabaseReplica("a", peer="b")
    assert not Parent.objects.using("b").exists()


def test_a_silenced_check_is_the_owners_word(pair: Any, settings: Any) -> None:
    settings.SILENCED_SYSTEM_CHECKS = ["peersync.E008"]
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, **MISSPELT}
    assert push("b").status == "ok"


@pytest.mark.parametrize(("function", "word"), [("broken_filter", "LookupError"), ("no_filter", "no queryset")])
def test_a_filter_that_fails_is_a_sentence(pair: Any, settings: Any, function: str, word: str) -> None:
    Parent.objects.using("a").create(id=1, x="here")
    path = f"{__name__}.{function}"
    settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "FILTER": {"zoo.Parent": path}}
    out = io.StringIO()
    with pytest.raises(CommandError, match=word) as caught:
        call_command("sync_data", "--direction=push", "--json", stdout=out)
    assert caught.value.returncode == 1
    assert json.loads(out.getvalue())["error"]["code"] == "configuration"
    assert function in str(caught.value)
    assert not Parent.objects.using("b").exists()
