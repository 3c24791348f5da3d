"""Logs of Inspect (inspect.aisi.org.uk), `.eval` or `.json`, read by its own API.

Each scorer is a metric; C, P, I and N are 1, 0.5, 0 and 0 as Inspect counts them. Epochs of a
sample are its draws, whose mean is its value. Every log is a case: of one task and model they are
told apart by the arguments that differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.errors import ReportError
from harness.report.foreign import reading
from harness.report.foreign.reading import Found
from harness.store.results import CaseResult
from harness.tasks.base import TaskMetric
from harness.tasks.lm_eval.naming import safe

_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_LOOKED_AT = 4096


def fits(path: Path) -> bool:
    """Whether it is a log, or a folder that holds one."""
    if path.is_dir():
        return not (path / "report.json").exists() and bool(_logs(path))
    return path.is_file() and _is_log(path)


def _is_log(path: Path) -> bool:
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json":
        return False
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    return b'"eval"' in head and b'"status"' in head and b'"run_id"' in head


def _logs(folder: Path) -> list[Path]:
    files = [*folder.rglob("*.eval"), *folder.rglob("*.json")]
    return sorted(each for each in files if each.is_file() and _is_log(each))


def read(path: Path) -> list[CaseResult]:
    """A result for each log.

    Raises:
        ReportError: Inspect is not installed, or a log cannot be read or has no scored sample.
    """
    if find_spec("inspect_ai") is None:
        raise ReportError(
            f"{path}: a log of Inspect needs inspect-ai; pip install 'pytest-titrate[inspect]'"
        )
    return reading.results_of([_log(each) for each in (_logs(path) if path.is_dir() else [path])])


def _log(file: Path) -> Found:
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(file))
    except Exception as error:  # whatever a broken archive makes its reader raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ReportError(f"{file}: cannot be read as a log of Inspect: {first}") from error
    asked = log.eval.model_generate_config.model_dump(exclude_none=True)
    settings = {**asked, **log.eval.model_args, **log.eval.task_args}
    made = str(log.eval.created)
    found = Found(log.eval.task, log.eval.model, file, made=made, settings=settings)
    epochs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in log.samples or []:
        id_ = str(sample.id)
        verdict: float | None = None
        detail = ""
        for scorer, score in (sample.scores or {}).items():
            for name, number in _numbers(scorer, score.value):
                epochs[name][id_].append(number)
                if verdict is None:
                    verdict, detail = number, str(score.explanation or "")
        correct = bool(verdict) if verdict in (0.0, 1.0) else None
        prompt = reading.plain_text(
            sample.input
            if isinstance(sample.input, str)
            else [message.text for message in sample.input]
        )
        found.said(id_, prompt, str(sample.output.completion), correct, detail[:400])
    for name, samples in epochs.items():
        for id_, numbers in samples.items():
            found.add(name, id_, fmean(numbers))
        share = all(0 <= n <= 1 for numbers in samples.values() for n in numbers)
        found.entries[name] = TaskMetric(
            f"Inspect's {name}",
            kind="rate" if share else "score",
            bounds=(0, 1) if share else (None, None),
        )
    if not found.values:
        raise ReportError(f"{file}: holds no sample with a score that is a number")
    return found


def _numbers(scorer: str, value: Any) -> list[tuple[str, float]]:
    """What a scorer says as numbers; one that says several says each by its own name."""
    if isinstance(value, Mapping):
        return [
            (f"{safe(scorer)}@{safe(str(name))}", number)
            for name, each in value.items()
            for _, number in _numbers("", each)
        ]
    if isinstance(value, str):
        return [(safe(scorer), _LETTERS[value])] if value in _LETTERS else []
    return [(safe(scorer), float(value))] if isinstance(value, bool | int | float) else []
