"""What the recorded maps of the values of asking come to.

What was chosen in hindsight beyond the first consultation was asked of both models anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import TaskError
from harness.interventions.oracle.description import STEP
from harness.measure.recounted import Apart, CaseFiles, Recounted, unequal
from harness.measure.value_of_asking import VALUE
from harness.runs.planned_case import PlannedCase
from harness.runs.value_of_asking import metrics_of_maps
from harness.store.results import CaseResult


def recounted(
    case: PlannedCase, result: CaseResult, files: CaseFiles, tokenizer: Callable[[], Any]
) -> Recounted:
    """The answers' scores, and what follows from them and from v(t).

    Raises:
        TaskError: a sample is none of the task's, or an answer has no map.
    """
    del files, tokenizer
    foreign = next((draw for draw in result.draws if draw.sample not in case.task.by_id), None)
    if foreign is not None:
        raise TaskError(f"{foreign.sample} is no sample of {case.task.name}")
    style = case.experiment.prompt.style
    scores = case.task.score(
        [(case.task.by_id[draw.sample], style, draw.completion.text) for draw in result.draws]
    )
    apart: list[Apart] = []
    for draw, score in zip(result.draws, scores, strict=True):
        where = f"{draw.sample}: score.correct"
        apart += unequal(where, draw.score.correct, score.correct)
        if len(draw.completion.traces.get(VALUE, ())) != len(draw.completion.tokens):
            raise TaskError(f"{draw.sample}: has no value of asking at every token of its answer")
    right = {
        draw.sample: bool(score.correct) for draw, score in zip(result.draws, scores, strict=True)
    }
    maps = {
        draw.sample: [int(value) for value in draw.completion.traces[VALUE]]
        for draw in result.draws
    }
    log = {
        draw.sample: {
            name.removeprefix(f"{STEP} "): values
            for name, values in draw.completion.traces.items()
            if name.startswith(STEP)
        }
        for draw in result.draws
    }
    values = metrics_of_maps(maps, right, log)
    values["hindsight_1"] = {
        name: float(right[name] or max(each, default=0) > 0) for name, each in maps.items()
    }
    return Recounted(values, apart=apart, kept={*result.sample_metrics} - {*values})
