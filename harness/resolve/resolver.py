"""From the intervention section of a spec to the intervention itself, as its kind resolves it.

What follows from the model's configuration alone is found out at collection. What needs the model
is measured when the first case asks for it, and kept in the completion store under everything that
was read for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engines import check_kind
from harness.engines.contract import Engine
from harness.errors import FieldError
from harness.interventions.base import Intervention
from harness.interventions.kind import Kind, kind_of
from harness.resolve.progress import Progress
from harness.resolve.resolution import Resolution
from harness.spec import Experiment
from harness.spec.measure import measure_named
from harness.store.completions import CompletionStore
from harness.store.results import UsageMap


@dataclass
class Resolver:
    """Resolves the interventions of the cases of one model; keeps what was measured for them."""

    engine: Engine
    progress: Progress
    store: CompletionStore | None = None
    others: Mapping[str, Engine] = field(default_factory=dict)
    """The engines of other models that cases ask, by the names that they ask by."""
    _resolutions: dict[Kind, Resolution[Any]] = field(default_factory=dict)

    def resolve(self, experiment: Experiment) -> Intervention | None:
        """The experiment's intervention. Raises `FieldError` for an impossible one."""
        settings = experiment.intervention
        return None if settings is None else self._of(settings.kind).resolve(experiment, settings)

    def usage(self, experiment: Experiment) -> UsageMap | None:
        """The measured usage that an experiment's intervention follows from, once it is known."""
        settings = experiment.intervention
        return None if settings is None else self._of(settings.kind).usage(experiment, settings)

    def needs_model(self, experiment: Experiment) -> bool:
        """Whether something must be measured before the intervention is known."""
        settings = experiment.intervention
        return settings is not None and not self._of(settings.kind).known(experiment, settings)

    def _of(self, name: str) -> Resolution[Any]:
        kind = kind_of(name)
        if kind not in self._resolutions:
            self._resolutions[kind] = kind.resolution(
                self.engine, self.progress, self.store, self.others
            )
        return self._resolutions[kind]


def measured_for(experiment: Experiment) -> str | None:
    """What has to be measured on the model before an experiment's intervention is known, if any."""
    settings = experiment.intervention
    if settings is None:
        return None
    found: str | None = kind_of(settings.kind).resolution.measured(experiment, settings)
    return found


def check_intervention(experiment: Experiment) -> None:
    """Raise `FieldError` or `ModelError` for what cannot be done, before weights are loaded."""
    settings = experiment.intervention
    if settings is None:
        return
    check_kind(experiment.engine.name, settings.kind)
    kind = kind_of(settings.kind)
    measure = measure_named(experiment.measure)
    if measure.reads and kind.mechanism == "policy":
        raise FieldError(
            "measure",
            f"{measure.noun} read given texts, but {kind.name} decides as it generates; "
            "use steering",
        )
    kind.resolution.check(experiment, settings)


def check_guided(experiment: Experiment, scored: str | None, *, by_task: bool) -> None:
    """Raise `FieldError` for what is not asked under guidance, before anything is loaded.

    Args:
        experiment: Whose intervention may ask other models.
        scored: What is asked of it beside texts, in words; None where texts alone are.
        by_task: Whether prompts are a task's own, which are not rendered in other tokens.
    """
    settings = experiment.intervention
    if settings is None or not settings.engines():
        return
    if scored is not None:
        raise FieldError(
            "intervention.kind",
            f"{settings.kind} acts as a model generates, which is not how given texts are scored "
            f"({scored}); ask what is answered in words",
        )
    if by_task and settings.translated():
        raise FieldError(
            "intervention.tokens",
            "text needs prompts in the tokens of both models, which a task of lm-eval's does not "
            "have; use ids",
        )
