"""What must be run for the selected cases: checks before loading, requests without doubles.

- `planned` finds everything that can be wrong with a case without its weights.
- `Plan` maps every distinct request to the completions that wait for it: cases that ask the same
  (every sweep shares its baseline, every greedy draw its siblings) are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harness.engines.base import Request, SamplingRules, Stop
from harness.errors import FieldError, ModelError, SpecError, TaskError
from harness.interventions.base import Intervention
from harness.models.loading import load_config, pick_device
from harness.runs.resolve import check_router_mask
from harness.runs.tasks import task_of
from harness.spec import Case, Experiment
from harness.tasks.base import Sample, Style, Task
from harness.tasks.conversations import render


@dataclass(frozen=True, eq=False)
class PlannedCase:
    """A case that can run, with its task at hand; what a bench function gets as `case`."""

    case: Case
    task: Task
    nodeid: str | None = None

    @property
    def id(self) -> str:
        """The case's stable id."""
        return self.case.id

    @property
    def experiment(self) -> Experiment:
        """The experiment with every axis fixed."""
        return self.case.experiment

    @property
    def baseline(self) -> PlannedCase | None:
        """The same case without its intervention; no test item of its own."""
        if self.case.baseline is None:
            return None
        return PlannedCase(self.case.baseline, self.task)


def planned(case: Case, nodeid: str | None = None) -> PlannedCase:
    """Load a case's task and check the case, short of its model's weights; raises `SpecError`."""
    experiment = case.experiment
    try:
        task = task_of(experiment.task)
        load_config(experiment.model)
        _check_device(experiment.engine.device)
        if experiment.intervention is not None:
            check_router_mask(experiment, experiment.intervention)
    except FieldError as error:
        raise case.source.locate(error) from error
    except TaskError as error:
        raise case.source.locate(FieldError("task", str(error))) from error
    except ModelError as error:
        raise case.source.locate(FieldError("model", str(error))) from error
    return PlannedCase(case, task, nodeid)


@cache
def _check_device(device: str) -> None:
    try:
        pick_device(device)
    except ModelError as error:
        problem = str(error).removeprefix("engine.device ")
        raise FieldError("engine.device", problem) from error


@dataclass(frozen=True, slots=True)
class Place:
    """Where a completion belongs: a case's sample and draw."""

    case: str
    sample: str
    draw: int


@dataclass
class Plan:
    """Distinct requests in the order to run them, with the places that each one fills."""

    tokenizer: Any
    places: dict[Request, list[Place]] = field(default_factory=dict)
    _prompts: dict[tuple[Task, Sample, Style], tuple[int, ...]] = field(default_factory=dict)

    def add(self, case: PlannedCase, intervention: Intervention | None) -> None:
        """Add all requests of a case, or none when one of its prompts cannot be rendered."""
        for place, request in self.requests(case, intervention):
            self.places.setdefault(request, []).append(place)

    def requests(
        self, case: PlannedCase, intervention: Intervention | None
    ) -> list[tuple[Place, Request]]:
        """All requests of a case, with the place that each one fills."""
        return [
            (Place(case.id, sample.id, draw), self._request(case, sample, draw, intervention))
            for sample in case.task.samples
            for draw in range(case.experiment.sampling.draws)
        ]

    def prompt_text(self, task: Task, sample: Sample, style: Style) -> str:
        """A prompt as the model reads it, special tokens included."""
        return str(self.tokenizer.decode(self._prompt(task, sample, style)))

    def _request(
        self, case: PlannedCase, sample: Sample, draw: int, intervention: Intervention | None
    ) -> Request:
        """One request. Greedy decoding has no randomness, so that its seed and draw are 0."""
        experiment = case.experiment
        sampling = experiment.sampling
        style = experiment.prompt.style
        random = sampling.temperature > 0
        return Request(
            prompt=self._prompt(case.task, sample, style),
            max_new_tokens=sampling.max_new_tokens,
            intervention=intervention,
            sampling=SamplingRules(
                sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p
            ),
            stop=Stop(strings=case.task.stop_strings(style)),
            seed=experiment.seed if random else 0,
            sample=sample.id,
            draw=draw if random else 0,
        )

    def _prompt(self, task: Task, sample: Sample, style: Style) -> tuple[int, ...]:
        """A prompt's tokens; the conditions of a sweep share one tuple."""
        key = (task, sample, style)
        if key not in self._prompts:
            self._prompts[key] = tuple(render(self.tokenizer, task.prompt(sample, style)))
        return self._prompts[key]


def check_compatible(cases: Iterable[PlannedCase]) -> None:
    """Refuse two different cases of one id, and one experiment's name with different gates.

    Raises:
        SpecError: naming the spec files that must be told apart.
    """
    experiments: dict[str, PlannedCase] = {}
    gates: dict[str, PlannedCase] = {}
    for case in cases:
        for each in (case, case.baseline):
            if each is None:
                continue
            same = experiments.setdefault(each.id, each)
            if same.experiment != each.experiment:
                problem = "two different experiments have this id"
                raise SpecError(f"{each.id}: {problem}; {_remedy(same, each)}")
        named = gates.setdefault(case.experiment.name, case)
        if named.experiment.gates != case.experiment.gates:
            problem = "two experiments of this name have different gates"
            raise SpecError(f"{case.experiment.name}: {problem}; {_remedy(named, case)}")


def _remedy(one: PlannedCase, other: PlannedCase) -> str:
    files = sorted({one.case.source.file, other.case.source.file} - {""})
    return f"rename one of those in {', '.join(files) or 'Python'}"


def by_model(cases: Iterable[PlannedCase]) -> dict[tuple[str, str], list[PlannedCase]]:
    """Cases grouped by the loaded model that they share, in their given order."""
    groups: dict[tuple[str, str], list[PlannedCase]] = {}
    for case in cases:
        key = (case.experiment.model, case.experiment.engine.model_dump_json())
        groups.setdefault(key, []).append(case)
    return groups
