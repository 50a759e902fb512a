"""Each rule of merging has a history that it saves."""

from typing import Any

import pytest

from tests.state.histories import HISTORIES, History
from tests.state.playing import play, told
from tests.state.policy_histories import POLICY_HISTORIES


def _param(history: History) -> Any:
    return pytest.param(history, id=history.rule.replace(" ", "-"))


EACH = [*HISTORIES, *POLICY_HISTORIES]
ALL = [_param(history) for history in EACH]
OPEN = [param for param, history in zip(ALL, EACH, strict=True) if history.open_transactions]


def judge(history: History, databases: Any) -> None:
    verdict = play(history, databases)
    assert not verdict.kind, f"{history.why}\n{told(history, verdict)}"


@pytest.mark.parametrize("history", [p for p in ALL if p not in OPEN])
def test_rule(history: History, sqlite_nodes: Any) -> None:
    judge(history, sqlite_nodes)


@pytest.mark.parametrize("history", ALL)
def test_rule_on_postgres(history: History, pg_nodes: Any) -> None:
    judge(history, pg_nodes)
