"""From the oracle section of a spec to who is asked, and when."""

from __future__ import annotations

from functools import cached_property

from harness import registry
from harness.engines import check_same_tokens
from harness.errors import FieldError, ModelError
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.section import OracleSettings
from harness.interventions.oracle.trigger import ThresholdTrigger
from harness.models.loading import load_config
from harness.resolve.oracle_thresholds import Thresholds, in_words, validation
from harness.resolve.resolution import Resolution
from harness.spec import Experiment
from harness.spec.engine_kind import engine_named
from harness.spec.experiment import EngineSettings


class OracleResolution(Resolution[OracleSettings]):
    """Who the oracle is follows from the spec alone; a threshold may have to be fitted."""

    @cached_property
    def _thresholds(self) -> Thresholds:
        return Thresholds(self.engine, self.progress, self.store, self.others)

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
        """A threshold that is fitted."""
        trigger = settings.trigger
        if settings.is_neutral or not isinstance(trigger, ThresholdTrigger):
            return None
        return in_words(trigger) if trigger.threshold is None else None

    def resolve(self, experiment: Experiment, settings: OracleSettings) -> Oracle:
        """The trigger with its threshold, and what is left of the section."""
        trigger, promise, split = settings.trigger, None, None
        if self.measured(experiment, settings) is not None:
            assert isinstance(trigger, ThresholdTrigger)
            found = self._thresholds.fitted(experiment, settings)
            trigger, promise, split = trigger.at(found.threshold), found.promise, found.split
        statistics = _statistics(experiment, settings)
        return Oracle(
            engine=settings.name,
            trigger=trigger,
            promise=promise,
            split=split,
            budget=0 if settings.is_neutral else settings.budget,
            length=settings.length,
            step=settings.step,
            statistics=statistics,
            steps=settings.statistics == "steps",
            attention=statistics and "attention" in engine_named(experiment.engine.name).tells,
        )

    def known(self, experiment: Experiment, settings: OracleSettings) -> bool:
        """Whether the threshold is at hand without asking the model."""
        return self.measured(experiment, settings) is None or self._thresholds.known(
            experiment, settings
        )


def _engine(experiment: Experiment, settings: OracleSettings) -> EngineSettings:
    """What runs the oracle."""
    return settings.engine or experiment.engine


def _tells(engine: EngineSettings) -> bool:
    """Whether an engine brings back distributions, as every policy needs."""
    return "policy" in engine_named(engine.name).mechanisms


def _statistics(experiment: Experiment, settings: OracleSettings) -> bool:
    told = settings.statistics
    return _tells(experiment.engine) if told is None else bool(told)


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
    check_same_tokens(
        experiment.model,
        experiment.engine,
        settings.model,
        _engine(experiment, settings),
        field="intervention.model",
        remedy="use intervention.tokens: text",
    )


def _check_told(experiment: Experiment, settings: OracleSettings) -> None:
    """Raise `FieldError` for a trigger that reads what an engine does not tell."""
    trigger, own = settings.trigger, experiment.engine
    trigger.check()
    lacking = trigger.reads & {"attention", "hidden"} - engine_named(own.name).tells
    if lacking:
        what = "attention" if "attention" in lacking else "hidden states"
        able = [name for name in registry.engines.names() if lacking <= engine_named(name).tells]
        raise FieldError(
            "intervention.trigger",
            f"{trigger.kind} reads the model's {what}, which {own.name} does not tell; use "
            f"engine.name: {' or '.join(able)}, or a trigger that reads distributions or text",
        )
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
    if settings.statistics == "steps" and "logits" not in engine_named(own.name).captures:
        raise FieldError(
            "intervention.statistics",
            f"steps reads whole answers once more, and {own.name} gives no logits of them; use "
            "true, or engine.name: transformers",
        )
    if isinstance(trigger, ThresholdTrigger) and trigger.threshold is None and not trigger.never:
        validation(experiment, trigger)
        if trigger.share is not None and settings.length == "inf":
            raise FieldError(
                "intervention.trigger.share",
                "is a share of tokens, which a help without end does not leave to a threshold; "
                "give a threshold, or a length",
            )
