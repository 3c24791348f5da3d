"""Verdicts do not depend on what else the machine does: sixteen busy processes, thirty repeats."""

import subprocess
import sys
from contextlib import ExitStack

import pytest

from harness.sandbox import Check, check

PROMPT = "import time\n\n\ndef f():\n"
TESTS = "def check(f):\n    assert f() == 1\n"
#: Seconds of processor time; a fifth of what a run allows, for the sake of whoever waits.
LIMIT = 0.6
LOAD = 16
REPEATS = 30


def busy_for(part):
    """Computes for a part of the limit, whatever the machine makes of it, and is right."""
    return f"    while time.process_time() < {part * LIMIT}: pass\n    return 1\n"


PROGRAMS = {
    "a third": (busy_for(1 / 3), {"passed"}),
    "two thirds": (busy_for(2 / 3), {"passed"}),
    "endless": ("    while True: pass\n", {"timed out"}),
    "asleep": ("    time.sleep(60)\n", {"timed out, by the wall clock"}),
    "wrong": ("    return 0\n", {"assertion failed"}),
    "crashing": ("    import os\n    os.abort()\n", {"killed"}),
}


@pytest.fixture
def load():
    """Busy processes beside the checks."""
    with ExitStack() as busy:
        for _ in range(LOAD):
            process = busy.enter_context(subprocess.Popen([sys.executable, "-c", "while 1: pass"]))
            busy.callback(process.kill)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("load")
def test_every_program_has_one_verdict_under_load(isolation):
    checks = [Check(PROMPT, program, TESTS, "f") for program, _ in PROGRAMS.values()]
    verdicts = check(checks * REPEATS, isolation, timeout=LIMIT)
    found = {
        name: {
            f"{verdict.outcome}{', by the wall clock' if verdict.stalled else ''}"
            for verdict in verdicts[at :: len(PROGRAMS)]
        }
        for at, name in enumerate(PROGRAMS)
    }
    assert found == {name: expected for name, (_, expected) in PROGRAMS.items()}
