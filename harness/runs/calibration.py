"""Runs a case that measures calibration: a reading per sample, one result with its files.

Files lie below `.titrate/calibration/<fingerprint>/`; the fingerprint covers the engine, the
intervention, the tokens that are read and what is kept of them, so that what was measured whole is
not measured again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines.contract import Activations, Capture, Engine, Reading
from harness.errors import TaskError
from harness.files.atomic import write_file
from harness.interventions.base import Intervention
from harness.measure.calibration import calibration_of
from harness.measure.calibration_files import (
    GRID,
    RESULT,
    ROUNDING,
    TRACES,
    SampleTraces,
    grid_table,
    read_samples,
    traces_of,
    write_traces,
)
from harness.measure.calibration_files import result as result_of_grid
from harness.measure.likelihood import choices_of
from harness.measure.recounted import Apart, CaseFiles, Recounted
from harness.report.figures.calibration_plot import write_pdf
from harness.runs.generated import result_of
from harness.runs.planned_case import PlannedCase
from harness.statistics.calibration import CalibrationSums, grid
from harness.store.results import CaseResult
from harness.tasks.conversations import render

_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Asked:
    sample: str
    prompt: tuple[int, ...]
    reference: tuple[int, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """The positions after which the reference's tokens come."""
        return tuple(range(len(self.prompt) - 1, len(self.prompt) + len(self.reference) - 1))


def measured_case(
    engine: Engine,
    case: PlannedCase,
    intervention: Intervention | None,
    root: Path,
    measured: Callable[[float], None],
) -> CaseResult:
    """Measure every sample of a case; `measured` is told how many are done.

    Raises:
        TaskError: no sample has a reference that can be read.
    """
    started = time.perf_counter()
    settings = calibration_of(case.experiment)
    asked, problems = _asked(engine.tokenizer, case)
    top = min(settings.top, len(engine.tokenizer))
    folder = root / _fingerprint(engine, asked, intervention, top)
    capture = [Capture(top_log_probabilities=top, positions=each.places) for each in asked]
    readings = [
        Reading(each.prompt + each.reference, kept, intervention, prompt=len(each.prompt))
        for each, kept in zip(asked, capture, strict=True)
    ]
    found: dict[int, SampleTraces] = {}
    for at, activations in engine.forward(readings):
        found[at] = _traces(asked[at], activations)
        measured(len(found))
    samples = [found[at] for at in range(len(asked))]
    cells = grid(traces_of(samples))
    folder.mkdir(parents=True, exist_ok=True)
    write_traces(folder, samples)
    for name, content in _files(case, cells, len(samples)).items():
        write_file(folder / name, content)
    write_pdf(folder, case.case.id)
    warnings = tuple(
        f"{len(problems)} of {case.task.size} references could not be read, first {first}"
        for first in problems[:1]
    )
    done = result_of(
        case,
        "complete",
        sample_metrics=_metrics(samples, cells),
        intervention=intervention,
        warnings=warnings,
    )
    return replace(
        done,
        task_size=len(samples),
        artefacts=str(folder.absolute()),
        seconds=time.perf_counter() - started,
    )


def recounted(
    case: PlannedCase, result: CaseResult, files: CaseFiles, tokenizer: Callable[[], Any]
) -> Recounted:
    """The grid, its fits and the values of samples, from the traces alone.

    Raises:
        TaskError: the traces are none of these samples.
    """
    del result
    asked, _ = _asked(tokenizer(), case)
    samples, problems = read_samples(
        files.folder / TRACES, {each.sample: each.reference for each in asked}
    )
    cells = grid(traces_of(samples))
    return Recounted(
        _metrics(samples, cells),
        _files(case, cells, len(samples)),
        [Apart(TRACES, problem, "the reference") for problem in problems],
        rounding=ROUNDING,
    )


def _files(case: PlannedCase, cells: CalibrationSums, samples: int) -> dict[str, str]:
    """What follows from the traces, by the names of the files."""
    about = {
        "model": case.experiment.model,
        "task": case.task.name,
        "samples": samples,
        "asked": sorted({case.task.digest(sample) for sample in case.task.samples}),
    }
    found = result_of_grid(cells, calibration_of(case.experiment).thresholds, about)
    return {GRID: grid_table(cells), RESULT: json.dumps(found, indent=1) + "\n"}


def _asked(tokenizer: Any, case: PlannedCase) -> tuple[list[_Asked], list[str]]:
    """What is read of each sample, and why some have nothing. Raises TaskError where all have."""
    style = case.experiment.prompt.style
    asked, problems = [], []
    for sample in case.task.samples:
        try:
            reference = choices_of(tokenizer, case.task, sample, style).continuations[0]
        except TaskError as error:
            problems.append(str(error))
            continue
        prompt = tuple(render(tokenizer, case.task.prompt(sample, style)))
        if prompt:
            asked.append(_Asked(sample.id, prompt, reference))
        else:
            problems.append(f"{sample.id}: its prompt has no token to predict from")
    if not asked:
        raise TaskError(f"no reference could be read, first {problems[0]}")
    return asked, problems


def _traces(asked: _Asked, activations: Activations) -> SampleTraces:
    tokens, scores = activations.top_tokens, activations.top_log_probabilities
    assert tokens is not None
    assert scores is not None
    probabilities = scores.double().exp().clamp(max=1).numpy()
    if not np.isfinite(probabilities).all():
        raise TaskError(f"{asked.sample}: a probability is not finite; use a wider engine.dtype")
    return SampleTraces(asked.sample, np.asarray(asked.reference), tokens.numpy(), probabilities)


def _metrics(samples: Sequence[SampleTraces], cells: CalibrationSums) -> dict[str, dict[str, Any]]:
    names = [each.sample for each in samples]
    sums = np.stack([cells.tokens, cells.hits[..., 0], cells.mass[..., 0]], axis=1)
    return {
        "ece": dict(zip(names, sums.tolist(), strict=True)),
        "top_accuracy": {each.sample: float((each.ranks == 1).mean()) for each in samples},
        "top_probability": {
            each.sample: float(each.probabilities[:, 0].mean()) for each in samples
        },
    }


def _fingerprint(
    engine: Engine, asked: Sequence[_Asked], intervention: Intervention | None, top: int
) -> str:
    content = {
        "version": _VERSION,
        "engine": engine.fingerprint,
        "intervention": intervention.fingerprint() if intervention else None,
        "top": top,
        "asked": [[each.sample, each.prompt, each.reference] for each in asked],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
