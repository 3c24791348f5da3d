"""How often BMDL of groups that share no sample lies below the BMD: simulated tables of counts.

Run it to print the table of `docs/statistics.md` (some minutes of one core): `python -m
tests.statistics.simulated_quantal`. The tests assert the bound on one of its cells.

Of `n` at each of 0, 1, 2, 4, 8 (0, 1, 2, 4, 8, 16, 32) some are affected, with a chance that rises
along Hill's curve from the background to the top.
"""

from __future__ import annotations

import math
import sys
from itertools import product

import numpy as np
from scipy import stats

from harness.statistics.intervals import CONFIDENCE
from harness.statistics.quantal import Groups

DOSES = {5: (0, 1, 2, 4, 8), 7: (0, 1, 2, 4, 8, 16, 32)}
SIZES = (20, 50, 164)
#: Background, how much of the rest is affected at the top, where half of that is, and the slope.
SHAPES = {
    "steep": (0.05, 0.9, 3, 3.0),
    "flat": (0.05, 0.8, 4, 1.0),
    "weak": (0.1, 0.3, 4, 1.5),
}
RESPONSE = 0.1
RUNS = 2000


def truth(shape: str) -> float:
    """BMD of a curve, of extra risk."""
    _, top, middle, slope = SHAPES[shape]
    return float(middle * (RESPONSE / (top - RESPONSE)) ** (1 / slope))


def tested(groups: Groups, place: float) -> tuple[bool, float]:
    """Whether BMD lies above a dose (its log), and p of the test that this dose is it.

    A bound is where that p is its level, so that it needs not be searched for.
    """
    best = groups.best()
    found = groups.fitted(place, [np.array([*best.x[:-1], place]), *groups.starts[::3]])
    return best.x[-1] > place, float(stats.chi2.sf(2 * (found.fun - best.fun), 1))


def simulate(n: int, count: int, shape: str, runs: int = RUNS) -> tuple[float, float, float]:
    """Shares of runs: whose BMDL lies above the BMD, whose `low` does, whose interval holds it."""
    doses = np.array(DOSES[count], dtype=float)
    background, top, middle, slope = SHAPES[shape]
    with np.errstate(divide="ignore"):
        chances = background + (1 - background) * top / (1 + (middle / doses) ** slope)
    rng = np.random.default_rng([n, count, list(SHAPES).index(shape)])
    missed = lower = held = 0
    true = math.log(truth(shape))
    for affected in rng.binomial(n, chances, (runs, len(doses))):
        table = np.array([doses, np.full(len(doses), n), affected], dtype=float)
        above, p = tested(Groups(table, RESPONSE, added=False), true)
        missed += above and p < 2 * (1 - CONFIDENCE)
        lower += above and p < 1 - CONFIDENCE
        held += p >= 1 - CONFIDENCE
    return missed / runs, lower / runs, held / runs


def main() -> None:
    """Print the table, in per cent."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print("| n | doses | curve | BMDL above BMD | `low` above BMD | BMD held |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for n, count, shape in product(SIZES, DOSES, SHAPES):
        shares = " | ".join(f"{100 * each:.1f}" for each in simulate(n, count, shape, runs))
        print(f"| {n} | {count} | {shape} | {shares} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
