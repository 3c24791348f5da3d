"""How often intervals of doses hold the truth: simulated sweeps of a 0/1 metric.

Run it to print the table of `docs/statistics.md` (some minutes of one core): `python -m
tests.statistics.simulated_doses`. The tests assert bounds on a few of its cells, and that what is
computed here for many sweeps at once is what `Curve` says of each.

A sample is right with a chance that falls from .9 to .2 along a logistic curve over log2(dose + 1):
steep or flat in the middle, or early or late on the way. Doses share their luck wholly (coupled
noise that decides every dose alike), by half (each dose draws anew for half of the samples), or not
at all. Doses are 0 1 2 4 8 (16 32), or 0 to 11. The truth is the curve read as straight lines
between the doses, as the estimates are.

With `weak` for an argument curves fall from .9 to .7, by .2 between the first dose and the last.
With `bootstrap` the interval's coverage stands beside that of a bootstrap of the
samples, joint over all doses: percentiles of ED50 of the isotonic fits of resampled sweeps.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from harness.spec.doses import RESPONSE

SIZES = (20, 164, 1319)
DOSES = {
    5: (0, 1, 2, 4, 8),
    7: (0, 1, 2, 4, 8, 16, 32),
    12: tuple(range(12)),
}
#: Where the middle of the curve lies on the way, and how many doublings it takes.
SHAPES = {"steep": (0.5, 0.25), "flat": (0.5, 1.2), "early": (0.15, 0.5), "late": (0.85, 0.5)}
LUCK = {"shared": 1.0, "half": 0.5, "own": 0.0}
#: A change from the first dose to the last of which few curves may stay without an ED50.
WEAK = 0.2
RUNS = 2000
#: Resampled sweeps of a bootstrap.
RESAMPLED = 499
#: Values that are simulated at once.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Found:
    """Of the runs of a cell.

    `held` is the share of ED50's intervals that hold the truth, of those that were given;
    `refused` the share of runs without one; `missed` the share whose BMDL lies above the BMD, and
    `bmd_held` that of BMD's intervals that hold the truth.
    """

    held: float
    refused: float
    missed: float
    bmd_held: float


def truth(
    doses: tuple[int, ...], shape: str, change: float | None = None
) -> tuple[np.ndarray, float, float]:
    """The chance at each dose, and ED50 and BMD of the curve through them.

    Args:
        doses: Of these.
        shape: In SHAPES.
        change: What it loses from the first dose to the last, where that is not as it comes.
    """
    middle, width = SHAPES[shape]
    places = np.log2(np.array(doses) + 1)
    lost = 0.7 / (1 + np.exp(-(places - middle * places[-1]) / width))
    if change is not None:
        lost = change * (lost - lost[0]) / (lost[-1] - lost[0])
    chances = 0.9 - lost
    halfway = (chances[0] + chances[-1]) / 2
    crossed = [
        2 ** float(np.interp(-level, -chances, places)) - 1
        for level in (halfway, chances[0] - RESPONSE)
    ]
    return chances, crossed[0], crossed[1]


def sweeps(
    n: int, doses: int, shape: str, luck: str, runs: int, change: float | None = None
) -> Iterator[np.ndarray]:
    """Values [runs, samples, doses], some runs at a time; seeded by what they are."""
    chances, _, _ = truth(DOSES[doses], shape, change)
    rng = np.random.default_rng([n, doses, list(SHAPES).index(shape), list(LUCK).index(luck)])
    left = runs
    while left:
        some = max(min(_AT_ONCE // (n * doses), left), 1)
        left -= some
        drawn = rng.random((some, n, doses), dtype=np.float32)
        if LUCK[luck]:
            shared = rng.random((some, n, doses), dtype=np.float32) < LUCK[luck]
            drawn = np.where(shared, rng.random((some, n, 1), dtype=np.float32), drawn)
        yield (drawn < chances).astype(np.float32)


def simulate(
    n: int, doses: int, shape: str, luck: str, runs: int = RUNS, change: float | None = None
) -> Found:
    """One cell."""
    at = DOSES[doses]
    _, ed50, bmd = truth(at, shape, change)
    held = refused = missed = between = 0
    for values in sweeps(n, doses, shape, luck, runs, change):
        low, high, given = ed50s(at, values)
        lower, first, last = bmdls(at, values)
        refused += int((~given).sum())
        held += int((given & (low <= ed50) & (ed50 <= high)).sum())
        missed += int((lower > bmd).sum())
        between += int(((first <= bmd) & (bmd <= last)).sum())
    of = runs - refused
    shares = (each / runs for each in (refused, missed, between))
    return Found(held / of if of else float("nan"), *shares)


def ed50s(doses: tuple[int, ...], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ED50's bounds of every sweep, and whether it is given: `Curve.effective_dose` at once."""
    _, n, count = values.shape
    places = np.log2(np.array(doses) + 1)
    means, both = values.mean(axis=1, dtype=float), _products(values)
    sign = np.where(means[:, -1] >= means[:, 0], 1, -1)
    rose, fell = _changes(n, means, both)
    tests = stats.binom.cdf(
        np.minimum(rose[:, 0, -1], fell[:, 0, -1]), rose[:, 0, -1] + fell[:, 0, -1], 0.5
    )
    moves = 2 * tests < 0.05
    pairs = count * (count - 1) / 2
    beyond = stats.norm.ppf(1 - 0.05 / pairs / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = sign[:, None, None] * (rose - fell) / np.sqrt(rose + fell)
    turns = np.triu(np.nan_to_num(scores) < -beyond, 1).any(axis=(1, 2))
    # Each sample's own middle of the way taken off: what a t test looks at.
    less = np.eye(count)
    less[0] -= 0.5
    less[-1] -= 0.5
    spread = (both / n - means[:, :, None] * means[:, None, :]) * n / (n - 1)
    centre = means @ less
    spread = np.einsum("ji,rjk,kl->ril", less, spread, less)
    spread *= stats.t.ppf(0.975, n - 1) ** 2 / n
    a, b = centre[:, :-1], np.diff(centre, axis=1)
    first = np.diagonal(spread, axis1=1, axis2=2)
    one, last = first[:, :-1], first[:, 1:]
    across = np.diagonal(spread, offset=1, axis1=1, axis2=2)
    c2, c1, c0 = b * b - (one + last - 2 * across), 2 * (a * b - across + one), a * a - one
    low, high = _accepted(c2, c1, c0)
    width = np.diff(places)
    lows = np.nanmin(np.where(np.isnan(low), np.inf, places[:-1] + low * width), axis=1)
    highs = np.nanmax(np.where(np.isnan(high), -np.inf, places[:-1] + high * width), axis=1)
    fit = sign[:, None] * _isotonic(sign[:, None] * means)
    value = _crossing(places, sign[:, None] * (fit - (fit[:, :1] + fit[:, -1:]) / 2), np.inf)
    return 2 ** np.minimum(lows, value) - 1, 2 ** np.maximum(highs, value) - 1, moves & ~turns


def compare_bootstrap(n: int, shape: str, luck: str, runs: int) -> tuple[float, float]:
    """Of the sweeps that have an ED50, at 7 doses: how often the bootstrap's interval holds the
    truth, and how often the interval that is given does.
    """
    doses = DOSES[7]
    _, ed50, _ = truth(doses, shape)
    places = np.log2(np.array(doses) + 1)
    rng = np.random.default_rng(0)
    given, held = 0, np.zeros(2)
    for values in sweeps(n, 7, shape, luck, runs):
        low, high, known = ed50s(doses, values)
        for own in np.flatnonzero(known):
            weights = rng.multinomial(n, np.full(n, 1 / n), RESAMPLED) / n
            fit = -_isotonic(-(weights @ values[own]))
            below = (fit[:, :1] + fit[:, -1:]) / 2 - fit
            resampled = 2 ** _crossing(places, below, np.inf) - 1
            first, last = np.quantile(resampled, [0.025, 0.975])
            held += first <= ed50 <= last, low[own] <= ed50 <= high[own]
            given += 1
    return float(held[0] / given), float(held[1] / given)


def bmdls(doses: tuple[int, ...], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BMDL of a fall and both ends of BMD's interval, infinite beyond the highest dose:
    `Curve.benchmark` at once.
    """
    _, n, _ = values.shape
    places, means = np.log2(np.array(doses) + 1), values.mean(axis=1, dtype=float)
    rose, fell = _changes(n, means, _products(values))
    better, worse = fell[:, 0, 1:], rose[:, 0, 1:]
    ups = (_tango_above(better, worse, n, side) for side in (0.95, 0.975))
    start = np.zeros((len(values), 1))
    lower, low = (
        _crossing(places, np.concatenate([start, np.maximum(up, 0)], axis=1) - RESPONSE, np.inf)
        for up in ups
    )
    least = np.concatenate([start, -_tango_above(worse, better, n, 0.975)], axis=1) - RESPONSE
    back = -_crossing(-places[::-1], -least[:, ::-1], -np.inf)
    high = np.where(least[:, -1] < 0, np.inf, back)
    fit = -_isotonic(-means)
    own = _crossing(places, fit[:, :1] - fit - RESPONSE, np.inf)
    first, last = np.minimum(low, own), np.maximum(high, own)
    return 2**lower - 1, 2**first - 1, 2**last - 1


def _products(values: np.ndarray) -> np.ndarray:
    return np.matmul(values.transpose(0, 2, 1), values).astype(float)


def _changes(n: int, means: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From dose i to dose j, how many samples rose and fell: [runs, i, j]."""
    right = np.round(means * n)
    return np.round(right[:, None, :] - both), np.round(right[:, :, None] - both)


def _accepted(c2: np.ndarray, c1: np.ndarray, c0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest part of 0 to 1 at which a parabola is not above 0; else NaN."""
    inside = c1**2 - 4 * c2 * c0
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(inside, 0))
        ends = np.sort(np.stack([(-c1 - root) / (2 * c2), (-c1 + root) / (2 * c2)]), axis=0)
    left, right = ends
    opens = c2 > 0
    low = np.where(opens, np.maximum(left, 0), np.where((left >= 0) | (right <= 0), 0, right))
    high = np.where(opens, np.minimum(right, 1), np.where((left >= 1) | (right <= 1), 1, left))
    none = inside < 0
    low, high = np.where(none & ~opens, 0, low), np.where(none & ~opens, 1, high)
    wrong = (none & opens) | (low > 1) | (high < 0) | (opens & (low > high))
    return np.where(wrong, np.nan, low), np.where(wrong, np.nan, high)


def _isotonic(means: np.ndarray) -> np.ndarray:
    """The closest rising curve of every run: the greatest of least means around a dose."""
    count = means.shape[1]
    sums = np.concatenate([np.zeros((len(means), 1)), np.cumsum(means, axis=1)], axis=1)
    fit = np.full(means.shape, -np.inf)
    for start in range(count):
        least = np.full(len(means), np.inf)
        for end in range(count - 1, start - 1, -1):
            least = np.minimum(least, (sums[:, end + 1] - sums[:, start]) / (end + 1 - start))
            fit[:, end] = np.maximum(fit[:, end], least)
    return fit


def _crossing(places: np.ndarray, heights: np.ndarray, never: float) -> np.ndarray:
    """Where lines first reach 0 from below."""
    found = np.full(len(heights), never)
    for at in reversed(range(len(places) - 1)):
        low, high = heights[:, at], heights[:, at + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            place = places[at] + (places[at + 1] - places[at]) * -low / (high - low)
        found = np.where((low < 0) & (high >= 0), place, found)
    return found


def _tango_above(better: np.ndarray, worse: np.ndarray, n: int, side: float) -> np.ndarray:
    """The bound of Tango's interval that a `side` of runs keep below, by halving:
    `paired_rate_interval` at once.
    """
    quantile = stats.norm.ppf(side)
    low, high = (better - worse) / n, np.ones_like(better)
    for _ in range(40):
        middle = (low + high) / 2
        linear = (2 * n - better + worse) * middle - better - worse
        product_ = worse * middle * (1 - middle)
        lost = (np.sqrt(np.maximum(linear**2 + 8 * n * product_, 0)) - linear) / (4 * n)
        variance = np.maximum(n * (2 * lost + middle * (1 - middle)), 1e-12)
        above = (better - worse - n * middle) / np.sqrt(variance) + quantile > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return high


def main() -> None:
    """Print the table: a row of numbers in per cent, those of the three kinds of luck in a cell."""
    if "bootstrap" in sys.argv:
        print("| n | curve | bootstrap | Fieller |")  # noqa: T201
        print("| --- | --- | --- | --- |")  # noqa: T201
        for n, shape in product(SIZES[:2], ("steep", "flat")):
            both = [compare_bootstrap(n, shape, luck, RUNS // 4) for luck in LUCK]
            cells = [
                " ".join(f"{100 * each:.1f}" for each in side) for side in zip(*both, strict=True)
            ]
            print(f"| {n} | {shape} | {' | '.join(cells)} |", flush=True)  # noqa: T201
        return
    weak = "weak" in sys.argv
    print("| n | doses | curve | ED50 held | refused | BMDL above BMD | BMD held |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for n, doses, shape in product(SIZES[1:] if weak else SIZES, DOSES, SHAPES):
        change = WEAK if weak else None
        found = [simulate(n, doses, shape, luck, RUNS, change) for luck in LUCK]
        cells = [
            " ".join(f"{100 * each:.1f}" for each in column)
            for column in zip(
                *((f.held, f.refused, f.missed, f.bmd_held) for f in found), strict=True
            )
        ]
        print(f"| {n} | {doses} | {shape} | {' | '.join(cells)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
