"""How the demo speaks: headings, sentences, prompts, and what commands print."""

import os
import sys
import textwrap

WIDTH = 100


class DemoFailed(Exception):
    """Something was not as it has to be; the demo ends with exit status 1."""


def _styled(text: str, code: str) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\033[{code}m{text}\033[0m"
    return text


class _Paper:
    blank = True


def write(text: str = "") -> None:
    """A line; of several empty ones in a row, one."""
    if text or not _Paper.blank:
        print(text, flush=True)
    _Paper.blank = not text or text.endswith("\n")


def title(text: str) -> None:
    write(_styled(text, "1"))
    write("=" * len(text))


def heading(number: int, text: str) -> None:
    write()
    write(_styled(f"{number}. {text}", "1;36"))
    write()


def say(text: str) -> None:
    """A paragraph."""
    write(textwrap.fill(" ".join(text.split()), WIDTH))
    write()


def prompt(site: str, command: str, kind: str = "$") -> None:
    write(f"{site} {kind} {_styled(command, '1')}")


def output(text: str) -> None:
    """What a command printed, as it is."""
    if text.strip():
        write(textwrap.indent(text.rstrip("\n"), "    "))
        write()


def good(text: str) -> None:
    """Something that was checked, and holds."""
    write(f"{_styled('ok', '32')}  {text}")
