"""Node ``a`` serves, node ``b`` calls; both are real databases."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from peersync_api.throttling import refused_tokens
from tests.support.api import Api, made_token
from tests.zoo.models import Parent

CONFIG: dict[str, Any] = {
    "MODELS": ["zoo.*", "!zoo.Secret"],
    "EXCLUDE": {"zoo.Parent": ["e"]},
    "AUTO_SYNC": "off",
}


@pytest.fixture
def config() -> dict[str, Any]:
    """SYNC_CONFIG of the test; a module overrides it to have another one."""
    return CONFIG


@pytest.fixture
def aliases() -> tuple[str, str, str]:
    """Who serves, who calls, and another; a module overrides it to be tried on PostgreSQL too."""
    return "a", "b", "c"


@pytest.fixture
def api(make_nodes: Callable[..., Any], aliases: tuple[str, str, str], config: dict[str, Any]) -> Iterator[Api]:
    """The API of the node that serves, with a token for the peer "b", and one row on each side."""
    make_nodes(*aliases)
    refused_tokens.clear()
    serving, calling, third = aliases
    config = {**config, "MASTER": serving}
    with override_settings(SYNC_CONFIG=config):
        Parent.objects.using(serving).create(id=1, x="of a", e="stays home")
        Parent.objects.using(calling).create(id=2, x="of b")
        api = Api(serving, made_token(serving, "b"))
        api.peer, api.third, api.config = calling, third, config
        yield api


BOTH = [
    pytest.param(("a", "b", "c"), id="sqlite"),
    pytest.param(("pg_a", "b", "c"), id="postgres", marks=pytest.mark.postgres),
]
