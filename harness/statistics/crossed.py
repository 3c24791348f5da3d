"""The interval of a mean over tokens that several raters judged: both are samples of something.

Ratings are a table of tokens by raters, 0 or 1. Another list and other judges would give another
mean, so that both kinds of spread are in the interval (a two-way layout without replication, both
ways random; its degrees of freedom after Satterthwaite 1946, Biometrics Bulletin 2:110). It is put
on the scale of shares by Wilson's form, as many independent ratings being counted as vary so much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.metrics.weighted import weighted_share
from harness.statistics.bootstrap import aggregate_interval
from harness.statistics.intervals import CONFIDENCE, Interval, rate_interval


def crossed_interval(samples: Sequence[Any], confidence: float = CONFIDENCE) -> Interval:
    """The interval of the mean of `samples`, one list of as many raters' ratings for each token."""
    table = np.asarray(samples, dtype=np.float64)
    tokens, raters = table.shape
    mean = float(table.mean())
    if raters == 1:
        return rate_interval(round(float(table.sum())), tokens, confidence)
    if tokens < 2 or mean in (0.0, 1.0):
        return rate_interval(round(mean * tokens), tokens, confidence)
    return _both_ways(table, confidence)


def weighted_crossed_interval(samples: Sequence[Any], confidence: float = CONFIDENCE) -> Interval:
    """The interval of `weighted_share`, over other tokens with their weights and other raters.

    A share of weights is a ratio of sums: of each token it is what moves the ratio, to first order
    (Cochran 1977, Sampling Techniques, 6.4), that the table has. One rater has no spread, and the
    interval is a bootstrap of tokens.
    """
    table = np.asarray(samples, dtype=np.float64)
    weights, total = table[:, -1:], float(table[:, -1].sum())
    tokens, raters = table.shape[0], table.shape[1] - 1
    mean = weighted_share(samples)
    if raters == 1 or tokens < 2 or not total:
        return aggregate_interval(samples, weighted_share, confidence)
    if not 1e-12 < mean < 1 - 1e-12:
        effective = round(total**2 / float((weights**2).sum()))  # Kish 1965, Survey Sampling
        return rate_interval(round(mean) * effective, effective, confidence)
    moves = tokens * (table[:, :-1] - weights * mean) / total
    return _both_ways(mean + moves, confidence)


def _both_ways(table: NDArray[np.float64], confidence: float) -> Interval:
    """The interval of a table's mean, a share between 0 and 1, over other rows and columns."""
    tokens, raters = table.shape
    mean = float(table.mean())
    by_token, by_rater = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_token[:, None] - by_rater[None] + mean
    squares = np.array(
        [
            raters * by_token.var(ddof=1),
            tokens * by_rater.var(ddof=1),
            float((rest**2).sum()) / ((tokens - 1) * (raters - 1)),
        ]
    )
    freedom = np.array([tokens - 1, raters - 1, (tokens - 1) * (raters - 1)])
    signs = np.array([1.0, 1.0, -1.0])
    variance = float(signs @ squares)
    # Below one way's own spread it says that the other has none, which few raters cannot say.
    variance = max(variance, float(squares[:2].max()))
    degrees = max(variance**2 / float((squares**2 / freedom).sum()), 1.0)
    variance /= tokens * raters
    effective = mean * (1 - mean) / variance
    z2 = float(stats.t.isf((1 - confidence) / 2, degrees)) ** 2
    centre = (mean + z2 / (2 * effective)) / (1 + z2 / effective)
    half = math.sqrt(mean * (1 - mean) * z2 / effective + (z2 / (2 * effective)) ** 2)
    half /= 1 + z2 / effective
    return min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean)
