"""Code of users passes the type checkers that they use, with nothing of ours ignored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("user_code.py")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_mypy_accepts_it(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(SAMPLE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_pyright_accepts_it():
    command = [Path(sys.executable).with_name("pyright"), "--pythonpath", sys.executable, SAMPLE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
