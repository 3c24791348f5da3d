"""What can be wrong with a case, found out short of its model's weights. Imports torch."""

from __future__ import annotations

from functools import cache

from harness.engines.vllm.availability import check_machine
from harness.engines.vllm.layout import check_layout
from harness.errors import FieldError, ModelError, SandboxError, TaskError
from harness.models.loading import load_config, pick_device
from harness.resolve.pair_files import pairs_of
from harness.resolve.resolver import check_intervention
from harness.runs.plan import PlannedCase
from harness.runs.prompt_styles import check_styles
from harness.spec import Experiment
from harness.spec.form import suggestion


def check_case(case: PlannedCase) -> None:
    """Raise `SpecError` for a case that cannot run, with the line of the spec that says so."""
    experiment, source = case.experiment, case.case.source
    try:
        load_config(experiment.model)
        check_engine(experiment)
        pairs_of(experiment)
        check_likelihood(experiment)
        check_intervention(experiment)
        check_styles(experiment, case.task)
        check_metric(case)
    except FieldError as error:
        raise source.locate(error) from error
    except (TaskError, SandboxError) as error:
        raise source.locate(FieldError("task", str(error))) from error
    except ModelError as error:
        raise source.locate(FieldError("model", str(error))) from error


def check_likelihood(experiment: Experiment) -> None:
    """Raise `FieldError` for prompts behind which no task's reference answer is scored."""
    if experiment.measure == "likelihood" and experiment.prompt.pairs is not None:
        raise FieldError(
            "prompt.pairs",
            "likelihoods are those behind a task's own prompts; leave it out, or use measure: "
            "forward, which reads the pairs' answers",
        )


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
    engine, temperature = experiment.engine, experiment.sampling.temperature
    check_machine(engine)
    check_layout(load_config(experiment.model), engine)
    if engine.speculation is not None and temperature > 0:
        raise FieldError(
            "sampling.temperature",
            f"{temperature:g} with engine.speculation: {engine.speculation}, which keeps greedy "
            "decoding only; leave speculation out, or use temperature 0",
        )


@cache
def _check_device(device: str) -> None:
    try:
        pick_device(device)
    except ModelError as error:
        problem = str(error).removeprefix("engine.device ")
        raise FieldError("engine.device", problem) from error
