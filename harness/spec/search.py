"""The section of a spec that searches: which fields may take which values, and what is best."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from harness.spec.doses import RESPONSE
from harness.spec.gates import Gate, Selection, Threshold
from harness.spec.gates.grammar import METRIC, NUMBER
from harness.spec.settings import Settings


class Dimension(Settings):
    """The values that a searched field may take: a range, or a list of choices."""

    low: float | None = None
    """The smallest value that is tried of a range, in the unit of the field. Give it with `high`,
    or leave it out beside `choices`."""
    high: float | None = None
    """The largest value that is tried of a range, in the unit of the field. Give it with `low`, or
    leave it out beside `choices`."""
    log: bool = False
    """Whether the range is searched on a logarithmic scale, which needs a `low` above 0. false by
    default."""
    step: Annotated[float, Field(gt=0)] | None = None
    """The distance between the values that are tried: multiples of it above `low`. Every value of
    the range may be tried when left out."""
    choices: Annotated[list[JsonValue], Field(min_length=1)] | None = None
    """The values that are tried, in place of a range; a plain list in the spec is the same. Left
    out beside `low` and `high`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give low and high, or a list of choices")
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices have no low, high, log or step")
            return self
        assert self.low is not None
        assert self.high is not None
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} has no logarithm; use a low above 0, or log: false")
        if self.step is None:
            return self
        if self.log:
            raise ValueError("a logarithmic range has no step; leave out log or step")
        steps = (self.high - self.low) / self.step
        if abs(steps - round(steps)) > 1e-9:
            last = self.low + int(steps) * self.step
            raise ValueError(
                f"high {self.high:g} is not a multiple of step {self.step:g} above low "
                f"{self.low:g}; "
                f"the last below it is {last:g}"
            )
        return self


def _from_list(value: Any) -> Any:
    return {"choices": value} if isinstance(value, list) else value


Values = Annotated[
    Dimension, BeforeValidator(_from_list, json_schema_input_type=Dimension | list[JsonValue])
]


class SplitSettings(Settings):
    """How many samples of each split; `task.limit` caps every one of them."""

    train: PositiveInt | None = None
    """How many pairs every vector is built from (its `samples`); a choice in the space may ask for
    fewer. As many as the intervention says when left out."""
    validation: PositiveInt
    """How many samples the trials are compared on."""
    test: PositiveInt
    """How many samples the best configuration alone is scored on, once."""


class Safe(NamedTuple):
    """That a loss of `response` in a metric, beside the untouched model, is excluded at 95 %."""

    metric: str
    response: float


_SAFE = rf"bmdl-safe\(\s*({METRIC})\s*(?:,\s*({NUMBER})\s*)?\)"


def read_safe(text: str) -> Safe:
    """What `bmdl-safe(pass@1, 0.05)` asks; a ValueError says how it is written."""
    found = re.fullmatch(_SAFE, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no condition; write bmdl-safe(METRIC, {RESPONSE:g})")
    response = float(found[2] or RESPONSE)
    if response <= 0:
        raise ValueError(f"{text!r}: {found[2]} is no loss; use a number above 0")
    return Safe(found[1], response)


def _safe(text: str) -> str:
    read_safe(text)
    return text


class GoalSettings(Settings):
    """The best dose inside the therapeutic window: most of one metric, nothing lost of others."""

    maximize: Annotated[str, Field(min_length=1)] | None = None
    """The metric of which the best configuration has most, such as tool_call. Left out where
    `minimize` is given."""
    minimize: Annotated[str, Field(min_length=1)] | None = None
    """The metric of which the best configuration has least. Left out where `maximize` is given."""
    subject_to: Annotated[str, AfterValidator(_safe)]
    """What must be safe: bmdl-safe(pass@1, 0.05) keeps a configuration where a loss of 0.05, beside
    the untouched model on the same validation samples, is excluded at 95 %."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            raise ValueError("give maximize or minimize, and a metric")
        return self


class SearchSettings(Settings):
    """A search for the best values of some fields, by trials on validation samples."""

    space: Annotated[dict[str, Values], Field(min_length=1)]
    """Dotted fields, such as intervention.alpha, with the values that each may take: a range {low,
    high} or a list of choices."""
    splits: SplitSettings
    """How many samples each split has. Splits are disjoint by content."""
    metric: str | None = None
    """The metric that trials are compared by, which also leads the report of the test samples. The
    spec's `metric`, or the task's own, when left out."""
    goal: GoalSettings | None = None
    """The best dose inside the therapeutic window is sought, in place of metric and direction. None
    when left out."""
    subject_to: list[Gate] = []
    """What the best configuration must keep on the validation samples: metrics on one side of a
    number, such as fluency <= 1.5. No conditions by default."""
    direction: Literal["maximize", "minimize"] | None = None
    """Whether more (maximize) or less (minimize) of the metric is better. When left out, minimize
    for a metric of which less is better, and maximize for all others."""
    trials: PositiveInt = 50
    """How many trials the study has in the end, over all workers and repetitions; 50 by default."""
    batch: PositiveInt = 8
    """How many trials are asked for together and run in one stream of requests; 8 by default. More
    are faster, and each learns from fewer."""
    chunk: PositiveInt = 16
    """How many validation samples lie between two intermediate values, after each of which a trial
    may be pruned; 16 by default."""
    sampler: str = "tpe"
    """What proposes trials: tpe (the default), random, qmc, gp, cmaes, nsgaii, or the name of a
    class in optuna.samplers."""
    sampler_options: dict[str, JsonValue] = {}
    """Arguments of the sampler, as Optuna names them. Optuna's own values by default."""
    pruner: str = "median"
    """What ends hopeless trials early: median (the default), wilcoxon (paired by sample), none, or
    the name of a class in optuna.pruners."""
    pruner_options: dict[str, JsonValue] = {}
    """Arguments of the pruner, as Optuna names them. Optuna's own values by default."""
    seed: NonNegativeInt = 0
    """The seed by which splits and trials are drawn; 0 by default."""
    storage: str | None = None
    """The study is kept at this Optuna storage URL (postgresql+psycopg://...), for several workers
    or machines. A SQLite file below .titrate/search has it when left out."""

    @property
    def bounds(self) -> dict[str, Threshold]:
        """The conditions by their texts."""
        return {
            gate.text: gate.claim for gate in self.subject_to if isinstance(gate.claim, Threshold)
        }

    @property
    def safe(self) -> dict[str, Safe]:
        """What must be safe, by its text."""
        return {} if self.goal is None else {self.goal.subject_to: read_safe(self.goal.subject_to)}

    @model_validator(mode="before")
    @classmethod
    def _goal_says_both(cls, values: Any) -> Any:
        goal = values.get("goal") if isinstance(values, dict) else None
        if not isinstance(goal, dict):
            return values
        for ours in ("metric", "direction"):
            if values.get(ours) is not None:
                raise ValueError(f"{ours}: the goal says it already; leave one of them out")
        way = "minimize" if goal.get("minimize") else "maximize"
        return {**values, "metric": goal.get(way), "direction": way}

    @model_validator(mode="after")
    def _conditions_are_bounds(self) -> Self:
        for gate in self.subject_to:
            match gate.claim:
                case Threshold(bound="value", operator="<=" | ">=", where=Selection((), False)):
                    pass
                case _:
                    raise ValueError(
                        f"subject_to: {gate.text!r} is no bound of a trial; write METRIC <= NUMBER "
                        "or METRIC >= NUMBER"
                    )
        return self
