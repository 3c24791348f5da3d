"""What each metric is: which way is better, and whether it is a share of right answers.

| metric of forward passes | unit | better |
| --- | --- | --- |
| `nll_agentic`, `nll_assisted` | nats per token | lower: the answer is likelier |
| `delta_nll` | nats per token | neither: it compares two prompts |
| `js` | nats, 0 to ln 2 | neither: how far two predictions are apart |
| `routing_tv`, `routing_jaccard` | none, 0 to 1 | neither: how far two routings are apart |

| metric of likelihoods | unit | better |
| --- | --- | --- |
| `reference_nll` | nats per token of the reference answer | lower: it is likelier |
| `reference_greedy` | share of these tokens that are the most probable ones | higher |
| `choice_accuracy` | share of samples whose reference beats every wrong choice | higher |

No metric of forward passes is a share: values that happen to lie between 0 and 1 are numbers all
the same. A task's metrics are shares of right (or parsed, ...) answers, and higher is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Good = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class MetricKind:
    """`good` is the direction in which a change is for the better.

    A share is a mean of successes, from 0 to 1 for every sample; everything else is a number.
    """

    good: Good
    share: bool


#: What scores give.
SCORE = MetricKind("higher", share=True)
_LOSS = MetricKind("lower", share=False)
_DISTANCE = MetricKind("neither", share=False)

#: Metrics of forward passes in the order of a report, the primary one first.
FORWARD: Mapping[str, MetricKind] = MappingProxyType(
    {
        "delta_nll": _DISTANCE,
        "nll_agentic": _LOSS,
        "nll_assisted": _LOSS,
        "js": _DISTANCE,
        "routing_tv": _DISTANCE,
        "routing_jaccard": _DISTANCE,
    }
)
#: Those that only a model with routers has.
OF_ROUTERS = frozenset({"routing_tv", "routing_jaccard"})


#: Metrics of likelihoods, the primary one first.
LIKELIHOOD: Mapping[str, MetricKind] = MappingProxyType(
    {"reference_nll": _LOSS, "reference_greedy": SCORE, "choice_accuracy": SCORE}
)
#: Those that only a task with wrong choices has.
OF_CHOICES = frozenset({"choice_accuracy"})

_OF_MEASURE: Mapping[object, Mapping[str, MetricKind]] = MappingProxyType(
    {"forward": FORWARD, "likelihood": LIKELIHOOD}
)


def metric_kind(measure: object, metric: str) -> MetricKind:
    """The kind of a metric of an experiment with this `measure`.

    One that another version measured has no known direction.
    """
    return _OF_MEASURE[measure].get(metric, _DISTANCE) if measure in _OF_MEASURE else SCORE


def directionless(metric: str) -> str:
    """Why nothing can be better or worse in a metric, for the messages that refuse it."""
    directed = " or ".join(name for name, kind in FORWARD.items() if kind.good != "neither")
    return f"{metric} has no better or worse, only higher and lower ({directed} has)"
