"""Takes a session's databases away when the session is over, however it ended.

A small process waits on a pipe that only the pytest process holds. When that process ends, by itself, by
SIGTERM or by kill -9, the pipe closes, and the server and the directory go.
"""

import os
import subprocess
from pathlib import Path

_SCRIPT = """
cat >/dev/null
if [ -f "$1/pg/postmaster.pid" ]; then
    pid=$(head -n 1 "$1/pg/postmaster.pid")
    kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
fi
rm -rf "$1"
"""


class Janitor:
    def __init__(self, directory: Path) -> None:
        read, self._write = os.pipe()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", str(directory)],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
        )
        os.close(read)

    def finish(self) -> None:
        os.close(self._write)
        self._process.wait(timeout=30)
