"""What can be wrong with a case, found out short of its model's weights. Imports torch."""

from __future__ import annotations

from functools import cache

from harness.engines.contract import SamplingRules
from harness.engines.vllm import drawing
from harness.engines.vllm.availability import check_machine
from harness.engines.vllm.layout import check_layout
from harness.errors import FieldError, ModelError, SandboxError, TaskError
from harness.models.loading import load_config, pick_device
from harness.resolve.pair_files import pairs_of
from harness.resolve.resolver import check_intervention
from harness.runs.plan import PlannedCase, with_task
from harness.runs.prompt_styles import check_styles
from harness.spec import Case, Experiment
from harness.spec.form import suggestion


def planned(case: Case, nodeid: str | None = None, *, unsafe_code: bool = False) -> PlannedCase:
    """A case with its task, checked; raises `SpecError` for what cannot run."""
    ready = with_task(case, nodeid, unsafe_code=unsafe_code)
    check_case(ready)
    return ready


def check_case(case: PlannedCase) -> None:
    """Raise `SpecError` for a case that cannot run, with the line of the spec that says so."""
    experiment, source = case.experiment, case.case.source
    try:
        load_config(experiment.model)
        check_engine(experiment)
        pairs_of(experiment)
        check_intervention(experiment)
        check_styles(experiment, case.task)
        check_metric(case)
    except FieldError as error:
        raise source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise source.locate(FieldError("task", str(error))) from error
    except ModelError as error:
        raise source.locate(FieldError("model", str(error))) from error


def check_metric(case: PlannedCase) -> None:
    """Raise `FieldError` for a primary metric that the case does not measure."""
    chosen = case.experiment.metric
    if chosen is not None and chosen not in (names := case.metrics):
        raise FieldError(
            "metric",
            f"{chosen} is not measured here;{suggestion(chosen, names)} accepted: "
            f"{', '.join(names)}",
        )


def check_engine(experiment: Experiment) -> None:
    """Raise `FieldError` for an engine that is not here, or cannot do what is asked of it."""
    if experiment.engine.name == "transformers":
        _check_device(experiment.engine.device)
        return
    engine = experiment.engine
    check_machine(engine)
    check_layout(load_config(experiment.model), engine)
    refused = drawing.refused(SamplingRules(**experiment.sampling.rules), engine.speculation)
    if refused is not None:
        rule, problem = refused
        raise FieldError(f"sampling.{rule}", problem)


@cache
def _check_device(device: str) -> None:
    try:
        pick_device(device)
    except ModelError as error:
        problem = str(error).removeprefix("engine.device ")
        raise FieldError("engine.device", problem) from error
