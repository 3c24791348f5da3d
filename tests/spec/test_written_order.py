"""What a spec says is written in one order, whichever process writes it: shards compare digests."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from harness.spec import Experiment
given = {"name": "plain", "model": "zoo/moe", "task": {"name": "micro_gsm8k"}}
print(Experiment.model_validate(given).model_dump_json())
"""


def test_hashes_of_texts_change_no_order():
    written = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(written) == 1
