"""Values that only SQLite takes in a column of that type: a text among integers, a half among whole numbers.

SQL gives them as bytes, which no ordinary value is; on the wire they are texts that say what SQLite holds. Another
SQLite may hold them too where Django can read them; no other database can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from peersync.codec.forms import Judge, shown
from peersync.codec.values import Codec

PREFIX = "sqlite:"
_SQL = (
    f"CAST('{PREFIX}'||substr(typeof({{}}),1,1)||':'||CASE typeof({{}}) WHEN 'blob' THEN lower(hex({{}}))"
    " WHEN 'real' THEN printf(char(37)||'!.17g',{}) ELSE {} END AS BLOB)"
)
_form = re.compile(
    rf"\x00?{PREFIX}(?:t:(.*)|i:(-?\d{{1,19}})|r:([-+.\deInf]{{1,30}})|b:((?:[0-9a-f]{{2}})*)|u:((?:[0-9a-f]{{2}})*))",
    re.DOTALL,
)
_KINDS: dict[int, tuple[str, Callable[[str], Any]]] = {
    1: ("the text", str),
    2: ("the integer", int),
    3: ("the number", float),
    4: ("the bytes", bytes.fromhex),
    5: ("a text that is no UTF-8", bytes.fromhex),
}
_UNREADABLE = 5


def guarded(normal: str, expression: str = "+{}") -> str:
    """SQL of a column: ``expression`` where ``normal`` holds, else bytes that name what is held.

    The unary plus hides the declared type, which the driver would parse.
    """
    return f"CASE WHEN {normal} THEN {expression} ELSE {_SQL} END"


def of_bytes(value: bytes) -> str:
    return value.decode(errors="replace")


def of_text_bytes(value: bytes) -> str:
    """In a column of texts the name must be none that a text could be."""
    return f"\x00{of_bytes(value)}"


def of_undecoded(value: bytes) -> str:
    """The wire value of a text of SQLite that is no UTF-8."""
    return f"\x00{PREFIX}u:{value.hex()}"


def _found(value: Any) -> re.Match[str] | None:
    return _form.fullmatch(value) if isinstance(value, str) else None


def is_odd(value: Any) -> bool:
    """Whether it is the wire value of something that only SQLite takes there."""
    return _found(value) is not None


def held(value: str) -> Any:
    """What SQLite holds. A ValueError where the value is none of ours."""
    match = _found(value)
    if match is None or match.lastindex is None:
        raise ValueError("no value of SQLite")
    return _KINDS[match.lastindex][1](match[match.lastindex])


def with_odd(codec: Codec, *, taken: bool) -> Codec:
    """The codec with a judge that knows such values. ``taken``: the column can hold them, and Django read them."""
    return replace(codec, judge=_judge(codec.judge, taken=taken))


def _judge(ordinary: Judge, *, taken: bool) -> Judge:
    def judge(value: Any) -> str | None:
        match = _found(value)
        if match is None or match.lastindex is None:
            return ordinary(value)
        what = _KINDS[match.lastindex][0]
        if match.lastindex == _UNREADABLE:
            return f"SQLite holds {what} in it, of the bytes {shown(match[match.lastindex])}"
        return "" if taken else f"SQLite holds {what} {shown(match[match.lastindex])} in it, which is not of its type"

    return judge
