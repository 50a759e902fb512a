"""Short histories for the rules of the policies that came last: `merge`, `manual`, and settling by hand."""

from tests.state.histories import History
from tests.state.world import TRIANGLE

MET = {"A": "P1"}

POLICY_HISTORIES = [
    # -- merge
    History(
        "fields that were changed at one side only are merged",
        "the row with the later stamp takes the other side's field back",
        """
        both A B
        edit A P1 x
        edit B P1 y
        """,
        start=MET,
        policy="merge",
    ),
    History(
        "of two settlements that bear one stamp the larger contents stay",
        "C settles a merge and a deletion in another order than A, with one stamp, and both keep what they have",
        """
        edit A P1
        sync A B
        sync A C
        sync B A
        sync C A
        sync B C
        sync C B
        edit A P1
        sync A B
        delete B P1
        edit C P1 y
        sync C A
        sync B C
        sync B A
        """,
        TRIANGLE,
        policy="merge",
    ),
    History(
        "a row against a deletion is no matter of fields",
        "there is nothing that a deletion could be merged with",
        """
        both A B
        edit A P1 x
        delete B P1
        """,
        start=MET,
        policy="merge",
    ),
    History(
        "a change of excluded fields alone marks none",
        "it takes part in the merge, and brings a field back to what stood here",
        """
        both A B
        edit A P1 x
        touch B P1
        """,
        start=MET,
        policy="merge",
    ),
    # -- manual
    History(
        "an open conflict leaves both sides as they are",
        "one of them is replaced, though nobody decided so",
        """
        both A B
        edit A P1 x
        edit B P1 y
        both A B
        edit A P1 x
        both A B
        """,
        start=MET,
        policy="manual",
    ),
    History(
        "settling takes both versions in",
        "the other side finds the same conflict again, with the settlement",
        """
        both A B
        edit A P1 x
        edit B P1 y
        both A B
        settle A P1 incoming
        both A B
        closed
        """,
        start=MET,
        policy="manual",
    ),
    History(
        "a settlement that changes nothing is an event too",
        "the other side never hears of it, and its conflict stays open",
        """
        both A B
        edit A P1 x
        edit B P1 y
        both A B
        settle B P1 local
        both A B
        closed
        """,
        start=MET,
        policy="manual",
    ),
    History(
        "a deletion in an open conflict can be settled",
        "the row comes back, or the conflict stays",
        """
        both A B
        edit A P1 x
        delete B P1
        both A B
        settle A P1 incoming
        both A B
        closed
        """,
        start=MET,
        policy="manual",
    ),
    History(
        "a row that was deleted meanwhile is this side's version",
        "the settlement writes what stood there when the conflict was found",
        """
        both A B
        edit A P1 x
        edit B P1 y
        both A B
        delete A P1
        settle A P1 local
        both A B
        closed
        gone B P1
        """,
        start=MET,
        policy="manual",
    ),
    History(
        "a child in an open conflict holds the deletion of its parent up",
        "the parent comes back at once, before anybody has decided about the child",
        """
        both A B
        edit B Q1 x
        delete A P1
        """,
        start={"A": "P1; Q1 p=P1"},
        policy="manual",
    ),
    History(
        "conflicts that are opened in a transaction count in that very transaction",
        "the deletion of the parent is decided against a child whose conflict was opened by the answer before",
        """
        edit A Q1 y P2
        both B A
        delete B Q1
        both B A
        edit B Q1 y P1
        delete A P1
        """,
        start={"A": "P1; Q1 p=P1"},
        policy="manual",
    ),
    History(
        "a third node that sees both versions settles for all",
        "the conflicts of the others stay open",
        """
        edit A P1
        both A B
        both A C
        both B C
        edit A P1 x
        edit B P1 y
        sync A C
        sync B C
        both A B
        settle C P1 incoming
        sync C A
        sync C B
        closed
        """,
        TRIANGLE,
        policy="manual",
    ),
]
