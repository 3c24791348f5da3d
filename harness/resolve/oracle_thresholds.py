"""Thresholds of triggers that are fitted, on samples of the task that are not evaluated.

These are drawn at random, and recorded. To a share of the tokens: read off the model's own answers,
never helped. To a promise: thresholds are tried from the most expensive to the cheapest, with the
oracle, until the first that is not shown to keep it (`harness/statistics/promise.py`). Which ones
are tried is read off the model's own answers to a few samples that are not used again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engines.company import Company
from harness.engines.contract import Completion, Engine, Request, Stop
from harness.errors import FieldError
from harness.interventions.oracle.description import READ, Oracle
from harness.interventions.oracle.promise import Promise, ValidationSplit
from harness.interventions.oracle.section import OracleSettings
from harness.interventions.oracle.trigger import ThresholdTrigger
from harness.resolve.progress import Progress
from harness.resolve.tasks import full_task, task_of
from harness.sampling.chosen import SamplingRules
from harness.spec import Experiment
from harness.statistics.promise import at_least, recovered, shown
from harness.store.completions import CompletionStore, key_of
from harness.store.kept_vectors import KeptVectors
from harness.tasks.base import Sample, Task
from harness.tasks.conversations import render

#: The seed of the permutation that validation samples are the first ones of.
_PERMUTATION = 0
#: Samples on which a threshold is fitted to a share, at most.
_OF_A_SHARE = 64
#: Samples that thresholds to be tried are read off; on how many a promise is shown, at most and at
#: least.
_READ_OFF, _SHOWN_ON, _TOO_FEW = 16, 4096, 30
#: The shares of the occasions at which the thresholds that are tried ask, after always.
_ASKED = (0.8, 0.6, 0.45, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)


@dataclass(frozen=True)
class Fitted:
    """A threshold, with what it promises, if it does; or why there is none."""

    split: ValidationSplit
    threshold: float = 0.0
    promise: Promise | None = None
    refused: str | None = None


class Thresholds:
    """Fits thresholds on a model; keeps what it found.

    Args:
        engine: The model's.
        others: The engines of oracles, by the names that sections give them.
    """

    def __init__(
        self,
        engine: Engine,
        progress: Progress,
        store: CompletionStore | None,
        others: Mapping[str, Engine],
    ) -> None:
        self._engine = engine
        self._progress = progress
        self._others = others
        self._kept = KeptVectors(engine, store, _from_json)
        # Of a sweep of promises each one tries the same thresholds.
        self._answered: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def known(self, experiment: Experiment, settings: OracleSettings) -> bool:
        """Whether it is at hand without asking a model."""
        key = self._key(experiment, settings)
        return key is not None and self._kept.get(key) is not None

    def fitted(self, experiment: Experiment, settings: OracleSettings) -> Fitted:
        """The threshold of a section's trigger. Raises `FieldError` where there is none."""
        trigger = settings.trigger
        assert isinstance(trigger, ThresholdTrigger)
        key = self._key(experiment, settings)
        assert key is not None, "the oracle is one of the run's engines"
        found = self._kept.get(key)
        if found is None:
            self._progress.note(f"measuring {in_words(trigger)}")
            fit = self._of_share if trigger.pgr is None else self._of_promise
            found = self._kept.keep(key, _to_json(fit(experiment, settings, trigger)))
        if found.refused is not None:
            raise FieldError(f"intervention.trigger.{_aim(trigger)}", found.refused)
        return found

    def _of_share(
        self, experiment: Experiment, settings: OracleSettings, trigger: ThresholdTrigger
    ) -> Fitted:
        """Where the model's own answers pass it as often as is asked for."""
        _, samples, split = validation(experiment, trigger)
        values = self._read(experiment, settings, trigger, samples)
        return Fitted(split, _quantile(values, _asked_for(settings, trigger), trigger))

    def _of_promise(
        self, experiment: Experiment, settings: OracleSettings, trigger: ThresholdTrigger
    ) -> Fitted:
        """The cheapest threshold that is shown to keep it, before the first that is not."""
        assert trigger.pgr is not None
        _, samples, split = validation(experiment, trigger)
        few, rest = samples[:_READ_OFF], samples[_READ_OFF:]
        values = self._read(experiment, settings, trigger, few)
        weak = self._right(experiment, settings, rest)
        strong = self._right(experiment, settings, rest, alone=True)
        tried: dict[float, NDArray[np.float64]] = {}

        def conditions() -> Iterator[tuple[float, NDArray[np.float64]]]:
            for share in (1.0, *_ASKED):
                threshold = _quantile(values, share, trigger)
                if threshold not in tried:
                    self._progress.note(f"{trigger.kind}: trying {threshold:.4g}")
                    helped = self._oracle(settings, trigger.at(threshold))
                    tried[threshold] = self._right(experiment, settings, rest, helped)
                    yield threshold, tried[threshold]

        kept = [threshold for threshold, _ in shown(conditions(), weak, strong, trigger.pgr)]
        if not tried:
            return Fitted(split, refused=_without_gap(weak, strong))
        # What was tried first, where nothing was kept, is the most that there can be.
        chosen = kept[-1] if kept else next(iter(tried))
        told = Promise(
            aim=trigger.pgr,
            samples=len(rest),
            recovered=recovered(tried[chosen], weak, strong),
            at_least=at_least(tried[chosen], weak, strong),
        )
        if not kept:
            return Fitted(split, refused=_not_shown(told, trigger, settings))
        return Fitted(split, chosen, told)

    def _read(
        self,
        experiment: Experiment,
        settings: OracleSettings,
        trigger: ThresholdTrigger,
        samples: Sequence[Sample],
    ) -> list[float]:
        """The trigger's number at every occasion of the model's own answers."""
        never = trigger.at(inf if trigger.bound == "above" else -inf)
        reading = Oracle(engine=settings.name, trigger=never, budget="inf", step=settings.step)
        company = Company(self._engine, {settings.name: self._engine})
        values: list[float] = []
        asked = self._requests(experiment, settings, samples, reading, sampled=False)
        for _, completion in company.generate(asked):
            told = completion.traces.get(f"{READ} {trigger.statistic}", ())
            values += told[:: settings.step]
        if not values:
            raise FieldError(
                f"intervention.trigger.{_aim(trigger)}", "no validation sample was answered"
            )
        return values

    def _right(
        self,
        experiment: Experiment,
        settings: OracleSettings,
        samples: Sequence[Sample],
        helped: Oracle | None = None,
        *,
        alone: bool = False,
    ) -> NDArray[np.float64]:
        """Whether each sample is answered rightly: by the model, with help, or by the oracle."""
        requests = list(self._requests(experiment, settings, samples, helped, sampled=not alone))
        if alone:
            requests = [_of_oracle(each, settings.name) for each in requests]
        key = (settings.name, *(f"{each.engine} {each.key()}" for each in requests))
        if key in self._answered:
            return self._answered[key]
        texts = [""] * len(requests)
        for position, completion in Company(self._engine, self._others).generate(requests):
            _check_answered(completion)
            texts[position] = completion.text
        style = experiment.prompt.style
        answers = [(sample, style, text) for sample, text in zip(samples, texts, strict=True)]
        task = task_of(experiment.task, experiment.prompt)
        right = np.array([float(bool(score.correct)) for score in task.score(answers)])
        self._answered[key] = right
        return right

    def _requests(
        self,
        experiment: Experiment,
        settings: OracleSettings,
        samples: Sequence[Sample],
        helped: Oracle | None,
        *,
        sampled: bool,
    ) -> Iterator[Request]:
        task = full_task(experiment.task, experiment.prompt)
        style = experiment.prompt.style
        rules = SamplingRules(**experiment.sampling.rules) if sampled else SamplingRules()
        for sample in samples:
            prompt = task.prompt(sample, style)
            prompts = [
                (name, tuple(render(self._others[name].tokenizer, prompt)))
                for name in settings.translated()
                if name in self._others
            ]
            yield Request(
                tuple(render(self._engine.tokenizer, prompt)),
                experiment.sampling.max_new_tokens,
                helped,
                rules,
                Stop(strings=task.stop_strings(style)),
                seed=experiment.seed if rules.random else 0,
                sample=sample.id,
                prompts=tuple(prompts),
            )

    def _oracle(self, settings: OracleSettings, trigger: ThresholdTrigger) -> Oracle:
        return Oracle(
            engine=settings.name,
            trigger=trigger,
            budget=settings.budget,
            length=settings.length,
            step=settings.step,
            statistics=False,
        )

    def _key(self, experiment: Experiment, settings: OracleSettings) -> str | None:
        """What is kept under; None where the oracle's engine, which decides too, is not known."""
        trigger = settings.trigger
        assert isinstance(trigger, ThresholdTrigger)
        task, samples, split = validation(experiment, trigger)
        asked = [str(task.prompt(each, experiment.prompt.style)) for each in samples]
        how: list[Any] = [settings.length, settings.step, experiment.sampling.max_new_tokens]
        how.append(split.model_dump())
        if trigger.pgr is not None:
            if settings.name not in self._others:
                return None
            oracle = self._others[settings.name].fingerprint
            how += [settings.budget, SamplingRules(**experiment.sampling.rules).content, oracle]
        said = json.dumps([trigger.content(), how, hashlib.sha256(str(asked).encode()).hexdigest()])
        return key_of(self._engine.fingerprint, f"threshold {said}")


def in_words(trigger: ThresholdTrigger) -> str:
    """What is fitted."""
    if trigger.pgr is not None:
        return f"the threshold of {trigger.kind} that recovers {trigger.pgr:g} of the gap"
    return f"the threshold of {trigger.kind} for a share of {trigger.share:g}"


def validation(
    experiment: Experiment, trigger: ThresholdTrigger
) -> tuple[Task, list[Sample], ValidationSplit]:
    """Samples of the task that are not evaluated, by id and by content. Raises `FieldError`.

    They are drawn at random: a threshold speaks of all, and the task's own order may go by subject.
    """
    task = full_task(experiment.task, experiment.prompt)
    evaluated = task_of(experiment.task, experiment.prompt)
    style = experiment.prompt.style
    asked = {str(evaluated.prompt(sample, style)) for sample in evaluated.samples}
    left = [each for each in task.samples if str(task.prompt(each, style)) not in asked]
    needed = 1 if trigger.pgr is None else _READ_OFF + _TOO_FEW
    if len(left) < needed:
        raise FieldError(
            f"intervention.trigger.{_aim(trigger)}",
            f"is fitted on {needed} samples or more that are not evaluated, and "
            f"{experiment.task.title} has {len(left) or 'none'} left; set task.limit lower, or "
            "give a threshold",
        )
    count = len(left)
    Random(_PERMUTATION).shuffle(left)
    drawn = left[: _OF_A_SHARE if trigger.pgr is None else _READ_OFF + _SHOWN_ON]
    ids = hashlib.sha256("\n".join(each.id for each in drawn).encode()).hexdigest()
    split = ValidationSplit(seed=_PERMUTATION, of=count, samples=len(drawn), ids=ids)
    return task, drawn, split


def _aim(trigger: ThresholdTrigger) -> str:
    return "share" if trigger.pgr is None else "pgr"


def _asked_for(settings: OracleSettings, trigger: ThresholdTrigger) -> float:
    """The share of the occasions that ask where the oracle has its share of the tokens."""
    assert settings.length != "inf", "it is refused"
    assert trigger.share is not None
    helped = trigger.share * settings.step
    return helped / (settings.length * (1 - trigger.share) + helped) if helped else 0.0


def _quantile(values: Sequence[float], asked: float, trigger: ThresholdTrigger) -> float:
    """The threshold at which this share of the occasions asks; 1 is all that there can be."""
    rising = trigger.bound == "above"
    ordered = sorted(values, reverse=rising)
    at = int(asked * len(ordered))
    if at >= len(ordered):
        return ordered[-1] - 1 if rising else ordered[-1] + 1
    return float(ordered[min(at, len(ordered) - 1)])


def _of_oracle(request: Request, name: str) -> Request:
    """The same, asked of the oracle alone."""
    prompt = dict(request.prompts).get(name, request.prompt)
    return replace(request, prompt=prompt, prompts=(), engine=name)


def _check_answered(completion: Completion) -> None:
    if completion.finish_reason == "failed":
        raise FieldError(
            "intervention.trigger.pgr", f"a validation sample got no answer: {completion.error}"
        )


def _without_gap(weak: NDArray[np.float64], strong: NDArray[np.float64]) -> str:
    return (
        f"no gap is shown on {len(weak)} samples that are not evaluated: the oracle is right in "
        f"{strong.mean():.2f} of them and the model in {weak.mean():.2f}; use a better oracle, or "
        "leave more samples"
    )


def _not_shown(told: Promise, trigger: ThresholdTrigger, settings: OracleSettings) -> str:
    return (
        f"no threshold of {trigger.kind} is shown to recover {told.aim:g} of the gap: asked at "
        f"every occasion, budget {settings.budget}, it recovers {told.recovered:.2f}, shown to be "
        f"at least {told.at_least:.2f}, on {told.samples} samples that are not evaluated; promise "
        "less, raise the budget or leave more samples"
    )


def _to_json(found: Fitted) -> dict[str, Any]:
    promise = None if found.promise is None else found.promise.model_dump()
    return {
        "threshold": found.threshold,
        "promise": promise,
        "refused": found.refused,
        "split": found.split.model_dump(),
    }


def _from_json(document: Any) -> Fitted:
    """Raises ValueError for anything else."""
    try:
        promise = document["promise"]
        return Fitted(
            ValidationSplit.model_validate(document["split"]),
            float(document["threshold"]),
            None if promise is None else Promise.model_validate(promise),
            document["refused"],
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"no threshold: {error}") from error
