"""``manage.py test peersync`` in a project of yours: whether peersync can work there.

Short, with Django's own runner, in its test databases. Nothing is sent to a peer. It uses peersync's own
tables, and where the other database's alias is configured, whatever is synchronised between the two.
"""

# ruff: noqa: PT009, PT027  # unittest: a project that uses it need not have pytest

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase
from django.urls import NoReverseMatch, reverse

from peersync import capture, tokens
from peersync import syncing as sync
from peersync.conf import problems, settings
from peersync.delivery import gate
from peersync.models import Node, NumberingPass
from peersync.numbering import number
from peersync.registry import registry

SLAVE = not problems() and settings().slave in django_settings.DATABASES
MASTER = "default" if problems() else settings().master


class _Case(TransactionTestCase):
    databases = {MASTER, settings().slave} if SLAVE else {MASTER}


class SettingsTest(_Case):
    def test_the_settings_have_no_mistakes(self) -> None:
        found = [m for m in checks.run_checks(tags=["peersync"]) if m.is_serious() and not m.is_silenced()]
        self.assertEqual(found, [])

    def test_something_is_synchronised(self) -> None:
        self.assertTrue(registry().models, 'SYNC_CONFIG["MODELS"] names no model.')

    def test_nothing_is_sent_from_a_test_process(self) -> None:
        self.assertEqual(gate.mode(), "off")


class TablesTest(_Case):
    def test_every_database_is_a_node_of_its_own(self) -> None:
        for alias in self.databases:
            number(alias)
        nodes = [Node.objects.using(alias).get() for alias in self.databases]
        self.assertEqual(len({node.node for node in nodes}), len(nodes))

    def test_changes_are_captured(self) -> None:
        for alias in self.databases:
            self.assertEqual(capture.check(alias), [], f"Run: manage.py sync_peer install --database={alias}")

    def test_a_pass_is_made_once_for_what_is_there(self) -> None:
        last = number(MASTER)
        self.assertEqual(number(MASTER), last)
        self.assertTrue(NumberingPass.objects.using(MASTER).exists())


class TokensTest(_Case):
    def test_a_token_opens_until_it_is_revoked(self) -> None:
        key = tokens.create("peersync test", using=MASTER)
        self.assertEqual(tokens.authenticate(key, using=MASTER).name, "peersync test")
        tokens.revoke("peersync test", using=MASTER)
        with self.assertRaises(tokens.TokenRefused):
            tokens.authenticate(key, using=MASTER)


class CommandsTest(_Case):
    def test_the_status_is_json(self) -> None:
        number(MASTER)
        found = _json("sync_status")
        self.assertEqual(set(found), {"node", "peers", "conflicts", "quarantined", "runs"})

    def test_tokens_are_listed(self) -> None:
        self.assertEqual(_json("sync_peer", "list"), [])


class ServerTest(_Case):
    def test_without_a_token_nothing_is_told(self) -> None:
        try:
            url = reverse("peersync_api:describe")
        except NoReverseMatch:
            self.skipTest("peersync_api.urls is not among this project's URLs")
        self.assertIn(self.client.get(url, secure=True).status_code, (401, 403))


class TransferTest(_Case):
    def setUp(self) -> None:
        if not SLAVE:
            self.skipTest("there is no other database alias")
        if connections[settings().slave].settings_dict["TEST"].get("MIRROR"):
            self.skipTest("the other alias is a mirror in tests")

    def test_both_databases_become_equal(self) -> None:
        for report in sync.sync(settings().slave):
            self.assertEqual(report.status, "ok", report.error)
        differences = sync.compare(settings().slave)
        self.assertEqual({label: one.count for label, one in differences.items() if one.count}, {})


def _json(*command: str) -> Any:
    out = StringIO()
    call_command(*command, "--json", stdout=out)
    return json.loads(out.getvalue())
