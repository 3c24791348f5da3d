"""Whether a condition recovers at least so much of a gap, beyond the samples at hand.

The performance gap recovered is at least x where the strong model is better, and the mean of

    D = right - (1 - x) weak - x strong        (each from 0 to 1, of the same sample)

is at least 0: the condition is as good as giving each question to the strong model with a chance of
x. Both are shown by the same test of a mean, each at 2.5 %. Conditions are tested in a fixed order,
from the most expensive to the cheapest, and the first that is not shown ends it: the chance that
any of those shown before is a wrong one is at most 2.5 %, however many there are. The other half of
5 % is for the luck of unseen samples, which are not endless either.

The test is Gaffke's: n values, and the worst that there can be as one more, get weights that are
uniform on the simplex, and p is the chance that their weighted mean is at most 0. Of two values it
is the exact binomial test; that it is never too small for any bounded values is not proved in
general, and no exception is known (`docs/statistics.md` has it simulated).

Sources: Angelopoulos, Bates, Candes, Jordan and Lei 2021, "Learn then test" (arXiv:2110.01052), for
the fixed sequence; Gaffke 2005, and Learned-Miller and Thomas 2020 (arXiv:1905.06208), for the
test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

Floats = NDArray[np.float64]
Condition = TypeVar("Condition")

#: The chance of a promise that all samples there could be would not keep.
ALPHA = 0.025
#: Units of its own scale in which an integrand is over, where so many values are not 0.
_REACH, _MANY = 12.0, 60
_NODES, _WEIGHTS = (
    (place + 1) * _REACH / 2 if at == 0 else place * _REACH / 2
    for at, place in enumerate(np.polynomial.legendre.leggauss(256))
)


def excess(right: Floats, weak: Floats, strong: Floats, aim: float) -> Floats:
    """D of every sample, [N], for a share of the gap from 0 to 1."""
    return np.asarray(right - (1 - aim) * weak - aim * strong)


def mean_p(values: Floats, least: float = -1.0) -> float:
    """The p of a mean of at most 0, for independent values [N] from `least`, below 0, upwards.

    By numerical inversion of the characteristic function of the weighted sum (Gil-Pelaez 1951).
    """
    if not len(values) or values.max() <= 0:
        return 1.0
    weights, counts = np.unique(np.round(np.append(values, least), 12), return_counts=True)
    scale = float(np.sqrt((counts * weights**2).sum()))

    def inverted(at: Floats) -> Floats:
        log = -(counts * np.log1p(-1j * np.multiply.outer(at, weights) / scale)).sum(axis=-1)
        return np.asarray(np.exp(log).imag / at)

    # The integrand is a wave in a bell, over after a few units of its own scale.
    total = float(_WEIGHTS @ inverted(_NODES))
    if counts[weights != 0].sum() < _MANY:  # it falls by a power
        total += quad(lambda at: float(inverted(np.array(at))), _REACH, np.inf, limit=400)[0]
    return float(np.clip(0.5 - total / np.pi, 0, 1))


def at_least(right: Floats, weak: Floats, strong: Floats) -> float:
    """The largest share of the gap that the test shows; 0 where it shows none."""
    low, high = 0.0, 1.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        if mean_p(excess(right, weak, strong, middle)) <= ALPHA:
            low = middle
        else:
            high = middle
    return low


def recovered(right: Floats, weak: Floats, strong: Floats) -> float:
    """The performance gap recovered in these samples; infinite where there is none."""
    gap = float((strong - weak).mean())
    return float((right - weak).mean()) / gap if gap > 0 else np.inf


def shown(
    conditions: Iterable[tuple[Condition, Floats]], weak: Floats, strong: Floats, aim: float
) -> Iterator[tuple[Condition, float]]:
    """Those that recover `aim` of the gap, each with its p, up to the first that is not shown to.

    Conditions come from the most expensive to the cheapest, with whether they were right, [N]; the
    next one is asked for when the one before it was shown. None where there is no gap beyond
    chance.
    """
    if mean_p(strong - weak) > ALPHA:
        return
    for condition, right in conditions:
        p = mean_p(excess(right, weak, strong, aim))
        if p > ALPHA:
            return
        yield condition, p
