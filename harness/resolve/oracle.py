"""From the oracle section of a spec to who is asked, and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from math import inf

from harness.engines import tokenizer_for
from harness.engines.company import Company
from harness.engines.contract import Engine, Request, Stop
from harness.errors import FieldError, ModelError
from harness.interventions.oracle.description import READ, Oracle
from harness.interventions.oracle.section import OracleSettings
from harness.interventions.oracle.trigger import Threshold
from harness.models.loading import load_config
from harness.resolve.progress import Progress
from harness.resolve.resolution import Resolution
from harness.resolve.tasks import full_task, task_of
from harness.spec import Experiment
from harness.spec.engine_kind import engine_named
from harness.spec.experiment import EngineSettings
from harness.store.completions import CompletionStore, key_of
from harness.store.kept_vectors import KeptVectors
from harness.tasks.base import Sample, Task
from harness.tasks.conversations import render

#: Samples on which a threshold is fitted, at most.
_VALIDATION = 64


class OracleResolution(Resolution[OracleSettings]):
    """Who the oracle is follows from the spec alone; a threshold may have to be fitted."""

    def __init__(
        self, engine: Engine, progress: Progress, store: CompletionStore | None = None
    ) -> None:
        super().__init__(engine, progress, store)
        self._kept = KeptVectors(engine, store, float)

    @classmethod
    def check(cls, experiment: Experiment, settings: OracleSettings) -> None:
        """Find an oracle that is not there, or reads other tokens, and what engines do not tell."""
        _check_model(experiment, settings)
        _check_tokens(experiment, settings)
        _check_told(experiment, settings)
        if experiment.prompt.pairs is not None and settings.tokens == "text":
            raise FieldError("prompt.pairs", "are token ids, and intervention.tokens is text")

    @staticmethod
    def measured(experiment: Experiment, settings: OracleSettings) -> str | None:  # noqa: ARG004 - the same for every experiment
        """A threshold that is fitted to a share."""
        trigger = settings.trigger
        if settings.is_neutral or not isinstance(trigger, Threshold) or trigger.share is None:
            return None
        return f"the threshold of {trigger.kind} for a share of {trigger.share:g}"

    def resolve(self, experiment: Experiment, settings: OracleSettings) -> Oracle:
        """The trigger with its threshold, and what is left of the section."""
        trigger = settings.trigger
        if self.measured(experiment, settings) is not None:
            assert isinstance(trigger, Threshold)
            trigger = trigger.at(self._threshold(experiment, settings, trigger))
        return Oracle(
            engine=settings.name,
            trigger=trigger,
            budget=settings.budget,
            length=settings.length,
            step=settings.step,
            statistics=_statistics(experiment, settings),
        )

    def known(self, experiment: Experiment, settings: OracleSettings) -> bool:
        """Whether the threshold is at hand without asking the model."""
        return (
            self.measured(experiment, settings) is None
            or self._kept.get(self._key(experiment, settings)) is not None
        )

    def _threshold(
        self, experiment: Experiment, settings: OracleSettings, trigger: Threshold
    ) -> float:
        """Where the model's own answers to other samples pass it as often as is asked for."""
        key = self._key(experiment, settings)
        found = self._kept.get(key)
        if found is None:
            self.progress.note(f"measuring {self.measured(experiment, settings)}")
            requests = self._requests(experiment, settings, trigger)
            company = Company(self.engine, {settings.name: self.engine})
            values: list[float] = []
            for _, completion in company.generate(requests):
                told = completion.traces.get(f"{READ} {trigger.statistic}", ())
                values += told[:: settings.step]
            if not values:
                raise FieldError("intervention.trigger.share", "no validation sample was answered")
            found = self._kept.keep(key, _quantile(values, settings, trigger))
        return found

    def _requests(
        self, experiment: Experiment, settings: OracleSettings, trigger: Threshold
    ) -> list[Request]:
        """The validation samples, read at every occasion and never helped."""
        never = trigger.at(inf if trigger.rising else 0.0)
        reading = Oracle(engine=settings.name, trigger=never, budget="inf", step=settings.step)
        style = experiment.prompt.style
        return [
            Request(
                tuple(render(self.engine.tokenizer, task.prompt(sample, style))),
                experiment.sampling.max_new_tokens,
                reading,
                stop=Stop(strings=task.stop_strings(style)),
                sample=sample.id,
            )
            for task, samples in [_validation(experiment)]
            for sample in samples
        ]

    def _key(self, experiment: Experiment, settings: OracleSettings) -> str:
        trigger = settings.trigger
        assert isinstance(trigger, Threshold)
        asked = [request.prompt for request in self._requests(experiment, settings, trigger)]
        how = [settings.length, settings.step, experiment.sampling.max_new_tokens]
        said = json.dumps([trigger.model_dump(mode="json"), how, asked])
        return key_of(self.engine.fingerprint, f"threshold {said}")


def _quantile(values: Sequence[float], settings: OracleSettings, trigger: Threshold) -> float:
    """The threshold at which so many occasions ask that the oracle has its share of the tokens."""
    assert settings.length != "inf", "it is refused"
    assert trigger.share is not None
    helped = trigger.share * settings.step
    asked = helped / (settings.length * (1 - trigger.share) + helped) if helped else 0.0
    ordered = sorted(values, reverse=trigger.rising)
    return float(ordered[min(int(asked * len(ordered)), len(ordered) - 1)])


def _validation(experiment: Experiment) -> tuple[Task, list[Sample]]:
    """Samples of the task that are not evaluated, by id and by content. Raises `FieldError`."""
    task = full_task(experiment.task, experiment.prompt)
    evaluated = task_of(experiment.task, experiment.prompt)
    style = experiment.prompt.style
    asked = {str(evaluated.prompt(sample, style)) for sample in evaluated.samples}
    left = [each for each in task.samples if str(task.prompt(each, style)) not in asked]
    if not left:
        raise FieldError(
            "intervention.trigger.share",
            f"is fitted on samples that are not evaluated, and {experiment.task.title} has none "
            "left; set task.limit lower, or give a threshold",
        )
    return task, left[:_VALIDATION]


def _engine(experiment: Experiment, settings: OracleSettings) -> EngineSettings:
    """What runs the oracle."""
    return settings.engine or experiment.engine


def _tells(engine: EngineSettings) -> bool:
    """Whether an engine brings back distributions, as every policy needs."""
    return "policy" in engine_named(engine.name).mechanisms


def _statistics(experiment: Experiment, settings: OracleSettings) -> bool:
    return _tells(experiment.engine) if settings.statistics is None else settings.statistics


def _check_model(experiment: Experiment, settings: OracleSettings) -> None:
    engine = _engine(experiment, settings)
    try:
        load_config(settings.model)
        engine_named(engine.name).check_machine(engine)
    except ModelError as error:
        raise FieldError("intervention.model", str(error)) from error
    except FieldError as error:
        place = "intervention.engine" if settings.engine else "engine"
        field = error.field.removeprefix("engine.")
        raise FieldError(f"{place}.{field}", error.problem) from error


def _check_tokens(experiment: Experiment, settings: OracleSettings) -> None:
    """Raise `FieldError` where ids of one model are other tokens to the other one."""
    if settings.tokens == "text":
        return
    engine = _engine(experiment, settings)
    different = _different(experiment.model, experiment.engine, settings.model, engine)
    if different:
        raise FieldError(
            "intervention.model",
            f"{settings.model} has other tokens than {experiment.model}: {different}; use "
            "intervention.tokens: text",
        )


@cache
def _different(
    model: str, engine: EngineSettings, other: str, its_engine: EngineSettings
) -> str | None:
    """Where two tokenizers differ first, in words."""
    one = tokenizer_for(model, engine).get_vocab()
    two = tokenizer_for(other, its_engine).get_vocab()
    if one == two:
        return None
    token = next(iter(sorted(one.items() ^ two.items(), key=lambda each: each[1])))[0]
    told = [f"{vocabulary.get(token, 'no token')}" for vocabulary in (two, one)]
    return f"{token!r} is {told[0]} there and {told[1]} here"


def _check_told(experiment: Experiment, settings: OracleSettings) -> None:
    """Raise `FieldError` for a trigger that reads what an engine does not tell."""
    trigger, own = settings.trigger, experiment.engine
    if trigger.reads and not _tells(own):
        raise FieldError(
            "intervention.trigger",
            f"{trigger.kind} reads the model's distributions, which {own.name} does not tell; use "
            "random, every_n, first_n or text, or another engine.name",
        )
    other = _engine(experiment, settings)
    if "oracle" in trigger.reads and not _tells(other):
        raise FieldError(
            "intervention.trigger",
            f"{trigger.kind} reads the oracle's distributions, which {other.name} does not tell",
        )
    if "oracle" in trigger.reads and settings.tokens == "text":
        raise FieldError(
            "intervention.trigger",
            f"{trigger.kind} compares distributions over the same tokens; use tokens: ids",
        )
    if settings.statistics and not _tells(own):
        raise FieldError(
            "intervention.statistics", f"{own.name} does not tell distributions; leave it out"
        )
    if isinstance(trigger, Threshold) and trigger.threshold is None:
        _validation(experiment)
        if settings.length == "inf":
            raise FieldError(
                "intervention.trigger.share",
                "is a share of tokens, which a help without end does not leave to a threshold; "
                "give a threshold, or a length",
            )
