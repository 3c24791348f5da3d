"""Two curves over the same samples: how many times the dose one takes, and the window between them.

The ratio of two ED50s has the interval of all ratios b/a of doses at which a test of both curves at
once does not reject that a is the one's ED50 and b the other's. The two statements are means over
the same samples; Hotelling's T² of the pair, held against one degree of freedom, is the profile of
such a ratio (Hansen, Heaton and Yaron 1996, J. Bus. Econ. Stat. 14:262). Pairing of samples and
luck that doses share are in the covariance of the means, so that nothing is resampled. Where one
number of chance decides all doses of both curves, the statements differ in a handful of samples,
or in none, and vary less than their variances say: each is given the variance of one sample more.

A window is what lies between the ED50 of what is wanted and BMDL of what must be kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from harness.statistics.dose_response import Benchmark, Curve, DoseEstimate, Floats, NoDose
from harness.statistics.intervals import CONFIDENCE

#: Doses that are looked at within the interval of an ED50: a ratio is exact to its 200th part.
_FINE = 201
#: Of the squared range of values: the square of a sample that is half of the range away from the
#: middle, as every sample of a 0/1 metric is.
_A_SAMPLE = 0.25


class Ratio(NamedTuple):
    """How many times one dose is another, with a 95 % interval; `high` None: without end."""

    value: float
    low: float
    high: float | None


class TherapeuticWindow(NamedTuple):
    """From the dose that does half of what is wanted to the one below which nothing is lost.

    `therapeutic` is the ratio of the two ED50s, the index; None, with the reason, where one has
    none.
    """

    effective: DoseEstimate
    safe: Benchmark
    therapeutic: Ratio | None
    no_index: str | None

    @property
    def state(self) -> str:
        """Whether there is a window: `exists` where all of ED50's interval lies below BMDL, `none`
        where none of it does, `undecided` between.
        """
        if self.safe.lower is None or self.effective.high <= self.safe.lower:
            return "exists"
        return "none" if self.effective.low >= self.safe.lower else "undecided"


def potency(one: Curve, other: Curve) -> Ratio:
    """ED50 of `other` over that of `one`: how many times the dose it takes.

    Raises:
        NoDose: a curve has no ED50, or half of the one's effect is there at dose 0.
        ValueError: the curves are not of the same samples.
    """
    if len(one.values) != len(other.values):
        raise ValueError(f"{len(one.values)} and {len(other.values)} samples are not paired")
    doses = [curve.effective_dose() for curve in (one, other)]
    if doses[0].value <= 0:
        raise NoDose("half of the effect is there at dose 0, of which nothing is a multiple")
    value = doses[1].value / doses[0].value
    grids = [np.linspace(each.low, each.high, _FINE) for each in doses]
    rows = [curve.beside_half(grid) for curve, grid in zip((one, other), grids, strict=True)]
    more, others = (_A_SAMPLE * np.ptp(curve.values) ** 2 for curve in (one, other))
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(one.values) - 1) ** 2
    accepted = _distance(rows[0], rows[1], more, others) <= quantile
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (grids[1][None, :] / grids[0][:, None])[accepted]
    ratios = np.append(ratios[~np.isnan(ratios)], value)
    high = float(ratios.max())
    return Ratio(value, float(ratios.min()), high if np.isfinite(high) else None)


def window(target: Curve, capability: Curve, response: float) -> TherapeuticWindow:
    """What lies between a target's ED50 and the doses that cost a capability `response`.

    Raises:
        NoDose: the target has no ED50.
    """
    effective, safe = target.effective_dose(), capability.benchmark(response)
    try:
        return TherapeuticWindow(effective, safe, potency(target, capability), None)
    except NoDose as reason:
        return TherapeuticWindow(effective, safe, None, str(reason))


def window_exists(target: Curve, capability: Curve, response: float) -> bool:
    """Whether there is a window, without the index, which takes much longer.

    Raises:
        NoDose: the target has no ED50.
    """
    found = TherapeuticWindow(
        target.effective_dose(), capability.benchmark(response), None, "not asked for"
    )
    return found.state == "exists"


def _distance(one: Floats, other: Floats, more: float, others: float) -> Floats:
    """Hotelling's T² of two means at once, for every pair of columns of [samples, doses].

    `more` and `others` are added to the sums of their squares, and to no product of both.
    """
    n = len(one)
    a, b = one.mean(axis=0)[:, None], other.mean(axis=0)[None, :]
    first, second = one - a.T, other - b
    var_a = ((first**2).sum(axis=0) + more)[:, None] / (n - 1)
    var_b = ((second**2).sum(axis=0) + others)[None, :] / (n - 1)
    both = first.T @ second / (n - 1)
    above = a**2 * var_b - 2 * a * b * both + b**2 * var_a
    found: Floats = n * above / (var_a * var_b - both**2)
    return found
