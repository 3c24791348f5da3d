"""A process of vLLM that is killed ends the run in one line, instead of never."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]


def test_a_killed_process_is_told_of(vllm_installed):
    """In a program of its own, in the middle of generating; then again, before and while asking."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == [
        "generate: vLLM's process ended in the middle of the work",
        "forward: vLLM's process ended in the middle of the work",
    ]
