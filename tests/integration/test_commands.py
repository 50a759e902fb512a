"""The three commands: what they print, in which form, and with which exit status they end."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from peersync import capture, tokens
from peersync.models import Conflict, Node, Peer, PeerToken, Run
from tests.support.commands import run
from tests.support.sites import ROOT, Site, environment, eventually, free_port
from tests.zoo.models import Born, Child, Parent, Tag, Tagged

ZOO = {"MODELS": ["zoo.Parent", "zoo.Child", "zoo.Tag", "zoo.Tagged"], "AUTO_SYNC": "off"}
FIGURES = {"created", "updated", "deleted", "unchanged", "conflicts", "quarantined", "kept_at_target"}


@pytest.fixture
def pair(sqlite_nodes: Any, settings: Any) -> Iterator[Any]:
    """This node is `a`, the slave alias is `b`."""
    settings.SYNC_CONFIG = {**ZOO, "MASTER": "a", "SLAVE": "b"}
    return sqlite_nodes


def parents(alias: str) -> dict[int, str]:
    return dict(Parent.objects.using(alias).values_list("id", "x"))


class TestSyncData:
    @pytest.mark.parametrize("direction", ["master-to-slave", "push"])
    def test_push(self, pair: Any, direction: str) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        Parent.objects.using("b").create(id=2, x="there")
        answer = run("sync_data", f"--direction={direction}")
        assert answer.status == 0
        assert parents("b") == {1: "here", 2: "there"}
        assert parents("a") == {1: "here"}
        for word in (
            "a → b",
            "created",
            "updated",
            "deleted",
            "conflicts",
            "quarantined",
            "unchanged",
            "rows/s",
            " s,",
        ):
            assert word in answer.out
        assert "zoo.Tagged_tags" in answer.out

    @pytest.mark.parametrize("direction", ["slave-to-master", "pull"])
    def test_pull(self, pair: Any, direction: str) -> None:
        Parent.objects.using("b").create(id=2, x="there")
        assert run("sync_data", f"--direction={direction}").status == 0
        assert parents("a") == {2: "there"}

    def test_both_is_pull_then_push(self, pair: Any) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        Parent.objects.using("b").create(id=2, x="there")
        answer = run("sync_data", "--direction=both", "--json")
        assert [(t["source"], t["target"]) for t in answer.json["transfers"]] == [("b", "a"), ("a", "b")]
        assert parents("a") == parents("b") == {1: "here", 2: "there"}

    def test_the_shape_of_the_json(self, pair: Any) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        tagged = Tagged.objects.using("a").create(name="thing")
        tagged.tags.add(Tag.objects.using("a").create(name="red"))
        found = run("sync_data", "--direction=push", "--json").json
        assert set(found) == {"status", "transfers", "error"}
        assert (found["status"], found["error"]) == ("ok", None)
        (transfer,) = found["transfers"]
        assert set(transfer) == {"source", "target", "models", "seconds", "rows_per_second"}
        assert set(transfer["models"]) == {"zoo.Parent", "zoo.Child", "zoo.Tag", "zoo.Tagged", "zoo.Tagged_tags"}
        assert all(set(figures) == FIGURES for figures in transfer["models"].values())
        assert transfer["models"]["zoo.Tagged_tags"]["created"] == 1

    def test_conflicts_alone_are_no_failure(self, pair: Any) -> None:
        for alias in "ab":
            Parent.objects.using(alias).create(id=1, x=alias)
        answer = run("sync_data", "--direction=push", "--json")
        assert answer.status == 0
        assert answer.json["transfers"][0]["models"]["zoo.Parent"]["conflicts"] == 1

    def test_rows_in_quarantine_are_incomplete(self, pair: Any, settings: Any) -> None:
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "MODELS": ["zoo.Child"]}
        Child.objects.using("a").create(id=1, p=Parent.objects.using("a").create(id=1))
        answer = run("sync_data", "--direction=push", "--json")
        assert answer.status == 1
        assert answer.json["status"] == "incomplete"
        assert answer.json["transfers"][0]["models"]["zoo.Child"]["quarantined"] == 1
        assert "quarantine" in answer.error

    def test_models_chooses_and_takes_through_tables_along(self, pair: Any) -> None:
        Parent.objects.using("a").create(id=1)
        tagged = Tagged.objects.using("a").create(name="thing")
        tagged.tags.add(Tag.objects.using("a").create(name="red"))
        found = run("sync_data", "--direction=push", "--json", "--models", "zoo.tagged", "zoo.Tag").json
        assert set(found["transfers"][0]["models"]) == {"zoo.Tag", "zoo.Tagged", "zoo.Tagged_tags"}
        assert parents("b") == {}

    def test_a_dry_run_says_it_and_writes_nothing(self, pair: Any) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        answer = run("sync_data", "--direction=push", "--dry-run", "--json")
        assert answer.json["transfers"][0]["models"]["zoo.Parent"]["created"] == 1
        assert parents("b") == {}
        for alias in "ab":
            assert not Run.objects.using(alias).exists()
            assert not Peer.objects.using(alias).exclude(lease_holder="").exists()

    def test_verify_lists_what_differs_and_repair_mends_it(self, pair: Any) -> None:
        Parent.objects.using("a").bulk_create(Parent(id=n, x="same") for n in range(1, 301))
        run("sync_data", "--direction=push")
        equal = run("sync_data", "--direction=push", "--verify", "--json")
        assert (equal.status, equal.json["differences"]) == (0, {})
        with pair.b.connection.cursor() as cursor:
            cursor.execute("INSERT INTO peersync_applying (\"table\") VALUES ('zoo_parent')")
            cursor.execute("UPDATE zoo_parent SET x = 'spoilt' WHERE id IN (7, 200)")
            cursor.execute("DELETE FROM peersync_applying")
        answer = run("sync_data", "--direction=push", "--verify", "--json")
        assert answer.status == 1
        assert answer.json["status"] == "ok"
        assert answer.json["differences"]["zoo.Parent"]["count"] == 2
        assert sorted(answer.json["differences"]["zoo.Parent"]["keys"]) == [7, 200]
        assert "200" in run("sync_data", "--direction=push", "--verify").out
        assert run("sync_data", "--direction=both", "--repair").status == 0
        assert parents("a") == parents("b")
        assert run("sync_data", "--direction=push", "--verify").status == 0

    def test_verify_finds_what_stands_at_one_side_only(self, pair: Any) -> None:
        Parent.objects.using("a").bulk_create(Parent(id=n) for n in (1, 2, 3, 500))
        Parent.objects.using("b").bulk_create(Parent(id=n) for n in (2, 3, 10, 501))
        found = run("sync_data", "--direction=pull", "--verify", "--json").json["differences"]
        assert set(found) == {"zoo.Parent"}
        assert found["zoo.Parent"]["count"] == 4
        assert sorted(found["zoo.Parent"]["keys"]) == [1, 10, 500, 501]
        assert not Run.objects.using("a").exists()

    def test_retry_tries_the_quarantine_again(self, pair: Any, settings: Any) -> None:
        narrow, wide = {**settings.SYNC_CONFIG, "MODELS": ["zoo.Child"]}, settings.SYNC_CONFIG
        settings.SYNC_CONFIG = narrow
        Child.objects.using("a").create(id=1, p=Parent.objects.using("a").create(id=1))
        assert run("sync_data", "--direction=push").status == 1
        settings.SYNC_CONFIG = wide
        Parent.objects.using("b").create(id=1)
        assert run("sync_data", "--direction=push", "--retry").status == 0
        assert Child.objects.using("b").exists()

    def test_a_small_batch_size_gives_the_same(self, pair: Any) -> None:
        Parent.objects.using("a").bulk_create(Parent(id=n, x=str(n)) for n in range(50))
        answer = run("sync_data", "--direction=push", "--batch-size=7", "--json")
        assert answer.json["transfers"][0]["models"]["zoo.Parent"]["created"] == 50
        assert len(parents("b")) == 50

    def test_too_many_conflicts_stop_until_they_are_accepted(self, pair: Any, settings: Any) -> None:
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "MAX_CONFLICTS": 5}
        for alias in "ab":
            Parent.objects.using(alias).bulk_create(Parent(id=n, x=alias) for n in range(20))
        answer = run("sync_data", "--direction=push", "--json")
        assert answer.status == 1
        assert answer.json["status"] == "failed"
        assert answer.json["error"]["code"] == "too_many_conflicts"
        assert "--accept-conflicts" in answer.error
        assert run("sync_data", "--direction=push", "--accept-conflicts").status == 0
        assert run("sync_data", "--direction=pull").status == 0
        assert parents("a") == parents("b")

    @pytest.mark.parametrize(("how", "rows"), [("pk", 2), ("content", 3), ("never", 4)])
    def test_match_says_which_rows_are_one(self, pair: Any, settings: Any, how: str, rows: int) -> None:
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "MODELS": ["zoo.Born"], "IDENTITY": {"*": "origin"}}
        for alias in "ab":
            capture.install(alias)
            Born.objects.using(alias).bulk_create([Born(id=1, tag=1), Born(id=2, tag=2, x=alias)])
            with connections[alias].cursor() as cursor:
                cursor.execute("DELETE FROM peersync_journal")
        assert run("sync_data", "--direction=both", f"--match={how}").status == 0
        assert Born.objects.using("a").count() == Born.objects.using("b").count() == rows
        assert run("sync_data", "--direction=push", "--verify").status == 0
        assert "perhaps" in run("sync_data", "--direction=both", "--match=perhaps").error


class TestMirror:
    @pytest.fixture
    def rows(self, pair: Any) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        Parent.objects.using("b").create(id=1, x="other")
        Parent.objects.using("b").create(id=2, x="too many")

    def test_it_asks_with_the_number(self, rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "no")
        answer = run("sync_data", "--direction=push", "--mirror")
        assert asked
        assert "delete 1 row" in answer.out
        assert answer.status == 1
        assert parents("b") == {1: "other", 2: "too many"}

    def test_with_yes_it_deletes(self, rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("builtins.input", lambda text: "y")
        assert run("sync_data", "--direction=push", "--mirror").status == 0
        assert parents("b") == {1: "here"}

    def test_noinput_does_not_ask(self, rows: None) -> None:
        answer = run("sync_data", "--direction=push", "--mirror", "--noinput", "--json")
        assert answer.json["transfers"][0]["models"]["zoo.Parent"]["deleted"] == 1
        assert parents("b") == {1: "here"}

    def test_the_other_way(self, rows: None) -> None:
        assert run("sync_data", "--direction=pull", "--mirror", "--noinput").status == 0
        assert parents("a") == {1: "other", 2: "too many"}

    def test_without_a_terminal_it_is_refused(self, rows: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        answer = run("sync_data", "--direction=push", "--mirror")
        assert answer.status == 2
        assert "--noinput" in answer.error
        assert 2 in parents("b")


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("given", "word"),
        [
            (["--direction=both", "--mirror"], "one direction"),
            (["--direction=push", "--mirror", "--json"], "--noinput"),
            (["--direction=push", "--batch-size=0"], "at least 1"),
            (["--direction=push", "--models", "zoo.Nothing"], "zoo.Nothing is not synchronised"),
            (["--direction=push", "--peer=nobody"], "no peer nobody"),
            (["--direction=push", "--peer=branch"], "no URL"),
            (["--direction=push", "--peer-url=ftp://x", "--token=t"], "no URL"),
            (["--direction=push", "--peer-url=http://[::1/", "--token=t"], "no URL"),
            (["--direction=push", "--peer-url=https://x.example/peersync/"], "sync_peer add"),
            (["--direction=push", "--peer-url=https://x.example/peersync/", "--token-file=/none"], "cannot be read"),
            (["--direction=push", "--token=t"], "takes no token"),
            (["--direction=push", "--watch", "--verify"], "do not go together"),
        ],
    )
    def test_exit_status_2_and_a_sentence(self, pair: Any, settings: Any, given: list[str], word: str) -> None:
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "PEERS": {"branch": {}}}
        answer = run("sync_data", *given)
        assert answer.status == 2
        assert word in answer.error

    def test_with_json_they_are_told_in_json_too(self, pair: Any) -> None:
        answer = run("sync_data", "--direction=push", "--peer=nobody", "--json")
        assert answer.status == 2
        assert answer.json == {
            "status": "failed",
            "transfers": [],
            "error": {"code": "arguments", "detail": answer.error},
        }

    @pytest.mark.parametrize("given", [[], ["--direction=up"], ["--direction=push", "--peer=a", "--all-peers"]])
    def test_what_argparse_refuses(self, pair: Any, given: list[str]) -> None:
        with pytest.raises(CommandError):
            call_command("sync_data", *given)

    def test_several_peers_and_none_named(self, sqlite_nodes: Any, settings: Any) -> None:
        entry = {"URL": "https://x.example/", "TOKEN": "t"}
        settings.SYNC_CONFIG = {**ZOO, "MASTER": "a", "PEERS": {"one": entry, "two": entry}}
        answer = run("sync_data", "--direction=push")
        assert answer.status == 2
        assert "one, two" in answer.error
        assert "--all-peers" in answer.error

    def test_nobody_to_synchronise_with(self, sqlite_nodes: Any, settings: Any) -> None:
        settings.SYNC_CONFIG = {**ZOO, "MASTER": "a"}
        answer = run("sync_data", "--direction=push", "--json")
        assert answer.status == 2
        assert "PEERS" in answer.error

    def test_a_mistake_in_the_settings(self, pair: Any, settings: Any) -> None:
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "EXCLUDES": {}}
        answer = run("sync_data", "--direction=push", "--json")
        assert answer.status == 2
        assert answer.json["status"] == "failed"
        assert answer.json["error"]["code"] == "configuration"
        assert "EXCLUDE" in answer.json["error"]["detail"]


def test_a_slave_without_tables_says_what_to_run(pair: Any) -> None:
    pair.b.create_empty()
    answer = run("sync_data", "--direction=push", "--json")
    assert answer.status == 1
    assert answer.json["error"]["code"] == "not_installed"
    assert "migrate --database=b" in answer.json["error"]["detail"]
    answer = run("sync_peer", "install", "--database=b")
    assert answer.status == 1
    assert "migrate --database=b" in answer.error


class TestOverHttp:
    @pytest.fixture
    def url(self, sqlite_nodes: Any, settings: Any) -> Iterator[str]:
        port = free_port()
        site = Site("b", port, AUTO_SYNC="off")
        settings.SYNC_CONFIG = {**ZOO, "MODELS": ["zoo.*"], "MASTER": "a"}
        Parent.objects.using("a").create(id=1, x="here")
        yield f"http://127.0.0.1:{port}/peersync/"
        site.close()

    @pytest.mark.parametrize("how", ["option", "file", "environment", "settings"])
    def test_the_token_may_come_from(
        self, url: str, how: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = tokens.create("a", using="b")
        given = [f"--peer-url={url}"]
        if how == "option":
            given.append(f"--token={token}")
        elif how == "file":
            (tmp_path / "token").write_text(token + "\n")
            given.append(f"--token-file={tmp_path / 'token'}")
        elif how == "environment":
            monkeypatch.setenv("PEERSYNC_TOKEN", token)
        else:
            settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "PEERS": {"b": {"URL": url, "TOKEN": token}}}
            given = []  # the only peer
        assert run("sync_data", "--direction=push", *given).status == 0
        assert parents("b") == {1: "here"}

    def test_all_peers_goes_on_behind_one_that_fails(self, url: str, settings: Any) -> None:
        dead = {"URL": f"http://127.0.0.1:{free_port()}/peersync/", "TOKEN": "t"}
        good = {"URL": url, "TOKEN": tokens.create("a", using="b")}
        settings.SYNC_CONFIG = {**settings.SYNC_CONFIG, "PEERS": {"dead": dead, "good": good}}
        answer = run("sync_data", "--direction=push", "--all-peers", "--json")
        assert answer.status == 1
        assert answer.json["status"] == "failed"
        assert answer.json["error"]["code"] == "unreachable"
        assert answer.error.startswith("dead: http://127.0.0.1")  # the name once, and no letter of the token hidden
        assert parents("b") == {1: "here"}

    def test_a_refused_token_is_one_sentence(self, url: str) -> None:
        answer = run("sync_data", "--direction=push", f"--peer-url={url}", "--token=wrong", "--json")
        assert answer.status == 1
        assert answer.json["error"]["code"] == "unauthorized"
        assert "Traceback" not in answer.out + answer.error


def manage(alias: str, *command: str, **sync: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT,
        env=environment(alias, {**ZOO, **sync}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestAsAProcess:
    def test_status_0_and_nothing_but_json(self, sqlite_nodes: Any) -> None:
        Parent.objects.using("a").create(id=1, x="here")
        process = manage("a", "sync_data", "--direction=push", "--json", SLAVE="b")
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert json.loads(out)["status"] == "ok"

    @pytest.mark.parametrize(("given", "status"), [(["--direction=up"], 2), (["--direction=push", "--peer=x"], 2)])
    def test_status_2(self, sqlite_nodes: Any, given: list[str], status: int) -> None:
        process = manage("a", "sync_data", *given, SLAVE="b")
        _, error = process.communicate(timeout=60)
        assert process.returncode == status
        assert "Traceback" not in error

    def test_status_1(self, sqlite_nodes: Any) -> None:
        process = manage("a", "sync_data", "--direction=push", "--json", PEERS={
            "b": {"URL": f"http://127.0.0.1:{free_port()}/", "TOKEN": "t"}
        })  # fmt: skip
        out, error = process.communicate(timeout=60)
        assert process.returncode == 1
        assert json.loads(out)["error"]["code"] == "unreachable"
        assert "Traceback" not in error

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_watch_goes_on_until_it_is_stopped(self, sqlite_nodes: Any, number: int) -> None:
        process = manage("a", "sync_data", "--direction=both", "--watch", SLAVE="b")
        Parent.objects.using("a").create(id=1, x="here")
        eventually(lambda: parents("b") == {1: "here"}, 20)
        Parent.objects.using("b").create(id=2, x="there")
        eventually(lambda: parents("a") == {1: "here", 2: "there"}, 10)
        start = time.monotonic()
        process.send_signal(number)
        out, error = process.communicate(timeout=30)
        assert process.returncode == 0, error
        assert time.monotonic() - start < 20  # a round comes every thirty seconds
        assert "Traceback" not in error
        assert "a" in out

    def test_the_bar_is_for_terminals(self, sqlite_nodes: Any) -> None:
        pty = pytest.importorskip("pty")
        Parent.objects.using("a").bulk_create(Parent(id=n) for n in range(100))
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "django", "sync_data", "--direction=push"],
            cwd=ROOT,
            env=environment("a", {**ZOO, "SLAVE": "b"}),
            stdout=subprocess.PIPE,
            stderr=follower,
            text=True,
        )
        out, _ = process.communicate(timeout=60)
        os.close(follower)
        assert b"zoo.Parent 100 rows" in os.read(leader, 65536)
        os.close(leader)
        assert "\x1b" not in out


class TestSyncStatus:
    def test_the_shape_of_the_json(self, pair: Any) -> None:
        run("sync_data", "--direction=push")
        found = run("sync_status", "--json").json
        assert set(found) == {"node", "peers", "conflicts", "quarantined", "runs"}
        assert found["node"] == Node.objects.using("a").get().node
        (peer,) = found["peers"]
        assert set(peer) == {"name", "lag_rows", "lag_seconds", "last_contact", "last_error"}
        assert (peer["name"], peer["lag_rows"], peer["lag_seconds"], peer["last_error"]) == ("b", 0, 0, None)
        assert peer["last_contact"]

    def test_what_waits_is_counted_by_row_and_by_age(self, pair: Any) -> None:
        run("sync_data", "--direction=both")
        parent = Parent.objects.using("a").create(id=1)
        for x in "xyz":
            parent.x = x
            parent.save()
        Parent.objects.using("a").create(id=2)
        time.sleep(0.1)
        peer = run("sync_status", "--json").json["peers"][0]
        assert peer["lag_rows"] == 2
        assert 0.05 < peer["lag_seconds"] < 60
        run("sync_data", "--direction=push")
        assert run("sync_status", "--json").json["peers"][0]["lag_rows"] == 0

    def test_what_came_from_a_peer_does_not_wait_for_it(self, pair: Any) -> None:
        run("sync_data", "--direction=both")
        Parent.objects.using("b").create(id=1)
        run("sync_data", "--direction=pull")
        assert run("sync_status", "--json").json["peers"][0]["lag_rows"] == 0

    def test_as_text(self, pair: Any) -> None:
        run("sync_data", "--direction=push")
        out = run("sync_status").out
        for word in ("Open conflicts: 0", "In quarantine: 0", "a → b", "lag (rows)"):
            assert word in out

    def test_records_of_conflicts_are_found_without_the_admin(self, pair: Any) -> None:
        assert "Records of conflicts: 0\n" in run("sync_status").out
        for x, settled in (("1", None), ("2", None), ("3", timezone.now())):
            Conflict.objects.using("a").create(
                model="zoo.Parent", key=f"[{x}]", kind="conflict", winner="local", source="x", settled=settled
            )
        out = run("sync_status").out
        assert "Records of conflicts: 3, 2 of them not settled by hand" in out
        assert "peersync.models.Conflict" in out
        assert "peersync.put_back(" in out
        assert run("sync_status", "--json").json["conflicts"] == 0

    def test_a_peer_that_only_calls_is_there_too(self, sqlite_nodes: Any, settings: Any) -> None:
        settings.SYNC_CONFIG = {**ZOO, "MASTER": "a", "PEERS": {"branch": {}}}
        assert [peer["name"] for peer in run("sync_status", "--json").json["peers"]] == ["branch"]

    def test_errors_stand_in_it(self, sqlite_nodes: Any, settings: Any) -> None:
        entry = {"URL": f"http://127.0.0.1:{free_port()}/peersync/", "TOKEN": "t"}
        settings.SYNC_CONFIG = {**ZOO, "MASTER": "a", "PEERS": {"dead": entry}}
        run("sync_data", "--direction=push")
        found = run("sync_status", "--json").json
        assert found["peers"][0]["last_error"]
        assert found["runs"][0]["status"] == "failed"

    def test_without_tables(self, pair: Any) -> None:
        pair.a.create_empty()
        answer = run("sync_status")
        assert answer.status == 1
        assert "migrate" in answer.error


class TestSyncPeer:
    @pytest.fixture(autouse=True)
    def own(self, pair: Any) -> None:
        """Each of them needs the two databases."""

    def test_add_shows_the_token_once(self) -> None:
        found = run("sync_peer", "add", "branch", "--scope", "pull", "--expires", "90d", "--json").json
        assert set(found) == {"name", "token", "scopes", "expires"}
        assert (found["name"], found["scopes"]) == ("branch", ["pull"])
        assert "T" in found["expires"]
        assert tokens.authenticate(found["token"], using="a").name == "branch"
        assert found["token"] not in str(list(PeerToken.objects.using("a").values()))

    def test_without_expires_it_does_not_expire(self) -> None:
        found = run("sync_peer", "add", "branch", "--json").json
        assert (found["expires"], found["scopes"]) == (None, ["pull", "push"])
        text = run("sync_peer", "add", "other").out
        assert "never" in text

    def test_list(self) -> None:
        run("sync_peer", "add", "branch")
        assert run("sync_peer", "list", "--json").json == [
            {"name": "branch", "scopes": ["pull", "push"], "expires": None, "revoked": None}
        ]
        assert "branch" in run("sync_peer", "list").out

    def test_rotate_and_rebind(self) -> None:
        first = run("sync_peer", "add", "branch", "--json").json["token"]
        second = run("sync_peer", "rotate", "branch", "--json").json["token"]
        for token in (first, second):
            assert tokens.authenticate(token, using="a")
        third = run("sync_peer", "rotate", "branch", "--rebind", "--json").json["token"]
        assert tokens.authenticate(third, using="a")
        with pytest.raises(tokens.TokenRefused):
            tokens.authenticate(second, using="a")

    def test_revoke(self) -> None:
        token = run("sync_peer", "add", "branch", "--json").json["token"]
        assert run("sync_peer", "revoke", "branch", "--json").json == {"name": "branch"}
        with pytest.raises(tokens.TokenRefused):
            tokens.authenticate(token, using="a")

    def test_renew(self) -> None:
        before = Node.objects.using("a").get().node
        found = run("sync_peer", "renew", "--json").json
        assert found == {"old": before, "new": Node.objects.using("a").get().node}
        assert run("sync_peer", "renew", "--database=b").status == 0

    def test_install_makes_what_is_missing(self, pair: Any) -> None:
        with pair.a.connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'zoo_parent'")
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP TRIGGER "{name}"')
        assert run("sync_peer", "install", "--json").json == {"installed": ["zoo.Parent"]}
        assert run("sync_peer", "install", "--json").json == {"installed": []}

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            (["add"], "NAME"),
            (["add", "branch", "--scope=fly"], "fly"),
            (["add", "branch", "--scope="], "scope"),
            (["add", "branch", "--expires=soon"], "soon"),
            (["rotate", "nobody"], "nobody"),
            (["revoke", "nobody"], "nobody"),
            (["list", "--rebind"], "rotate"),
            (["renew", "b"], "--database"),
            (["renew", "--database=none"], "DATABASES"),
        ],
    )
    def test_wrong_arguments(self, given: list[str], word: str) -> None:
        answer = run("sync_peer", *given)
        assert answer.status == 2
        assert word in answer.error


def test_nothing_is_written_past_self_stdout(
    pair: Any, capfd: pytest.CaptureFixture[str], settings: Callable[..., Any]
) -> None:
    for command in (["sync_data", "--direction=both"], ["sync_status"], ["sync_peer", "list"]):
        run(*command)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
