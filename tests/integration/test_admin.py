"""peersync's tables in Django's admin: all there, none to be written, and no way around the project's permissions."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps

from tests.support.sites import Site

TABLES = [model._meta.model_name for model in apps.get_app_config("peersync").get_models()]
SECRET = "private-words"

SETUP = f"""
import json
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from peersync import tokens
from peersync.file_models import *
from peersync.models import *
call_command("migrate", verbosity=0)

def client(*permissions, superuser=False):
    user = User.objects.create_user(f"user{{User.objects.count()}}", password="x", is_staff=True, is_superuser=superuser)
    for label in permissions:
        app, codename = label.split(".")
        user.user_permissions.add(*Permission.objects.filter(content_type__app_label=app, codename__startswith=codename))
    found = Client(SERVER_NAME="localhost")
    found.force_login(user)
    return found

def get(who, path):
    answer = who.get("/admin/" + path)
    return [answer.status_code, answer.content.decode()]

tokens.create("branch")
content = json.dumps({{"name": {SECRET!r}}})
checkpoint = Checkpoint.objects.create(source="other", progress=json.dumps({{"zoo.Secret": {{"past": [{SECRET!r}]}}}}))
Quarantine.objects.create(
    checkpoint=checkpoint, model="zoo.Secret", key=json.dumps([{SECRET!r}]), row=content, reason="parent", detail={SECRET!r}
)
Conflict.objects.create(
    model="zoo.Secret", key=json.dumps([{SECRET!r}]), pk_text={SECRET!r}, kind="conflict", winner="local", source="other",
    local=content, incoming=content,
)
Conflict.objects.create(
    model="zoo.Tag", key="[1]", kind="cascade", winner="incoming", source="other", local=None,
    cascade=json.dumps([{{"model": "zoo.secret", "pk": 1, "fields": {{"name": {SECRET!r}}}}}]),
)
Conflict.objects.create(
    model="zoo.Tagged_tags", key="[1,2]", kind="conflict", winner="local", source="other",
    local=json.dumps({{"tag": "through"}}),
)
RowState.objects.create(model="zoo.Secret", pk_text={SECRET!r}, key=json.dumps([{SECRET!r}]), earlier=json.dumps([{SECRET!r}]))
Origin.objects.create(model="zoo.Secret", local=1, origin={SECRET!r}, there=1)
OriginBase.objects.create(model="zoo.Secret", name="")
Journal.objects.create(model="zoo.Secret", pk_text={SECRET!r}, what="c", stamp=1, before=json.dumps([{SECRET!r}]))
FilterMemory.objects.create(node="other", model="zoo.Secret", pk_text={SECRET!r})
Peer.objects.create(name="branch")
Run.objects.create(peer="branch", source="a", target="b", started=timezone.now(), status="ok")
Baseline.objects.create(model="zoo.Tag", install="other")
Applying.objects.create(table="zoo_tag")
MissedCapture.objects.create(model="zoo.Tag", reason="gone")
FileWait.objects.create(
    checkpoint=checkpoint, model="zoo.Secret", pk_text={SECRET!r}, field="file", name={SECRET!r}, detail={SECRET!r}
)
FileScan.objects.create(checkpoint=checkpoint, model="zoo.Secret", field="file", after={SECRET!r})
FileName.objects.create(model="zoo.Secret", field="file", pk_text={SECRET!r}, name={SECRET!r}, local={SECRET!r})
NumberingPass.objects.get_or_create(first=1, last=1, nonce="n")
node = Node.objects.get()
tables = __import__("django").apps.apps.get_app_config("peersync").get_models()
first = {{model._meta.model_name: model.objects.first().pk for model in tables if model.objects.exists()}}
root = client(superuser=True)
"""


@pytest.fixture(scope="module")
def site(_node_databases: Any, django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock():
        node = _node_databases("a")
        node.reset()
        found = Site("a", settings="tests.support.admin_settings", AUTO_SYNC="off")
        found.do(SETUP)
        yield found
        found.close()
        node.close()


def page(site: Site, who: str, path: str) -> str:
    status, text = site.do(f"get({who}, {path!r})")
    assert status == 200, path
    return str(text).replace("&#x27;", "'")


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_looked_at_and_not_be_written(site: Site, table: str) -> None:
    page(site, "root", f"peersync/{table}/")
    pk = site.do(f"first[{table!r}]")
    detail = page(site, "root", f"peersync/{table}/{pk}/change/")
    assert 'name="_save"' not in detail
    for path in (f"peersync/{table}/add/", f"peersync/{table}/{pk}/delete/"):
        assert site.do(f"get(root, {path!r})")[0] == 403
        assert site.do(f"root.post('/admin/' + {path!r}, {{'post': 'yes'}}).status_code") == 403
    assert site.do(f"root.post('/admin/peersync/{table}/{pk}/change/', {{}}).status_code") == 403


def test_without_permission_there_is_nothing(site: Site) -> None:
    site.do("stranger = client('zoo.view')")
    assert site.do("get(stranger, 'peersync/conflict/')")[0] == 403


@pytest.mark.parametrize(
    "table", ["conflict", "quarantine", "rowstate", "origin", "journal", "filtermemory", "checkpoint"]
)
def test_contents_ask_for_the_permission_of_the_rows_own_model(site: Site, table: str) -> None:
    model = f"__import__('django').apps.apps.get_model('peersync', {table!r})"
    site.do("looker = globals().get('looker') or client('peersync.view')")
    site.do("knower = globals().get('knower') or client('peersync.view', 'zoo.view_secret')")
    pks = site.do(f"list({model}.objects.values_list('pk', flat=True))")
    paths = [f"peersync/{table}/", *(f"peersync/{table}/{pk}/change/" for pk in pks)]
    assert not any(SECRET in page(site, "looker", path) for path in paths)
    shown = [SECRET in page(site, "knower", path) for path in paths]
    assert any(shown)


def test_a_row_that_went_with_another_counts_by_its_own_model(site: Site) -> None:
    site.do("tagger = client('peersync.view', 'zoo.view_tag')")
    pk = site.do("Conflict.objects.get(kind='cascade').pk")
    assert SECRET not in page(site, "tagger", f"peersync/conflict/{pk}/change/")
    assert SECRET in page(site, "root", f"peersync/conflict/{pk}/change/")


def test_a_many_to_many_table_counts_as_the_model_of_its_field(site: Site) -> None:
    site.do("taggeder = client('peersync.view', 'zoo.view_tagged')")
    site.do("other = client('peersync.view', 'zoo.view_secret')")
    pk = site.do("Conflict.objects.get(model='zoo.Tagged_tags').pk")
    assert "through" in page(site, "taggeder", f"peersync/conflict/{pk}/change/")
    assert "&quot;through" not in page(site, "other", f"peersync/conflict/{pk}/change/")


def test_what_opens_doors_is_shown_to_nobody(site: Site) -> None:
    digest = site.do("PeerToken.objects.get().digest")
    token = site.do("PeerToken.objects.get().pk")
    for path in ("peersync/peertoken/", f"peersync/peertoken/{token}/change/"):
        assert digest not in page(site, "root", path)
    secret = site.do("node.secret")
    assert secret
    for path in ("peersync/node/", "peersync/node/1/change/"):
        assert secret not in page(site, "root", path)


def test_a_project_without_the_admin_never_imports_it(sqlite_nodes: Any) -> None:
    site = Site("a", AUTO_SYNC="off")
    assert site.do("[m for m in __import__('sys').modules if m in ('peersync.admin', 'django.contrib.admin')]") == []
    site.close()
