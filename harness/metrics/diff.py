"""What a comparison of two models counts, of the tokens that speak for a difference.

A sample is a place in a method's list (`logit_diff 01` is its first token); a place that no token
stands in, because nothing speaks for a difference, is no relevant one.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from harness.metrics.entry import MetricEntry
from harness.metrics.judging import alpha
from harness.metrics.weighted import weighted_share


def _summed(samples: Sequence[Any]) -> float:
    return float(sum(samples))


def _agreement(samples: Sequence[Any]) -> float:
    """Of every token's ratings; those that are UNKNOWN are none, and a place without a token has
    none. Judges that say nothing twice of any token have shown no agreement: 0.
    """
    known = [[each for each in ratings if each is not None] for ratings in samples]
    silent = any(samples) and all(len(ratings) < 2 for ratings in known)
    return 0.0 if silent else alpha(known, "nominal")


def _mean(samples: Sequence[Any]) -> float:
    """Of every token's ratings."""
    return fmean(fmean(ratings) for ratings in samples)


METRICS = (
    MetricEntry(
        "relevance",
        "share of the listed tokens that have to do with what the model was tuned on, the mean of "
        "all judges and rotations",
        bounds=(0, 1),
        aggregate=_mean,
        additive=True,
        interval="harness.statistics.crossed:crossed_interval",
    ),
    MetricEntry(
        "weighted_relevance",
        "the same, each token by its weight",
        bounds=(0, 1),
        aggregate=weighted_share,
        additive=True,
        interval="harness.statistics.crossed:weighted_crossed_interval",
    ),
    MetricEntry(
        "agreed_relevance",
        "the same of the one label that judges and rotations agree on",
        kind="rate",
        bounds=(0, 1),
    ),
    MetricEntry(
        "trivial",
        "share of the listed tokens that are frequent tokens of the tuning data",
        kind="rate",
        bounds=(0, 1),
    ),
    MetricEntry(
        "chance",
        "share of relevant tokens among all, which a list drawn at random would have",
        bounds=(0, 1),
    ),
    MetricEntry(
        "found",
        "share of the places of the list that a token stands in",
        kind="rate",
        bounds=(0, 1),
    ),
    MetricEntry(
        "alpha",
        "Krippendorff's alpha of the judges and rotations",
        "higher",
        bounds=(None, 1),
        aggregate=_agreement,
    ),
    MetricEntry(
        "unknown",
        "share of the judges' labels that could not be read, also when they were asked again",
        "lower",
        bounds=(0, 1),
    ),
    MetricEntry(
        "judge_tokens",
        "tokens of questions and answers that judging cost",
        "lower",
        "count",
        bounds=(0, None),
        aggregate=_summed,
    ),
    MetricEntry(
        "strength",
        "strength of steering by the difference at which texts stay coherent, in typical norms",
        bounds=(0, None),
    ),
    MetricEntry(
        "steered_relevance",
        "share of relevant words in texts that are steered by the difference",
        bounds=(0, 1),
    ),
    MetricEntry(
        "unsteered_relevance", "share of relevant words in texts that are not", bounds=(0, 1)
    ),
    MetricEntry(
        "agent_score",
        "grade of an agent's hypothesis, 1 to 5, the mean over runs and gradings",
        "higher",
        bounds=(1, 5),
    ),
    MetricEntry(
        "blackbox_score",
        "the same of an agent that is told nothing of the evidence",
        "higher",
        bounds=(1, 5),
    ),
    MetricEntry(
        "agent_tokens",
        "tokens that agents wrote and that grading cost",
        "lower",
        "count",
        bounds=(0, None),
        aggregate=_summed,
    ),
)
