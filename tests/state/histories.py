"""One short history for each rule of merging: without the rule, it loses a row, diverges, or goes in circles.

`start` says which untracked rows stand at which node (`P1 x=b u=U; Q1 p=P1`), `operations` what happens, a
line each (see `World`). `until I read|applied|asked` makes steps of transfer number I until it has read a
batch, has applied one, or has had an answer by key. Those of `merge` and `manual` are in `policy_histories`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.state.tables import Key
from tests.state.world import CHAIN, PAIR, TRIANGLE, Link

DAY = 86_400_000
A_TO_B: tuple[Link, ...] = ((0, 1),)


@dataclass(frozen=True)
class History:
    rule: str
    why: str
    """What goes wrong without the rule."""
    operations: str = ""
    links: tuple[Link, ...] = PAIR
    start: dict[str, str] = field(default_factory=dict)
    policy: str = "latest"
    filtered: tuple[Link, ...] = ()
    rounds: int | None = 1
    """After how many rounds two nodes are equal; None: not said."""
    born: bool = False
    """Each node numbers its rows itself."""
    match: str = "pk"
    """Which of the rows of the start are one row, where equal numbers may be two."""
    exits: str = "remove"
    """What becomes of rows that leave the view."""

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.operations.strip().splitlines() if line.strip()]

    @property
    def open_transactions(self) -> bool:
        return "begin " in self.operations

    @property
    def rows(self) -> list[dict[Key, dict[str, Any]]]:
        return read_rows(self.start)


def read_rows(start: dict[str, str]) -> list[dict[Key, dict[str, Any]]]:
    """`{"B": "P1 x=b; Q1 p=P1"}` as a dict of rows for each of A, B and C."""
    return [dict(_rows(start.get(node, ""))) for node in "ABC"]


def _rows(text: str) -> Sequence[tuple[Key, dict[str, Any]]]:
    parts = [part.split() for part in text.split(";") if part.strip()]
    return [(words[0], dict(word.split("=", 1) for word in words[1:])) for words in parts]


HISTORIES = [
    # -- versions and untracked rows
    History(
        "untracked rows have a version",
        "a row made at A replaces B's untracked one behind the baseline, unrecorded",
        """
        sync A B
        edit A P1
        """,
        start={"B": "P1"},
    ),
    History(
        "untracked rows have a version, in a chain",
        "a row made at A replaces C's untracked one by way of B, unrecorded",
        """
        sync B C
        edit A P2
        """,
        CHAIN,
        {"C": "P2"},
    ),
    History(
        "an untracked row claims the installs of its baselines",
        "under a filter a row that left the view stays where it came from",
        """
        sync B A
        flag A P2 s
        """,
        start={"B": "P2"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a row gets a state where others have read",
        "rows that arrive at B without a state never reach A, who had read B before",
        "",
        CHAIN,
        {"C": "P2"},
    ),
    History(
        "only what is stored has to be covered",
        "an untracked row is replaced although nobody ever compared it",
        """
        edit A P2
        delete A P2
        """,
        TRIANGLE,
        {"A": "P1 x=b; Q1 p=P1", "C": "P2; Q1 p=P2"},
    ),
    History(
        "what a snapshot could not take in drops its claims, tracked rows too",
        "the baseline that comes later hides A's row: a deletion replaces it unrecorded",
        """
        delete B P1
        both B A 1
        """,
        CHAIN,
        {"A": "P1; Q1 p=P1", "B": "P1 x=b; Q1 p=P1"},
    ),
    History(
        "the install joins the baselines at the end of the snapshot, what waits gets a state",
        "C's untracked row is replaced by B's, unrecorded, by way of A where it had only waited",
        """
        start C A 1
        until 0 applied
        drop 0
        sync B A
        sync C A
        sync A C
        """,
        TRIANGLE,
        {"A": "P2 u=U", "B": "P1 x=b u=V", "C": "P1 x=c u=U; Q1 p=P1"},
    ),
    # -- capture, numbering and reading
    History(
        "a change of excluded fields alone is no event",
        "touching only the excluded field at A beats a real edit at B",
        """
        edit B P1 y
        touch A P1
        """,
        start={"A": "P1 x=b", "B": "P1 x=b"},
    ),
    History(
        "a change of excluded fields alone is no event, beside an open transaction",
        "touching only the excluded field at A beats a real edit at B that commits late",
        """
        begin B P1 y
        touch A P1
        """,
        start={"A": "P1 x=b", "B": "P1 x=b"},
    ),
    History(
        "snapshots show numbered rows only",
        "a row that a writer holds travels without a number; a later edit replaces it unrecorded",
        """
        edit C P2 y
        begin C P2 x
        both C A
        edit B P2
        """,
        TRIANGLE,
    ),
    History(
        "a first contact carries tombstones",
        "what was deleted at A before the first meeting lives on at B",
        "delete A P2",
        start={"A": "P2; Q1 p=P2", "B": "P1 x=b; Q1 p=P1"},
    ),
    History(
        "sender is emptied by a local event, a merge and a settlement",
        "the outcome never travels back to the one whose version came in",
        """
        sync A B
        edit A P1 y
        """,
        start={"A": "P1"},
    ),
    History(
        "a batch counts only at the checkpoint that it was made for",
        "a batch that arrives again after a restore leaves rows that are never compared",
        """
        backup B
        sync A B
        restore B
        again 0
        """,
        start={"A": "P1"},
    ),
    History(
        "rows are decided about behind their locks",
        "a deletion that commits between deciding and writing is overwritten",
        """
        sync C B
        start B C 2
        until 0 read
        delete C P1
        until 0 applied
        """,
        CHAIN,
        {"C": "P1"},
    ),
    # -- conflicts
    History(
        "the outcome of a conflict takes both versions",
        "a deletion at A and an untracked row at B meet as a conflict again and again",
        """
        edit A P2
        delete A P2
        """,
        start={"B": "P2 x=b; Q2 p=P2"},
    ),
    History(
        "the outcome of a conflict takes both versions, unique values too",
        "two rows that want one unique value travel in circles",
        """
        edit B P2
        unique B P1 U
        unique A P2 U
        """,
        start={"A": "P2", "B": "P1"},
        rounds=None,
    ),
    History(
        "a settlement by latest is no new event",
        "with a clock that is a day slow, the settled old text beats the next real deletion",
        f"""
        edit A P2
        both A B
        sync B C
        clock B -{DAY}
        delete B P2
        """,
        TRIANGLE,
        {"C": "P2 x=b"},
    ),
    History(
        "a settlement by source is a new event",
        "three nodes settle one row in two ways, and stay apart",
        """
        sync B A
        both C B
        sync A C
        """,
        TRIANGLE,
        {"A": "P2 x=b", "C": "P2"},
        policy="source",
    ),
    History(
        "a decision between unstamped rows gets a stamp",
        "a third node decides otherwise, and a row loses to its own ancestor",
        "",
        TRIANGLE,
        {"A": "P2 x=b", "B": "P2", "C": "P2 x=b"},
    ),
    # -- waiting, and the end of a transfer
    History(
        "what waits is kept in the database",
        "a child whose parent was held by a writer never comes",
        """
        edit A P2
        begin A P2 y
        both B A
        """,
        start={"A": "P2; Q2 p=P2"},
    ),
    History(
        "what waits for a unique value is kept in the database",
        "two rows that want one unique value are listed nowhere",
        """
        unique B P1 U
        unique A P2 U
        """,
        start={"A": "P2", "B": "P1"},
        rounds=None,
    ),
    History(
        "a deletion loses in the end only, against rows that its maker never saw",
        "a settled row goes back over an untracked one of C, unrecorded",
        """
        edit A Q2
        both C B
        delete B P1
        """,
        CHAIN,
        {"A": "P1; Q2 p=P1", "C": "P1 x=b"},
    ),
    History(
        "a deleted parent comes back for its child",
        "B's child waits at A for a parent that A deleted, and A's deletion waits at B",
        "delete A P1",
        start={"A": "P1", "B": "P1; Q2 p=P1"},
    ),
    History(
        "all that waits and breaks nothing together is written together",
        "a deletion loses though its maker moved the child away: value, child and deletion wait in a ring",
        """
        both A B
        edit A P2
        move A Q1 P2
        delete A P1
        unique A P2 U
        both A B
        """,
        start={"A": "P1 u=U; Q1 p=P1", "B": "P1 u=U; Q1 p=P1"},
    ),
    History(
        "all that waits and breaks nothing together is written together, three nodes",
        "as before, between untracked rows of C and a deletion of B",
        """
        delete B P2
        edit B Q2 x P1
        """,
        TRIANGLE,
        {"B": "P1 u=U; P2", "C": "P2 u=U; Q2 p=P2"},
    ),
    History(
        "an answer by key counts only where the checkpoint is still what it was",
        "an older answer replaces the newer row that waits, and the newer is never sent again",
        """
        sync A B
        edit A P1
        unique A P1 U
        start A B
        until 0 asked
        edit A P1
        start A B
        until 1 applied
        delete B P2
        step 0 9
        drop 0
        """,
        start={"B": "P2 u=U"},
    ),
    # -- histories that are put back
    History(
        "who was put back takes a new id",
        "B's edit stays at A alone after B was restored",
        """
        both A B
        backup B
        edit B P1
        sync B A
        restore B
        """,
    ),
    History(
        "both sides look whether they know their history",
        "A's edit stays at B alone after A was restored and only reads",
        """
        both B A
        backup A
        edit A P1 y
        both A B
        restore A
        """,
    ),
    History(
        "the former id is not used again",
        "a deletion that a restore undid is known to the peer, and lost at the node that was restored",
        """
        both B A
        backup A
        delete A Q1
        both B A
        restore A
        """,
        start={"B": "P2; Q1 p=P2"},
    ),
    History(
        "a batch names the points of the target's history",
        "a batch that was read before fits the checkpoint of a target that was restored",
        """
        edit A P2 y
        start A B 2
        until 0 applied
        start B A
        backup B
        both B A
        start A B
        edit B Q1 y P2
        sync B A
        until 2 read
        late B
        drop 1
        until 1 applied
        """,
        rounds=None,
    ),
    History(
        "a batch names the points of the target's history, a crossing one too",
        "a batch that was under way at the restore hides what was lost",
        """
        both B A
        backup A
        edit A P1
        sync A B
        edit B P2
        start B A
        until 0 read
        late A
        until 0 applied
        """,
        start={"B": "P2"},
    ),
    History(
        "all points that were seen are shown",
        "an older answer that crosses hides that the peer was restored",
        """
        sync A B
        edit A P1
        unique A P1 U
        sync A B
        start A B
        until 0 read
        start A B
        until 1 applied
        backup A
        edit A P1
        delete B P2
        until 1 applied
        until 0 applied
        drop 0
        restore A
        """,
        start={"B": "P2 u=U"},
    ),
    History(
        "the id under which a peer was last read is remembered",
        "a row of a history that was put back twice waits for ever",
        """
        edit B P2
        both A B
        backup B
        edit B P2
        sync B A
        restore B
        sync B A
        edit B P1
        edit B Q1 x P1
        number B
        edit B P1
        start B A 1
        until 0 applied
        drop 0
        restore B
        """,
    ),
    # -- pruned tombstones
    History(
        "deletions that are certain are made up for",
        "a row whose tombstone was pruned too early lives on at A",
        """
        edit B P2
        both A B
        delete B P2
        number B
        age B
        """,
    ),
    History(
        "deletions that are certain are made up for, in a chain",
        "a row whose tombstone was pruned too early lives on at B and goes to C",
        """
        both B A
        delete A P1
        number A
        age A
        """,
        CHAIN,
        {"B": "P1"},
    ),
    History(
        "the checkpoint owes the certain deletions until they are done",
        "a cut behind the last batch of a comparison loses them",
        """
        both A B
        delete A P1
        number A
        age A
        start A B
        until 0 applied
        drop 0
        """,
        start={"A": "P1; P2"},
    ),
    History(
        "a tombstone stays until every configured peer has read past it",
        "a deletion is undone, unlisted, by a peer that had not read it",
        """
        edit C P2
        sync C B
        edit C P2
        delete B P2
        both B A
        prune B
        """,
        CHAIN,
    ),
    History(
        "a row that comes back is a new event",
        "an older tombstone at C covers the row that came back at B",
        """
        edit B P2
        sync B A
        delete B P2
        both C B
        age B
        """,
        CHAIN,
    ),
    History(
        "a first contact that pruning overtook starts again and keeps what it took",
        "A's edit loses against the copy that B had taken from A",
        """
        start A B 1
        until 0 applied
        drop 0
        edit A P1
        delete A P2
        number A
        age A
        sync A B
        """,
        start={"A": "P1; P2"},
        policy="target",
    ),
    History(
        "deletions that are certain are made up for, parents too",
        "the parent's deletion is tried before its child's, can't be done, and is forgotten",
        """
        sync B A
        delete A P2
        number A
        age A
        """,
        start={"B": "P2; Q2 p=P2"},
    ),
    History(
        "a row born again after its tombstone was pruned has seen what it was before",
        "by the policy target the old tombstone of B wins over the row that A's user made anew",
        """
        delete A Q1
        both A B 2
        edit A Q1 x P2
        """,
        start={"A": "P1; P2; Q1 p=P1"},
        policy="target",
    ),
    # -- filters
    History(
        "what leaves the view is remembered until the peer has read it",
        "the answer is lost, and B keeps the row for ever",
        """
        both A B
        flag A P2 s
        start A B 2
        until 0 read
        """,
        start={"B": "P2"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "what the peer never had is not told it",
        "the key of a child out of view travels as a tombstone",
        """
        both A B
        delete A Q2
        """,
        start={"A": "P1 b=s; Q2 p=P1"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a parent that comes into view takes its children along",
        "the child of a row that came into view is never sent",
        """
        edit B P1
        both A B
        """,
        start={"A": "P1 b=s; Q2 p=P1"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a row that is closed to the peer is answered like nothing",
        "B's child holds up a deletion for ever, since A says that it is busy",
        """
        edit B Q1 y P2
        edit A Q1 x P1
        edit A P2 y P2
        flag A P1 s
        delete A P2
        """,
        start={"A": "P1", "B": "P2"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "who asks by key is answered, whoever sent the row",
        "A's child waits at B for a parent that B deleted, and B's deletion waits at A",
        """
        both A B 2
        edit A Q2 y P2
        delete B P2
        both A B 1
        """,
        start={"B": "P2"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a parent leaves the view with its children",
        "its exit comes a page before theirs, meets them, and is forgotten",
        """
        sync B A 10
        flag A P1 s
        """,
        start={"B": "P1; Q2 p=P1"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a row that left the view is known as it was before",
        "made anew at B under its key, it replaces what A's row says now, unrecorded",
        """
        sync A B
        flag A P1 s
        sync A B
        edit B P1
        """,
        start={"A": "P1"},
        filtered=A_TO_B,
        rounds=None,
    ),
    History(
        "a target restored between its first contact and the feed",
        "the transfer looks for a place that is no more",
        """
        start B A 10
        step 0 2
        backup A
        step 0 6
        late A
        step 0 3
        """,
        rounds=None,
        born=True,
    ),
]
