"""Management commands in this process, with the exit status that `manage.py` would end with."""

import io
import json
from typing import Any

from django.core.management import CommandError, call_command


class Answer:
    """``out``: standard output; ``error``: standard error, and the sentence with which the command ended."""

    def __init__(self, status: int, out: str, error: str) -> None:
        self.status, self.out, self.error = status, out, error

    def __repr__(self) -> str:
        return f"<{self.status} {self.out!r} {self.error!r}>"

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*command: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*command, stdout=out, stderr=err)
    except CommandError as error:
        return Answer(error.returncode, out.getvalue(), err.getvalue() + str(error))
    return Answer(0, out.getvalue(), err.getvalue())
