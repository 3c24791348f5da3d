"""Faults that are planted in the transformers engine are noticed; the lists are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.planted_faults import FAULTS, missing

PROGRAM = Path(__file__).with_name("planted_faults.py")


@pytest.mark.parametrize("engine", FAULTS)
def test_every_line_that_a_fault_changes_is_there_once(engine):
    assert len(FAULTS[engine]) >= 40
    assert missing(engine) == []


@pytest.mark.slow
def test_every_fault_in_the_transformers_engine_is_noticed():
    done = subprocess.run(
        [sys.executable, PROGRAM, "transformers"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
