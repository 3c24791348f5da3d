"""What ten thousand cases cost beside their models: collection, and bookkeeping per case.

    python benches/speed/cases.py                 # 10 000 cases
    python benches/speed/cases.py --cases 2000
    python benches/speed/cases.py --workers 2     # the runs under pytest-xdist

Three pytest runs, each in a process of its own, of as many test items with ids of the same length:
items of a plain `parametrize`; cases of a spec whose benches ask for nothing; the same with their
outcomes, which are one answered question each. The answers are stored beforehand, so that no model
works: what is left is planning, looking up, scoring and recording. The report at the end, with its
statistics, plot, page and table, is left out of these and measured by itself. `import` is what the
first spec of any session costs, torch and transformers; it does not grow with the cases.
CPU seconds of the whole process; wall time depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATION = """
[tool.pytest]
python_files = ["bench_*.py"]
python_functions = ["bench_*"]
"""
SPEC = """
name: many
model: zoo/moe
task: {{name: micro_gsm8k, limit: 1}}
intervention: {{kind: router_mask, points: {{random: 0}}, count: 0}}
sampling: {{max_new_tokens: 8}}
axes:
  intervention.count: [0, 4]
  seed: [{seeds}]
dose: intervention.count
"""
PLAIN = """
import pytest

@pytest.mark.parametrize(
    "case", [pytest.param(i, id=f"many[count={{i % 2}}-seed={{i}}]") for i in range({cases})]
)
def bench_plain(case):
    pass
"""
NOTHING = """
from harness.testing import experiments

@experiments("many.yaml")
def bench_nothing(case):
    pass
"""
OUTCOME = NOTHING.replace("(case)", "(case, outcome)").replace("nothing", "outcome")
NO_REPORT = """
import os
import sys

import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    if "WITH_REPORT" not in os.environ:
        sys.stdout.flush()
        os._exit(int(exitstatus))
"""
IMPORT = "import pytest, harness.runs.plan as p; p.load_config('zoo/moe')"


def project(folder: Path, cases: int) -> None:
    """Three bench files and the spec that two of them share."""
    (folder / "pyproject.toml").write_text(CONFIGURATION)
    (folder / "specs").mkdir()
    seeds = ", ".join(map(str, range(cases // 2)))
    (folder / "specs" / "many.yaml").write_text(SPEC.format(seeds=seeds))
    (folder / "conftest.py").write_text(NO_REPORT)
    (folder / "bench_plain.py").write_text(PLAIN.format(cases=cases))
    (folder / "bench_nothing.py").write_text(NOTHING)
    (folder / "bench_outcome.py").write_text(OUTCOME)


def cpu_seconds(folder: Path, *arguments: str, **variables: str) -> float:
    """User and system time of one process, which must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **variables}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the least is taken")
    parser.add_argument("--workers", type=int, default=0, help="of pytest-xdist; 0: none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder, arguments.cases)

        def least(*command: str, **variables: str) -> float:
            return min(cpu_seconds(folder, *command, **variables) for _ in range(arguments.repeat))

        pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
        cpu_seconds(folder, *pytest, "bench_outcome.py", "--titrate-report=out")
        imports = least("-c", IMPORT) - least("-c", "import pytest")
        collected = {
            kind: least(*pytest, "--collect-only", "-qq", f"bench_{kind}.py")
            for kind in ("plain", "nothing")
        }
        workers = ("-n", str(arguments.workers)) if arguments.workers else ()
        run = {
            kind: least(*pytest, *workers, f"bench_{kind}.py", "--titrate-report=out")
            for kind in ("plain", "nothing", "outcome")
        }
        outcome = (*pytest, *workers, "bench_outcome.py", "--titrate-report=out")
        report = least(*outcome, WITH_REPORT="yes") - run["outcome"]
    print(f"{arguments.cases:,} cases, CPU seconds, least of {arguments.repeat}")
    print(f"import of torch and transformers    {imports:8.2f}")
    for kind, seconds in collected.items():
        print(f"collect {kind:<28}{seconds:8.2f}")
    more = collected["nothing"] - collected["plain"] - imports
    print(f"collection more than pytest's own   {more:8.2f}  without the import (target: under 3)")
    for kind, seconds in run.items():
        print(f"run {kind:<32}{seconds:8.2f}")
    # Every worker imports and collects.
    start = max(arguments.workers, 1) * (imports + more)
    each = {kind: run[kind] - run["plain"] - start for kind in ("nothing", "outcome")}
    for kind, seconds in each.items():
        per_case = 1000 * seconds / arguments.cases
        print(f"bookkeeping, {kind:<23}{per_case:8.2f}  ms per case (target: under 2)")
    print(f"report                              {report:8.2f}  of cases and their baselines")


if __name__ == "__main__":
    main()
