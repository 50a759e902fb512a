"""The settings of a node that a test starts as a process of its own (tests/support/sites.py)."""

import json
import os

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.urls"
SYNC_CONFIG = json.loads(os.environ["PEERSYNC_TEST_SYNC"])
