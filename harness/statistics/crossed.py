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
from scipy import stats

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
