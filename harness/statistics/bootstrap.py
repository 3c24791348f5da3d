"""Intervals and a test of numbers that are not means over samples: a bootstrap of the aggregate.

Samples are drawn with replacement, a sample with its values on both sides of a difference, and the
number is computed anew from each draw. Interval (percentile) and p come from the same draws, so
that from six samples on an interval at 95 % excludes 0 exactly where p is below 0.05. Seeded: the
same for the same values in the same order. A spread that the draws do not show is None, and no
interval of width 0.

Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 13 and 15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.errors import ReportError
from harness.statistics.intervals import CONFIDENCE, Interval

#: Draws of the samples, and the smallest p that they can show.
DRAWS = 4999
LEAST_P = 2 / (DRAWS + 1)
#: Samples that are drawn at a time, which bounds what is in memory.
_AT_ONCE = 2**18
_SEED = 0

Aggregate = Callable[[Sequence[Any]], float]


class PairedDifference(NamedTuple):
    """Of an aggregate on two sides of the same samples, the first minus the second."""

    delta: float
    interval: Interval
    p: float


def aggregate_interval(
    values: Sequence[Any],
    aggregate: Aggregate,
    confidence: float = CONFIDENCE,
    *,
    additive: bool = False,
) -> Interval:
    """The interval of an aggregate over one value per sample; None twice for one sample.

    `additive` is said of the aggregate as in `MetricEntry`.

    Raises:
        ReportError: the aggregate of some of the samples is not finite.
    """
    return _interval(_drawn([values], aggregate, additive=additive), confidence)


def paired_bootstrap(
    values: Sequence[Any],
    baseline: Sequence[Any],
    aggregate: Aggregate,
    confidence: float = CONFIDENCE,
    *,
    additive: bool = False,
) -> PairedDifference:
    """The difference of an aggregate, of which both sides have a value for each sample in order.

    p is two-sided: twice the smaller share of draws on one side of 0, those at 0 counting for
    both, with the observed one among them; and never less than a sign test of so many samples
    can show. Equal sides give 0 with p = 1. `additive` is said of the aggregate as in
    `MetricEntry`.

    Raises:
        ReportError: the aggregate of some of the samples is not finite.
    """

    def difference(one: Sequence[Any], other: Sequence[Any]) -> float:
        return aggregate(one) - aggregate(other)

    delta = difference(values, baseline)
    drawn = _drawn([values, baseline], difference, additive=additive)
    fewest = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
    # Draws of few samples can make p too small: it is at least the chance, without an effect,
    # that all samples change in one direction.
    least = 2.0 ** (1 - len(values))
    p = min(1.0, max(2 * (fewest + 1) / (len(drawn) + 1), least))
    return PairedDifference(delta, _interval(drawn, confidence), p)


def _drawn(
    sides: Sequence[Sequence[Any]], number: Callable[..., float], *, additive: bool
) -> NDArray[np.float64]:
    """The number of each draw of samples, the same ones of every side; none of a single sample."""
    n = len(sides[0])
    if n < 2:  # it has no spread to draw from
        return np.empty(0)
    tables = [np.asarray(side, dtype=np.float64) for side in sides] if additive else []

    def numbers(drawn: NDArray[np.intp], axis: int = -1) -> NDArray[np.float64]:
        del axis  # of `drawn`, whose rows are draws
        if additive:
            means = zip(*(table[drawn].mean(axis=1).tolist() for table in tables), strict=True)
            found = [number(*([each] for each in mean)) for mean in means]
        else:
            found = [number(*(_at(side, at) for side in sides)) for at in drawn.tolist()]
        bad = next((each for each in found if not math.isfinite(each)), None)
        if bad is not None:
            raise ReportError(f"the aggregate of {n} samples is {bad}; it must be finite")
        return np.array(found, dtype=np.float64)

    found = stats.bootstrap(
        (np.arange(n),),
        numbers,
        n_resamples=DRAWS,
        batch=max(_AT_ONCE // n, 1),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    drawn: NDArray[np.float64] = np.asarray(found.bootstrap_distribution)
    return drawn


def _interval(drawn: NDArray[np.float64], confidence: float) -> Interval:
    if not len(drawn) or bool(np.ptp(drawn) == 0):
        return None, None
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _at(values: Sequence[Any], positions: Sequence[int]) -> list[Any]:
    return [values[position] for position in positions]
