"""Node ``a`` serves, node ``b`` calls; both are real databases."""

from collections.abc import Iterator
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
    "MASTER": "a",
}


@pytest.fixture
def config() -> dict[str, Any]:
    """SYNC_CONFIG of the test; a module overrides it to have another one."""
    return CONFIG


@pytest.fixture
def api(sqlite_nodes: Any, config: dict[str, Any]) -> Iterator[Api]:
    """The API of node a, with a token for the peer b, and one row on each side."""
    refused_tokens.clear()
    with override_settings(SYNC_CONFIG=config):
        Parent.objects.using("a").create(id=1, x="of a", e="stays home")
        Parent.objects.using("b").create(id=2, x="of b")
        yield Api("a", made_token("a", "b"))
