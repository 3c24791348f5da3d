"""Numbers with their uncertainty: values per sample in, a metric or a paired comparison out.

- Values are keyed by sample id. Comparisons pair by that id and refuse samples without a partner.
- Where a sample has several draws its value is the mean over them: draws are clustered by sample,
  and `n` counts samples, never draws.
- Intervals are two-sided at 95 %; a bound that the data cannot give is None, never NaN.
- Everything is deterministic, and independent of the order in which samples come.

| values | interval of a metric | interval of a difference | p |
| --- | --- | --- | --- |
| shares, all 0 or 1 | Jeffreys | Tango's paired score | exact McNemar |
| other shares | Wilson, effective n | Tango's, effective n | sign-flip permutation |
| numbers | Student's t, Hall's transformation | Student's t | sign-flip permutation |
| any, with an aggregate that is no mean | bootstrap | bootstrap | paired bootstrap |

Whether values are shares is said by their metric's kind, never guessed from them; a task's own
metric that leaves [0, 1] is a number.

`intervals` has the methods; `docs/statistics.md` says why these, with their simulated coverage.

References:
    McNemar (1947), Psychometrika 12:153, in its exact binomial form.
    Holm (1979), Scandinavian Journal of Statistics 6:65.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy import special

from harness import registry
from harness.errors import ReportError
from harness.metrics.entry import MetricEntry
from harness.metrics.lookup import SCORE
from harness.statistics.bootstrap import aggregate_interval, paired_bootstrap
from harness.statistics.estimates import Method, Metric, Test, Versus
from harness.statistics.intervals import (
    CONFIDENCE,
    Interval,
    mean_difference_interval,
    mean_interval,
    paired_rate_interval,
    paired_share_interval,
    rate_interval,
    share_interval,
)
from harness.statistics.power import detectable_mean_difference, detectable_rate_difference

#: Sign flips drawn for a permutation test, and the samples up to which all are enumerated.
_BLOCKS, _FLIPS_PER_BLOCK = 20, 500
_MOST_ENUMERATED = 13
_SEED = 0


def summarise(values: Mapping[str, JsonValue], kind: MetricEntry = SCORE) -> Metric:
    """One number of one value per sample, with the interval that fits what the metric is.

    Raises:
        ReportError: there are no samples, or a value is not finite.
    """
    if kind.aggregate is not None:
        listed = _listed(values)
        own = None if kind.interval is None else registry.loaded(kind.interval)
        if own is None:
            low, high = aggregate_interval(listed, kind.of, additive=kind.additive)
        else:
            low, high = own(listed)
        return Metric(
            value=_finite(kind.of(listed), kind),
            ci_low=low,
            ci_high=high,
            n=len(listed),
            method="bootstrap" if own is None else "own",
        )
    data = _column(values)
    method: Method
    if kind.share and _is_binary(data):
        method, (low, high) = "jeffreys", rate_interval(int(data.sum()), len(data))
    elif kind.share and _is_share(data):
        method, (low, high) = "wilson_effective", share_interval(data)
    else:
        method, (low, high) = "t_hall", mean_interval(data)
    return Metric(value=float(data.mean()), ci_low=low, ci_high=high, n=len(data), method=method)


def paired(
    values: Mapping[str, JsonValue],
    baseline_values: Mapping[str, JsonValue],
    kind: MetricEntry = SCORE,
    test: Test | None = None,
) -> Versus:
    """Compare a case with its baseline over the same samples; `kind` is that of their metric.

    Args:
        values: The case's value of each sample.
        baseline_values: The baseline's.
        kind: Of their metric.
        test: The test to use; the one that fits the values when left out.

    Raises:
        ReportError: a sample is missing on one side (leaving it out would change the
            denominator), there are no samples, a value is not finite, or the test is not one of
            this metric.
    """
    check_test(test, kind)
    _check_paired(values, baseline_values)
    if kind.aggregate is not None:
        return _bootstrapped(_listed(values), _listed(baseline_values), kind)
    data, baseline = _column(values), _column(baseline_values)
    differences = data - baseline
    rose, fell = int((data > baseline).sum()), int((data < baseline).sum())
    better, worse = (fell, rose) if kind.good == "lower" else (rose, fell)
    binary = kind.share and _is_binary(data) and _is_binary(baseline)
    if test == "mcnemar_exact" and not binary:
        raise ReportError(f"mcnemar_exact: not all values of {kind.name} are 0 or 1; use sign_flip")
    if binary and test != "sign_flip":
        test = "mcnemar_exact"
        p = mcnemar(rose, fell)
        minimal_effect = detectable_rate_difference(len(data), rose + fell)
    else:
        test = "sign_flip"
        p = _sign_flip(differences)
        minimal_effect = _possible(detectable_mean_difference(differences), kind)
    low, high = _difference_interval(data, baseline, CONFIDENCE, kind)
    return Versus(
        delta=float(differences.mean()),
        ci_low=low,
        ci_high=high,
        p=p,
        minimal_effect=minimal_effect,
        test=test,
        good=kind.good,
        better=better,
        worse=worse,
        unchanged=len(data) - rose - fell,
    )


def paired_interval(
    values: Mapping[str, JsonValue],
    baseline_values: Mapping[str, JsonValue],
    confidence: float,
    kind: MetricEntry = SCORE,
) -> Interval:
    """The interval of `paired` alone, at another confidence than 95 %; raises the same errors."""
    _check_paired(values, baseline_values)
    if kind.aggregate is not None:
        sides = _listed(values), _listed(baseline_values)
        return paired_bootstrap(*sides, kind.of, confidence, additive=kind.additive).interval
    return _difference_interval(_column(values), _column(baseline_values), confidence, kind)


def check_test(test: str | None, kind: MetricEntry) -> None:
    """Raise ReportError for a test that says nothing of a metric, by its name.

    What looks at one sample at a time speaks of a mean, and of no other aggregate.
    """
    if test is None or (test == "paired_bootstrap") == (kind.aggregate is not None):
        return
    if kind.aggregate is not None:
        raise ReportError(
            f"{test}: compares sample by sample, but {kind.name} is not a mean over samples; use "
            "paired_bootstrap"
        )
    raise ReportError(f"{test}: {kind.name} is a mean over samples; use mcnemar_exact or sign_flip")


def _bootstrapped(
    values: Sequence[JsonValue], baseline: Sequence[JsonValue], kind: MetricEntry
) -> Versus:
    found = paired_bootstrap(values, baseline, kind.of, additive=kind.additive)
    # What a single sample says is the aggregate of it alone.
    own, theirs = (np.array([kind.of([value]) for value in side]) for side in (values, baseline))
    rose, fell = int((own > theirs).sum()), int((own < theirs).sum())
    better, worse = (fell, rose) if kind.good == "lower" else (rose, fell)
    low, high = found.interval
    return Versus(
        delta=_finite(found.delta, kind),
        ci_low=low,
        ci_high=high,
        p=found.p,
        test="paired_bootstrap",
        good=kind.good,
        better=better,
        worse=worse,
        unchanged=len(values) - rose - fell,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of the p-values of one family, in their order.

    By hand, because statsmodels' `multipletests` collects all garbage on every call, which takes
    0.1 s with torch loaded.

    Raises:
        ReportError: one is not a probability. A test without a result does not belong to its
            family; counting it would correct the others too much.
    """
    for position, p in enumerate(p_values):
        if not 0 <= p <= 1:  # also of NaN, which is in no order
            raise ReportError(
                f"p-value {position + 1} of {len(p_values)} is {p}; they lie between 0 and 1: "
                "leave out what was not tested"
            )
    data = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(data, kind="stable")
    corrected = np.empty_like(data)
    remaining = len(data) - np.arange(len(data))
    corrected[order] = np.minimum(np.maximum.accumulate(data[order] * remaining), 1.0)
    return [float(p) for p in corrected]


def corrected(family: Sequence[Versus]) -> list[Versus]:
    """The comparisons of one family, each with Holm's p beside its own."""
    ps = holm([versus.p for versus in family])
    return [versus.model_copy(update={"p_holm": p}) for versus, p in zip(family, ps, strict=True)]


def _possible(effect: float | None, kind: MetricEntry) -> float | None:
    """An effect, or None where no metric of this kind could ever differ by so much."""
    low, high = kind.bounds
    reach = math.inf if low is None or high is None else high - low
    return None if effect is None or effect > reach else effect


def _difference_interval(
    data: NDArray[np.float64], baseline: NDArray[np.float64], confidence: float, kind: MetricEntry
) -> Interval:
    differences = data - baseline
    if kind.share and _is_binary(data) and _is_binary(baseline):
        rose, fell = int((differences > 0).sum()), int((differences < 0).sum())
        return paired_rate_interval(rose, fell, len(data), confidence)
    if kind.share and _is_share(data) and _is_share(baseline):
        return paired_share_interval(differences, confidence)
    return mean_difference_interval(differences, confidence)


@lru_cache(maxsize=4096)  # cases of a grid have few different counts
def mcnemar(rose: int, fell: int) -> float:
    """Two-sided p of as many samples rising as falling, exactly."""
    return min(2 * float(special.bdtr(min(rose, fell), rose + fell, 0.5)), 1.0)


def _sign_flip(differences: NDArray[np.float64]) -> float:
    """Two-sided p of the differences being symmetric around 0; exact where few samples changed.

    Samples without a difference are the same under every flip. A single difference is as extreme
    as its opposite: p is 1. Otherwise the observed signs count as one of the random ones.

    `scipy.stats.permutation_test` gives the same, at 1.7 s for 1 319 samples instead of 0.05.
    """
    changed = differences[differences != 0]
    if len(changed) < 2:
        return 1.0
    least = abs(changed.sum()) * (1 - 1e-12)
    if len(changed) <= _MOST_ENUMERATED:
        flips = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float(np.mean(np.abs((2 * flips - 1) @ changed) >= least))
    generator = np.random.default_rng(_SEED)
    extreme = 0
    for _ in range(_BLOCKS):
        flips = generator.integers(0, 2, (_FLIPS_PER_BLOCK, len(changed)), dtype=np.int8)
        extreme += int(np.sum(np.abs((2.0 * flips - 1) @ changed) >= least))
    return (extreme + 1) / (_BLOCKS * _FLIPS_PER_BLOCK + 1)


def _check_paired(
    values: Mapping[str, JsonValue], baseline_values: Mapping[str, JsonValue]
) -> None:
    unpaired = sorted(values.keys() ^ baseline_values.keys())
    if unpaired:
        shared = len(values.keys() & baseline_values.keys())
        raise ReportError(
            f"{len(unpaired)} samples have no partner, such as {unpaired[0]!r}; {shared} are "
            "shared: compare cases that were run on the same samples"
        )


def _column(values: Mapping[str, JsonValue]) -> NDArray[np.float64]:
    """The values ordered by sample id, checked to be numbers."""
    if values and {float, int}.issuperset(map(type, values.values())):
        data = np.array([values[sample] for sample in _ordered(tuple(values))], dtype=np.float64)
        if np.isfinite(data).all():
            return data
    for sample, value in values.items():  # some other number, or what is wrong
        if not isinstance(value, int | float):
            raise ReportError(
                f"sample {sample!r} has the value {value}, which has no mean; register its metric"
            )
    return np.array(_listed(values), dtype=np.float64)


def _listed(values: Mapping[str, JsonValue]) -> list[JsonValue]:
    """The values ordered by sample id."""
    if not values:
        raise ReportError("no samples: a metric needs at least one")
    for sample, value in values.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not math.isfinite(number):
                raise ReportError(f"sample {sample!r} has the value {value}; values must be finite")
    return [values[sample] for sample in _ordered(tuple(values))]


@lru_cache(maxsize=64)  # cases of a grid have the same samples
def _ordered(samples: tuple[str, ...]) -> list[str]:
    return sorted(samples)


def _finite(number: float, kind: MetricEntry) -> float:
    if not math.isfinite(number):
        raise ReportError(f"{kind.name} is {number}; what an aggregate gives must be finite")
    return number


def _is_binary(data: NDArray[np.float64]) -> bool:
    return bool(((data == 0) | (data == 1)).all())


def _is_share(data: NDArray[np.float64]) -> bool:
    return bool(((data >= 0) & (data <= 1)).all())
