"""lm-evaluation-harness's files: `results_DATE.json`, and `samples_TASK_DATE.jsonl` of each task.

A document is known by its hash, `TASK/1a2b...`; of equal ones the second has `#2` behind it. Of a
task that was logged several times the newest counts. How values become a number is said by the
results file: its number decides where that leaves open whether it is a mean.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ReportError
from harness.metrics.aggregates import aggregate_named
from harness.report.foreign import reading
from harness.report.foreign.reading import Found
from harness.spec.metric import Good
from harness.store.results import CaseResult
from harness.tasks.base import TaskMetric
from harness.tasks.lm_eval.naming import named, stated_by

_SAMPLES = re.compile(r"samples_(.+)_(\d{4}-\d{2}-\d{2}T.+)\.jsonl")
_RESULTS = re.compile(r"results_(.+)\.json")
#: Metrics that are no means, and what makes a number of them.
_AGGREGATES = {
    "perplexity": "perplexity",
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
    "f1": "f1",
    "mcc": "matthews_corrcoef",
    "brier_score": "brier_score",
    "bleu": "bleu",
    "chrf": "chrf",
    "chrf++": "chrf++",
    "ter": "ter",
}
_LOWER = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "ter")
_HASH = 16


def fits(path: Path) -> bool:
    """Whether it is such a file, or a folder that holds one."""
    if path.is_dir():
        return not (path / "report.json").exists() and next(_logs(path), None) is not None
    return _SAMPLES.fullmatch(path.name) is not None or _RESULTS.fullmatch(path.name) is not None


def read(path: Path) -> list[CaseResult]:
    """A result for each task that has samples.

    Raises:
        ReportError: a results file without samples, and a line that is none of theirs.
    """
    return reading.results_of([_task(file) for file in files_at(path)])


def files_at(path: Path) -> list[Path]:
    """The samples' files that a path means: itself, those beside a results file, or of each task in
    a folder the newest.

    Raises:
        ReportError: a results file without samples.
    """
    if path.is_dir():
        return sorted(_newest(_logs(path)))
    date = _RESULTS.fullmatch(path.name)
    if date is None:
        return [path]
    files = [each for each in _logs(path.parent) if each.name.endswith(f"_{date[1]}.jsonl")]
    if not files:
        raise ReportError(
            f"{path}: has no samples_*_{date[1]}.jsonl beside it, without which nothing can be "
            "paired; run lm-eval again with --log_samples"
        )
    return files


def task_of(file: Path) -> str:
    """The task whose samples a file has, by its name."""
    return (_named(file) or (file.stem, ""))[0]


def texts_of(line: Mapping[str, Any]) -> Iterator[str]:
    """What was generated for a document, of each of its instances in turn; choices have none."""
    for said in line.get("resps") or []:
        for text in said if isinstance(said, list) else [said]:
            if isinstance(text, str) and not isinstance(_first(said), list):
                yield text


def _logs(folder: Path) -> Any:
    return (each for each in sorted(folder.rglob("samples_*.jsonl")) if _named(each))


def _named(file: Path) -> tuple[str, str] | None:
    found = _SAMPLES.fullmatch(file.name)
    return None if found is None else (found[1], found[2])


def _newest(files: Any) -> list[Path]:
    """The newest log of each task in each folder."""
    found: dict[tuple[Path, str], Path] = {}
    for file in sorted(files, key=lambda each: (_named(each) or ("", ""))[1]):
        task, _ = _named(file) or ("", "")
        found[file.parent, task] = file
    return list(found.values())


def _task(file: Path) -> Found:
    task, date = _named(file) or ("", "")
    beside = file.parent / f"results_{date}.json"
    summary = reading.document(beside) if beside.is_file() else {}
    model = str(summary.get("model_name") or summary.get("config", {}).get("model") or "unknown")
    found = Found(task, model, file)
    seen: dict[str, Counter[str]] = {}
    raw: dict[str, tuple[str, str]] = {}
    told: set[str] = set()
    for number, line in reading.documents(file):
        place = f"{file}:{number}"
        filter_name = str(line.get("filter", "none"))
        digest = str(reading.field_of(line, "doc_hash", place))[:_HASH]
        count = seen.setdefault(filter_name, Counter())
        count[digest] += 1
        sample = f"{task}/{digest}" + (f"#{count[digest]}" if count[digest] > 1 else "")
        metrics = reading.field_of(line, "metrics", place)
        for metric in metrics:
            name = named(str(metric), filter_name)
            raw[name] = (str(metric), filter_name)
            found.add(name, sample, reading.field_of(line, str(metric), place))
        if sample not in told:
            told.add(sample)
            _draws(found, sample, line, str(next(iter(metrics), "")))
    if not found.values:
        raise ReportError(f"{file}: holds no document with a metric")
    own = summary.get("results", {}).get(task, {})
    for name, (metric, filter_name) in raw.items():
        values = list(found.values.get(name, {}).values())
        number = own.get(f"{metric},{filter_name}")
        found.entries[name] = _stated(summary, task, metric, values, number)
    return found


def _draws(found: Found, sample: str, line: Mapping[str, Any], metric: str) -> None:
    """The texts of a document, of each of its instances in turn."""
    prompt = reading.plain_text(_first_argument(line.get("arguments")))
    value = line.get(metric)
    correct = bool(value) if value in (0, 1, 0.0, 1.0) else None
    read = line.get("filtered_resps")
    detail = "" if read is None else f"read: {read!r}"[:400]
    for text in texts_of(line):
        found.said(sample, prompt, text, correct, detail)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _first_argument(arguments: Any) -> Any:
    """Of `{"gen_args_0": {"arg_0": ...}}`, or of `[[...]]` as it is logged before it is written."""
    if isinstance(arguments, Mapping):
        first = next(iter(arguments.values()), None)
        return next(iter(first.values()), None) if isinstance(first, Mapping) else first
    return _first(_first(arguments))


def _stated(
    summary: Mapping[str, Any], task: str, metric: str, values: Sequence[Any], number: Any
) -> TaskMetric:
    """What a metric is, by what the results file says of it."""
    higher = summary.get("higher_is_better", {}).get(task, {}).get(metric)
    if higher is None:
        higher = not metric.startswith(_LOWER)
        known = metric in _AGGREGATES or stated_by(metric, "higher", "mean").kind == "rate"
        good: Good = ("higher" if higher else "lower") if known else "neither"
    else:
        good = "higher" if higher else "lower"
    plain = all(isinstance(value, int | float) for value in values)
    aggregate = _AGGREGATES.get(metric, "mean" if plain else f"{metric} of {task}")
    if plain and isinstance(number, int | float):
        inner = aggregate_named(aggregate)
        mean = sum(values) / len(values)
        own = mean if inner is None else inner(values)
        if not math.isclose(own, number, rel_tol=1e-6, abs_tol=1e-9):
            aggregate = (
                "mean"
                if math.isclose(mean, number, rel_tol=1e-6, abs_tol=1e-9)
                else f"{metric} of {task}"
            )
    stated = stated_by(metric, good, aggregate)
    if stated.kind == "rate" and not all(0 <= value <= 1 for value in values):
        return TaskMetric(stated.summary, good, aggregate=aggregate)
    return stated
