"""What a command costs before, or without, a model: processor seconds of whole processes.

    python benches/speed/startup.py [--repetitions 3] [--profile] [--plugin]

Each lane is typed as a user types it; the best of the repetitions is printed. `--profile` adds the
slowest imports of the last lane (`python -X importtime`). The first keep_topk runs the model and
fills the store; it is the measure for the second. `--plugin` measures only what the plugin adds to
anybody's pytest: processes with it and without it in turn, medians of their differences.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOST = "name: lost\nmodel: ./nowhere\ntask: {name: micro_gsm8k}\naxes: {seed: [0]}\n"
SCRIPTS = Path(sysconfig.get_path("scripts"))
_SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="show the slowest imports too")
    parser.add_argument("--plugin", action="store_true", help="only what the plugin adds to pytest")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="titrate-startup-") as place:
        folder = Path(place)
        (folder / "lost.yaml").write_text(LOST)
        (folder / "pytest.ini").touch()
        (folder / "test_sum.py").write_text("def test_sum():\n    assert 1 + 1 == 2\n")
        others = ["pytest", "-q", str(folder)]
        if parsed.plugin:
            added(others, parsed.repetitions)
            return
        kept = [f"--titrate-store={folder / 'store'}", f"--titrate-report={folder / 'report'}"]
        keep_topk = ["benches", "-q", "-k", "keep_topk", *kept]
        lanes: dict[str, list[str]] = {
            "titrate --help": ["titrate", "--help"],
            "titrate list interventions": ["titrate", "list", "interventions"],
            "titrate schema experiment": ["titrate", "schema", "experiment"],
            "titrate store list": ["titrate", "store", "list"],
            "titrate run, its model does not exist": ["titrate", "run", str(folder / "lost.yaml")],
            "titrate report": ["titrate", "report", str(ROOT / "reports" / "example")],
            "pytest of one test, without the plugin": [*others, "-p", "no:titrate"],
            "pytest of one test, with it": others,
            "pytest benches, nothing is selected": [
                "pytest",
                "benches",
                "-q",
                "-k",
                "no_such_case",
            ],
            "pytest benches -k keep_topk, first": ["pytest", *keep_topk],
            "pytest benches -k keep_topk, stored": ["pytest", *keep_topk],
        }
        print("| command | CPU s | wall s |\n| --- | --- | --- |")
        for name, command in lanes.items():
            once = name.endswith("first")
            times = [timed(command) for _ in range(1 if once else parsed.repetitions)]
            print("| {} | {:.2f} | {:.2f} |".format(name, *min(times)), flush=True)
        if parsed.profile:
            imports(["pytest", *keep_topk])


def added(command: list[str], repetitions: int) -> None:
    """Print what the plugin adds to a run of pytest that has nothing to do with it."""
    alone = [*command, "--disable-plugin-autoload"]
    pairs = [(timed([*alone, "-p", "titrate"]), timed(alone)) for _ in range(repetitions)]
    for unit, place in (("CPU", 0), ("wall", 1)):
        found = sorted(1000 * (mine[place] - bare[place]) for mine, bare in pairs)
        middle = statistics.median(found)
        print(
            f"{unit}: {middle:.0f} ms more ({found[0]:.0f} to {found[-1]:.0f}, {repetitions} pairs)"
        )


def timed(command: list[str]) -> tuple[float, float]:
    """Processor seconds of a command with all its children, and seconds on the clock."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([SCRIPTS / command[0], *command[1:]], **_quiet())
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def imports(command: list[str]) -> None:
    """The imports that take longest, what they import themselves included."""
    program = [sys.executable, "-X", "importtime", SCRIPTS / command[0], *command[1:]]
    done = subprocess.run(program, **_quiet(), stderr=subprocess.PIPE, text=True)
    lines = [
        line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")
    ]
    taken = sorted(((int(each[1]), each[2].rstrip()) for each in lines[1:]), reverse=True)
    for microseconds, module in taken[:_SHOWN]:
        print(f"{microseconds / 1e6:6.2f} s {module}")


def _quiet() -> dict[str, object]:
    """One thread, compiled modules kept as users keep them, and nothing printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL}


if __name__ == "__main__":
    main()
