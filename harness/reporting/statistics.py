"""Numbers with their uncertainty: values per sample in, a metric or a paired comparison out.

- Values are keyed by sample id. Comparisons pair by that id and refuse samples without a partner.
- Intervals are two-sided at 95 %; a bound that the data cannot give is None, never NaN.
- Everything is deterministic, and independent of the order in which samples come.

| values | interval of a metric | interval of a difference | p |
| --- | --- | --- | --- |
| all 0 or 1 | Wilson score | Tango's paired score | exact McNemar |
| anything else | Student's t | Student's t on the differences | sign-flip permutation |

References:
    Wilson (1927), J. Am. Stat. Assoc. 22:209. Recommended for proportions by Brown, Cai and
    DasGupta (2001), Statistical Science 16:101.
    Tango (1998), Statistics in Medicine 17:891. Recommended for paired proportions by Fagerland,
    Lydersen and Laake (2014), Statistics in Medicine 33:2850.
    McNemar (1947), Psychometrika 12:153, in its exact binomial form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from harness.errors import ReportError

CONFIDENCE = 0.95
#: Two-sided normal quantile of `CONFIDENCE`.
_Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
#: Sign flips drawn for a permutation test; with 13 samples or fewer all of them are enumerated.
_RESAMPLES = 9999
_SEED = 0

Interval = tuple[float, float] | tuple[None, None]
Test = Literal["mcnemar_exact", "sign_flip"]


class _Number(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Metric(_Number):
    """A mean over samples with its 95 % interval."""

    value: float
    """Mean over the samples; a rate when every sample is 0 or 1."""
    ci_low: float | None
    """Lower bound, or null where the data cannot give one (one sample, or no spread)."""
    ci_high: float | None
    """Upper bound, or null together with `ci_low`."""
    n: PositiveInt
    """Samples."""
    method: Literal["wilson", "t"]
    """Of the interval: Wilson's for rates, Student's t over the samples' values otherwise."""


class Versus(_Number):
    """A case compared with its baseline, sample by sample."""

    delta: float
    """Mean difference, case minus baseline."""
    ci_low: float | None
    """Lower bound of the 95 % interval of `delta`, or null where the data cannot give one."""
    ci_high: float | None
    """Upper bound, or null together with `ci_low`."""
    p: float
    """Two-sided p-value of no difference, not corrected for the number of cases."""
    test: Test
    """What `p` comes from: exact McNemar for values of 0 and 1, else sign-flip permutation."""
    better: NonNegativeInt
    """Samples whose value is higher than in the baseline."""
    worse: NonNegativeInt
    """Samples whose value is lower than in the baseline."""
    unchanged: NonNegativeInt
    """Samples whose value is the same."""


def rate_interval(successes: int, n: int) -> Interval:
    """Wilson score interval of a proportion; not degenerate at 0 and n successes."""
    low, high = proportion_confint(successes, n, alpha=1 - CONFIDENCE, method="wilson")
    # Rounding may leave the bound a hair inside an observed rate of 0 or 1.
    rate = successes / n
    return min(float(low), rate), max(float(high), rate)


def mean_interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """Student's t interval of a mean.

    One value has no spread to estimate, and equal values estimate it as 0, which would claim
    certainty; both give `(None, None)`.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) < 2 or np.allclose(data, data[0], rtol=1e-12, atol=1e-12):
        return None, None
    low, high = stats.ttest_1samp(data, 0.0).confidence_interval(CONFIDENCE)
    return float(low), float(high)


def paired_rate_interval(better: int, worse: int, n: int) -> Interval:
    """Tango's score interval of a difference of two paired proportions.

    It holds the differences that a score test does not reject, where `better` of `n` samples went
    from 0 to 1 and `worse` from 1 to 0. Without any change it is `± z² / (n + z²)`, not a point.
    """
    delta = (better - worse) / n

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

    low = -1.0 if delta == -1 else optimize.bisect(lambda at: score(at) - _Z, -1.0, delta)
    high = 1.0 if delta == 1 else optimize.bisect(lambda at: score(at) + _Z, delta, 1.0)
    return float(low), float(high)


def summarise(values: Mapping[str, float]) -> Metric:
    """The mean of one value per sample, with the interval that fits the values.

    Bounds of values that all lie in [0, 1] stay in [0, 1]: they are shares, and their mean is one.

    Raises:
        ReportError: there are no samples, or a value is not finite.
    """
    data = _column(values)
    mean = float(data.mean())
    if _is_binary(data):
        method: Literal["wilson", "t"] = "wilson"
        low, high = rate_interval(int(data.sum()), len(data))
    else:
        method = "t"
        low, high = mean_interval(data)
        if _is_share(data):
            low, high = _clip(low, high, 0.0, 1.0)
    return Metric(value=mean, ci_low=low, ci_high=high, n=len(data), method=method)


def paired(values: Mapping[str, float], baseline_values: Mapping[str, float]) -> Versus:
    """Compare a case with its baseline over the same samples.

    Raises:
        ReportError: a sample is missing on one side (leaving it out would change the
            denominator), there are no samples, or a value is not finite.
    """
    unpaired = sorted(values.keys() ^ baseline_values.keys())
    if unpaired:
        shared = len(values.keys() & baseline_values.keys())
        raise ReportError(
            f"{len(unpaired)} samples have no partner, such as {unpaired[0]!r}; {shared} are "
            "shared: compare cases that were run on the same samples"
        )
    data, baseline = _column(values), _column(baseline_values)
    differences = data - baseline
    better, worse = int((data > baseline).sum()), int((data < baseline).sum())
    test: Test
    if _is_binary(data) and _is_binary(baseline):
        test = "mcnemar_exact"
        p = float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0
        low, high = paired_rate_interval(better, worse, len(data))
    else:
        test = "sign_flip"
        p = _sign_flip(differences)
        low, high = mean_interval(differences)
        if _is_share(data) and _is_share(baseline):
            low, high = _clip(low, high, -1.0, 1.0)
    return Versus(
        delta=float(differences.mean()),
        ci_low=low,
        ci_high=high,
        p=p,
        test=test,
        better=better,
        worse=worse,
        unchanged=len(data) - better - worse,
    )


def _sign_flip(differences: NDArray[np.float64]) -> float:
    """Two-sided p of the differences being symmetric around 0; exact for few samples.

    A single difference is as extreme as its opposite, and differences of 0 have none: p is 1.
    """
    if len(differences) < 2 or not differences.any():
        return 1.0
    result = stats.permutation_test(
        (differences,),
        lambda data, axis: np.mean(data, axis=axis),
        permutation_type="samples",
        n_resamples=_RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    )
    return float(result.pvalue)


def _column(values: Mapping[str, float]) -> NDArray[np.float64]:
    """The values ordered by sample id, checked."""
    if not values:
        raise ReportError("no samples: a metric needs at least one")
    for sample, value in values.items():
        if not math.isfinite(value):
            raise ReportError(f"sample {sample!r} has the value {value}; values must be finite")
    return np.array([values[sample] for sample in sorted(values)], dtype=np.float64)


def _is_binary(data: NDArray[np.float64]) -> bool:
    return bool(np.isin(data, (0.0, 1.0)).all())


def _is_share(data: NDArray[np.float64]) -> bool:
    return bool(((data >= 0) & (data <= 1)).all())


def _clip(low: float | None, high: float | None, least: float, most: float) -> Interval:
    if low is None or high is None:
        return None, None
    return max(low, least), min(high, most)
