"""Metrics of completions that any task may count beside its own: `metrics: [median_tokens]`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from pydantic import JsonValue

from harness.metrics.entry import Answer, MetricEntry


def _tokens(answers: Sequence[Answer]) -> JsonValue:
    """Generated tokens of a sample, the mean over its draws; 0 of a request that was refused."""
    return fmean(len(answer.tokens) for answer in answers)


def _surprise(answers: Sequence[Answer]) -> JsonValue:
    """`[nats, tokens]` of all that was generated for a sample."""
    return [
        -math.fsum(value for answer in answers for value in answer.log_probabilities),
        sum(len(answer.log_probabilities) for answer in answers),
    ]


def _perplexity(values: Sequence[Any]) -> float:
    """Exp of nats per token over all samples; 1 where no token was generated."""
    nats = math.fsum(nats for nats, _ in values)
    tokens = sum(tokens for _, tokens in values)
    return math.exp(nats / tokens) if tokens else 1.0


def _median(values: Sequence[Any]) -> float:
    return float(median(values))


#: The length of a typical answer: a few that run into their limit move a mean, and not this.
MEDIAN_TOKENS = MetricEntry(
    "median_tokens",
    "median over samples of the tokens that were generated",
    kind="count",
    bounds=(0, None),
    aggregate=_median,
    value=_tokens,
)
#: How sure the model is of what it says: sampling rules are not in it, the intervention is.
PERPLEXITY = MetricEntry(
    "answer_perplexity",
    "perplexity of the model's own answers, over all their tokens",
    kind="ratio",
    bounds=(1, None),
    aggregate=_perplexity,
    value=_surprise,
)
