"""What can be wrong with a case, found out short of its model's weights. Imports torch."""

from __future__ import annotations

from typing import get_args

from harness import registry
from harness.errors import FieldError, ModelError, SandboxError, TaskError, UnreachableError
from harness.metrics.kind import Checking, MetricKind
from harness.metrics.lookup import directionless, kind_of
from harness.models.loading import load_config
from harness.registry import engines
from harness.resolve.needs import needs_of
from harness.resolve.pair_files import pairs_of
from harness.resolve.resolver import check_guided, check_intervention
from harness.runs.plan import Plan
from harness.runs.planned_case import ALWAYS, PlannedCase, with_task
from harness.runs.prompt_styles import check_styles, tokenizer_of
from harness.spec import Case, Experiment
from harness.spec.doses import beyond
from harness.spec.engine_kind import Captured, engine_named
from harness.spec.gates import Threshold
from harness.spec.metric import section_of
from harness.spec.suggestion import suggestion
from harness.tasks.base import Score


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
        check_reader(case)
        check_engine(experiment)
        check_asked(case)
        pairs_of(experiment)
        check_scored(case)
        case.measure.check_experiment(experiment)
        check_intervention(experiment)
        check_guided(experiment, scored_by(case), by_task=case.measure.by_task)
        check_styles(experiment, case.task)
        check_readable(case)
        check_captures(experiment)
        check_metrics(case)
        check_metric(case)
        check_fitted(case)
        check_window(case)
        check_stop(case)
    except FieldError as error:
        raise source.locate(error) from error
    except UnreachableError as error:
        raise UnreachableError(str(source.locate(FieldError("task", str(error))))) from error
    except (TaskError, SandboxError) as error:
        raise source.locate(FieldError("task", str(error))) from error
    except ModelError as error:
        raise source.locate(FieldError("model", str(error))) from error


def check_scored(case: PlannedCase) -> None:
    """Raise `FieldError` for prompts behind which nothing of a task's is scored."""
    if case.measure.scores and case.experiment.prompt.pairs is not None:
        raise FieldError(
            "prompt.pairs",
            f"{case.measure.noun} are those behind a task's own prompts; leave it out, or use "
            "measure: forward, which reads the pairs' answers",
        )


def scored_by(case: PlannedCase) -> str | None:
    """What of a case's answers is scored, where not all of them are texts."""
    if case.measure.by_task:
        return case.task.scored
    return case.measure.noun if case.measure.scores else None


def check_readable(case: PlannedCase) -> None:
    """Raise `FieldError` for a task of which no sample has what the measure would score."""
    if case.measure.by_task:
        first = case.task.samples[0]
        case.measure.instances_of(tokenizer_of(case.experiment.model), case.case, case.task, first)
        return
    if not case.measure.scores:
        return
    problem = ""
    for sample in case.task.samples:
        try:
            case.measure.asked_of(
                tokenizer_of(case.experiment.model),
                case.task,
                sample,
                case.experiment.prompt.style,
            )
        except TaskError as error:
            problem = problem or str(error)
        else:
            return
    raise FieldError("measure", f"{case.measure.name} has nothing to score: {problem}")


def check_reader(case: PlannedCase) -> None:
    """Raise `FieldError` for an unused reference, or one with another tokenizer."""
    model, named = case.experiment.model, case.experiment.reference
    if named is None:
        return
    if not any(entry.asks is not None and entry.asks.reference for entry in case.counted):
        raise FieldError(
            "reference",
            f"{named} reads completions, and no metric here asks for that; leave it out, or add "
            "metrics: [fluency]",
        )
    try:
        load_config(named)
        own, other = tokenizer_of(model), tokenizer_of(named)
    except ModelError as error:
        raise FieldError("reference", str(error)) from error
    if own.get_vocab() != other.get_vocab():
        raise FieldError(
            "reference",
            f"{named} has another tokenizer than {model}, whose tokens it would misread; use a "
            "model of the same family",
        )


def check_metrics(case: PlannedCase) -> None:
    """Raise `FieldError` for an item of `metrics:` that cannot be counted."""
    experiment = case.experiment
    checking = Checking(
        case.unsafe_code,
        experiment,
        case.task.samples,
        lambda: tokenizer_of(experiment.model),
        lambda: Plan(tokenizer_of(experiment.model)).prompt_text(case, case.task.samples[0]),
    )
    own = set(case.task.metrics([Score(correct=False, parsed=False)]))
    taken = dict.fromkeys(own, f"{case.task.name}'s own metric")
    taken |= dict.fromkeys(ALWAYS, "a metric of every run")
    for position, item in enumerate(experiment.metrics):
        settings = section_of(item)
        if settings.called in taken and item not in ALWAYS:
            raise FieldError(
                f"metrics[{position}]",
                f"has the name {settings.called}, as {taken[settings.called]} has; give it another "
                "one, name: ...",
            )
        taken[settings.called] = f"metrics[{position}]"
        kind: MetricKind = registry.metrics.get(settings.kind)
        try:
            if kind.check is not None:
                kind.check(settings, checking)
            kind.content(settings)
        except FieldError as error:
            raise FieldError(f"metrics[{position}].{error.field}", error.problem) from error


def check_metric(case: PlannedCase) -> None:
    """Raise `FieldError` for a metric that the case does not measure."""
    by_task, reads = case.measure.by_task, case.measure.reads
    if case.experiment.metrics and not (case.task.completes if by_task else not reads):
        first = section_of(case.experiment.metrics[0]).called
        whoever = case.task.name if by_task else f"measure: {case.measure.name}"
        raise FieldError(
            "metrics",
            f"{first} is counted of completions, and {whoever} asks for none; leave metrics out",
        )
    asking = next((entry.name for entry in case.counted if entry.asks is not None), None)
    if by_task and asking is not None:
        raise FieldError(
            "metrics",
            f"{asking} asks a model about completions, which is not done beside a task of "
            "lm-eval's; leave it out, or ask the same documents as a task of your own, task.path",
        )
    if not case.metric:
        raise FieldError(
            "metrics",
            f"missing: {case.task.name} has no answers to score, so that a metric of completions "
            "is needed, such as metrics: [median_tokens]; or say by task.answer how to score them",
        )
    chosen = case.experiment.metric
    if chosen is not None and chosen not in (names := case.metrics):
        raise FieldError(
            "metric",
            f"{chosen} is not measured here;{suggestion(chosen, names)} accepted: "
            f"{', '.join(names)}",
        )


def check_fitted(case: PlannedCase) -> None:
    """Raise `FieldError` for a sampling rule whose value was fitted on samples that are asked."""
    sampling = case.experiment.sampling
    for rule in sampling.known:
        fitted = rule.fitted_on(getattr(sampling, rule.name))
        if not fitted:
            continue
        both = [each.id for each in case.task.samples if case.task.digest(each) in fitted]
        if both:
            raise FieldError(
                f"sampling.{rule.name}.from",
                f"it was fitted on {len(both)} of the samples that are asked, first {both[0]}; "
                "ask other ones, by task.only or task.path",
            )


def check_window(case: PlannedCase) -> None:
    """Raise `FieldError` for a window of metrics that are not measured, or cannot have one."""
    asked = case.experiment.window
    if asked is None:
        return
    for field, name in (("target", asked.target), ("capability", asked.capability)):
        if name not in (names := case.metrics):
            raise FieldError(
                f"window.{field}",
                f"{name} is not measured here;{suggestion(name, names)} accepted: "
                f"{', '.join(names)}",
            )
    kind = kind_of(case.experiment, asked.capability)
    if kind.good == "neither":
        raise FieldError("window.capability", f"{directionless(kind.name)}: nothing can be lost")
    if problem := beyond(asked.response, kind.bounds):
        raise FieldError("window.response", f"{asked.response:g}: {asked.capability} {problem}")


def check_stop(case: PlannedCase) -> None:
    """Raise `FieldError` for a run that cannot stop itself, or never decides what it is asked."""
    stop, experiment = case.experiment.stop, case.experiment
    if stop is None:
        return
    if case.measure.reads:
        problem = f"measure: {case.measure.name} reads every sample at once; leave stop out"
        raise FieldError("stop", problem)
    if any(entry.asks is not None and entry.asks.items is not None for entry in case.counted):
        raise FieldError("stop", "a metric asks about texts of its own, all at once; leave one out")
    gates = [gate for gate in experiment.gates if isinstance(gate.claim, Threshold)]
    for position, decision in enumerate(stop.decisions):
        field = f"stop.decide[{position}]"
        if decision.gates and not gates:
            raise FieldError(
                field, "gates: none of the spec compares a metric with a number; leave it out"
            )
        asked = [gate.claim.metric for gate in gates if isinstance(gate.claim, Threshold)]
        for name in asked if decision.gates else [decision.metric or case.metric]:
            if name not in (names := case.metrics):
                raise FieldError(
                    field,
                    f"{name} is not measured here;{suggestion(name, names)} accepted: "
                    f"{', '.join(names)}",
                )
            kind = kind_of(experiment, name)
            if kind.aggregate is not None or None in kind.bounds:
                raise FieldError(
                    field,
                    f"{name} is {'no mean' if kind.aggregate is not None else 'unbounded'}, and "
                    "bets are made on means of bounded values; use a rate, or leave stop out",
                )


def check_captures(experiment: Experiment) -> None:
    """Raise `FieldError` for what is read inside the model and its engine does not bring back."""
    engine = engine_named(experiment.engine.name)
    if engine.captures >= set(get_args(Captured)):
        return
    needs = needs_of([experiment])
    read: dict[Captured, bool] = {"router_logits": needs.router_logits, "hidden": bool(needs.read)}
    for what in (what for what, asked in read.items() if asked and what not in engine.captures):
        able = [name for name in engines.names() if what in engine_named(name).captures]
        raise FieldError(
            "engine.name",
            f"{engine.name} does not read {what}, which this experiment is measured by; "
            f"use {' or '.join(able)}",
        )


def check_asked(case: PlannedCase) -> None:
    """Raise `FieldError` for an engine that the measure asks, beside the run's own, and that cannot
    be had here.
    """
    for opening in case.measure.engines_of(case.experiment).values():
        if opening.settings is None or not opening.section:
            continue
        try:
            engine_named(opening.settings.name).check_machine(opening.settings)
        except FieldError as error:
            raise FieldError(f"{opening.section}.{error.field}", error.problem) from error


def check_engine(experiment: Experiment) -> None:
    """Raise `FieldError` for an engine that is not here, or cannot do what is asked of it."""
    engine = engine_named(experiment.engine.name)
    engine.check_machine(experiment.engine)
    engine.check_experiment(experiment)
