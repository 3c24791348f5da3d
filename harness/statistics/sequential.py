"""Evidence that may be looked at after every sample: e-values, anytime p, confidence sequences.

- An e-value is what a bet against the hypothesis has become, begun at 1: if the hypothesis is true
  it reaches 1 / alpha with a chance of at most alpha, however often it is looked at and whatever
  makes one stop (Ville 1939). `1 / max e` is a p-value at every moment.
- Values of 0 and 1 are compared by those samples that changed: the bet on the next one is
  Krichevsky and Trofimov's (1981, IEEE Trans. Inf. Theory 27:199), `(losses + 1/2) / (seen + 1)`.
- Other bounded values by a betting martingale for the mean of their differences, a mixture over
  fixed bets (Waudby-Smith and Ramdas 2024, J. R. Stat. Soc. B 86:1). So are intervals of means.
- Of a benchmark that ends, samples drawn without replacement say more of its own mean: what is
  left of it is known to sum to the rest, and with the last sample nothing is left to bet on.

Samples must come in an order that does not depend on their values. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy import special

from harness.metrics.entry import MetricEntry
from harness.statistics.estimates import Metric, Versus
from harness.statistics.intervals import CONFIDENCE

Floats = NDArray[np.float64]

#: Parts of the largest bet that cannot lose everything; the mixture gives each the same stake.
_BETS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9])
#: Futures that are drawn of a dose: a chance of one in a thousand is four of them.
_FUTURES = 4000
#: Of the search for an interval's bounds: they are exact to 2 ** -14.
_HALVINGS = 14


def log_evidence(differences: Floats, *, binary: bool, reach: float = 1.0) -> Floats:
    """Of no difference in the mean: the logarithm of the e-value after each sample, from 0 on.

    Args:
        differences: Case minus baseline, in the order in which samples came.
        binary: Whether all are -1, 0 or 1.
        reach: The largest difference that there can be.
    """
    path = np.concatenate([[0.0], np.asarray(differences, dtype=np.float64)])
    if binary:
        found: Floats = _kt(np.cumsum(path < 0), np.cumsum(path > 0))
        return found
    bets = np.concatenate([-_BETS, _BETS]) / reach
    grown = np.cumsum(np.log1p(bets[:, None] * path), axis=1)
    mixed: Floats = special.logsumexp(grown, axis=0) - math.log(len(bets))
    return mixed


def anytime_p(differences: Floats, *, binary: bool, reach: float = 1.0) -> float:
    """The p of no difference at this moment, which keeps its promise at every moment."""
    most = float(log_evidence(differences, binary=binary, reach=reach).max())
    return math.exp(-max(most, 0.0))


def mean_sequence(
    values: Floats,
    bounds: tuple[float, float],
    alpha: float = 1 - CONFIDENCE,
    size: int | None = None,
) -> tuple[float, float]:
    """A confidence sequence's interval of a mean, at this moment.

    Args:
        values: In the order in which they came.
        bounds: The least and the greatest value that there can be.
        alpha: The chance that the interval ever misses the mean.
        size: Of a benchmark whose own mean is meant, and of which these are drawn without
            replacement; None where the mean is that of all samples that there could be.
    """
    low, high = bounds
    data = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    if not len(data):
        return bounds
    centre = float(data.mean())
    inside, outside = np.full(2, centre), np.array([0.0, 1.0])
    out = _excluded(data, outside, alpha, size)
    for _ in range(_HALVINGS):
        middle = np.where(out, (inside + outside) / 2, outside)
        beyond = _excluded(data, middle, alpha, size)
        outside = np.where(beyond, middle, outside)
        inside = np.where(beyond, inside, middle)
    first, last = np.where(out, outside, [0.0, 1.0])
    if size is not None:  # what was not seen yet is at least all 0 and at most all 1
        first = min(max(first, data.sum() / size), centre)
        last = max(min(last, (data.sum() + size - len(data)) / size), centre)
    return low + float(first) * (high - low), low + float(last) * (high - low)


def _excluded(data: Floats, means: Floats, alpha: float, size: int | None) -> NDArray[np.bool_]:
    """Whether a bet against each of these means has ever reached 1 / alpha."""
    found: NDArray[np.bool_] = _against(data, means, size).max(axis=1) >= -math.log(alpha)
    return found


def _against(data: Floats, means: Floats, size: int | None) -> Floats:
    """[means, samples], what a bet against each of these means has become, as a logarithm."""
    known = means[:, None]
    if size is not None:  # what the samples that are left must have for a mean on average
        before = np.concatenate([[0.0], np.cumsum(data)[:-1]])
        known = (size * known - before) / (size - np.arange(len(data)))
    known = np.clip(known, 1e-9, 1 - 1e-9)[:, None, :]
    up, down = _BETS[:, None] / known, -_BETS[:, None] / (1 - known)
    bets = np.concatenate([up, down], axis=1)
    grown = np.cumsum(np.log1p(np.maximum(bets * (data - known), -1 + 1e-12)), axis=2)
    found: Floats = special.logsumexp(grown, axis=1) - math.log(2 * len(_BETS))
    return found


def summarise_anytime(values: Mapping[str, JsonValue], kind: MetricEntry) -> Metric:
    """One number of the samples of a run that stopped itself, in the order in which they came.

    The interval is a confidence sequence's; there is none of what has no bounds.
    """
    numbers = [value for value in values.values() if isinstance(value, int | float)]
    low, high = kind.bounds
    ends: tuple[float | None, float | None] = (None, None)
    if kind.aggregate is None and low is not None and high is not None:
        ends = mean_sequence(np.array(numbers, dtype=np.float64), (low, high))
    return Metric(
        value=kind.of(list(values.values())),
        ci_low=ends[0],
        ci_high=ends[1],
        n=len(values),
        method="confidence_sequence",
    )


def compare_anytime(
    values: Mapping[str, JsonValue], baseline: Mapping[str, JsonValue], kind: MetricEntry
) -> Versus | None:
    """A case of a run that stopped itself beside its baseline; None of what has no bounds.

    Both have the same samples, in the order in which they came.
    """
    low, high = kind.bounds
    if kind.aggregate is not None or low is None or high is None or not values:
        return None
    pairs = [(values[sample], baseline[sample]) for sample in values]
    differences = np.array([float(own) - float(other) for own, other in pairs])  # type: ignore[arg-type]
    binary = kind.share and bool(np.isin(differences, (-1, 0, 1)).all())
    reach = high - low
    first, last = mean_sequence(differences, (-reach, reach))
    rose, fell = int((differences > 0).sum()), int((differences < 0).sum())
    better, worse = (fell, rose) if kind.good == "lower" else (rose, fell)
    return Versus(
        delta=float(differences.mean()),
        ci_low=first,
        ci_high=last,
        p=anytime_p(differences, binary=binary, reach=reach),
        test="anytime_kt" if binary else "anytime_betting",
        good=kind.good,
        better=better,
        worse=worse,
        unchanged=len(differences) - rose - fell,
    )


def chance_to_decide(
    differences: Floats, left: int, enough: float, *, binary: bool, reach: float = 1.0
) -> float:
    """The chance that `left` more samples bring the log e-value to `enough`, as things stand.

    The predictive power of group-sequential trials (Spiegelhalter, Freedman and Blackburn 1986,
    Control. Clin. Trials 7:8): what is to come is drawn as what was seen, whose frequencies are
    uncertain, with half a sample each of the largest gain, of none and of the largest loss.
    Deterministic.
    """
    data = np.asarray(differences, dtype=np.float64)
    values, counts = np.unique(np.concatenate([data, [-reach, 0.0, reach]]), return_counts=True)
    prior = np.isin(values, (-reach, 0.0, reach))
    seen = counts - prior
    rng = np.random.default_rng([len(data), left])
    rates = rng.dirichlet(seen + prior / 2, _FUTURES)
    whole = seen + rng.multinomial(left, rates)
    if binary:
        final = _kt(whole[:, values < 0].sum(axis=1), whole[:, values > 0].sum(axis=1))
    else:
        bets = np.concatenate([-_BETS, _BETS]) / reach
        grown = whole @ np.log1p(values[:, None] * bets)
        final = special.logsumexp(grown, axis=1) - math.log(len(bets))
    return float(np.mean(final >= enough))


def growth(differences: Floats, reach: float = 1.0) -> float:
    """What the next sample is expected to add to the log e-value, as things stand."""
    data = np.asarray(differences, dtype=np.float64)
    mean = float(data.sum()) / (len(data) + 1)
    spread = (float((data**2).sum()) + reach**2 / 2) / (len(data) + 1)
    return mean**2 / (2 * spread)


@lru_cache(maxsize=64)
def sample_numbers(
    n: int, discordance: float, difference: float, alpha: float, runs: int = 2000
) -> tuple[float, float, float]:
    """Of a test of `n` samples at most that stops as soon as it rejects, simulated.

    Args:
        n: The most samples.
        discordance: The chance that a sample changes.
        difference: That of a gain less that of a loss; at most `discordance` in size.
        alpha: At which it rejects.
        runs: How many are simulated; the same ones for the same arguments.

    Returns:
        The share of runs that reject, and the mean and the 80 % quantile of the samples taken.
    """
    rng = np.random.default_rng(0)
    up = (discordance + abs(difference)) / 2
    drawn = rng.random((runs, n))
    gains = np.cumsum(drawn < up, axis=1)
    losses = np.cumsum((drawn >= up) & (drawn < discordance), axis=1)
    rejects = _kt(losses, gains) >= -math.log(alpha)
    ended = np.where(rejects.any(axis=1), rejects.argmax(axis=1) + 1, n)
    return float(rejects.any(axis=1).mean()), float(ended.mean()), float(np.quantile(ended, 0.8))


def stopping_needed(
    difference: float, discordance: float, alpha: float, power: float = 0.8, runs: int = 1000
) -> tuple[int, int]:
    """Of a test that stops as soon as it rejects, simulated: samples on average, and at most.

    Args:
        difference: The chance of a gain less that of a loss, above 0.
        discordance: The chance that a sample changes; at least `difference`.
        alpha: At which it rejects.
        power: The share of runs that reject within the most samples.
        runs: How many are simulated; the same ones for the same arguments.

    Returns:
        What is asked on average, and the most samples, with which `power` of the runs reject.
    """
    rng = np.random.default_rng(0)
    up = (1 + difference / discordance) / 2
    changed = 64
    while True:
        gains = np.cumsum(rng.random((runs, changed)) < up, axis=1)
        rejects = _kt(np.arange(1, changed + 1) - gains, gains) >= -math.log(alpha)
        if rejects.any(axis=1).mean() >= min(power + 0.1, 0.99):
            break
        changed *= 2
    ended = np.where(rejects.any(axis=1), rejects.argmax(axis=1) + 1, changed)
    # Of the samples between two that change it is known how many there are.
    taken = ended + rng.negative_binomial(ended, discordance)
    most = int(np.quantile(taken, power, method="higher"))
    return round(float(np.minimum(taken, most).mean())), most


def side_needed(
    rate: float, number: float, alpha: float, size: int, look: int, runs: int = 400
) -> tuple[int, int]:
    """Of a benchmark whose rate is asked until it is known on which side of a number it lies.

    Args:
        rate: Of which benchmarks of 0/1 values are drawn.
        number: What their own mean is held against.
        alpha: The chance that it is ever said to lie on the wrong side.
        size: Samples of the benchmark.
        look: Samples between two looks.
        runs: How many are simulated; the same ones for the same arguments.

    Returns:
        What is asked on average, and the most samples with which 80 % of the runs know it.
    """
    rng = np.random.default_rng(0)
    taken = []
    for _ in range(runs):
        data = (rng.random(size) < rate).astype(np.float64)
        right, wrong = np.cumsum(data), np.cumsum(1 - data)
        known = _against(data, np.array([number]), size)[0] >= -math.log(alpha)
        known |= (right >= number * size) | (wrong > (1 - number) * size)
        first = int(known.argmax()) + 1 if known.any() else size
        taken.append(min(-(-first // look) * look, size))
    most = int(np.quantile(taken, 0.8, method="higher"))
    return round(float(np.minimum(taken, most).mean())), most


def _kt(losses: NDArray[Any], gains: NDArray[Any]) -> Floats:
    """Log e-value of losses among samples that changed, against a coin's."""
    grown = special.betaln(losses + 0.5, gains + 0.5) - special.betaln(0.5, 0.5)
    found: Floats = np.asarray(grown + (losses + gains) * math.log(2), dtype=np.float64)
    return found
