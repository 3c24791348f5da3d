"""Scores a folder of the study's decode files with a task's own scorer.

    humaneval_0_agentic.json  {"key": "humaneval_0", "variant": "agentic", "generated": "...",
                               "aligned_ok": true, ...}

Programs are run in separate processes with a time limit, and the task's `entry_point` is what is
tested; the study runs them in its own process and tests the prompt's first function. As there, a
file that is missing or empty counts as failed, and so does an assisted one that was not aligned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import TaskError
from harness.files.given import exists
from harness.tasks.base import Sample, Score, Task
from harness.tasks.pairs.pair import VARIANTS, Unpaired, Variant, pair_key
from harness.tasks.pairs.sources import read_document

_FORM = '{"key": "humaneval_0", "variant": "agentic", "generated": "...", ...}'


@dataclass(frozen=True)
class Evaluation:
    """Every sample's score in both variants, in the task's order, and what could not be scored."""

    scores: Mapping[tuple[str, Variant], Score]
    samples: Mapping[str, str]
    problems: tuple[Unpaired, ...]

    @property
    def counts(self) -> dict[Variant, dict[str, int]]:
        """Passed and failed samples by variant; together always all samples."""
        counts: dict[Variant, dict[str, int]] = {v: {"pass": 0, "fail": 0} for v in VARIANTS}
        for (_, variant), score in self.scores.items():
            counts[variant]["pass" if score.correct else "fail"] += 1
        return counts

    def document(self) -> dict[str, Any]:
        """The study's results file: counts by variant, success and error by sample."""
        results: dict[str, dict[str, Any]] = {}
        for (key, variant), score in self.scores.items():
            entry = results.setdefault(key, {"task_id": self.samples[key]})
            entry[variant] = {
                "success": score.correct,
                "error": "" if score.correct else score.detail,
            }
        return {"counts": self.counts, "results": results}


def evaluate(folder: Path | str, task: Task) -> Evaluation:
    """Score the decode files of a folder, one per sample of a task and variant.

    Raises:
        TaskError: the folder holds no decode file of any sample.
    """
    place = Path(folder).expanduser()
    keys = {pair_key(sample.id): sample for sample in task.samples}
    files = {
        (key, variant): place / f"{key}_{variant}.json" for key in keys for variant in VARIANTS
    }
    if not any(exists(file) for file in files.values()):
        first = next(iter(files.values()))
        raise TaskError(
            f"{folder}: holds no decode file of {task.name}; expected {first.name} and so on"
        )
    answers: dict[tuple[str, Variant], tuple[Sample, str]] = {}
    problems: dict[tuple[str, Variant], Unpaired] = {}
    for (key, variant), file in files.items():
        try:
            answers[key, variant] = (keys[key], _generated(file, key, variant))
        except TaskError as error:
            problems[key, variant] = Unpaired(f"{key} {variant}", str(error))
    # Both variants are chat answers; how they are read does not depend on the style.
    scored = task.score([(sample, "assisted", text) for sample, text in answers.values()])
    scores = dict(zip(answers, scored, strict=True))
    return Evaluation(
        {
            each: scores[each]
            if each in scores
            else Score(correct=False, parsed=False, detail=problems[each].reason)
            for each in files
        },
        {key: sample.id for key, sample in keys.items()},
        tuple(problems.values()),
    )


def _generated(file: Path, key: str, variant: Variant) -> str:
    """What was decoded; a TaskError says why there is nothing to score."""
    if not exists(file):
        raise TaskError(f"no decode file {file.name}")
    entry = read_document(file, _FORM)
    if not isinstance(entry, dict) or (entry.get("key"), entry.get("variant")) != (key, variant):
        raise TaskError(f"{file.name} is not the decode file of {key} {variant}; expected {_FORM}")
    if variant == "assisted" and not entry.get("aligned_ok", True):
        raise TaskError(f"{file.name} was decoded from a pair that is not aligned")
    generated = entry.get("generated")
    if not isinstance(generated, str) or not generated:
        raise TaskError(f"{file.name} holds no generated text")
    return generated
