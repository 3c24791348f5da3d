"""What the Makefile tells pytest to run is there: benches that take minutes are seldom run."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["bench", "bench-real", "bench-real-full"])
def test_what_a_target_runs_is_collected(target):
    """In this environment: commands of the other one's Python need vLLM."""
    printed = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.replace("\\\n", " ")
    commands = [shlex.split(line) for line in printed.splitlines() if "/pytest " in line]
    commands = [words for words in commands if words[0] == ".venv/bin/pytest"]
    assert commands
    for _, *given in commands:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *given, "--collect-only", "-q", "-n", "0"],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
