"""A batch of trials, run together: a source of cases, a chunk of validation samples at a step.

After each chunk every trial reports the metric over the samples it has seen; one that the pruner
gives up drops out of the stream. A trial whose configuration turns out to be impossible has failed:
it has no value, and its error is in the study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState
from pydantic import JsonValue

from harness.errors import TitrateError
from harness.metrics.entry import MetricEntry
from harness.resolve.resolver import check_intervention
from harness.runs.planned_case import PlannedCase
from harness.search.evaluate import trial_case
from harness.search.leases import WORKER, Worker
from harness.search.setup import Setup
from harness.search.space import Space
from harness.search.splits import chunks
from harness.search.study import pairs_samples, sampler_for
from harness.search.training import check_trained
from harness.spec import Experiment
from harness.spec.gates import Threshold
from harness.spec.search import SearchSettings
from harness.statistics.intervals import CONFIDENCE
from harness.statistics.paired import paired_interval
from harness.store.results import CaseResult, compared

ERROR = "error"


@dataclass
class _Running:
    """A trial of the batch and the values of the samples that it has seen."""

    trial: optuna.Trial
    experiment: Experiment
    values: dict[str, list[JsonValue]] = field(default_factory=dict)
    """By metric: the one that is searched by, and those of the conditions."""
    pairs: dict[str, tuple[dict[str, JsonValue], dict[str, JsonValue]]] = field(
        default_factory=dict
    )
    """By metric that must be safe: sample -> value, of the trial and of its baseline."""

    @property
    def worker(self) -> str | None:
        """The worker that has signed it."""
        signed: str | None = self.trial.user_attrs.get(WORKER)
        return signed


def ask(
    study: optuna.Study,
    settings: SearchSettings,
    space: Space,
    worker: Worker,
    put_back: Callable[[int], object],
) -> list[optuna.Trial]:
    """The next trials to run, signed by their worker, their configurations drawn; maybe none.

    Trials that were put back come first. A batch ends before a number that the batch size divides,
    so that a study which was interrupted goes on with the batches that it would have had. When two
    workers ask for the last trial at once, one of them gets one too many, and puts it back.
    """
    batch: list[optuna.Trial] = []
    while len(batch) < settings.batch:
        trials = study.get_trials(deepcopy=False)
        waiting = any(trial.state == TrialState.WAITING for trial in counted(trials, settings))
        if not waiting and len(trials) >= settings.trials:
            break
        trial = study.ask()
        if trial.number >= settings.trials:
            put_back(trial.number)
            continue
        trial.set_user_attr(WORKER, str(worker))
        study.sampler = sampler_for(settings, trial.number)
        space.asked(trial)
        batch.append(trial)
        if (trial.number + 1) % settings.batch == 0:
            break
    return batch


def counted(
    trials: Iterable[optuna.trial.FrozenTrial], settings: SearchSettings
) -> list[optuna.trial.FrozenTrial]:
    """The trials without those that are one too many: they wait until more are asked for."""
    return [
        trial
        for trial in trials
        if trial.number < settings.trials or trial.state != TrialState.WAITING
    ]


class Batch:
    """Trials until they have ended, each step one fused stream of requests.

    Args:
        study: Told what comes of them.
        trials: The trials, of which configurations that are none have failed with this.
        ready: The search.
        told: Called whenever some have ended.
    """

    def __init__(
        self,
        study: optuna.Study,
        trials: Sequence[optuna.Trial],
        ready: Setup,
        told: Callable[[], None],
    ) -> None:
        self._study = study
        self._ready = ready
        self._told = told
        self._chunks = chunks(ready.splits.validation, ready.settings.chunk)
        self._running = _begun(study, trials, ready, told)
        self._cases: dict[int, PlannedCase] = {}

    def next(self, step: int, observations: Mapping[str, CaseResult]) -> Sequence[PlannedCase]:
        """As every source."""
        if observations:
            self._observe(step - 1, observations)
        source = self._ready.space.source
        self._cases = {
            number: trial_case(
                f"trial={number}-chunk={step}", each.experiment, self._chunks[step], source
            )
            for number, each in self._running.items()
        }
        return list(self._cases.values())

    def _observe(self, step: int, results: Mapping[str, CaseResult]) -> None:
        """Tell the study what came of a step; trials that have ended with it are asked no more."""
        known = {trial.number: trial for trial in self._study.get_trials(deepcopy=False)}
        last = step == len(self._chunks) - 1
        for number, case in self._cases.items():
            result = results[case.id]
            behind = results.get(result.baseline or "")
            each = self._running[number]
            if _ends(
                self._study, each, known[number], result, behind, self._ready, step, last=last
            ):
                del self._running[number]
        if len(self._running) < len(self._cases):
            self._told()


def _begun(
    study: optuna.Study, batch: Sequence[optuna.Trial], ready: Setup, told: Callable[[], None]
) -> dict[int, _Running]:
    """The trials whose configuration is one; the others have failed."""
    running = {}
    for trial in batch:
        try:
            experiment = ready.space.experiment(ready.space.told(trial.params))
            check_intervention(experiment)
            check_trained(experiment, ready.splits.train)
            running[trial.number] = _Running(trial, experiment)
        except TitrateError as error:
            _fail(study, trial, str(error))
            told()
    return running


def _ends(
    study: optuna.Study,
    each: _Running,
    known: optuna.trial.FrozenTrial,
    result: CaseResult,
    baseline: CaseResult | None,
    ready: Setup,
    step: int,
    *,
    last: bool,
) -> bool:
    """Report what came of one more chunk; whether the trial has ended with it.

    While a trial breaks a condition it reports nothing: what is impossible prunes nothing.
    """
    if known.state != TrialState.RUNNING or known.user_attrs.get(WORKER) != each.worker:
        return True  # another worker took this one for dead, and runs the trial now
    if result.status != "complete":
        _fail(study, each.trial, result.error or result.status)
        return True
    bounds = ready.settings.bounds.values()
    numbers: dict[str, float] = {}
    for metric in dict.fromkeys([ready.metric, *(bound.metric for bound in bounds)]):
        values = each.values.setdefault(metric, [])
        values += result.sample_metrics.get(metric, {}).values()
        if not values:
            _fail(study, each.trial, f"{metric} failed for every sample so far")
            return True
        numbers[metric] = result.kind(metric).of(values)
    beyond = {
        text: excess(bound, numbers[bound.metric]) for text, bound in ready.settings.bounds.items()
    }
    for text, safe in ready.settings.safe.items():
        own, theirs = each.pairs.setdefault(safe.metric, ({}, {}))
        if baseline is not None and safe.metric in baseline.sample_metrics:
            mine, others = compared(result, baseline, safe.metric)
            own |= mine
            theirs |= others
        beyond[text] = _loss(own, theirs, result.kind(safe.metric)) - safe.response
    kept = all(value <= 0 for value in beyond.values())
    value = numbers[ready.metric]
    if kept and pairs_samples(ready.settings):
        _report_samples(each.trial, known, result, ready, step)
    elif kept and step not in known.intermediate_values:  # a dead worker's report stands
        each.trial.report(value, step)
    if last:
        for text, by in beyond.items():
            each.trial.set_constraint(text, by)
        study.tell(each.trial, value)
    elif kept and each.trial.should_prune():
        study.tell(each.trial, state=TrialState.PRUNED)
    else:
        return False
    return True


def _report_samples(
    trial: optuna.Trial,
    known: optuna.trial.FrozenTrial,
    result: CaseResult,
    ready: Setup,
    step: int,
) -> None:
    """Report every sample's value at its place among the validation samples, where it has one."""
    values = result.numbers(ready.metric)
    for at, sample in enumerate(dict.fromkeys(draw.sample for draw in result.draws)):
        place = step * ready.settings.chunk + at
        if sample in values and place not in known.intermediate_values:
            trial.report(values[sample], place)


def _loss(
    own: Mapping[str, JsonValue], baseline: Mapping[str, JsonValue], kind: MetricEntry
) -> float:
    """The largest loss beside the baseline that the data do not exclude at 95 %."""
    sides = (baseline, own) if kind.good != "lower" else (own, baseline)
    if not own:
        return math.inf
    _, high = paired_interval(*sides, 2 * CONFIDENCE - 1, kind)
    return math.inf if high is None else high


def _fail(study: optuna.Study, trial: optuna.Trial, error: str) -> None:
    trial.set_user_attr(ERROR, error)
    study.tell(trial, state=TrialState.FAIL)


def excess(bound: Threshold, value: float) -> float:
    """How far a metric lies beyond its bound; above 0 where it does not keep it."""
    beyond = value - bound.value
    return beyond if bound.operator == "<=" else -beyond
