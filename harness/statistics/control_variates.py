"""More from the samples of a dose: what the baseline, or a neighbour dose, says of all others.

Where a dose was measured on the first n samples of a benchmark and another one, x, on all N, its
mean is known better than by its own samples: `mean(y) - b (mean(x of these) - mean(x of all))`.
What x explains of y has no sampling error left, on this benchmark. The coefficients b are estimated
on the other folds (cross-fitting), so that the estimate stays unbiased and no sample speaks twice.

Source: Angelopoulos, Duchi, Zrnic (2023), PPI++, arXiv:2311.01453; control variates are older.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from harness.statistics.dose_response import Floats
from harness.statistics.intervals import CONFIDENCE

_FOLDS = 5


class Adjusted(NamedTuple):
    """A mean with its 95 % interval, and how many plain samples would be as precise as one."""

    mean: float
    low: float
    high: float
    worth: float


def adjusted_mean(own: Floats, others: Floats) -> Adjusted:
    """The mean of a dose over a benchmark, of which its first samples were asked.

    The interval is of the benchmark's own mean: samples are drawn from it without replacement.

    Args:
        own: [n], the dose's values of the first n samples, in an order that does not depend on
            them; at least two for each of 5 folds.
        others: [N, k], the values of doses that were asked all N samples, in the same order.

    Raises:
        ValueError: there are too few samples for folds.
    """
    n, size = len(own), len(others)
    if n < 2 * _FOLDS or size < n:
        raise ValueError(f"{n} of {size} samples are too few for {_FOLDS} folds")
    fold = np.arange(n) % _FOLDS
    whole = others.mean(axis=0)
    adjusted = np.empty(n)
    for each in range(_FOLDS):
        here = fold == each
        slopes = _slopes(others[:n][~here], own[~here])
        adjusted[here] = own[here] - (others[:n][here] - whole) @ slopes
    mean, variance = float(adjusted.mean()), float(adjusted.var(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    half *= float(np.sqrt(variance / n * (1 - n / size)))
    worth = float(own.var(ddof=1)) / variance if variance else float("inf")
    return Adjusted(mean, mean - half, mean + half, worth)


def _slopes(others: Floats, own: Floats) -> Floats:
    """Least squares of own on the others, centred; drawn to 0 where these do not vary."""
    centred = others - others.mean(axis=0)
    found: Floats = np.linalg.lstsq(centred, own - own.mean(), rcond=1e-9)[0]
    return found
