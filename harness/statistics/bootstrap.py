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
_SEED = 0

Aggregate = Callable[[Sequence[Any]], float]


class PairedDifference(NamedTuple):
    """Of an aggregate on two sides of the same samples, the first minus the second."""

    delta: float
    interval: Interval
    p: float


def aggregate_interval(
    values: Sequence[Any], aggregate: Aggregate, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of an aggregate over one value per sample; None twice for one sample.

    Raises:
        ReportError: the aggregate of some of the samples is not finite.
    """
    return _interval(_drawn(len(values), lambda at: aggregate(_at(values, at))), confidence)


def paired_bootstrap(
    values: Sequence[Any],
    baseline: Sequence[Any],
    aggregate: Aggregate,
    confidence: float = CONFIDENCE,
) -> PairedDifference:
    """The difference of an aggregate, of which both sides have a value for each sample in order.

    p is two-sided: twice the smaller share of draws on one side of 0, those at 0 counting for
    both, with the observed one among them; and never less than a sign test of so many samples
    can show. Equal sides give 0 with p = 1.

    Raises:
        ReportError: the aggregate of some of the samples is not finite.
    """

    def difference(at: Sequence[int]) -> float:
        return aggregate(_at(values, at)) - aggregate(_at(baseline, at))

    delta = difference(range(len(values)))
    drawn = _drawn(len(values), difference)
    fewest = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
    # Draws of few samples can make p too small: it is at least the chance, without an effect,
    # that all samples change in one direction.
    least = 2.0 ** (1 - len(values))
    p = min(1.0, max(2 * (fewest + 1) / (len(drawn) + 1), least))
    return PairedDifference(delta, _interval(drawn, confidence), p)


def _drawn(n: int, number: Callable[[Sequence[int]], float]) -> NDArray[np.float64]:
    """The number of each draw of `n` samples; none of them for a single sample."""

    def checked(at: NDArray[np.intp]) -> float:
        found = float(number(at.tolist()))
        if not math.isfinite(found):
            raise ReportError(f"the aggregate of {n} samples is {found}; it must be finite")
        return found

    if n < 2:  # it has no spread to draw from
        return np.empty(0)
    found = stats.bootstrap(
        (np.arange(n),),
        checked,
        n_resamples=DRAWS,
        vectorized=False,
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
