"""The interval of a share of tokens, or of their weight, that several raters call relevant.

Ratings are a table of tokens by raters, between 0 and 1. Another list and other raters would give
another share, so that both kinds of spread are in the interval. Tokens add what they vary by, as a
part of what so many zeros and ones would (as `share_interval` has it); raters add the component
of variance that is theirs in a two-way layout without replication (Searle, Casella and McCulloch
1992, Variance Components, chapter 4), at Student's quantile for so many of them.

Coverage of simulated raters, and what was tried: `docs/diffing.md`, `tools/studies/relevance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.statistics.intervals import (
    CONFIDENCE,
    PRIOR_CLUSTERS,
    Interval,
    rate_interval,
    wilson,
)


def crossed_interval(samples: Sequence[Any], confidence: float = CONFIDENCE) -> Interval:
    """The interval of the mean of `samples`, one list of as many raters' ratings for each token."""
    table = np.asarray(samples, dtype=np.float64)
    tokens, raters = table.shape
    if raters == 1 or tokens == 1:
        return rate_interval(round(float(table.mean()) * tokens), tokens, confidence)
    return _both_ways(table, np.ones(tokens), confidence)


def weighted_crossed_interval(samples: Sequence[Any], confidence: float = CONFIDENCE) -> Interval:
    """The interval of `weighted_share`, over other tokens with their weights and other raters.

    None twice where fewer than two tokens have a weight.
    """
    table = np.asarray(samples, dtype=np.float64)
    table = table[table[:, -1] > 0]
    if len(table) < 2:
        return None, None
    return _both_ways(table[:, :-1] / table[:, -1:], table[:, -1], confidence)


def seeds_interval(
    values: Sequence[float], intervals: Sequence[Interval], confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a mean over seeds whose tokens the same raters judged.

    Seeds have other tokens, and vary by them; raters, which they share, are in the cases' own
    intervals alone: by as much as these are wider than what seeds vary by. None twice for one seed,
    and where a case has no interval.
    """
    known = [each for each in intervals if each[0] is not None]
    if len(values) < 2 or len(known) < len(values):
        return None, None
    mean, spread = float(np.mean(values)), float(np.var(values, ddof=1))
    z2, t2 = _squares(len(values) - 1, confidence)
    low, high = (
        math.sqrt(t2 * spread / len(values) + max((mean - bound) ** 2 - z2 * spread, 0.0))
        for bound in np.asarray(known, dtype=np.float64).mean(axis=0)
    )
    return max(mean - low, 0.0), min(mean + high, 1.0)


def _both_ways(
    ratings: NDArray[np.float64], weights: NDArray[np.float64], confidence: float
) -> Interval:
    """The interval of the weighted mean of ratings [tokens, raters], over other rows and columns.

    The mean is a ratio of sums, of which a token moves a part (Cochran 1977, Sampling Techniques,
    6.4); heavy ones draw the mean to themselves, which makes them seem to vary too little
    (MacKinnon and White 1985, Journal of Econometrics 29:305).
    """
    parts = (weights / weights.sum())[:, None]
    effective = 1 / float((parts**2).sum())  # Kish 1965, Survey Sampling
    by_rater = (parts * ratings).sum(axis=0)
    mean, raters = float(by_rater.mean()), len(by_rater)
    most = mean * (1 - mean)
    if most < 1e-12:
        return rate_interval(round(mean) * round(effective), round(effective), confidence)
    moves, spare = parts * (ratings - mean), np.maximum(1 - parts, 1e-12)
    by_token = moves.mean(axis=1, keepdims=True)
    part = float((by_token**2 / spare).sum()) * effective / most
    informative = effective * min(mean, 1 - mean)
    part += (1 - part) * PRIOR_CLUSTERS / (PRIOR_CLUSTERS + informative)
    of_tokens, of_raters = most * part / effective, 0.0
    if raters > 1:
        rest = moves - by_token - parts * (by_rater - mean)
        noise = float((rest**2 / spare).sum()) / (raters - 1)
        of_raters = max(float(by_rater.var(ddof=1)) - noise, 0.0) / raters
    variance = of_tokens + of_raters
    z2, t2 = _squares(raters - 1, confidence)
    return wilson(mean, most / variance, (z2 * of_tokens + t2 * of_raters) / variance)


@lru_cache(maxsize=64)
def _squares(freedom: int, confidence: float) -> tuple[float, float]:
    """The squared two-sided quantiles of the normal distribution, and of Student's."""
    tail = (1 - confidence) / 2
    student = float(stats.t.isf(tail, freedom)) if freedom else 0.0
    return float(stats.norm.isf(tail)) ** 2, student**2
