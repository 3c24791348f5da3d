"""What the report of a large submitted run takes: 10 000 files of records, 100 samples in each.

    python benches/speed/merge.py                   # 10 000 files
    python benches/speed/merge.py --files 1000

The records are those of a run whose tasks have all ended, a case in each: 25 specs, each of 39
doses and their baseline for as many seeds as are asked for. No model is needed: answers are made
up, about `--tokens` tokens long, and follow their baseline for a while. What is measured is the
job that makes the report, in a process of its own: wall and CPU seconds, and the most memory that
it and its copies had together, what they share counted once (Linux; looked at every two seconds).
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.engines.contract import Completion
from harness.launch.board import Pin
from harness.launch.cluster.outcomes import TaskOutcome
from harness.launch.cluster.submission import ArrayTask, Submission, TaskGroup
from harness.resolve.progress import Counts
from harness.spec import Case, Experiment, expand
from harness.spec.resources import Resources
from harness.store.folder import Manifest, RunFolder, run_id
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Score

SPECS = 25
DOSES = 39
_WORDS = ("the", "number", "of", "apples", "then", "is", "so", "she", "buys", "dollars", "per day")
_MERGE = """
import sys
from pathlib import Path
from harness.launch.cluster.merging import merge_run
from harness.launch.cluster.submission import Submission
print(len(merge_run(Submission.read(Path(sys.argv[1]))).lines), "lines")
"""


def grids(files: int, *, doses: bool) -> Iterator[list[Case]]:
    """The cases of each spec, baselines first."""
    seeds = max(1, files // (SPECS * (DOSES + 1)))
    for number in range(SPECS):
        experiment = Experiment.model_validate(
            {
                "name": f"study-{number:02d}",
                "model": "zoo/moe",
                "task": {"name": "micro_gsm8k"},
                "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
                "axes": {"intervention.count": list(range(DOSES)), "seed": list(range(seeds))},
                "gates": ["neutral_equals_baseline"],
                **({"dose": "intervention.count"} if doses else {}),
            }
        )
        cases = expand(experiment)
        baselines = {case.baseline.id: case.baseline for case in cases if case.baseline}
        yield [*baselines.values(), *cases]


def result(case: Case, samples: int, tokens: int) -> CaseResult:
    """A complete case whose answers are made up: the larger the dose, the sooner they depart."""
    dose = int(case.params["intervention.count"]) if case.baseline else 0
    draws = []
    for sample in range(samples):
        shared = random.Random(f"{case.experiment.seed} {sample}")
        own = random.Random(f"{case.experiment.seed} {sample} {dose}")
        length = shared.randint(tokens // 2, tokens * 3 // 2)
        ids = [shared.randrange(500) for _ in range(length)]
        kept = length if dose == 0 else int(length * own.random() * (1 - dose / DOSES))
        ids[kept:] = [500 + own.randrange(500) for _ in range(length - kept)]
        right = shared.random() > dose / DOSES
        text = " ".join(_WORDS[token % len(_WORDS)] for token in ids)
        draws.append(
            DrawResult(
                sample=f"micro_gsm8k/{sample}",
                draw=0,
                prompt=f"Question {sample}: " + "How many of these words are there? " * 8,
                completion=Completion(
                    tuple(ids), text, "stop", tuple(-own.expovariate(2) for _ in ids)
                ),
                score=Score(
                    correct=right,
                    parsed=True,
                    detail="is 12" if right else "is 7, not 12",
                    answer="12",
                ),
                agreement=kept if case.baseline else None,
            )
        )
    return CaseResult(
        case=case,
        task_name="micro_gsm8k",
        task_version=1,
        task_size=samples,
        metric="accuracy",
        status="complete",
        baseline=case.baseline.id if case.baseline else None,
        draws=tuple(draws),
        sample_metrics={
            "accuracy": {draw.sample: float(draw.score.correct or 0) for draw in draws},
            "parse_rate": {draw.sample: 1.0 for draw in draws},
        },
        seconds=0.1,
    )


def made(root: Path, files: int, samples: int, tokens: int, *, doses: bool) -> Submission:
    """The folder of a run whose tasks have all ended."""
    started = datetime.now(UTC)
    run = run_id(started)
    every = [case for grid in grids(files, doses=doses) for case in grid]
    names = {case.id: f"{number:05d}" for number, case in enumerate(every)}
    tasks = tuple(ArrayTask(name, (id_,)) for id_, name in names.items())
    groups = (TaskGroup("zoo/moe", Resources(), tasks),)
    submission = Submission(run, "local", str(root), "", None, "", {}, {}, groups)
    folder = RunFolder(submission.directory)
    folder.begin(Manifest(run, started, "titrate submit study.yaml", str(root / "report")))
    folder.plan(replace(result(case, 0, tokens), status="incomplete") for case in every)
    folder.close()
    submission.write()
    for case in every:
        own = RunFolder(submission.directory, f"{names[case.id]}-abcdef")
        own.add(result(case, samples, tokens))
        own.close()
        Pin(submission.directory, own.process).update(Counts(tokens=samples * tokens, seconds=0.1))
        outcome = TaskOutcome(own.process, "", "node", 1, started.isoformat(), "done")
        outcome.write(submission.directory, names[case.id])
    return submission


def memory(process: int) -> int:
    """Bytes that a process and its descendants have resident together; 0 where nobody says."""
    try:
        said = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
        below = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
    except OSError:
        return 0
    own = next(line.split()[1] for line in said.splitlines() if line.startswith("Pss:"))
    return int(own) * 1024 + sum(memory(int(child)) for child in below)


def main() -> None:
    """Print a line of what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--doses", action="store_true", help="let the specs name their dose")
    parser.add_argument("--make", type=Path, help="make the records there and stop")
    parser.add_argument("--made", type=Path, help="merge what --make has made")
    arguments = parser.parse_args()
    sizes = arguments.files, arguments.samples, arguments.tokens
    doses = arguments.doses
    if arguments.make is not None:
        print(made(arguments.make, *sizes, doses=doses).directory)
        return
    with tempfile.TemporaryDirectory() as name:
        if arguments.made is None:
            made(Path(name), *sizes, doses=doses)
        root = arguments.made or Path(name)
        (directory,) = (root / ".titrate" / "runs").iterdir()
        sizes_ = [path.stat().st_size for path in directory.glob("cases-*.jsonl")]
        start = time.perf_counter()
        most = 0
        with subprocess.Popen(
            [sys.executable, "-c", _MERGE, str(directory)],
            env={"OMP_NUM_THREADS": "1", **os.environ},
        ) as job:
            while job.poll() is None:
                most = max(most, memory(job.pid))
                with suppress(subprocess.TimeoutExpired):
                    job.wait(timeout=2)
        seconds = time.perf_counter() - start
        if job.returncode:
            sys.exit(job.returncode)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        written = sum(path.stat().st_size for path in (root / "report").rglob("*.*"))
    print(
        f"{len(sizes_):,} files, {sum(sizes_) / 1e9:.2f} GB read, {written / 1e9:.2f} GB written: "
        f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{most / 1e9:.2f} GB together, {used.ru_maxrss * 1024 / 1e9:.2f} GB the largest"
    )


if __name__ == "__main__":
    main()
