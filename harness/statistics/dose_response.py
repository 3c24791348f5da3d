"""At which dose: half of an effect (ED50), the first that shows (LOEL), the last safe one (BMDL).

A curve is one metric at rising doses over the same samples, from the dose that changes nothing on.
What is asked of it are doses, of which every one is the root of a paired mean, so that each has an
interval without an assumption about the curve's shape, but for its being monotone:

- ED_x, where the curve has gone x of the way from its first dose to its last. At a dose u between
  two measured ones `mean(y(u) - (1 - x) y(first) - x y(last))` is a mean over samples; the interval
  holds all doses at which a t test does not tell it from 0 (Fieller 1954, J. R. Stat. Soc. B 16).
- BMD_r, where it has changed by r, and BMDL_r, a lower 95 % bound of that: the dose at which the
  upper bounds of the paired differences reach r (Crump 1984, Fundam. Appl. Toxicol. 4:854).
- LOEL, from which on every dose differs from the first (Holm); NOEL, the dose below it (`levels`).
- The slope b of Hill's curve `lo + (hi - lo) / (1 + (dose / ED50)^b)`, where the data do not reject
  it: the sum of its squared residuals, in the covariance of the paired means, is a chi-square.

Between doses curves are read as straight lines, over log2(dose + 1) where doses are counts. Points
are those of the isotonic fit; intervals are the data's own. `tests/statistics/simulated_doses.py`
has their coverage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from harness.metrics.entry import MetricEntry
from harness.spec.doses import FEWEST, RESPONSE
from harness.statistics.hill import HILLS_OWN, fit_hill
from harness.statistics.intervals import CONFIDENCE, Interval, paired_rate_interval, student
from harness.statistics.levels import LevelRange, Levels, levels_of, predicted
from harness.statistics.paired import mcnemar, paired, paired_interval

#: Of the fit's Jacobian: the square of more is beyond what 64 bits tell apart.
_MOST_CONDITION = 1e7
#: Of a slope's interval, either way: beyond it the doses do not tell how steep the curve is.
_WIDEST = 10.0

Floats = NDArray[np.float64]
Direction = Literal["rising", "falling"]
Scale = Literal["linear", "log2(dose + 1)"]
#: What a row of a curve's values is of.
Unit = Literal["samples", "seeds"]


class NoDose(Exception):  # noqa: N818 - an answer, not an error of anybody's
    """Why the data do not say a dose, in one sentence."""


class NoMean(NoDose):
    """A metric whose number is no mean over samples: its doses differ or not, and no more."""


class DoseEstimate(NamedTuple):
    """A dose with its 95 % interval, in the spec's own unit."""

    value: float
    low: float
    high: float


class Benchmark(NamedTuple):
    """The dose of a change by `response`, a bound that 95 % of runs put below it, and its interval.

    None stands for a dose beyond the highest one that was measured.
    """

    response: float
    dose: float | None
    lower: float | None
    low: float | None
    high: float | None


class Hill(NamedTuple):
    """Hill's curve: its slope with a 95 % interval, its own ED50, its height, and how well it fits.

    `height` is what it goes from the first dose's mean, below 0 where it falls; `p` the chance of a
    worse fit if the curve were true.
    """

    slope: float
    low: float
    high: float
    ed50: float
    height: float
    p: float


@dataclass(frozen=True, eq=False)
class Curve:
    """One metric over doses.

    Args:
        doses: At least four, rising; the first is the one that changes nothing.
        values: [samples, doses], each sample's value at each dose; no row may be missing one.
        kind: What the metric is.
        unit: What a row is of: a sample, or a seed, of which there are few, so that a t test
            compares them, as no flip of signs of five is rare enough.
        saturated: Why the last dose is no end of the effect, but of what was done; None where it
            is.

    Raises:
        NoDose: there are fewer than four doses, or fewer than two samples.
    """

    doses: Sequence[float]
    values: Floats
    kind: MetricEntry
    saturated: str | None = None
    unit: Unit = "samples"

    def __post_init__(self) -> None:
        if len(self.doses) < FEWEST:
            raise NoDose(f"{len(self.doses)} doses are no curve; measure at least {FEWEST}")
        if len(self.values) < 2:
            raise NoDose(f"one {self.unit[:-1]} has no spread; measure at least two")

    @cached_property
    def scale(self) -> Scale:
        """Over what lines are straight between doses."""
        return scale_of(self.doses)

    @cached_property
    def places(self) -> Floats:
        """The doses on their scale."""
        doses = np.asarray(self.doses, dtype=np.float64)
        return np.log2(doses + 1) if self.scale != "linear" else doses

    @cached_property
    def means(self) -> Floats:
        """[doses], the metric at each dose."""
        found: Floats = self.values.mean(axis=0)
        return found

    @property
    def direction(self) -> Direction:
        """Whether the last dose lies above the first or below it."""
        return "rising" if self.means[-1] >= self.means[0] else "falling"

    @property
    def _sign(self) -> int:
        return 1 if self.direction == "rising" else -1

    @cached_property
    def fit(self) -> Floats:
        """[doses], the closest curve that never turns back."""
        rising = self.direction == "rising"
        found: Floats = optimize.isotonic_regression(self.means, increasing=rising).x
        return found

    def effective_dose(self, share: float = 0.5) -> DoseEstimate:
        """ED_x: the dose at which `share` of the whole change is there.

        Raises:
            NoDose: the curve does not move, it turns back, or it ends where the intervention does.
        """
        self._check_moves()
        if self.saturated is not None:
            raise NoDose(
                f"its plateau is the intervention's own: at {self.doses[-1]:.4g} {self.saturated}"
            )
        self.check_monotone()
        target = (1 - share) * self.fit[0] + share * self.fit[-1]
        value = _crossing(self.places, self._sign * (self.fit - target))
        assert value is not None, "the fit begins below its target and ends above"
        own = (1 - share) * self.values[:, :1] + share * self.values[:, -1:]
        accepted = _roots(self.places, self._sign * (self.values - own))
        low, high = min(accepted[0], value), max(accepted[-1], value)
        return DoseEstimate(*map(self._dose, (value, low, high)))

    def benchmark(self, response: float = RESPONSE, side: Direction | None = None) -> Benchmark:
        """BMD_r and BMDL_r: the dose of a change by `response`, and its lower 95 % bound.

        The two-sided 95 % interval has all doses at which that of the change holds `response`.

        Args:
            response: The size of the change, in the metric's unit, above 0.
            side: The direction of the change; that in which a change of the metric is for the
                worse when left out, or the curve's own where there is none.
        """
        rising = (side or self._adverse) == "rising"
        sign = 1 if rising else -1
        fit = optimize.isotonic_regression(self.means, increasing=rising).x
        dose = _crossing(self.places, sign * (fit - fit[0]) - response)
        _, most = self._changes(sign, 2 * CONFIDENCE - 1)
        least, beyond = self._changes(sign, CONFIDENCE)
        lower, low = (_crossing(self.places, np.maximum(up, 0) - response) for up in (most, beyond))
        high = _last_below(self.places, least - response)
        if low is not None and dose is not None:
            low = min(low, dose)
        if high is not None:
            high = None if dose is None else max(high, dose)
        found = (None if at is None else self._dose(at) for at in (dose, lower, low, high))
        return Benchmark(response, *found)

    def levels(self) -> Levels:
        """LOEL and NOEL, of all doses above the first, corrected together."""
        return levels_of(self.doses, [self._p(at) for at in self._above])

    def levels_range(self) -> LevelRange | None:
        """LOEL and NOEL of another run of as many samples, in 95 % of runs; None for under ten."""
        changes = self.values[:, 1:] - self.values[:, :1]
        return predicted(self.levels(), self.doses, changes, binary=self._binary)

    def hill(self) -> Hill:
        """The slope of Hill's curve, which begins at the first dose's mean.

        Raises:
            NoDose: a dose is negative, there are fewer than four above the first, the curve does
                not move, the data reject it, or they fit slopes that are ten times as large.
        """
        self._check_moves()
        doses = np.asarray(self.doses[1:], dtype=np.float64)
        if self.doses[0] != 0 or len(doses) <= HILLS_OWN:
            raise NoDose(f"Hill's curve begins at dose 0 and needs {HILLS_OWN + 1} doses above it")
        changes = self._sign * (self.values[:, 1:] - self.values[:, :1])
        mean, covariance = changes.mean(axis=0), np.cov(changes.T) / len(changes)
        # Doses at which the same samples changed say the same; half a sample's variance tells them
        # apart.
        covariance += np.eye(len(doses)) * 0.5 * np.ptp(self.values) ** 2 / len(changes) ** 2
        fitted = fit_hill(doses, mean, covariance)
        p = float(stats.chi2.sf(2 * fitted.cost, len(doses) - HILLS_OWN))
        if p < 1 - CONFIDENCE:
            raise NoDose(f"the data reject Hill's curve (p {p:.2g})")
        if not fitted.success:
            raise NoDose("no Hill's curve fits best: it goes on to change as it is looked for")
        height, middle, log_slope = fitted.x
        flat = np.linalg.cond(fitted.jac) > _MOST_CONDITION  # there the inverse below says 0
        error = (
            math.inf if flat else math.sqrt(float(np.linalg.pinv(fitted.jac.T @ fitted.jac)[2, 2]))
        )
        half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
        if half > math.log(_WIDEST):
            raise NoDose("no dose lies where Hill's curve is steep, so that any slope fits")
        low, slope, high = (math.exp(log_slope + step) for step in (-half, 0.0, half))
        return Hill(slope, low, high, math.exp(middle), self._sign * float(height), p)

    def beside_half(self, doses: Floats, share: float = 0.5) -> Floats:
        """[samples, doses]: how far each sample is beyond its own part of the way, at these doses.

        Where the mean of a column is 0, that dose is ED_x.
        """
        at = np.log2(doses + 1) if self.scale != "linear" else doses
        left = np.clip(np.searchsorted(self.places, at) - 1, 0, len(self.places) - 2)
        part = (at - self.places[left]) / np.diff(self.places)[left]
        there = (1 - part) * self.values[:, left] + part * self.values[:, left + 1]
        found: Floats = there - (1 - share) * self.values[:, :1] - share * self.values[:, -1:]
        return found

    @property
    def _adverse(self) -> Direction:
        match self.kind.good:
            case "higher":
                return "falling"
            case "lower":
                return "rising"
            case _:
                return self.direction

    @property
    def _above(self) -> range:
        return range(1, len(self.doses))

    @cached_property
    def _binary(self) -> bool:
        return self.kind.share and bool(np.isin(self.values, (0, 1)).all())

    def _column(self, at: int) -> dict[str, float]:
        return {str(row): float(value) for row, value in enumerate(self.values[:, at])}

    def _rose_and_fell(self, at: int, first: int) -> tuple[int, int]:
        """How many samples have more at a dose than at another one, and how many less."""
        changes = self.values[:, at] - self.values[:, first]
        return int((changes > 0).sum()), int((changes < 0).sum())

    def _interval(self, at: int, first: int, confidence: float) -> Interval:
        """Of the difference of a dose from another one, as tables have it."""
        if self._binary:  # the same, in a fraction of the time: what is planned asks it for ever
            return paired_rate_interval(
                *self._rose_and_fell(at, first), len(self.values), confidence
            )
        return paired_interval(self._column(at), self._column(first), confidence, self.kind)

    def _p(self, at: int) -> float:
        """Of no difference between a dose and the first."""
        if self._binary and self.unit == "samples":
            return mcnemar(*self._rose_and_fell(at, 0))
        if self.unit == "samples":
            return paired(self._column(at), self._column(0), self.kind).p
        changes = self.values[:, at] - self.values[:, 0]
        if np.allclose(changes, changes[0], rtol=1e-9, atol=1e-12):  # no variance to go by
            return float(np.isclose(changes[0], 0, atol=1e-12))
        return float(stats.ttest_1samp(changes, 0).pvalue)

    def _changes(self, sign: int, confidence: float) -> tuple[Floats, Floats]:
        """[doses], the lower and the upper bounds of the change in a direction."""
        bounds = [(0.0, 0.0)]
        for at in self._above:
            ends = (at, 0) if sign > 0 else (0, at)
            low, high = self._interval(*ends, confidence)
            alike = sign * float(self.means[at] - self.means[0])  # every sample changed by it
            bounds.append((alike if low is None else low, alike if high is None else high))
        low_bounds, high_bounds = np.array(bounds).T
        return low_bounds, high_bounds

    def _check_moves(self) -> None:
        """Raise NoDose where the last dose does not differ from the first."""
        if self._p(len(self.doses) - 1) >= 1 - CONFIDENCE:
            raise NoDose(f"it does not move up to {self.doses[-1]:.4g}, the highest dose")

    def check_monotone(self) -> None:
        """Raise NoDose where a higher dose lies back beyond chance, Bonferroni over all pairs."""
        pairs = len(self.doses) * (len(self.doses) - 1) / 2
        confidence = 1 - (1 - CONFIDENCE) / pairs
        for low in range(len(self.doses)):
            for high in range(low + 1, len(self.doses)):
                if self._sign * (self.means[high] - self.means[low]) >= 0:
                    continue
                bounds = self._interval(high, low, confidence)
                end = bounds[1] if self._sign > 0 else bounds[0]
                if end is not None and self._sign * end < 0:
                    way = "rises" if self._sign < 0 else "falls"
                    turn, there = f"{self.doses[low]:.4g}", f"{self.doses[high]:.4g}"
                    raise NoDose(
                        f"it turns at {turn}: from there to {there} it {way} by "
                        f"{abs(self.means[high] - self.means[low]):.3g}"
                    )

    def _dose(self, place: float) -> float:
        return float(2**place - 1) if self.scale != "linear" else float(place)


def scale_of(doses: Sequence[float]) -> Scale:
    """Over what a curve of these doses is straight between two of them."""
    counts = all(dose >= 0 and float(dose).is_integer() for dose in doses)
    return "log2(dose + 1)" if counts else "linear"


def _crossing(places: Floats, heights: Floats) -> float | None:
    """Where a line through these heights first reaches 0 from below; None where it never does."""
    for (left, right), (low, high) in zip(pairwise(places), pairwise(heights), strict=True):
        if low < 0 <= high:
            return float(left + (right - left) * -low / (high - low))
    return float(places[0]) if heights[0] >= 0 else None


def _last_below(places: Floats, heights: Floats) -> float | None:
    """Where a line through these heights last leaves what is below 0; None where it ends there."""
    back = _crossing(-places[::-1], -heights[::-1])
    return None if heights[-1] < 0 or back is None else -back


def _roots(places: Floats, rows: Floats) -> list[float]:
    """Ends of the stretches in which a t test does not tell the mean of the rows from 0.

    Between two places the rows, [samples, places], run straight, so that mean and variance at a
    part w of the way are a line and a parabola, and the ends are the roots of a parabola.
    """
    n = len(rows)
    quantile = student(n - 1, CONFIDENCE) ** 2
    mean, covariance = rows.mean(axis=0), np.atleast_2d(np.cov(rows.T)) * quantile / n
    ends: list[float] = []
    for at in range(len(places) - 1):
        a, b = mean[at], mean[at + 1] - mean[at]
        first, last, both = covariance[at, at], covariance[at + 1, at + 1], covariance[at, at + 1]
        beyond = [b * b - (first + last - 2 * both), 2 * (a * b - both + first), a * a - first]
        inside = [root.real for root in np.roots(beyond) if abs(root.imag) < 1e-12]
        cuts = sorted({0.0, 1.0, *(root for root in inside if 0 < root < 1)})
        width = places[at + 1] - places[at]
        for left, right in pairwise(cuts):
            if np.polyval(beyond, (left + right) / 2) <= 0:
                ends += [float(places[at] + left * width), float(places[at] + right * width)]
    return ends or [math.inf, -math.inf]
