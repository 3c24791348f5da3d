"""How often intervals of ratios of ED50s hold the truth: two simulated curves over one benchmark.

Run it to print the table of `docs/statistics.md` (some minutes of one core): `python -m
tests.statistics.simulated_ratios`. The tests assert bounds on a few of its cells.

Curves fall from .9 to .1 along Hill's, over 0 1 2 4 8 16 32. Their middles are at one dose or far
apart, their slopes equal or not. `shared` of the samples have one number of chance that decides all
doses of both curves; the others draw anew at each.
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve, NoDose
from harness.statistics.potency import potency

DOSES = (0, 1, 2, 4, 8, 16, 32)
SIZES = (20, 60, 164, 1319)
LUCK = {"shared": 1.0, "half": 0.5, "own": 0.0}
#: Middle and slope of each of two curves.
PAIRS = {
    "twice": ((3, 2), (6, 2)),
    "beside": ((4, 2), (4.5, 2)),
    "crossing": ((3, 3), (6, 1.5)),
}
RUNS = 400


def falling(middle: float, slope: float = 2) -> np.ndarray:
    """The chances of a curve that is half way down at this dose."""
    chances: np.ndarray = 0.9 - 0.8 / (1 + (middle / np.maximum(DOSES, 1e-9)) ** slope)
    return chances


def half(chances: np.ndarray) -> float:
    """ED50 of these chances, read as straight lines."""
    places = np.log2(np.array(DOSES) + 1)
    return float(2 ** np.interp(-(chances[0] + chances[-1]) / 2, -chances, places) - 1)


def simulate(n: int, pair: str, shared: float, runs: int = RUNS) -> tuple[float, float]:
    """Of the intervals that are given the share that holds the ratio, and the share refused."""
    chances = [falling(*each) for each in PAIRS[pair]]
    true = half(chances[1]) / half(chances[0])
    rng = np.random.default_rng([n, list(PAIRS).index(pair), round(100 * shared)])
    held = given = 0
    for _ in range(runs):
        same, common = rng.random((n, 1)) < shared, rng.random((n, 1))
        luck = [np.where(same, common, rng.random((n, len(DOSES)))) for _ in chances]
        values = [(own < each).astype(float) for own, each in zip(luck, chances, strict=True)]
        try:
            found = potency(*(Curve(DOSES, each, SCORE) for each in values))
        except NoDose:
            continue
        given += 1
        held += found.low <= true <= (np.inf if found.high is None else found.high)
    return held / given, 1 - given / runs


def main() -> None:
    """Print the table, in per cent; the numbers of a cell are of the three kinds of luck."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print("| n | curves | held | refused |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    for n, pair in product(SIZES, PAIRS):
        found = [simulate(n, pair, shared, runs) for shared in LUCK.values()]
        cells = [
            " ".join(f"{100 * each:.1f}" for each in column) for column in zip(*found, strict=True)
        ]
        print(f"| {n} | {pair} | {' | '.join(cells)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
