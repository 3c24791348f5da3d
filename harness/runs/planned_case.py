"""A case that can run, with its task: what it measures, whom it asks, what it is compared by.

`with_task` makes one of a test item, and imports no torch; `planned` (in `checks`) also finds
everything that can be wrong with it without its model's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import registry
from harness.errors import FieldError, SandboxError, TaskError
from harness.metrics.entry import MetricEntry, Opening, Seen
from harness.metrics.kind import content_of, entry_of
from harness.metrics.lookup import metric_of
from harness.resolve.tasks import task_of
from harness.spec import Case, Experiment
from harness.spec.measure import Measure, measure_named
from harness.spec.metric import MetricSettings, needs_of, section_of
from harness.tasks.base import Sample, Score, Task
from harness.tasks.reasoning import opened_by

#: Metrics that are counted of every task's completions.
ALWAYS = ("cut",)


@dataclass(frozen=True, eq=False)
class PlannedCase:
    """A case that can run, with its task at hand; what a bench function gets as `case`."""

    case: Case
    task: Task
    nodeid: str | None = None
    unsafe_code: bool = False
    """Whether code that is not isolated may be run for it."""

    @property
    def id(self) -> str:
        """The case's stable id."""
        return self.case.id

    @property
    def experiment(self) -> Experiment:
        """The experiment with every axis fixed."""
        return self.case.experiment

    @property
    def measure(self) -> Measure:
        """What is measured in it."""
        return measure_named(self.experiment.measure)

    @property
    def metric(self) -> str:
        """The primary metric: the spec's choice, or else the first of those that it lists, of the
        measure, or of the task.
        """
        if self.experiment.metric is not None:
            return self.experiment.metric
        if self.measure.by_task:
            return self.task.metric
        if self.measure.reads:
            return str(self.measure.entries_of(self.experiment)[0].name)
        for first in self.experiment.metrics:
            return section_of(first).called
        return self.task.metric

    @property
    def metrics(self) -> list[str]:
        """What the case will measure, known from its spec, the primary one first."""
        if self.measure.by_task:
            found = [*self.task.entries, *(entry.name for entry in self.counted)]
        elif self.measure.reads:
            found = self._read_metrics()
        else:
            draws = self.experiment.sampling.draws
            found = list(self.task.metrics([Score(correct=False, parsed=False)] * draws))
            found += [entry.name for entry in self.counted if entry.name not in found]
        return sorted(found, key=lambda name: name != self.metric)

    def kind(self, metric: str) -> MetricEntry:
        """What one of them is: which way is better, how its values become one number."""
        experiment = self.experiment
        return metric_of(
            experiment.measure,
            metric,
            experiment.metrics,
            task=experiment.task.name,
            answer=experiment.task.answer,
            stated=self.task.entries if self.measure.by_task else {},
        )

    @property
    def items(self) -> dict[str, str | MetricSettings]:
        """What is counted of completions by the names of the metrics: what is of every one and of
        its intervention, the items of `metrics:`, and a registered `metric:`; only these items
        where the task counts by itself.
        """
        experiment = self.experiment
        if self.measure.by_task:
            return {section_of(item).called: item for item in experiment.metrics}
        always = ALWAYS + (experiment.intervention.metrics() if experiment.intervention else ())
        items: dict[str, str | MetricSettings] = dict(zip(always, always, strict=True))
        items |= {section_of(item).called: item for item in experiment.metrics}
        chosen = experiment.metric
        if chosen is not None and chosen in registry.metrics and not needs_of(chosen):
            items.setdefault(chosen, chosen)
        return items

    @property
    def counted(self) -> list[MetricEntry]:
        """The metrics that the spec asks for beside those of the task, in its order."""
        return [entry_of(item) for item in self.items.values()] if self._completes else []

    @property
    def contents(self) -> dict[str, str]:
        """A hash of all that decides the values of each of these metrics, by their names."""
        if not self._completes:
            return {}
        return {name: content_of(item) for name, item in self.items.items()}

    @property
    def _completes(self) -> bool:
        """Whether there may be completions, of which metrics are counted."""
        return self.measure.by_task or not self.measure.reads

    @property
    def asked_engines(self) -> frozenset[str]:
        """Those of `openings` that are asked for completions or scores, and not only read."""
        return frozenset(self.openings.keys() - self.measure.engines_of(self.experiment).keys())

    @property
    def asked_servers(self) -> frozenset[str]:
        """Servers that its measure asks, such as a judge's, by the names of their engines."""
        own: dict[str, Opening] = dict(self.measure.engines_of(self.experiment))
        return frozenset(
            name
            for name, each in own.items()
            if each.section and each.settings is not None and each.settings.base_url is not None
        )

    @property
    def openings(self) -> dict[str, Opening]:
        """The engines, beside the run's own, that its measure reads, or its intervention or its
        metrics ask, by name.
        """
        found: dict[str, Opening] = dict(self.measure.engines_of(self.experiment))
        settings = self.experiment.intervention
        asked = {} if settings is None else settings.engines()
        found |= {name: Opening(*opening) for name, opening in asked.items()}
        for asks in (entry.asks for entry in self.counted if entry.asks is not None):
            if asks.reference and self.reference:
                found[self.reference] = Opening(self.reference)
            found |= asks.engines
        return found

    @property
    def reference(self) -> str:
        """The engine of the spec's `reference:`, as requests name it; "" for the model itself."""
        named = self.experiment.reference
        return "" if named is None or named == self.experiment.model else named

    def seen(self, sample: Sample, prompt: str, **came: Any) -> Seen:
        """What a metric sees of a sample; `came` has its answers, and the replies to the metric."""
        style = self.experiment.prompt.style

        def correct(text: str) -> bool | None:
            answer = (sample, style, opened_by(prompt) + text)
            (score,) = self.task.score([answer])
            return score.correct

        return Seen(sample.id, sample.record, prompt, correct=correct, **came)

    def _read_metrics(self) -> list[str]:
        # Here, because they import torch, which starting workers does not need.
        from harness.models.loading import load_config
        from harness.models.routers import has_routers

        entries: Sequence[MetricEntry] = self.measure.entries_of(self.experiment)
        needed = {need for entry in entries for need in entry.needs}
        had: set[str] = set()
        if "routers" in needed and has_routers(load_config(self.experiment.model)):
            had.add("routers")
        if "choices" in needed and self.task.distractors(self.task.samples[0]):
            had.add("choices")
        return [entry.name for entry in entries if entry.needs <= had]

    @property
    def baseline(self) -> PlannedCase | None:
        """The same case without its intervention; no test item of its own."""
        if self.case.baseline is None:
            return None
        return PlannedCase(self.case.baseline, self.task, unsafe_code=self.unsafe_code)


def with_task(case: Case, nodeid: str | None = None, *, unsafe_code: bool = False) -> PlannedCase:
    """A case with its task, which is found to be scorable here; imports no torch.

    `unsafe_code` allows completions to run as a plain process where they cannot be isolated.
    Raises `SpecError` for a task that cannot be had.
    """
    try:
        experiment = case.experiment
        task = task_of(experiment.task, experiment.prompt, unsafe_code=unsafe_code)
    except FieldError as error:
        raise case.source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise case.source.locate(FieldError("task", str(error))) from error
    return PlannedCase(case, task, nodeid, unsafe_code)
