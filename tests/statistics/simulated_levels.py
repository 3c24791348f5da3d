"""How often the range of LOEL and NOEL holds those of another run of the same size: simulated.

Run it to print the table of `docs/statistics.md` (a minute of one core): `python -m
tests.statistics.simulated_levels`. Sweeps are those of `simulated_doses`, two by two: the range of
the one, and what the other says.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from harness.metrics.lookup import SCORE
from harness.statistics.dose_response import Curve
from tests.statistics.simulated_doses import DOSES, LUCK, SHAPES, SIZES, sweeps

_RUNS = 300


class Found(NamedTuple):
    """Shares of runs whose range holds the other's LOEL, and how many doses ranges span."""

    held: float
    spanned: float


def simulate(n: int, doses: int, shape: str, luck: str, runs: int = _RUNS) -> Found:
    """One cell."""
    at = DOSES[doses]
    drawn = np.concatenate(list(sweeps(n, doses, shape, luck, 2 * runs))).astype(float)
    held, spanned = 0, 0
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        found = Curve(at, one, SCORE).levels_range()
        assert found is not None, "there are ten samples or more"
        noel = Curve(at, other, SCORE).levels().noel
        held += found.noel_low <= noel <= found.noel_high
        spanned += at.index(int(found.noel_high)) - at.index(int(found.noel_low)) + 1
    return Found(held / runs, spanned / runs)


def main() -> None:
    """Print the table: in per cent, and in doses, those of the three kinds of luck in a cell."""
    print("| n | curve | held | doses in a range |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    for n, shape in product(SIZES[:2], SHAPES):
        found = [simulate(n, 7, shape, luck) for luck in LUCK]
        held = " ".join(f"{100 * each.held:.1f}" for each in found)
        spanned = " ".join(f"{each.spanned:.1f}" for each in found)
        print(f"| {n} | {shape} | {held} | {spanned} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
