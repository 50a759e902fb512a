"""Ends what the demo started and takes its directory away, however the demo ended."""

import os
import subprocess
from pathlib import Path

STOP = """\
#!/bin/sh
# Ends the demo's servers and removes its files.
directory=$(cd "$(dirname "$0")" && pwd) || exit 1
for file in "$directory"/*.pid; do
    [ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null
done
if [ -f "$directory/pg/postmaster.pid" ]; then
    pid=$(head -n 1 "$directory/pg/postmaster.pid")
    kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
fi
rm -rf "$directory"
"""


class Janitor:
    """A small process that waits on a pipe which only the demo holds: it closes on Ctrl-C and on kill -9 too."""

    def __init__(self, directory: Path) -> None:
        self.script = directory / "stop.sh"
        self.script.write_text(STOP)
        read, self._write = os.pipe()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r word; [ "$word" = keep ] || exec /bin/sh "$1"', "sh", str(self.script)],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
        )
        os.close(read)

    def finish(self, *, keep: bool) -> None:
        """``keep``: leave everything as it is; ``script`` ends it then."""
        if keep:
            os.write(self._write, b"keep\n")
        os.close(self._write)
        self._process.wait(timeout=30)
