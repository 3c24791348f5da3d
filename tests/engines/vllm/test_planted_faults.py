"""Faults that are planted in the engine on vLLM are noticed; the list is `planted_in_vllm.txt`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_fault_in_the_engine_on_vllm_is_noticed(vllm_installed):
    program = Path(__file__).parents[1] / "planted_faults.py"
    done = subprocess.run(
        [sys.executable, program, "vllm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
