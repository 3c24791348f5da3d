"""Intervals: of a rate, of a mean of shares, of any mean, and of paired differences of each.

- One value per sample goes in. Where a sample has several draws its value is already the mean over
  them, so that the sample is the unit whose spread is measured: draws of one sample are clustered.
- Two-sided. A bound that the data cannot give is None, never NaN and never a width of zero.

Which method is used where was decided by coverage: `docs/statistics.md` has the simulated tables,
and the methods that were tried and failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

CONFIDENCE = 0.95
#: Correlated samples added to the estimate of how alike draws are; chosen by simulated coverage.
PRIOR_CLUSTERS = 0.2

Interval = tuple[float, float] | tuple[None, None]
Values = Sequence[float] | NDArray[np.float64]


@lru_cache(maxsize=4096)  # cases of a grid have few different counts
def rate_interval(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Jeffreys interval of a proportion; it begins at 0 for no success, and ends at 1 for n.

    Brown, Cai and DasGupta (2001), Statistical Science 16:101.
    """
    low, high = stats.beta.interval(confidence, successes + 0.5, n - successes + 0.5)
    return (
        0.0 if successes == 0 else float(low),
        1.0 if successes == n else float(high),
    )


def share_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Wilson score interval of a mean of shares, on the samples' effective number.

    Shares of the same mean vary most when each is 0 or 1. The variance seen, as a part `r` of that,
    says how much several draws of a sample add to one: `n / r` independent draws would be as
    precise (Franco, Little, Louis and Slud 2019, J. Surv. Stat. Methodol. 7:334). Few samples
    that are neither 0 nor 1 say little of `r`, which is drawn towards 1 there.
    """
    data = np.asarray(values, dtype=np.float64)
    n, mean = len(data), float(data.mean())
    most = mean * (1 - mean)
    if most <= 0:
        effective = float(n)
    else:
        if n < 2 or _constant(data):
            return None, None
        part = min(float(data.var(ddof=1)) / most, 1.0)
        informative = n * min(mean, 1 - mean)
        part += (1 - part) * PRIOR_CLUSTERS / (PRIOR_CLUSTERS + informative)
        effective = n / part
    return wilson(mean, effective, float(stats.norm.isf((1 - confidence) / 2)) ** 2)


def wilson(mean: float, effective: float, z2: float) -> Interval:
    """Wilson's interval (1927) of a proportion among `effective` samples, which need not be whole.

    `z2` is the squared quantile.
    """
    centre = (mean + z2 / (2 * effective)) / (1 + z2 / effective)
    half = math.sqrt(mean * (1 - mean) * z2 / effective + (z2 / (2 * effective)) ** 2)
    half /= 1 + z2 / effective
    # Rounding may leave the bound a hair inside an observed mean of 0 or 1.
    return min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean)


def mean_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of a mean, its skewness removed by Hall's cubic transformation.

    One value has no spread to estimate, and equal values estimate it as 0, which would claim
    certainty; both give `(None, None)`. Symmetric values give Student's own interval.

    Hall (1992), J. R. Stat. Soc. B 54:221.
    """
    data = np.asarray(values, dtype=np.float64)
    n = len(data)
    if n < 2 or _constant(data):
        return None, None
    mean, error = float(data.mean()), float(data.std(ddof=1)) / math.sqrt(n)
    # What scipy's `skew` returns, which takes longer to look at its arguments than all of this.
    square = (data - mean) ** 2
    skew = float((square * (data - mean)).mean() / square.mean() ** 1.5) / math.sqrt(n)
    bound = student(n - 1, confidence)

    def inverse(quantile: float) -> float:
        if abs(skew) < 1e-9:
            return quantile
        return 3 / skew * (float(np.cbrt(1 + skew * (quantile - skew / 6))) - 1)

    return mean - error * inverse(bound), mean - error * inverse(-bound)


@lru_cache(maxsize=4096)  # cases of a grid have as many samples
def student(freedom: int, confidence: float) -> float:
    """The two-sided quantile of Student's t."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


@lru_cache(maxsize=64)  # one for each number of pairs of doses
def _normal(confidence: float) -> float:
    return float(stats.norm.ppf((1 + confidence) / 2))


@lru_cache(maxsize=4096)
def paired_rate_interval(
    better: float, worse: float, n: float, confidence: float = CONFIDENCE
) -> Interval:
    """Tango's score interval of a difference of two paired proportions.

    It holds the differences that a score test does not reject, where `better` of `n` samples went
    from 0 to 1 and `worse` from 1 to 0. Without any change it is `± z² / (n + z²)`, not a point.

    Tango (1998), Statistics in Medicine 17:891. Recommended for paired proportions by Fagerland,
    Lydersen and Laake (2014), Statistics in Medicine 33:2850.
    """
    delta = (better - worse) / n
    quantile = _normal(confidence)

    def score(difference: float) -> float:
        distance = better - worse - n * difference
        if distance == 0:
            return 0.0
        # Maximum likelihood of the share of 1 -> 0, given the difference (Tango's equation 8).
        linear = (2 * n - better + worse) * difference - better - worse
        product = worse * difference * (1 - difference)
        lost = (math.sqrt(max(linear**2 + 8 * n * product, 0.0)) - linear) / (4 * n)
        variance = n * (2 * lost + difference * (1 - difference))
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(1e9, distance)

    low = -1.0 if delta == -1 else optimize.brentq(lambda at: score(at) - quantile, -1.0, delta)
    high = 1.0 if delta == 1 else optimize.brentq(lambda at: score(at) + quantile, delta, 1.0)
    return float(low), float(high)


def paired_share_interval(differences: Values, confidence: float = CONFIDENCE) -> Interval:
    """Tango's interval of a mean difference of shares, on the samples' effective number.

    What `share_interval` is to Wilson's: the gains and losses are those of a paired proportion, and
    differences that are not whole vary less than it; `n` is larger by that factor.
    """
    data = np.asarray(differences, dtype=np.float64)
    n = len(data)
    better, worse = float(np.maximum(data, 0).mean()), float(np.maximum(-data, 0).mean())
    most = better + worse - (better - worse) ** 2
    if most <= 1e-12:
        return paired_rate_interval(better * n, worse * n, n, confidence)
    if n < 2 or _constant(data):
        return None, None
    effective = n / min(float(data.var(ddof=1)) / most, 1.0)
    return paired_rate_interval(better * effective, worse * effective, effective, confidence)


def mean_difference_interval(differences: Values, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of a mean difference, None twice where nothing varies.

    Without `mean_interval`'s transformation: differences from a baseline are symmetric where there
    is no effect, and mostly 0, which makes their skewness too noisy to correct for.
    """
    data = np.asarray(differences, dtype=np.float64)
    if len(data) < 2 or _constant(data):
        return None, None
    low, high = stats.ttest_1samp(data, 0.0).confidence_interval(confidence)
    return float(low), float(high)


def _constant(data: NDArray[np.float64]) -> bool:
    # `np.allclose` of finite numbers, which takes ten times as long to look at its arguments.
    return bool((np.abs(data - data[0]) <= 1e-12 + 1e-12 * abs(data[0])).all())
