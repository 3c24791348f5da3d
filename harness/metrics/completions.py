"""Metrics of completions that any task may count beside its own: `metrics: [median_tokens]`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

from pydantic import JsonValue

from harness.metrics.entry import Answer, MetricEntry


def _tokens(answers: Sequence[Answer]) -> JsonValue:
    """Generated tokens of a sample, the mean over its draws; 0 of a request that was refused."""
    return fmean(len(answer.tokens) for answer in answers)


def _surprise(answers: Sequence[Answer]) -> JsonValue:
    """`[nats, tokens]` of all that was generated for a sample."""
    return _nats(answer.log_probabilities for answer in answers)


def _strangeness(answers: Sequence[Answer]) -> JsonValue:
    """`[nats, tokens]` of the same under the model that reads it."""
    return _nats(answer.reference for answer in answers)


def _nats(read: Iterable[Sequence[float]]) -> JsonValue:
    values = [value for one in read for value in one]
    return [-math.fsum(values), len(values)]


def _per_token(values: Sequence[Any]) -> float:
    """Nats per token over all samples; 0 where there is no token."""
    nats = math.fsum(nats for nats, _ in values)
    tokens = sum(tokens for _, tokens in values)
    return nats / tokens if tokens else 0.0


def _perplexity(values: Sequence[Any]) -> float:
    """Exp of nats per token over all samples; 1 where no token was generated."""
    return math.exp(_per_token(values))


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
#: What an intervention does to the language: a model that nothing is done to reads the answers.
FLUENCY = MetricEntry(
    "fluency",
    "nats per token of the answers under the untouched model, or the spec's reference",
    "lower",
    "loss",
    (0, None),
    aggregate=_per_token,
    value=_strangeness,
    needs=frozenset({"reference"}),
)
