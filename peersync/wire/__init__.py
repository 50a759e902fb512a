"""Records as bytes and back, strictly: what HTTP carries. Nothing of HTTP, Django or a database is in here.

A batch is newline-delimited JSON (:mod:`.batch`, :mod:`.rows`), all else one JSON object (:mod:`.control`);
who asks stands in headers (:mod:`.caller`). What is malformed raises :class:`peersync.errors.WireError`.
``docs/protocol.md`` has all of it for readers.
"""

from peersync.wire.batch import batch_lines, header_json, next_token, read_batch, read_header
from peersync.wire.caller import caller_headers, read_caller
from peersync.wire.checks import dumps, loads
from peersync.wire.control import (
    description_json,
    digests_json,
    keys_json,
    outcome_json,
    progress_json,
    ranges_json,
    read_description,
    read_digests,
    read_keys,
    read_outcome,
    read_progress,
    read_ranges,
)
from peersync.wire.problems import problem_json, read_problem
from peersync.wire.rows import read_row, row_json
from peersync.wire.stream import gunzip, split_lines
from peersync.wire.tokens import changes_token, read_changes_token, read_snapshot_token, snapshot_token

__all__ = [
    "batch_lines",
    "caller_headers",
    "changes_token",
    "description_json",
    "digests_json",
    "dumps",
    "gunzip",
    "header_json",
    "keys_json",
    "loads",
    "next_token",
    "outcome_json",
    "problem_json",
    "progress_json",
    "ranges_json",
    "read_batch",
    "read_caller",
    "read_changes_token",
    "read_description",
    "read_digests",
    "read_header",
    "read_keys",
    "read_outcome",
    "read_problem",
    "read_progress",
    "read_ranges",
    "read_row",
    "read_snapshot_token",
    "row_json",
    "snapshot_token",
    "split_lines",
]
