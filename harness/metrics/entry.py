"""A metric as an entry: a value per sample, how values become one number, and what that number is.

    nll_agentic = MetricEntry("nll_agentic", "nats per token ...", "lower", "loss")

The number of a metric is the mean over samples unless it has an aggregate of its own, such as a
median, or a ratio of sums. What has one is compared by a paired bootstrap: a test that looks at
one sample at a time (McNemar, sign flips) speaks of means, and is refused for it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from pydantic import JsonValue

Good = Literal["higher", "lower", "neither"]
Kind = Literal["rate", "score", "count", "loss", "distance", "ratio"]
Need = Literal["routers", "choices", "reference"]


@dataclass(frozen=True)
class Answer:
    """What a metric sees of one completion of a sample.

    `log_probabilities` are natural, one per token; empty for a request that was refused.
    `correct` is None where the task has no answer to hold it against. `reference` are those of the
    same tokens under the untouched model that a spec names (its own, or `reference:`), for a metric
    that needs them; empty where that model could not read them.
    """

    tokens: tuple[int, ...]
    text: str
    log_probabilities: tuple[float, ...] = ()
    correct: bool | None = False
    parsed: bool = False
    reference: tuple[float, ...] = ()


@dataclass(frozen=True)
class MetricEntry:
    """One metric.

    Args:
        name: As specs, gates and tables call it.
        summary: What it is, in a line.
        good: The direction in which a change is for the better.
        kind: A rate is a mean of successes, from 0 to 1 for every sample; all others are numbers.
        bounds: The least and the greatest number that it can be; None where there is no bound.
        aggregate: From the samples' values, of which there is at least one, to one finite number;
            the mean when left out, whose values are numbers.
        value: From a sample's answers, one per draw, to its value: a number, or the JSON that the
            aggregate takes. None for what a measure, or a task, counts by itself.
        needs: What a model (routers) or a task (wrong choices) must have to be measured so; or
            that a second model reads every completion (reference).
    """

    name: str
    summary: str
    good: Good = "neither"
    kind: Kind = "score"
    bounds: tuple[float | None, float | None] = (None, None)
    aggregate: Callable[[Sequence[JsonValue]], float] | None = None
    value: Callable[[Sequence[Answer]], JsonValue] | None = None
    needs: frozenset[Need] = frozenset()

    @property
    def share(self) -> bool:
        """Whether it is a mean of successes."""
        return self.kind == "rate"

    def of(self, values: Iterable[JsonValue]) -> float:
        """The one number that these values of samples give; of a single value, the sample's own."""
        listed: list[Any] = list(values)
        return float(fmean(listed) if self.aggregate is None else self.aggregate(listed))
