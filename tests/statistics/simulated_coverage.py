"""How often 95 % intervals hold the truth, and 5 % tests cry wolf: 2 000 simulated runs each.

Run it to print the tables of `docs/statistics.md` (several minutes): `python
tests/statistics/simulated_coverage.py`. The tests assert bounds on the same numbers.

- Rates need no simulation: every outcome is enumerated with its probability.
- Several draws: a sample is answered rightly with its own probability, from a Beta distribution
  whose mean is the rate. Its concentration of 1 gives two draws of a sample a correlation of 1/2.
- Pairs: the case answers `CHANGED` of the samples anew, independently of the baseline, at half of
  the rate (an effect), or at the same rate (none); the others keep their luck.
- Agreement: tokens before the first departure, which comes at every token with the rate as its
  probability, or the whole completion (log-normal, median 22 tokens, at most 96).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from harness.statistics.intervals import (
    mean_difference_interval,
    mean_interval,
    paired_rate_interval,
    paired_share_interval,
    rate_interval,
    share_interval,
)
from harness.statistics.paired import _sign_flip

SIZES = (20, 164, 1319)
RATES = (0.02, 0.3, 0.85)
RUNS = 2000
DRAWS = 4
CHANGED = 0.3
CANDIDATES = {
    "Jeffreys": "jeffreys",
    "Wilson": "wilson",
    "Agresti-Coull": "agresti_coull",
    "Clopper-Pearson": "beta",
}

Interval = Callable[..., tuple[float | None, float | None]]


def rate_coverage(n: int, rate: float) -> float:
    """Exact coverage of the interval in use."""
    return _exact(rate, np.array([rate_interval(k, n) for k in range(n + 1)]).T)


def candidate_coverage(n: int, rate: float, method: str) -> float:
    """Exact coverage of one of statsmodels' intervals."""
    return _exact(rate, np.array(proportion_confint(np.arange(n + 1), n, method=method)))


def mid_p_coverage(n: int, rate: float) -> float:
    """Exact coverage of the interval that the mid-P test does not reject."""
    counts = np.arange(n + 1)
    weights = stats.binom.pmf(counts, n, rate)
    below = stats.binom.cdf(counts - 1, n, rate) + weights / 2
    above = stats.binom.sf(counts, n, rate) + weights / 2
    return float(weights[(below > 0.025) & (above > 0.025)].sum())


def _exact(rate: float, bounds: np.ndarray) -> float:
    low, high = bounds
    weights = stats.binom.pmf(np.arange(len(low)), len(low) - 1, rate)
    return float(weights[(low <= rate) & (rate <= high)].sum())


def draws_coverage(n: int, rate: float, interval: Interval = share_interval) -> float:
    """Coverage for means of `DRAWS` draws per sample."""
    generator = _generator(n, rate, 1)
    ability = generator.beta(rate, 1 - rate, (RUNS, n))
    return _covered(generator.binomial(DRAWS, ability) / DRAWS, rate, interval)


def paired_draws_coverage(
    n: int, rate: float, effect: float, interval: Interval = paired_share_interval
) -> float:
    """Coverage for differences of means of `DRAWS` draws; the rate falls by `effect` of itself."""
    generator = _generator(n, rate, 2)
    differences = paired_differences(generator, n, rate, effect, DRAWS)
    return _covered(differences, -CHANGED * effect * rate, interval)


def paired_rate_coverage(n: int, rate: float, effect: float) -> float:
    """Coverage of Tango's interval for differences of zeros and ones."""
    generator = _generator(n, rate, 3)
    lower = rate * (1 - effect)
    up, down = CHANGED * lower * (1 - rate), CHANGED * rate * (1 - lower)
    better, worse, _ = generator.multinomial(n, [up, down, 1 - up - down], RUNS).T
    interval = cache(paired_rate_interval)
    bounds = [interval(int(b), int(w), n) for b, w in zip(better, worse, strict=True)]
    return float(np.mean([low <= up - down <= high for low, high in bounds]))


def agreement_coverage(n: int, rate: float, interval: Interval = mean_interval) -> float:
    """Coverage for the skewed means of tokens before the first departure."""
    runs = _agreement(_generator(n, rate, 4), (RUNS, n), rate)
    return _covered(runs, _mean_agreement(rate), interval)


def false_alarms(n: int, rate: float, p_value: Callable[[np.ndarray], float] = _sign_flip) -> float:
    """Share of runs without any effect in which p is below 5 %."""
    generator = _generator(n, rate, 5)
    differences = paired_differences(generator, n, rate, 0.0, DRAWS)
    return float(np.mean([p_value(run) < 0.05 for run in differences]))


def bootstrap_p(differences: np.ndarray, resamples: int = 999) -> float:
    """Two-sided percentile bootstrap of a mean difference: twice the rarer side of zero."""
    generator = np.random.default_rng(0)
    n = len(differences)
    chosen = generator.multinomial(n, np.full(n, 1 / n), resamples)
    means = chosen @ differences
    rarer = min(np.sum(means <= 1e-12), np.sum(means >= -1e-12))
    return float(min(1.0, 2 * (rarer + 1) / (resamples + 1)))


def paired_differences(
    generator: np.random.Generator, n: int, rate: float, effect: float, draws: int
) -> np.ndarray:
    """Runs by samples: case minus baseline, both means of several draws."""
    ability = generator.beta(rate, 1 - rate, (RUNS, n))
    lower = rate * (1 - effect)
    anew = generator.random((RUNS, n)) < CHANGED
    changed = np.where(anew, generator.beta(lower, 1 - lower, (RUNS, n)), ability)
    return (generator.binomial(draws, changed) - generator.binomial(draws, ability)) / draws


@cache
def _mean_agreement(rate: float) -> float:
    """The truth, from a million samples."""
    return float(_agreement(_generator(0, rate, 4), (1_000_000,), rate).mean())


def _agreement(generator: np.random.Generator, shape: tuple[int, ...], rate: float) -> np.ndarray:
    length = np.clip(np.round(generator.lognormal(np.log(22), 0.4, shape)), 5, 96)
    return np.minimum(generator.geometric(rate, shape) - 1, length)


def _covered(runs: np.ndarray, truth: float, interval: Interval) -> float:
    bounds = [interval(run) for run in runs]
    return float(np.mean([low is not None and low <= truth <= high for low, high in bounds]))


def _generator(n: int, rate: float, stream: int) -> np.random.Generator:
    return np.random.default_rng([n, int(1000 * rate), stream])


def student(values: np.ndarray) -> tuple[float | None, float | None]:
    """Student's t interval, as it was tried for everything that is not 0 or 1."""
    return mean_difference_interval(values)


def percentile_bootstrap(values: np.ndarray, resamples: int = 400) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean."""
    generator = np.random.default_rng(0)
    n = len(values)
    means = generator.multinomial(n, np.full(n, 1 / n), resamples) @ values / n
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _table(title: str, columns: dict[str, Callable[[int, float], float]]) -> None:
    print(f"\n{title}\n\n| n | rate | {' | '.join(columns)} |")
    print(f"| --- | --- |{' --- |' * len(columns)}")
    for n in SIZES:
        for rate in RATES:
            cells = " | ".join(f"{100 * coverage(n, rate):.1f}" for coverage in columns.values())
            print(f"| {n} | {rate} | {cells} |", flush=True)


def main() -> None:
    """Print every table as Markdown."""
    exact: dict[str, Callable[[int, float], float]] = {
        name: lambda n, rate, method=method: candidate_coverage(n, rate, method)
        for name, method in CANDIDATES.items()
    }
    _table("Rates", {**exact, "mid-P": mid_p_coverage})
    _table(
        f"Means of {DRAWS} draws",
        {
            "Wilson, effective n": draws_coverage,
            "Student": lambda n, rate: draws_coverage(n, rate, student),
            "bootstrap": lambda n, rate: draws_coverage(n, rate, percentile_bootstrap),
        },
    )
    _table(
        "Paired differences, one draw",
        {
            "no effect": lambda n, rate: paired_rate_coverage(n, rate, 0.0),
            "effect": lambda n, rate: paired_rate_coverage(n, rate, 0.5),
        },
    )
    _table(
        f"Paired differences, {DRAWS} draws",
        {
            "Tango, effective n: no effect": lambda n, rate: paired_draws_coverage(n, rate, 0.0),
            "effect": lambda n, rate: paired_draws_coverage(n, rate, 0.5),
            "Student: effect": lambda n, rate: paired_draws_coverage(n, rate, 0.5, student),
            "bootstrap: effect": lambda n, rate: paired_draws_coverage(
                n, rate, 0.5, percentile_bootstrap
            ),
        },
    )
    _table(
        "Agreement",
        {
            "Student, Hall's transformation": agreement_coverage,
            "Student": lambda n, rate: agreement_coverage(n, rate, student),
        },
    )
    _table(
        f"False alarms, {DRAWS} draws",
        {
            "sign flips": false_alarms,
            "bootstrap": lambda n, rate: false_alarms(n, rate, bootstrap_p),
        },
    )


if __name__ == "__main__":
    main()
