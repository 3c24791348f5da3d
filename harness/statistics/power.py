"""How small an effect a paired comparison could have found: power 80 %, two-sided at 5 %.

For one comparison, before any correction for their number. An effect smaller than this may well be
there where the table shows none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from harness.statistics.intervals import CONFIDENCE

POWER = 0.8
ALPHA = 0.05
#: Samples beyond which no plan goes.
MOST_SAMPLES = 20_000
#: Numbers of discordant samples less probable than this in either direction are left out.
_NEGLIGIBLE = 1e-9


@lru_cache(maxsize=4096)
def detectable_rate_difference(n: int, discordant: int) -> float | None:
    """Smallest |difference| of paired rates that exact McNemar's test finds.

    The exact unconditional power of Duffy (1984), Biometrics 40:1005; Connor's (1987, Biometrics
    43:207) normal approximation of it promises smaller effects than the exact test can find with
    few samples. The share of samples that change at all is taken as seen; an effect larger than
    this share needs, and is given, as many changes as itself.

    Args:
        n: Samples.
        discordant: Samples whose value differed.

    Returns:
        A difference in (0, 1], or None where not even a change of every sample would be found.
    """
    if rate_power(n, 1.0, 1.0) < POWER:
        return None
    seen = discordant / n

    def excess(difference: float) -> float:
        return rate_power(n, max(seen, difference), difference) - POWER

    return float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-5))


def samples_needed(difference: float, discordance: float, alpha: float = ALPHA) -> int:
    """The fewest samples with which exact McNemar's test has a power of 80 % at a level.

    Args:
        difference: Probability of 0 -> 1 less that of 1 -> 0, above 0.
        discordance: Probability that a sample changes; at least `difference`.
        alpha: The level.
    """
    found = fewest(lambda n: rate_power(n, discordance, difference, alpha))
    assert found is not None, "without a bound there is always a number"
    return found


def fewest(
    power: Callable[[int], float], most: float = math.inf, resolution: float = 0.0
) -> int | None:
    """The fewest samples with a power of 80 %; None where not even the most have it.

    Args:
        power: Of so many samples, at least 2; it rises with their number.
        most: Samples beyond which nothing is looked for.
        resolution: By which part of itself the number may be too high.
    """
    low, high = 1, 2
    while power(high) < POWER:
        if high >= most:
            return None
        low, high = high, int(min(2 * high, most))
    while high - low > max(1, resolution * high):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def side_power(n: int, rate: float, number: float, *, above: bool, bound: bool) -> float:
    """Probability that `n` samples put a rate on its side of a number.

    Args:
        n: Samples.
        rate: The true one.
        number: Which it is to lie above, or below, or at.
        above: Whether it is to lie above.
        bound: Whether all of its 95 % interval has to, and not the rate of the samples alone.
    """
    right, beyond = (rate, number) if above else (1 - rate, 1 - number)
    if not bound:
        fewest_right = math.ceil(n * beyond - 1e-9)
    else:
        counts = np.arange(n + 1)
        lows = stats.beta.ppf((1 - CONFIDENCE) / 2, counts + 0.5, n - counts + 0.5)
        fewest_right = int(np.searchsorted(np.where(counts == 0, 0.0, lows), beyond))
    return float(stats.binom.sf(fewest_right - 1, n, right))


def mean_samples_needed(effect: float, spread: float, alpha: float = ALPHA) -> int | None:
    """The fewest samples with which a paired t test has a power of 80 % at a level.

    Args:
        effect: The mean difference.
        spread: The standard deviation of the differences.
        alpha: The level.
    """

    def power(n: int) -> float:
        critical = float(stats.t.isf(alpha / 2, n - 1))
        below, above = special.nctdtr(n - 1, effect / spread * math.sqrt(n), [-critical, critical])
        return float(np.nan_to_num(below) + 1 - np.nan_to_num(above, nan=1.0))

    return fewest(power, MOST_SAMPLES)


def rate_power(n: int, discordance: float, difference: float, alpha: float = ALPHA) -> float:
    """Probability that exact McNemar's test of `n` pairs rejects at a level.

    Args:
        n: Samples.
        discordance: Probability that a sample changes.
        difference: Probability of 0 -> 1 less that of 1 -> 0; at most `discordance`.
        alpha: The level.
    """
    if discordance == 0:
        return 0.0
    counts = np.arange(
        int(stats.binom.ppf(_NEGLIGIBLE, n, discordance)),
        int(stats.binom.isf(_NEGLIGIBLE, n, discordance)) + 1,
    )
    up = min((1 + difference / discordance) / 2, 1.0)
    fewest = _rejecting(n, alpha)[counts]
    rejects = stats.binom.cdf(fewest, counts, up) + stats.binom.sf(counts - fewest - 1, counts, up)
    return float(stats.binom.pmf(counts, n, discordance) @ rejects)


@lru_cache(maxsize=64)
def _rejecting(n: int, alpha: float) -> NDArray[np.int64]:
    """For 0 to n discordant samples, the most on the rarer side that still reject; -1 for none."""
    counts = np.arange(n + 1)
    rarer = np.asarray(stats.binom.ppf(alpha / 2, counts, 0.5)).astype(np.int64)
    # ppf gives the first number whose tail reaches alpha / 2; only a tail not above it rejects.
    above = stats.binom.cdf(rarer, counts, 0.5) > alpha / 2
    return np.where(above, rarer - 1, rarer)


def detectable_mean_difference(differences: NDArray[np.float64]) -> float | None:
    """Smallest |mean difference| that a paired t test finds, at the spread seen (noncentral t).

    It stands in for the sign-flip test, whose power is the same for large n (Hoeffding 1952, Ann.
    Math. Stat. 23:169). None where there is no spread to go by.
    """
    n = len(differences)
    spread = float(differences.std(ddof=1)) if n > 1 else 0.0
    if math.isclose(spread, 0.0, abs_tol=1e-12):
        return None
    return _standardised(n) * spread


@lru_cache(maxsize=64)
def _standardised(n: int) -> float:
    """The detectable mean in units of the standard deviation."""
    critical = float(stats.t.isf(ALPHA / 2, n - 1))

    def excess(shift: float) -> float:
        """Power at a noncentrality, less the power that is asked for."""
        below, above = special.nctdtr(n - 1, shift, [-critical, critical])
        # The lower tail is NaN where it underflows.
        return float(np.nan_to_num(below) + 1 - above) - POWER

    # The root grows from 1.28 critical values, for two samples, to 1.43, for ever more.
    shift = optimize.brentq(excess, critical, 1.5 * critical, xtol=1e-12)
    return float(shift) / math.sqrt(n)
