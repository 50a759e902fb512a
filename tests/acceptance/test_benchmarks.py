"""`make bench` runs, and finds source and target equal; what it measures is not judged here."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_the_benchmarks_run_and_find_right_data() -> None:
    command = [sys.executable, "benchmarks/run.py", "--rows", "300", "--quick", "--only", "sqlite"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alias SQLite, tracked" in done.stdout
    assert "WRONG DATA" not in done.stdout
