"""The API of one node, called through Django's test client; every answer is held against openapi.yaml."""

import json
from dataclasses import replace
from typing import Any

from django.db import connections
from django.test import Client

from peersync import tokens, wire
from peersync.models import Node
from peersync.records import Batch, Caller
from peersync.replicas.database import DatabaseReplica
from tests.support import contract

MOUNT = "/peersync"


class Answer:
    def __init__(self, response: Any) -> None:
        self.response = response
        self.status = int(response.status_code)
        self.headers = response.headers
        self.body = contract.body_of(response)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:500]!r}>"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem document; empty for an answer that is none."""
        is_problem = self.headers["Content-Type"] == contract.PROBLEM
        return str(self.json["code"]) if is_problem else ""

    @property
    def batch(self) -> Batch:
        return wire.read_batch(self.body.splitlines(keepends=True))


class Api:
    """``get("changes/", token=…)``. Without ``token`` the call uses :attr:`token`; ``token=None`` sends none.

    ``alias`` is the node that serves, ``peer`` the one that calls as "b", ``third`` another one.
    """

    peer, third = "b", "c"
    config: dict[str, Any]

    def __init__(self, alias: str, token: str | None = None) -> None:
        self.alias = alias
        self.token = token
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **options: Any) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = b"", **options: Any) -> Answer:
        return self.call("POST", path, body, **options)

    def call(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        token: str | None = "",
        caller: Caller | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> Answer:
        key = self.token if token == "" else token
        sent = {**(wire.caller_headers(caller) if caller else {}), **(headers or {})}
        if key is not None:
            sent.setdefault("Authorization", f"Token {key}")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = contract.LINES if path == "changes/" else "application/json"
        path = f"/v1/{path}"
        response = self.client.generic(method, MOUNT + path, data, content_type=content_type, headers=sent, **extra)
        answer = Answer(response)
        contract.check(method, path.partition("?")[0], answer.status, answer.headers["Content-Type"], answer.body)
        return answer

    def push(self, batch: Batch, **options: Any) -> Answer:
        return self.post("changes/", b"".join(wire.batch_lines(batch)), **options)


def caller_of(alias: str, name: str = "") -> Caller:
    """The node of this database, as it names itself to others."""
    node = Node.objects.using(alias).get()
    return Caller(node=node.node, install=node.install, name=name)


def batch_from(source: str, target: str, label: str = "zoo.Parent", **changes: Any) -> Batch:
    """The first page of a snapshot of ``source``, made for ``target``; ``changes``: what is forged in it."""
    seen = DatabaseReplica(source).snapshot(caller_of(target), label, None, None, 100)
    return replace(seen, **changes)


def everything(alias: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but the notes of when a token was used: to see that nothing was written."""
    connection = connections[alias]
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table != "peersync_peertoken":
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                found[table] = sorted(cursor.fetchall(), key=repr)
    return found


def made_token(alias: str, name: str = "b", *scopes: str, **options: Any) -> str:
    return tokens.create(name, scopes or tokens.DEFAULT_SCOPES, using=alias, **options)


def refused(answer: Answer, status: int, code: str) -> None:
    """A problem document of this code, with nothing of the inside in it."""
    assert (answer.status, answer.code) == (status, code), answer
    assert not {"Traceback", "peersync/", "SELECT", "sqlite"} & set(answer.json["detail"].split())
