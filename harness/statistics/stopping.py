"""Which dose gets the next samples, and when none does any more: a sweep that stops itself.

- Samples come in one permutation for all doses, a chunk at a time; every dose has seen a beginning
  of it. What its baseline says of the same samples is asked with each chunk.
- A dose is decided when its anytime p, corrected by Holm's method over the doses of the sweep, is
  below alpha. A dose that was decided stays so: anytime p only fall.
- The next chunk goes to the undecided dose whose evidence is expected to grow fastest. One that is
  not likely to be decided by the samples that are left is ended early: that says nothing of it.
- Where an ED50 is asked for within a precision, the doses of its curve get chunks in turn until its
  interval is so narrow (a fixed-width interval; Chow and Robbins 1965, Ann. Math. Stat. 36:457).
- Where numbers are to lie on one side of another, those on whose side a confidence sequence of the
  benchmark's own mean lies are decided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.metrics.entry import MetricEntry
from harness.statistics.dose_response import Curve, DoseEstimate, Floats, NoDose
from harness.statistics.paired import holm
from harness.statistics.sequential import (
    anytime_p,
    chance_to_decide,
    growth,
    mean_sequence,
)

End = Literal["decided", "ended early", "all samples"]

#: Chunks before which an interval is too rough to be trusted to say how wide it is.
LEAST_CHUNKS = 3


def is_precise(dose: DoseEstimate, within: float) -> bool:
    """Whether a dose's interval reaches at most so many log2 units to either side."""
    return dose.low > 0 and math.log2(dose.high / dose.low) / 2 <= within


@dataclass(frozen=True)
class SideOfNumber:
    """That a case's metric lies on one side of a number."""

    case: str
    metric: str
    above: bool
    number: float


@dataclass(frozen=True)
class Aims:
    """What a sweep is to decide.

    Args:
        differs: Metrics in which every dose is compared with its baseline.
        precise: Metrics whose ED50 is wanted within so many log2 units, in every curve.
        sides: Cases, baselines too, whose metrics are to lie on one side of a number.
    """

    differs: tuple[str, ...] = ()
    precise: tuple[tuple[str, float], ...] = ()
    sides: tuple[SideOfNumber, ...] = ()


@dataclass
class Arm:
    """A dose of a sweep, the baseline that it is compared with, and how far it has come."""

    id: str
    baseline: str
    curve: str
    """What the doses of one curve have in common."""
    dose: float
    taken: int = 0
    """Samples, from the beginning of the permutation."""
    end: End | None = None


@dataclass
class Sweep:
    """A sweep in the making.

    Args:
        arms: Its doses; neutral ones among them.
        size: Samples of the benchmark.
        kinds: What the metrics of its aims are, by their names; all are bounded.
        aims: What is to be decided.
        values: From a case and a metric to the values of its samples in the order of the
            permutation, NaN where one has none; as many as were measured.
        alpha: The chance of any false "differs" in the sweep.
        look: Samples of a chunk.
        futility: A dose is ended early whose chance to be decided is below it; 0 for none.
        failed: Grows with cases that cannot be measured any more.
    """

    arms: Sequence[Arm]
    size: int
    kinds: Mapping[str, MetricEntry]
    aims: Aims
    values: Callable[[str, str], Floats]
    alpha: float = 0.05
    look: int = 16
    futility: float = 0.001
    failed: Container[str] = ()
    _p: dict[tuple[str, str, int], float] = field(default_factory=dict)
    _given_up: set[tuple[str, str]] = field(default_factory=set)

    def chunks(self) -> Iterator[tuple[Sequence[Arm], range]]:
        """Which doses to measure next, with their baselines, on samples of which numbers.

        What is yielded is to be measured before the next is asked for. It ends when everything is
        decided, or is not going to be; arms say then how they ended.
        """
        yield self._taken(self.arms)
        while (arm := self._next()) is not None:
            yield self._taken([arm])

    def differing(self, metric: str) -> set[str]:
        """The arms that are decided: their p, corrected, is below alpha."""
        corrected = holm([self._anytime(arm, metric) for arm in self.arms])
        found = zip(self.arms, corrected, strict=True)
        return {arm.id for arm, p in found if p < self.alpha}

    def _taken(self, arms: Sequence[Arm]) -> tuple[Sequence[Arm], range]:
        """Arms that have seen equally much, with the samples of their next chunk."""
        (taken,) = {arm.taken for arm in arms}
        samples = range(taken, min(taken + self.look, self.size))
        for arm in arms:
            arm.taken = samples.stop
        return arms, samples

    def _next(self) -> Arm | None:
        """The dose that gets the next chunk; those that need none are told how they ended."""
        while True:
            waiting = self._waiting()
            for arm in self.arms:
                if arm.end is None and arm.id not in waiting:
                    arm.end = self._ended(arm)
            if not waiting:
                return None
            arms = [arm for arm in self.arms if arm.id in waiting]
            best = max(arms, key=lambda arm: (self._expected(arm, waiting[arm.id]), -arm.taken))
            metrics = [m for m in waiting[best.id] if m in self.aims.differs]
            hopeless = {m for m in metrics if self._hopeless(best, m)}
            if not hopeless:
                return best
            self._given_up |= {(best.id, metric) for metric in hopeless}

    def _waiting(self) -> dict[str, list[str]]:
        """By the arms that need more samples, the metrics in which they need them."""
        found: dict[str, list[str]] = {}
        unfinished = [arm for arm in self.arms if arm.taken < self.size and self._measurable(arm)]
        for metric in self.aims.differs:
            decided = self.differing(metric)
            for arm in unfinished:
                if arm.id not in decided and (arm.id, metric) not in self._given_up:
                    found.setdefault(arm.id, []).append(metric)
        for metric, within in self.aims.precise:
            # What has no end has no place on a curve, and nothing is read from it.
            on_curves = [arm for arm in self.arms if arm.dose != math.inf]
            for name in dict.fromkeys(arm.curve for arm in unfinished if arm in on_curves):
                curve = [arm for arm in on_curves if arm.curve == name]
                if not self._precise(curve, metric, within):
                    fewest = min(arm.taken for arm in curve)
                    for arm in curve:
                        if arm.taken == fewest and arm.taken < self.size:
                            found.setdefault(arm.id, []).append("")
        for side in self.aims.sides:
            for arm in unfinished:
                if side.case in (arm.id, arm.baseline) and not self._on_a_side(side):
                    found.setdefault(arm.id, []).append("")
        return found

    def _measurable(self, arm: Arm) -> bool:
        return arm.id not in self.failed and arm.baseline not in self.failed

    def _ended(self, arm: Arm) -> End:
        undecided = any(arm.id not in self.differing(metric) for metric in self.aims.differs)
        if not undecided:
            return "decided"
        return "all samples" if arm.taken == self.size else "ended early"

    def _expected(self, arm: Arm, metrics: Sequence[str]) -> float:
        """What a sample is expected to add to the evidence; nothing where none is wanted."""
        named = [metric for metric in metrics if metric]
        return max((growth(self._differences(arm, m), self._reach(m)) for m in named), default=0.0)

    def _hopeless(self, arm: Arm, metric: str) -> bool:
        """Whether the samples that are left are not likely to decide a dose."""
        if not self.futility or arm.taken < min(2 * self.look, self.size):
            return False
        open_arms = len(self.arms) - len(self.differing(metric))
        chance = chance_to_decide(
            self._differences(arm, metric),
            self.size - arm.taken,
            -math.log(self.alpha / open_arms),
            binary=self._binary(arm, metric),
            reach=self._reach(metric),
        )
        return chance < self.futility

    def _precise(self, curve: Sequence[Arm], metric: str, within: float) -> bool:
        """Whether the ED50 of a curve has an interval of at most so many log2 units each way."""
        least = min(arm.taken for arm in curve)
        if least < min(LEAST_CHUNKS * self.look, self.size):
            return False
        ordered = sorted(curve, key=lambda arm: arm.dose)
        first = [] if any(arm.dose == 0 for arm in curve) else [ordered[0].baseline]
        doses = [*([0.0] if first else []), *(arm.dose for arm in ordered)]
        columns = [self.values(case, metric)[:least] for case in (*first, *(a.id for a in ordered))]
        rows = np.column_stack(columns)
        rows = rows[~np.isnan(rows).any(axis=1)]
        try:
            return is_precise(Curve(doses, rows, self.kinds[metric]).effective_dose(), within)
        except NoDose:
            return False

    def _on_a_side(self, side: SideOfNumber) -> bool:
        values = self.values(side.case, side.metric)
        known = values[~np.isnan(values)]
        alpha = self.alpha / len(self.aims.sides)
        low, high = mean_sequence(known, self._bounds(side.metric), alpha, self.size)
        return (
            low >= side.number or high < side.number
            if side.above
            else (high <= side.number or low > side.number)
        )

    def _anytime(self, arm: Arm, metric: str) -> float:
        key = arm.id, metric, arm.taken
        if key not in self._p:
            self._p[key] = anytime_p(
                self._differences(arm, metric),
                binary=self._binary(arm, metric),
                reach=self._reach(metric),
            )
        return self._p[key]

    def _differences(self, arm: Arm, metric: str) -> Floats:
        own = self.values(arm.id, metric)[: arm.taken]
        found: Floats = own - self.values(arm.baseline, metric)[: arm.taken]
        return found[~np.isnan(found)]

    def _binary(self, arm: Arm, metric: str) -> bool:
        return self.kinds[metric].share and bool(
            np.isin(self._differences(arm, metric), (-1, 0, 1)).all()
        )

    def _bounds(self, metric: str) -> tuple[float, float]:
        low, high = self.kinds[metric].bounds
        assert low is not None, "a spec with an unbounded metric is refused"
        assert high is not None, "a spec with an unbounded metric is refused"
        return low, high

    def _reach(self, metric: str) -> float:
        low, high = self._bounds(metric)
        return high - low
