"""How many samples a verdict takes that no formula plans: sweeps are drawn, read as reports are.

- Sweeps are drawn of an assumed curve of a 0/1 metric, or of the samples of a pilot, with
  replacement. What reads them is given: whether the verdict is reached by these values.
- The number is the smallest with which 80 % of `RUNS` sweeps reach it, found by doubling and
  halving to 5 %. Every size has the same chance, its sweeps are beginnings of each other, and the
  same question has the same answer.
- Chance moves a number by 7 % (one standard error: that of 80 % of 200 sweeps is 2.8 points, and
  power grows by 0.4 per factor e of the samples).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.statistics.power import MOST_SAMPLES, POWER, fewest

Floats = NDArray[np.float64]

#: Sweeps of a size, and those after which it may be clear that it is too small, or large enough:
#: where the power is 80 %, a share outside of these has a chance of 0.2 %.
RUNS, _FIRST_RUNS = 200, 40
_UNCLEAR = (0.6, 0.97)
#: By which part of itself a number may be too high.
_RESOLUTION = 0.05
#: Sweeps that stop themselves, and by which factor of its samples one is looked at again at least.
_STOPPED_RUNS, _LATER = 100, 1.1

#: Whether values, [samples, columns], reach a verdict.
Reached: TypeAlias = Callable[[Floats], bool]


class Sweeps(Protocol):
    """What sweeps are drawn of."""

    def draw(self, run: int, samples: int) -> Floats:
        """[samples, columns], of one sweep; more samples of the same run begin with the same."""


@dataclass(frozen=True, eq=False)
class AssumedSweeps:
    """Sweeps of 0/1 values of known rates.

    Args:
        rates: [columns], the chance to be right at each dose; the first is the one that changes
            nothing.
        redrawn: The share of samples for which every other dose draws its luck anew. All others
            have one number of chance for all doses, so that they change in one direction alone.
    """

    rates: Floats
    redrawn: float = 0.0

    def draw(self, run: int, samples: int) -> Floats:
        """As it says."""
        columns = len(self.rates)
        drawn = np.random.default_rng(run).random((samples, 2 * columns))
        anew = drawn[:, columns:] < self.redrawn
        anew[:, 0] = False
        # A second number out of the first: below `redrawn` it is uniform again, once it is scaled.
        fresh = drawn[:, columns:] / max(self.redrawn, 1e-12)
        luck = np.where(anew, fresh, drawn[:, :1])
        return (luck < self.rates).astype(np.float64)

    @property
    def changes(self) -> float:
        """The share of samples that change up to the last dose."""
        first, last = float(self.rates[0]), float(self.rates[-1])
        apart = first * (1 - last) + last * (1 - first)
        return (1 - self.redrawn) * abs(first - last) + self.redrawn * apart

    @classmethod
    def changing(cls, rates: Floats, changes: float) -> AssumedSweeps:
        """Those in which so large a share of the samples changes up to the last dose, or as many as
        must.
        """
        first, last = float(rates[0]), float(rates[-1])
        least, most = abs(first - last), first * (1 - last) + last * (1 - first)
        redrawn = 0.0 if most <= least else (changes - least) / (most - least)
        return cls(rates, min(max(redrawn, 0.0), 1.0))


@dataclass(frozen=True, eq=False)
class ResampledSweeps:
    """Sweeps of the samples that a pilot had, drawn with replacement.

    Args:
        rows: [samples, columns].
        alike: Columns that are taken to have one mean, such as doses at which a few samples go back
            by chance: each sample's values at them change places at random.
    """

    rows: Floats
    alike: tuple[tuple[int, ...], ...] = ()

    def draw(self, run: int, samples: int) -> Floats:
        """As it says."""
        drawn = np.random.default_rng(run).random((samples, 1 + self.rows.shape[1]))
        found: Floats = self.rows[(drawn[:, 0] * len(self.rows)).astype(np.int64)]
        for block in self.alike:
            own = list(block)
            order = np.argsort(drawn[:, 1:][:, own], axis=1)
            found[:, own] = np.take_along_axis(found[:, own], order, axis=1)
        return found


@dataclass(frozen=True, eq=False)
class SweepsBeside:
    """Several sweeps of the same samples whose luck has nothing in common: columns side by side."""

    parts: tuple[Sweeps, ...]

    def draw(self, run: int, samples: int) -> Floats:
        """As it says."""
        drawn = [part.draw(run + at * RUNS, samples) for at, part in enumerate(self.parts)]
        return np.hstack(drawn)


def power_of(sweeps: Sweeps, reached: Reached, samples: int) -> float:
    """The share of sweeps of so many samples that reach a verdict; roughly, where it is far from
    80 %.
    """
    found = 0
    for run in range(RUNS):
        found += reached(sweeps.draw(run, samples))
        low, high = _UNCLEAR
        if run + 1 == _FIRST_RUNS and not low <= found / _FIRST_RUNS <= high:
            return found / _FIRST_RUNS
    return found / RUNS


def fewest_samples(sweeps: Sweeps, reached: Reached) -> int | None:
    """The fewest samples with which 80 % of sweeps reach a verdict; None for more than 20 000."""
    return fewest(lambda n: power_of(sweeps, reached, n), MOST_SAMPLES, _RESOLUTION)


def stopped_samples(
    sweeps: Sweeps, reached: Reached, look: int, least: int, most: int
) -> tuple[int, int]:
    """Of sweeps that end as soon as they reach a verdict: samples on average, and at most.

    Args:
        sweeps: What they are drawn of.
        reached: Says whether values reach it.
        look: Samples between two looks. Of many samples not every look is taken, but one whenever
            they have grown by a tenth.
        least: Samples before the first look.
        most: Samples at which every sweep ends.

    Returns:
        The mean, and the most with which 80 % of sweeps have ended.
    """
    taken = []
    for run in range(_STOPPED_RUNS):
        values = sweeps.draw(run, most)
        seen = least
        while seen < most and not reached(values[:seen]):
            seen = max(seen + look, -(-int(seen * _LATER) // look) * look)
        taken.append(min(seen, most))
    at_most = int(np.quantile(taken, POWER, method="higher"))
    return round(float(np.minimum(taken, at_most).mean())), at_most
