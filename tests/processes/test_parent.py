"""Processes that end with the one that they work for: real ones, and real kills."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

# A middle process starts a worker with a child of its own; both wait for what never comes.
WORKER = """
import os, subprocess, sys, time
from harness.processes import parent
if sys.argv[2] == "looks":
    del os.pidfd_open
child = subprocess.Popen(["sleep", "1000"])
parent.end_with(int(sys.argv[1]))
print(os.getpid(), child.pid, flush=True)
time.sleep(1000)
"""
MIDDLE = """
import os, subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]])
"""


@pytest.mark.parametrize("how", ["is woken", "looks"])
def test_a_worker_and_its_children_end_when_their_controller_is_killed(how):
    with subprocess.Popen(
        [sys.executable, "-c", MIDDLE, WORKER, how], stdout=subprocess.PIPE, text=True
    ) as middle:
        started = [psutil.Process(int(each)) for each in middle.stdout.readline().split()]
        middle.kill()
        _, alive = psutil.wait_procs(started, timeout=60)
    for each in alive:
        each.kill()
    assert len(started) == 2
    assert not alive


def test_a_controller_that_is_gone_already_ends_it_at_once():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = f"from harness.processes import parent; parent.end_with({gone.pid}); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_nothing_ends_while_the_controller_lives():
    code = f"from harness.processes import parent; parent.end_with({os.getpid()}); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"alive\n"
