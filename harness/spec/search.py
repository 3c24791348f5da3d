"""The section of a spec that searches: which fields may take which values, and what is best."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, NonNegativeInt, PositiveInt, model_validator

from harness.spec.settings import Settings


class Dimension(Settings):
    """The values that a searched field may take: a range, or a list of choices."""

    low: float | None = None
    """Smallest value of a range."""
    high: float | None = None
    """Largest value of a range."""
    log: bool = False
    """Search the range on a logarithmic scale."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Only multiples of this above `low`."""
    choices: Annotated[list[JsonValue], Field(min_length=1)] | None = None
    """The values themselves; a plain list in the spec is the same."""

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
                f"high {self.high:g} is no multiple of step {self.step:g} above low {self.low:g}; "
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
    """Pairs that every vector is built from (its `samples`), of which a choice in the space may ask
    for fewer; what the intervention says otherwise."""
    validation: PositiveInt
    """Samples that trials are compared on."""
    test: PositiveInt
    """Samples that the best configuration alone is scored on, once."""


class SearchSettings(Settings):
    """A search for the best values of some fields, by trials on validation samples."""

    space: Annotated[dict[str, Values], Field(min_length=1)]
    """Dotted fields with a range {low, high} or a list of choices each."""
    splits: SplitSettings
    """Sizes of the splits, which are disjoint by content."""
    metric: str | None = None
    """What is compared, and what the report of the test samples leads with; the spec's `metric`, or
    the task's own, when left out."""
    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether more or less of the metric is better."""
    trials: PositiveInt = 50
    """How many trials the study has in the end, over all workers and repetitions."""
    batch: PositiveInt = 8
    """Trials that are asked for together and run in one stream of requests."""
    chunk: PositiveInt = 16
    """Validation samples between two intermediate values, after which a trial may be pruned."""
    sampler: str = "tpe"
    """tpe, random, qmc, gp, cmaes, nsgaii, or the name of a class in optuna.samplers."""
    sampler_options: dict[str, JsonValue] = {}
    """Arguments of the sampler, as Optuna names them."""
    pruner: str = "median"
    """median, none, or the name of a class in optuna.pruners."""
    pruner_options: dict[str, JsonValue] = {}
    """Arguments of the pruner, as Optuna names them."""
    seed: NonNegativeInt = 0
    """Of the splits and of the sampler."""
    storage: str | None = None
    """An Optuna storage URL for several workers or machines (postgresql+psycopg://...); a SQLite
    file below .titrate/search when left out."""
