"""What tests cost is told by folder, file and test, with what their processes have spent."""

from __future__ import annotations

import re

TESTS = """
import subprocess
import sys

SPIN = "import time\\nwhile time.process_time() < 0.2: pass"

def test_nothing():
    pass

def test_of_another_process():
    subprocess.run([sys.executable, "-c", SPIN], check=True)
"""


def test_processes_are_counted_and_the_dearest_come_first(pytester):
    pytester.makepyfile(**{"rooms/one/test_dear": TESTS})
    told = pytester.runpytest_inprocess("-p", "tools.cost_of_tests", "--dearest", "1")
    told.assert_outcomes(passed=2)
    lines = re.findall(r"^ +([\d.]+)  (.+)$", told.stdout.str(), re.MULTILINE)
    costs = {name: float(seconds) for seconds, name in lines}
    dear = "rooms/one/test_dear.py::test_of_another_process"
    assert set(costs) == {"rooms/one", "rooms/one/test_dear.py", dear, "all tests"}
    assert costs["all tests"] >= costs[dear] >= 0.2
