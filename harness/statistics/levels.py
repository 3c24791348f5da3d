"""From which dose on there is an effect: LOEL and NOEL, and those of another run of the same size.

LOEL is the lowest dose from which on every one differs from the first, by tests that Holm's method
corrects; NOEL is the dose below it. Both are decisions and no parameters of a curve: more samples
show smaller effects. So their 95 % range is a predictive one: what another run, of as many samples
of the same kind, would say. Samples that there could be are drawn by a Bayesian bootstrap of the
measured ones, joint over doses, and a run of them once more (Rubin 1981, Ann. Statist. 9:130).
`tests/statistics/simulated_levels.py` has how often it holds that of another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.statistics.intervals import CONFIDENCE
from harness.statistics.paired import holm

Floats = NDArray[np.float64]

#: Runs that are drawn, and the fewest units that say what others would be like.
_RUNS, _FEWEST = 1999, 10
_SEED = 0


class LevelRange(NamedTuple):
    """LOEL and NOEL of another run of the same size, in 95 % of runs; None: no dose differs."""

    loel_low: float | None
    loel_high: float | None
    noel_low: float
    noel_high: float


class Levels(NamedTuple):
    """The lowest dose from which on every dose shows an effect, and the dose below it.

    Of a curve that shows none `loel` is None and `noel` the highest dose.
    """

    loel: float | None
    noel: float


def levels_of(doses: Sequence[float], ps: Sequence[float]) -> Levels:
    """LOEL and NOEL, from the p of every dose above the first, which Holm's method corrects."""
    shown = np.array([[p < 1 - CONFIDENCE for p in holm(ps)]])
    return Levels(*_at(doses, int(_first(shown)[0])))


def predicted(
    found: Levels, doses: Sequence[float], changes: Floats, *, binary: bool
) -> LevelRange | None:
    """LOEL and NOEL of another run of the same size; None for fewer than ten samples.

    Args:
        found: What this run says, which is always within.
        doses: Rising; the first is the one that changes nothing.
        changes: [samples, doses above the first], from the first dose.
        binary: Whether all are -1, 0 or 1, which McNemar's test compares; a t test does others.
    """
    n, above = changes.shape
    if n < _FEWEST:
        return None
    kinds, counts = np.unique(changes, axis=0, return_counts=True)
    rng = np.random.default_rng(_SEED)
    runs = rng.multinomial(n, rng.dirichlet(counts, _RUNS)).astype(np.float64)
    p = _mcnemar(kinds, runs) if binary else _t_test(kinds, runs)
    order = np.argsort(p, axis=1)
    steps = np.take_along_axis(p, order, axis=1) * np.arange(above, 0, -1)
    shown = np.empty(p.shape, dtype=bool)
    np.put_along_axis(shown, order, np.maximum.accumulate(steps, axis=1) < 1 - CONFIDENCE, axis=1)
    own = above if found.loel is None else list(doses).index(found.loel) - 1
    edges = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(_first(shown), edges, method="inverted_cdf")
    loels, noels = zip(
        *(_at(doses, int(at)) for at in (min(low, own), max(high, own))), strict=True
    )
    return LevelRange(*loels, *noels)


def _first(shown: NDArray[np.bool_]) -> NDArray[np.intp]:
    """[runs], the place of the first dose from which on all of [runs, doses] are shown."""
    suffix = np.logical_and.accumulate(shown[:, ::-1], axis=1)
    found: NDArray[np.intp] = shown.shape[1] - suffix.sum(axis=1)
    return found


def _at(doses: Sequence[float], first: int) -> tuple[float | None, float]:
    """LOEL and NOEL, if the doses above the first are shown from this place on."""
    return (doses[first + 1] if first + 1 < len(doses) else None), float(doses[first])


def _mcnemar(kinds: Floats, runs: Floats) -> Floats:
    rose, fell = runs @ (kinds > 0), runs @ (kinds < 0)
    found: Floats = np.minimum(2 * stats.binom.cdf(np.minimum(rose, fell), rose + fell, 0.5), 1.0)
    return found


def _t_test(kinds: Floats, runs: Floats) -> Floats:
    n = runs.sum(axis=1, keepdims=True)
    mean = runs @ kinds / n
    variance = np.maximum(runs @ kinds**2 / n - mean**2, 0.0) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(mean) / np.sqrt(variance)
    found: Floats = 2 * stats.t.sf(np.nan_to_num(ratio, nan=0.0), n - 1)
    return found
