"""The test split, scored once: the best configuration beside its neutral dose and its control.

The best configuration is written as an ordinary spec, with the ids of the test samples beside it,
and run as one: running that file again makes the same report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue

from harness.runs.planned_case import PlannedCase
from harness.search.treatment import control_axis, dose_field, treatment, without_control
from harness.spec import Experiment, expand, load
from harness.spec.layers import get
from harness.statistics.estimates import Versus
from harness.statistics.paired import corrected, paired
from harness.store.results import CaseResult, compared

BEST_SPEC, TEST_IDS = "best.yaml", "test.json"


@dataclass(frozen=True)
class FinalComparison:
    """The best configuration against another one on the test samples: best minus other."""

    name: str
    other: str
    versus: Versus


def best_spec(experiment: Experiment, trial: int, metric: str) -> str:
    """A spec that runs a configuration on the test samples, with everything it is compared with.

    Its report leads with the metric that was searched.
    """
    settings = treatment(experiment)
    experiment = without_control(experiment)
    content: dict[str, Any] = experiment.model_dump(mode="json", exclude_defaults=True)
    content |= {
        "name": f"{experiment.name}_best",
        "description": f"Trial {trial} of the search {experiment.name}, on its test samples.",
        "task": {**content["task"], "only": f"./{TEST_IDS}"},
        "metric": metric,
        "intervention": treatment(experiment).model_dump(mode="json", exclude_defaults=True),
    }
    dose = dose_field(settings)
    axes: dict[str, list[JsonValue]] = {}
    if dose is not None:
        control = settings.controlled
        if control is not None and control.own is not None:
            content["intervention"].pop(control.field, None)
        axes[dose] = [0, get(experiment.model_dump(mode="json"), dose)]
        content |= {"dose": dose, "gates": ["neutral_equals_baseline"]}
        axes |= control_axis(experiment)
    content["axes"] = axes
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def final_cases(spec: Path, *, unsafe_code: bool) -> list[PlannedCase]:
    """The cases of the best configuration's spec."""
    from harness.runs.checks import planned  # imports torch

    return [planned(case, unsafe_code=unsafe_code) for case in expand(*load(spec))]


def comparisons(results: Sequence[CaseResult], metric: str) -> list[FinalComparison]:
    """The best configuration against its neutral dose, and against its control at the same dose."""
    complete = [result for result in results if result.status == "complete"]
    treated = [result for result in complete if result.case.experiment.intervention is not None]
    best = next((each for each in treated if not each.is_neutral and not _is_control(each)), None)
    if best is None:
        return []
    others: Mapping[str, CaseResult | None] = {
        "neutral dose": next((each for each in treated if each.is_neutral), None),
        "control": next(
            (each for each in treated if _is_control(each) and not each.is_neutral), None
        ),
    }
    there = {name: other for name, other in others.items() if other is not None}
    kind = best.kind(metric)
    family = corrected([paired(*compared(best, other, metric), kind) for other in there.values()])
    return [
        FinalComparison(name, other.case.id, versus)
        for (name, other), versus in zip(there.items(), family, strict=True)
    ]


def _is_control(result: CaseResult) -> bool:
    settings = result.case.experiment.intervention
    control = None if settings is None else settings.controlled
    found = control and result.case.params.get(f"intervention.{control.field}")
    return control is not None and found == control.other
