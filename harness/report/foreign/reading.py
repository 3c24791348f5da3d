"""What readers of others' results have in common: files as JSON, and a result made of values."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.engines.contract import Completion
from harness.errors import ReportError
from harness.files.given import content
from harness.report.run_info import RunInfo
from harness.spec import Case, Experiment, SpecSource
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Score, TaskMetric

MOST_BYTES = 1 << 31


@dataclass
class Found:
    """What a file says of one task under one model, as it is gathered."""

    task: str
    model: str
    file: Path
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: dict[str, TaskMetric] = field(default_factory=dict)
    draws: list[DrawResult] = field(default_factory=list)
    samples: dict[str, None] = field(default_factory=dict)
    version: int = 1
    made: str = ""
    """When, as a text that sorts so; where a file says it."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What it was run with; where several of a task differ, they are told apart by it."""
    _count: Counter[str] = field(default_factory=Counter)

    def add(self, metric: str, sample: str, value: Any) -> None:
        """One metric's value of one sample; what is no finite number has none."""
        self.samples.setdefault(sample)
        if not (isinstance(value, float) and not math.isfinite(value)):
            self.values.setdefault(metric, {})[sample] = value

    def said(self, sample: str, prompt: str, text: str, correct: bool | None, detail: str) -> None:  # noqa: FBT001
        """One text that was generated."""
        self.samples.setdefault(sample)
        number = self._count[sample]
        self._count[sample] += 1
        score = Score(correct, parsed=True, detail=detail)
        made = Completion((), text, "stop")
        self.draws.append(DrawResult(sample, number, prompt, made, score))


def results_of(found: Sequence[Found]) -> list[CaseResult]:
    """Each as a result. Where there are several models, each has its name in its id; where there
    are several of one task and model, the settings that differ; and of those with equal ones all
    but the newest the name of their file.
    """
    several = len({each.model for each in found}) > 1
    groups: dict[tuple[str, str], list[Found]] = {}
    for each in found:
        groups.setdefault((each.task, each.model), []).append(each)
    told: dict[int, dict[str, Any]] = {}
    for (_, model), group in groups.items():
        names = dict.fromkeys(name for each in group for name in each.settings)
        differ = [name for name in names if len({repr(_of(each, name)) for each in group}) > 1]
        last: dict[str, Found] = {}
        for each in sorted(group, key=lambda each: each.made):
            own = {name: _plain(each.settings[name]) for name in differ if name in each.settings}
            told[id(each)] = {**({"model": model} if several else {}), **own}
            last[repr(own)] = each
        newest = {id(each) for each in last.values()}
        for each in group:
            if id(each) not in newest:
                told[id(each)]["log"] = each.file.stem
    return [_result(each, told[id(each)]) for each in found]


def _of(found: Found, setting: str) -> Any:
    return found.settings.get(setting, Found)  # which no setting is


def _plain(value: Any) -> Any:
    """A setting as parameters of a case hold it."""
    return value if isinstance(value, str | int | float | bool) else json.dumps(value, default=str)


def _result(found: Found, params: dict[str, Any]) -> CaseResult:
    name = experiment_name(found.task)
    task = {"dataset": name, "label": name}
    experiment = Experiment.model_validate(
        {
            "name": name,
            "model": found.model or "unknown",
            "task": task,
            "prompt": {"style": "completion"},
        }
    )
    label = "-".join(f"{key}={experiment_name(str(value))}" for key, value in params.items())
    id_ = f"{name}[{label}]" if label else name
    case = Case(id_, experiment, params, None, SpecSource(str(found.file), ()))
    failures = {
        metric: dict.fromkeys(found.samples.keys() - own.keys(), "it has no value in the file")
        for metric, own in found.values.items()
        if found.samples.keys() - own.keys()
    }
    return CaseResult(
        case=case,
        task_name=found.task,
        task_version=found.version,
        task_size=len(found.samples),
        metric=next(iter(found.values)),
        status="complete",
        draws=tuple(found.draws),
        sample_metrics=found.values,
        failures=failures,
        entries=found.entries,
    )


def experiment_name(text: str) -> str:
    """A name that experiments and ids may have."""
    cleaned = re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).strip("-.+")[:100]
    return cleaned or "unnamed"


def documents(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a JSON Lines file, by their numbers. Raises ReportError for one that is none."""
    for number, line in enumerate(_text(file).split("\n"), 1):
        if line.strip():
            yield number, mapping(line, f"{file}:{number}")


def document(file: Path) -> dict[str, Any]:
    """What a JSON file holds. Raises ReportError for one that holds anything but an object."""
    return mapping(_text(file), str(file))


def mapping(text: str, place: str) -> dict[str, Any]:
    """A JSON object. Raises ReportError for anything else."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ReportError(f"{place}: not JSON: {error}; write it again") from error
    if not isinstance(found, dict):
        raise ReportError(f"{place}: {text[:40]!r} is no JSON object, as results are")
    return found


def field_of(record: Mapping[str, Any], name: str, place: str) -> Any:
    """A field of a record. Raises ReportError where it is missing."""
    if name not in record:
        has = ", ".join(list(record)[:8])
        raise ReportError(f"{place}: has no {name!r}, as such results do; it has {has}")
    return record[name]


def _text(file: Path) -> str:
    try:
        return content(file, MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReportError(f"{file}: cannot be read: {why}") from error


def info_of(path: Path) -> RunInfo:
    """What can be said of a run of others."""
    when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    digest = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]
    return RunInfo(
        id=f"{experiment_name(path.name)}-{digest}", started=when, command=f"read {path.name}"
    )


def plain_text(value: Any) -> str:
    """A prompt as text: as it is, or its messages one below the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(plain_text(each) for each in value)
    if isinstance(value, Mapping):
        return plain_text(value.get("content") or value.get("text") or "")
    return "" if value is None else str(value)
