"""Configurations on samples: cases that no spec lists, run as one stream by the usual planner.

What a trial needs is planned, stored and scored like a case of a sweep: requests that several
trials share are made once, and a killed search finds its completions again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.engines import open_engine
from harness.engines.contract import Engine
from harness.resolve.progress import Counts, Progress
from harness.resolve.resolver import Resolver
from harness.runs.deferred import DeferredEngine
from harness.runs.execute import ModelRun
from harness.runs.planned_case import PlannedCase
from harness.search.treatment import without_control
from harness.spec import Case, Experiment, SpecSource, expand
from harness.spec.experiment import EngineSettings
from harness.store.completions import CompletionStore
from harness.store.results import CaseResult
from harness.tasks.base import Task


@dataclass
class Evaluator:
    """Runs cases on one engine; every call is one fused stream of requests."""

    engine: Engine
    resolver: Resolver
    progress: Progress
    counts: Counts
    store: CompletionStore | None = None
    others: dict[str, Engine] = field(default_factory=dict)
    """Engines of other models that trials ask, by the names that they ask by."""

    def company(self, cases: Sequence[PlannedCase]) -> Mapping[str, Engine]:
        """The other engines, with those that these cases ask."""
        for case in cases:
            for name, opening in case.openings.items():
                if name not in self.others:
                    self.others[name] = self._deferred(
                        opening.model, opening.settings or case.experiment.engine
                    )
        return self.others

    def _deferred(self, model: str, settings: EngineSettings) -> Engine:
        def opening() -> Engine:
            self.progress.note(f"loading {model}")
            self.counts.loads += 1
            return open_engine(model, settings)

        return DeferredEngine(model, settings, opening, self.store)

    def results(self, cases: Sequence[PlannedCase], *, anew: bool = False) -> list[CaseResult]:
        """The results of cases and of their baselines.

        A case that is impossible comes back as failed. With `anew`, nothing is taken from the
        store: what the engine makes now is what counts.
        """
        if self.store is not None:
            self.store.refresh()
        run = ModelRun(
            self.engine,
            cases,
            self.progress,
            self.counts,
            None if anew else self.store,
            self.resolver,
            others=self.company(cases),
        )
        try:
            for case in cases:
                run.result(case)
            return run.results()
        finally:
            run.leave()


def trial_case(label: str, experiment: Experiment, task: Task, source: SpecSource) -> PlannedCase:
    """The one case of an experiment, under a name of its own."""
    (case,) = expand(without_control(experiment), source)
    name = experiment.name
    baseline = case.baseline
    assert baseline is not None, "a search needs an intervention"
    content = hashlib.sha256(baseline.experiment.model_dump_json().encode()).hexdigest()
    named: Case = replace(
        case,
        id=f"{name}[{label}]",
        baseline=replace(baseline, id=f"{name}[baseline-{content[:8]}]"),
    )
    return PlannedCase(named, task)
