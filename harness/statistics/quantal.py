"""The benchmark dose of groups that share no sample: at each dose a number, some of them affected.

Tables of published work are such. The groups are independent binomial draws, and what is assumed of
them is Hill's curve over a background:

    p(dose) = g + (1 - g) v / (1 + (middle / dose)^b),   p(0) = g

fitted by maximum likelihood, b above 0. Bounds are those of the profile likelihood: all benchmark
doses that a likelihood-ratio test does not reject, whatever the other parameters are (U.S. EPA
2012, Benchmark Dose Technical Guidance, EPA/100/R-12/001). This is the Dichotomous Hill model of
EPA's BMDS without its restriction of b, and its numbers are those of pybmds. Curves of runs have
the same samples at every dose, and are read without a model (`dose_response`).
`tests/statistics/simulated_quantal.py` has how often the bound holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from harness.errors import FieldError
from harness.spec.doses import FEWEST
from harness.statistics.dose_response import Benchmark
from harness.statistics.intervals import CONFIDENCE

Floats = NDArray[np.float64]
#: The response is `added` to the background, or is `extra`: a part of those whom it spares.
Risk = Literal["added", "extra"]

#: Of rates that are bounded by 0 and 1, and of the slope.
_LEAST, _SLOPES = 1e-8, (1e-2, 18.0)
#: How far beyond the doses a dose is looked for: times the lowest one above 0, and the highest.
_BELOW, _BEYOND = 1e-6, 1e3
#: How exactly the log of a bound is found.
_NEAR = 1e-5
#: What two log-likelihoods may differ by and be called equal.
_AS_LIKELY = 1e-5
#: Slopes from which the likelihood is climbed: it has several summits.
_STARTS = (0.7, 3.0)


def benchmark_dose(
    doses: Sequence[float],
    numbers: Sequence[int],
    affected: Sequence[int],
    *,
    response: float = 0.1,
    risk: Risk = "extra",
) -> Benchmark:
    """BMD and BMDL of groups that share no sample.

    >>> import harness
    >>> found = harness.benchmark_dose([0, 25, 75, 125, 200], [20] * 5, [0, 1, 7, 15, 19])
    >>> f"{found.dose:.1f}, and with 95 % confidence not below {found.lower:.1f}"
    '40.7, and with 95 % confidence not below 25.6'

    Args:
        doses: At least four, rising, the first one 0.
        numbers: How many there were at each dose.
        affected: How many of these were affected.
        response: The benchmark response, above 0 and below 1.
        risk: Whether the response is `added` to the background, or `extra`, a part of those whom it
            spares.

    Returns:
        The dose, its one-sided 95 % bound and its two-sided 95 % interval; None for what lies
        beyond a thousand times the highest dose, 0 for what lies below a millionth of the lowest.

    Raises:
        FieldError: the table is none of such groups.
    """
    _check(doses, numbers, affected, response)
    table = np.array([doses, numbers, affected], dtype=np.float64)
    groups = Groups(table, response, added=risk == "added")
    best = groups.best()
    lower, low, high = (
        groups.bound(best, side, confidence)
        for side, confidence in ((-1, 2 * CONFIDENCE - 1), (-1, CONFIDENCE), (+1, CONFIDENCE))
    )
    return Benchmark(response, groups.dose(float(best.x[-1])), lower, low, high)


class Groups:
    """The likelihood of a table over g, what part of the way v goes beyond the response, log b, and
    the log of the benchmark dose.
    """

    def __init__(self, table: Floats, response: float, *, added: bool) -> None:
        doses, self._numbers, self._affected = table
        self._logs = np.log(doses[1:])
        self._response, self._added = response, added
        low, high = float(self._logs[0]), float(self._logs[-1])
        self.ends = (low + math.log(_BELOW), high + math.log(_BEYOND))
        most = 1 - response - _LEAST if added else 1 - _LEAST
        slopes = (math.log(_SLOPES[0]), math.log(_SLOPES[1]))
        self._bounds = [(_LEAST, most), (_LEAST, 1 - _LEAST), slopes, self.ends]
        rate = float(self._affected[0] / self._numbers[0])
        top = float(np.max(self._affected / self._numbers))
        self.starts = [
            np.array([min(max(rate, 0.01), most / 2), min(max(top, 0.1), 0.9), math.log(b), at])
            for b in _STARTS
            for at in (low, (low + high) / 2, high)
        ]

    def best(self) -> Any:
        """The most likely parameters; where doses at an end are as likely as any, that end."""
        inside = self.fitted(None)
        found = [inside, *(self.fitted(end, [inside.x, *self.starts[::4]]) for end in self.ends)]
        least = min(float(each.fun) for each in found)
        return next(each for each in reversed(found) if each.fun <= least + _AS_LIKELY)

    def fitted(self, place: float | None, starts: Sequence[Floats] = ()) -> Any:
        """What `scipy.optimize.minimize` finds, of all or of one benchmark dose (its log)."""
        bounds = list(self._bounds)
        if place is not None:
            bounds[-1] = (place, place)
        found = (
            optimize.minimize(
                self._off, start, bounds=bounds, jac=True, options={"ftol": 1e-13, "gtol": 1e-9}
            )
            for start in starts or self.starts
        )
        return min(found, key=lambda each: float(each.fun))

    def dose(self, place: float) -> float | None:
        """The dose of a log: 0 and None at the ends of what is looked at."""
        if place >= self.ends[1] - _NEAR:
            return None
        return 0.0 if place <= self.ends[0] + _NEAR else math.exp(place)

    def bound(self, best: Any, side: int, confidence: float) -> float | None:
        """The last benchmark dose on one side that a test does not reject."""
        limit = float(stats.chi2.ppf(confidence, 1)) / 2
        known = {float(best.x[-1]): best}

        def rejected(place: float) -> float:
            if place not in known:  # climbed from the nearest summit that is known
                near = known[min(known, key=lambda each: abs(each - place))].x
                known[place] = self.fitted(place, [near, best.x, self.starts[1]])
            return float(known[place].fun - best.fun) - limit

        inside, step = float(best.x[-1]), 0.25
        while (outside := float(np.clip(inside + side * step, *self.ends))) != inside:
            if rejected(outside) > 0:
                place = optimize.brentq(rejected, inside, outside, xtol=_NEAR)
                return self.dose(float(place))
            inside, step = outside, step * 2
        return self.dose(inside)

    def _off(self, parameters: Floats) -> tuple[float, Floats]:
        """The negative log-likelihood, and its slopes."""
        g, part, log_slope, place = parameters
        slope = math.exp(log_slope)
        least = self._response / (1 - g) if self._added else self._response
        height = least + (1 - least) * part
        there = special.expit(special.logit(least / height) + slope * (self._logs - place))
        above = height * there
        p = np.clip(np.concatenate([[g], g + (1 - g) * above]), 1e-15, 1 - 1e-15)
        off = -float(special.xlogy(self._affected, p).sum())
        off -= float(special.xlog1py(self._numbers - self._affected, -p).sum())
        by_p = (self._numbers - self._affected) / (1 - p) - self._affected / p
        steep = height * there * (1 - there)
        # Of the logit of least / height by least and by height.
        by_height = -1 / (height - least)
        by_least = height / (least * (height - least))
        from_height = there + steep * by_height
        own_least = (1 - part) * from_height + steep * by_least
        g_least = least / (1 - g) if self._added else 0.0
        slopes = [
            by_p[0] + by_p[1:] @ (1 - above + (1 - g) * own_least * g_least),
            by_p[1:] @ ((1 - g) * (1 - least) * from_height),
            by_p[1:] @ ((1 - g) * steep * slope * (self._logs - place)),
            by_p[1:] @ ((1 - g) * steep * -slope),
        ]
        return off, np.array(slopes)


def _check(
    doses: Sequence[float], numbers: Sequence[int], affected: Sequence[int], response: float
) -> None:
    """Raise FieldError for what is no table of groups."""
    if len({len(doses), len(numbers), len(affected)}) > 1:
        said = f"{len(doses)} doses, {len(numbers)} numbers and {len(affected)} affected"
        raise FieldError("doses", f"{said} are no table; give one of each per group")
    if len(doses) < FEWEST:
        raise FieldError("doses", f"{len(doses)} are no curve; give at least {FEWEST}")
    if doses[0] != 0 or any(not one < other < math.inf for one, other in pairwise(doses)):
        raise FieldError("doses", f"{list(doses)} do not rise from 0; order the groups by dose")
    for dose, number, some in zip(doses, numbers, affected, strict=True):
        if number < 1 or not 0 <= some <= number:
            raise FieldError("affected", f"{some} of {number} at dose {dose:g} is no count")
    if not 0 < response < 1:
        raise FieldError("response", f"{response:g} is no change of a rate; use 0 < response < 1")
