"""Policies of a project's own, for the tests: good ones, and what a project may get wrong."""

from typing import Any

from django.db import connections

from peersync.policies import Contest

SEEN: list[Contest] = []
"""What the functions here were shown, the newest last."""


def larger_x(contest: Contest) -> str:
    """The side with the larger x; a deletion loses."""
    SEEN.append(contest)
    mine, theirs = (side.row["x"] if side.row else "" for side in (contest.local, contest.incoming))
    return "local" if mine >= theirs else "incoming"


def by_field(contest: Contest) -> dict[str, Any]:
    """x from both, y from whoever changed it."""
    SEEN.append(contest)
    texts = sorted(str(side.value("x")) for side in (contest.local, contest.incoming))
    changed = contest.incoming if "y" in (contest.incoming.changed or ()) else contest.local
    return {"x": " and ".join(texts), "y": changed}


def left_open(contest: Contest) -> str:
    return "manual"


def raises(contest: Contest) -> str:
    raise ZeroDivisionError("as projects do")


def breaks_the_transaction(contest: Contest) -> str:
    for alias in ("a", "pg_a", "b", "pg_b"):
        if connections[alias].in_atomic_block:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1 FROM nowhere")
    return "local"


def nonsense(contest: Contest) -> str:
    return "whoever"


def nothing(contest: Contest) -> None:
    return None


def unknown_field(contest: Contest) -> dict[str, Any]:
    return {"colour": "red"}


def wrong_type(contest: Contest) -> dict[str, Any]:
    return {"x": 7}


def null_where_none_may_be(contest: Contest) -> dict[str, Any]:
    return {"x": None}


def another_name(contest: Contest) -> dict[str, Any]:
    return {"id": 99}


def from_a_deletion(contest: Contest) -> dict[str, Any]:
    return {"x": contest.incoming}
