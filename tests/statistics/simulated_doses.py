"""How often intervals of doses hold the truth: simulated sweeps of a 0/1 metric.

Run it to print the table of `docs/statistics.md` (about 40 minutes of processor time): `python
tests/statistics/simulated_doses.py`. The tests assert bounds on a few of its cells.

A sample is right with a chance that falls from .9 to .2 along a logistic curve over log2(dose + 1):
steep or flat in the middle, or early or late on the way. Doses share their luck wholly (coupled
noise that decides every dose alike), by half (each dose draws anew for half of the samples), or not
at all. Doses are 0 1 2 4 8 (16 32), or 0 to 11. The truth is the curve read as straight lines
between the doses, as the estimates are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from harness.metrics.lookup import SCORE
from harness.spec.doses import RESPONSE
from harness.statistics.dose_response import Curve, NoDose

SIZES = (20, 164, 1319)
DOSES = {
    5: (0, 1, 2, 4, 8),
    7: (0, 1, 2, 4, 8, 16, 32),
    12: tuple(range(12)),
}
#: Where the middle of the curve lies on the way, and how many doublings it takes.
SHAPES = {"steep": (0.5, 0.25), "flat": (0.5, 1.2), "early": (0.15, 0.5), "late": (0.85, 0.5)}
LUCK = {"shared": 1.0, "half": 0.5, "own": 0.0}
RUNS = 2000


@dataclass(frozen=True)
class Found:
    """Of the runs of a cell.

    `held` is the share of ED50's intervals that hold the truth, of those that were given;
    `refused` the share of runs without one; `missed` the share whose BMDL lies above the BMD.
    """

    held: float
    refused: float
    missed: float


def truth(doses: tuple[int, ...], shape: str) -> tuple[np.ndarray, float, float]:
    """The chance at each dose, and ED50 and BMD of the curve through them."""
    middle, width = SHAPES[shape]
    places = np.log2(np.array(doses) + 1)
    chances = 0.9 - 0.7 / (1 + np.exp(-(places - middle * places[-1]) / width))
    halfway = (chances[0] + chances[-1]) / 2
    crossed = [
        2 ** float(np.interp(-level, -chances, places)) - 1
        for level in (halfway, chances[0] - RESPONSE)
    ]
    return chances, crossed[0], crossed[1]


def simulate(n: int, doses: int, shape: str, luck: str, runs: int = RUNS) -> Found:
    """One cell; seeded by what it is."""
    at = DOSES[doses]
    chances, ed50, bmd = truth(at, shape)
    rng = np.random.default_rng([n, doses, list(SHAPES).index(shape), list(LUCK).index(luck)])
    held = refused = missed = 0
    for _ in range(runs):
        own = rng.random((n, doses))
        shared = rng.random((n, doses)) < LUCK[luck]
        values = (np.where(shared, rng.random((n, 1)), own) < chances).astype(float)
        curve = Curve(at, values, SCORE)
        try:
            found = curve.effective_dose()
        except NoDose:
            refused += 1
        else:
            held += found.low <= ed50 <= found.high
        lower = curve.benchmark(side="falling").lower
        missed += lower is None or lower > bmd
    given = runs - refused
    return Found(held / given if given else float("nan"), refused / runs, missed / runs)


def main() -> None:
    """Print the table, a row per cell."""
    print("| n | doses | curve | luck | ED50 held | refused | BMDL above BMD |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for n, doses, shape, luck in product(SIZES, DOSES, SHAPES, LUCK):
        found = simulate(n, doses, shape, luck)
        cells = f"{found.held:.1%} | {found.refused:.1%} | {found.missed:.1%}"
        print(f"| {n} | {doses} | {shape} | {luck} | {cells} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
