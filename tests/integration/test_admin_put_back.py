"""Putting a version back from the admin: who may, what is shown before it is confirmed, and what is written."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.sites import Site

SETUP = """
import json
import re
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from peersync.models import *
call_command("migrate", verbosity=0)

def client(*permissions, superuser=False, csrf=False):
    user = User.objects.create_user(f"user{User.objects.count()}", password="x", is_staff=True, is_superuser=superuser)
    for label in permissions:
        app, codename = label.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    found = Client(SERVER_NAME="localhost", enforce_csrf_checks=csrf)
    found.force_login(user)
    return found

def get(who, path):
    answer = who.get(path)
    return [answer.status_code, answer.content.decode().replace("&#x27;", "'").replace("&quot;", '"')]

def post(who, path, **data):
    answer = who.post(path, data)
    page = get(who, answer["Location"])[1] if answer.status_code == 302 else ""
    return [answer.status_code, re.findall('<li class="(?:success|error|warning)">(.*?)</li>', page)]

def hidden(who, path, name):
    return re.search(f'name="{name}" value="([^"]+)"', get(who, path)[1])[1]

def seen(path):
    return hidden(root, path, "seen")

def whole(**values):
    return {"id": 1, "x": "", "y": "", "u": None, "b": "n", "e": "dflt", **values}

def a_record(**more):
    values = {"model": "zoo.Parent", "key": "[1]", "kind": "conflict", "winner": "incoming", "source": "other",
              "local": json.dumps(whole(x="of ours")), "incoming": json.dumps(whole(x="of theirs")), **more}
    return Conflict.objects.create(**values)

def begin(**more):
    for model in (Child, Parent, Conflict, LogEntry):
        model.objects.all().delete()
    Parent.objects.create(id=1, x="of theirs")
    record = a_record(**more)
    return [f"/admin/peersync/conflict/{record.pk}/put-back/{side}/" for side in ("local", "incoming")]

def x():
    return list(Parent.objects.values_list("x", flat=True))

root = client(superuser=True)
stranger = client("zoo.view_parent", "zoo.change_parent")
blind = client("peersync.view_conflict", "zoo.change_parent")
looker = client("peersync.view_conflict", "zoo.view_parent")
changer = client("peersync.view_conflict", "zoo.view_parent", "zoo.change_parent")
"""


@pytest.fixture(scope="module")
def _site(_node_databases: Any, django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock():
        node = _node_databases("a")
        node.reset()
        found = Site("a", settings="tests.support.admin_settings", AUTO_SYNC="off")
        found.do(SETUP)
        yield found
        found.close()
        node.close()


@pytest.fixture
def site(_site: Site) -> Site:
    _site.do("local, incoming = begin()")
    return _site


@pytest.mark.parametrize("who", ["stranger", "blind", "looker"])
def test_who_may_not(site: Site, who: str) -> None:
    """Neither without sight of the records, nor without sight of the row, nor without the right to change it."""
    seen = site.do("seen(local)")
    status, text = site.do(f"get({who}, local)")
    assert status == 403
    assert "of ours" not in text
    assert site.do(f"post({who}, local, seen={seen!r})") == [403, []]
    assert site.do("x()") == ["of theirs"]
    assert site.do("Conflict.objects.get().settled") is None


def test_who_is_not_logged_in(site: Site) -> None:
    assert site.do("Client(SERVER_NAME='localhost').post(local)['Location'].startswith('/admin/login/')")
    assert site.do("x()") == ["of theirs"]


def test_links_are_shown_to_who_may(site: Site) -> None:
    page = "local.split('put-back')[0] + 'change/'"
    for who, shown in (("root", True), ("changer", True), ("looker", False), ("blind", False)):
        status, text = site.do(f"get({who}, {page})")
        assert status == 200
        assert ("put-back/local/" in text) == ("put-back/incoming/" in text) == shown


def test_both_versions_are_shown_first_and_nothing_is_written(site: Site) -> None:
    site.do("Parent.objects.update(y='stands here')")
    status, text = site.do("get(changer, local)")
    assert status == 200
    for words in ('"of ours"', '"of theirs"', '"stands here"', "will be changed", 'name="fields" value="x"'):
        assert words in text
    assert site.do("x()") == ["of theirs"]
    assert site.do("Conflict.objects.get().settled") is None


def test_it_is_written_when_it_is_confirmed(site: Site) -> None:
    status, said = site.do("post(changer, local, seen=seen(local))")
    assert (status, said) == (302, ["The row is now as the local version has it."])
    assert site.do("x()") == ["of ours"]
    assert site.do("Conflict.objects.get().settled is not None")
    assert site.do("RowState.objects.get(model='zoo.Parent', pk_text='1').changed")
    assert site.do("[(e.user.username, e.change_message, e.object_repr) for e in LogEntry.objects.all()]") == [
        [site.do("User.objects.get(pk=int(changer.session['_auth_user_id'])).username"), "Put the local version back.",
         "zoo.Parent …: conflict"]
    ]  # fmt: skip


def both_fields(site: Site, **more: Any) -> None:
    site.do(f"local, incoming = begin(local=json.dumps(whole(x='of ours', y='ours too')), **{more!r})")


def test_only_the_fields_that_are_ticked_are_written(site: Site) -> None:
    both_fields(site)
    status, _ = site.do("post(changer, local, seen=seen(local), choose='1', fields=['y'])")
    assert status == 302
    assert site.do("list(Parent.objects.values_list('x', 'y'))") == [["of theirs", "ours too"]]


def test_all_or_none_of_the_fields(site: Site) -> None:
    both_fields(site)
    status, said = site.do("post(changer, local, seen=seen(local), choose='1')")
    assert status == 302
    assert said[0].startswith("No field was chosen")
    assert site.do("x()") == ["of theirs"]
    site.do("post(changer, local, seen=seen(local), choose='1', fields=['x', 'y'])")
    assert site.do("list(Parent.objects.values_list('x', 'y'))") == [["of ours", "ours too"]]


def test_an_open_conflict_is_settled_field_by_field(site: Site) -> None:
    """Its local version is the row as it stands now; what is ticked comes from the other one."""
    both_fields(site, open=True, winner="", policy="manual", incoming='{"id": 1, "x": "theirs", "y": "y of theirs"}')
    status, text = site.do("get(changer, incoming)")
    assert status == 200
    assert '"of theirs"' in text
    assert '"of ours"' not in text, "that is how it stood when the conflict was found"
    status, _ = site.do("post(changer, incoming, seen=seen(incoming), choose='1', fields=['y'])")
    assert status == 302
    assert site.do("list(Parent.objects.values_list('x', 'y'))") == [["of theirs", "y of theirs"]]
    assert site.do("list(Conflict.objects.filter(kind='conflict').values_list('open', 'winner'))") == [
        [False, "merged"]
    ]
    assert site.do("RowState.objects.get(model='zoo.Parent', pk_text='1').changed")


def test_a_field_that_is_not_in_question_is_not_written(site: Site) -> None:
    status, said = site.do("post(changer, local, seen=seen(local), choose='1', fields=['e', 'nonsense'])")
    assert status == 302
    assert said[0].startswith("No field was chosen")
    assert site.do("x()") == ["of theirs"]


def test_only_by_post_and_with_the_token_of_the_form(site: Site) -> None:
    assert site.do("changer.get(local + '?seen=' + seen(local)).status_code") == 200
    assert site.do("changer.put(local).status_code") == 405
    site.do("careful = client(superuser=True, csrf=True)")
    assert site.do("careful.post(local, {'seen': seen(local)}).status_code") == 403
    assert site.do("x()") == ["of theirs"]
    site.do("form = {name: hidden(careful, local, name) for name in ('seen', 'csrfmiddlewaretoken')}")
    assert site.do("careful.post(local, form).status_code") == 302
    assert site.do("x()") == ["of ours"]


def test_what_was_changed_after_the_page_was_shown_is_not_written_over(site: Site) -> None:
    token = site.do("seen(local)")
    site.do("Parent.objects.update(x='written meanwhile')")
    for data in (f"seen={token!r}", ""):
        status, (said,) = site.do(f"post(root, local, {data})")
        assert status == 302
        assert "was changed meanwhile" in said
    assert site.do("x()") == ["written meanwhile"]


def test_what_is_in_the_way_is_a_message(site: Site) -> None:
    site.do("Conflict.objects.update(local=json.dumps(whole(u='taken')))")
    token = site.do("seen(local)")
    site.do("Parent.objects.create(id=2, u='taken')")
    status, (said,) = site.do(f"post(root, local, seen={token!r})")
    assert status == 302
    assert "u = taken is held by another row (zoo.Parent 2)" in said
    assert site.do("root.get(local).status_code") == 302, "and so it is before anything is confirmed"


@pytest.mark.parametrize("word", ["winner", "Local"])
def test_no_other_side(site: Site, word: str) -> None:
    assert site.do(f"root.get(local.replace('local', {word!r})).status_code") == 404
    assert site.do("root.get('/admin/peersync/conflict/999/put-back/local/').status_code") == 404


def test_creating_asks_for_the_right_to_add(site: Site) -> None:
    site.do("local, incoming = begin(incoming=None)")
    site.do("Parent.objects.all().delete()")
    site.do("adder = client('peersync.view_conflict', 'zoo.view_parent', 'zoo.add_parent')")
    assert site.do("post(changer, local, seen=seen(local))")[0] == 403
    assert site.do("x()") == []
    assert site.do("post(adder, local, seen=seen(local))") == [
        302,
        ["The row stands here again, as the local version has it."],
    ]
    assert site.do("x()") == ["of ours"]


def test_deleting_asks_for_the_right_to_delete_and_names_what_goes(site: Site) -> None:
    site.do("local, incoming = begin(incoming=None)")
    site.do("Child.objects.create(id=1, p_id=1)")
    rights = "'peersync.view_conflict', 'zoo.view_parent', 'zoo.delete_parent'"
    site.do(f"half = client({rights})")
    site.do(f"deleter = client({rights}, 'zoo.delete_child')")
    for who in ("changer", "half"):
        assert site.do(f"post({who}, incoming, seen=seen(incoming))")[0] == 403
    assert "1 of zoo.Child will be deleted with it" in site.do("get(deleter, incoming)")[1]
    token = site.do("seen(incoming)")
    site.do("Child.objects.create(id=2, p_id=1)")
    assert "changed meanwhile" in site.do(f"post(deleter, incoming, seen={token!r})")[1][0]
    assert site.do("x()") == ["of theirs"]
    assert site.do("post(deleter, incoming, seen=seen(incoming))")[0] == 302
    assert site.do("x()") == []
    assert site.do("Child.objects.count()") == 0


def test_rows_that_went_with_it_ask_for_their_own_rights(site: Site) -> None:
    child = '{"model": "zoo.Child", "pk": "1", "fields": {"id": 1, "x": "c", "p": 1, "e": "home"}}'
    site.do(f"local, incoming = begin(incoming=None, cascade={f'[{child}]'!r})")
    site.do("Parent.objects.all().delete()")
    rights = "'peersync.view_conflict', 'zoo.view_parent', 'zoo.add_parent', 'zoo.view_child'"
    site.do(f"half = client({rights})")
    site.do(f"both = client({rights}, 'zoo.add_child')")
    site.do("unseeing = client('peersync.view_conflict', 'zoo.view_parent', 'zoo.add_parent', 'zoo.add_child')")
    for who in ("half", "unseeing"):
        assert site.do(f"get({who}, local)")[0] == 403
    assert "1 of zoo.Child will come back with it" in site.do("get(both, local)")[1]
    assert "1 of zoo.Child came back with it." in site.do("post(both, local, seen=seen(local))")[1]
    assert site.do("list(Child.objects.values_list('id', 'x', 'p', 'e'))") == [[1, "c", 1, "home"]]
