"""What is drawn to plan a verdict that is read of curves: a pilot's samples, or an assumed curve.

A pilot's samples are drawn again, all curves and metrics of a sample together. Without one a curve
of a 0/1 metric is assumed, straight between its doses as they are read; where a claim names a dose,
the true one is assumed to lie halfway from there to the end of the doses, so that the claim holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from scipy import optimize

from harness.claims.dose_bound import holds_of
from harness.claims.evidence import Undecided
from harness.runs.pilot import Pilot
from harness.runs.planned_case import PlannedCase
from harness.runs.stopping import curve_named
from harness.spec.doses import FEWEST
from harness.spec.gates import DoseBound, Selection, WindowExists
from harness.spec.treatment import dosed_rule
from harness.statistics.dose_response import Curve, Floats, NoDose, scale_of
from harness.statistics.planning import AssumedSweeps, ResampledSweeps, Sweeps, SweepsBeside
from harness.statistics.potency import window_exists
from harness.statistics.stopping import is_precise

#: Whether one curve of each metric shows a claim, and what they say; raises NoDose or Undecided.
Judge: TypeAlias = Callable[[Sequence[Curve]], tuple[bool, str]]
#: An assumed curve moves by less than all: at rates of 0 and 1 nothing would be left to chance.
_MOST_MOVED = 0.95


class NotPlannedError(Exception):
    """Why a verdict has no plan, in one sentence."""


@dataclass(frozen=True)
class DoseAxis:
    """The doses of one curve, from the one that changes nothing on, and the cases at them."""

    doses: tuple[float, ...]
    cases: tuple[str, ...]

    @property
    def straight(self) -> bool:
        """Whether doses are read as they are, and not as counts."""
        return scale_of(self.doses) == "linear"

    @property
    def places(self) -> Floats:
        """The doses on the scale on which lines between them are straight."""
        return np.array([self.place(dose) for dose in self.doses])

    def place(self, dose: float) -> float:
        """A dose on that scale."""
        return dose if self.straight else math.log2(dose + 1)

    def dose(self, place: float) -> float:
        """The dose at a place."""
        return place if self.straight else 2**place - 1


@dataclass(frozen=True)
class CurvePlan:
    """What sweeps are drawn of, and what was assumed in words.

    `judge` says of values, [samples, columns], whether they show the verdict, and what they say.
    `changes` is the share of samples that change up to the last dose; None where a pilot says it.
    """

    sweeps: Sweeps
    judge: Callable[[Floats], tuple[bool, str]]
    assumed: str
    changes: float | None = None

    def reached(self, values: Floats) -> bool:
        """Whether values show the verdict."""
        return self.judge(values)[0]


@dataclass(frozen=True)
class CurvePlanner:
    """The plans of one experiment.

    Args:
        cases: Its cases that have a baseline.
        effect: By how much a rate changes, where a claim does not say it.
        changes: The share of samples that change at all; twice as many as must when None.
        pilot: What an earlier run has measured.
    """

    cases: Sequence[PlannedCase]
    effect: float
    changes: float | None
    pilot: Pilot | None

    def precise(self, metric: str, within: float) -> CurvePlan:
        """Of an ED50 whose interval is to reach at most so many log2 units to either side."""

        def judge(curves: Sequence[Curve]) -> tuple[bool, str]:
            found = curves[0].effective_dose()
            return is_precise(found, within), f"ED50 is in [{found.low:.3g}, {found.high:.3g}]"

        def assumed(axis: DoseAxis) -> tuple[Sequence[AssumedSweeps], str]:
            sweeps = self._moving(axis, float(axis.places[[0, -1]].mean()), 0.5, self.effect)
            return [sweeps], f"{metric} changes by {self.effect:g}, evenly over the doses"

        return self._plan([metric], Selection(), judge, assumed, [metric])

    def bound(self, claim: DoseBound) -> CurvePlan:
        """Of a dose on one side of a number."""

        def judge(curves: Sequence[Curve]) -> tuple[bool, str]:
            return holds_of(claim, curves[0])

        def assumed(axis: DoseAxis) -> tuple[Sequence[AssumedSweeps], str]:
            end = axis.doses[-1 if claim.operator == ">=" else 0]
            other = axis.doses[0 if claim.operator == ">=" else -1]
            inside = min(other, end) <= claim.dose <= max(other, end) and claim.dose != end
            if not inside:
                raise NotPlannedError(
                    f"{claim.dose:g} leaves no dose for it to be true at; the doses reach to "
                    f"{end:g}"
                )
            place = (axis.place(claim.dose) + axis.place(end)) / 2
            at = f"at {axis.dose(place):.3g}"
            if claim.response is not None:
                lost = self._losing(axis, place, claim.response, claim.metric)
                return [lost], f"{claim.metric} is worse by {claim.response:g} {at}"
            part = int(claim.of.removeprefix("ed")) / 100
            told = f"{claim.metric} changes by {self.effect:g} and has its {claim.of.upper()} {at}"
            return [self._moving(axis, place, part, self.effect)], told

        never_turning = [claim.metric] if claim.response is None else []
        return self._plan([claim.metric], claim.where, judge, assumed, never_turning)

    def window(self, claim: WindowExists) -> CurvePlan:
        """Of a window between two metrics."""

        def judge(curves: Sequence[Curve]) -> tuple[bool, str]:
            target, capability = curves
            exists = window_exists(target, capability, claim.response)
            return exists, "" if exists else "no window is shown"

        def assumed(axis: DoseAxis) -> tuple[Sequence[AssumedSweeps], str]:
            first, last = float(axis.places[0]), float(axis.places[-1])
            half, lost = first + (last - first) / 3, first + (last - first) * 2 / 3
            sweeps = [
                self._moving(axis, half, 0.5, self.effect),
                self._losing(axis, lost, claim.response, claim.capability),
            ]
            return sweeps, (
                f"{claim.target} changes by {self.effect:g} and has its ED50 at "
                f"{axis.dose(half):.3g}, and {claim.capability} is worse by {claim.response:g} at "
                f"{axis.dose(lost):.3g}"
            )

        metrics = [claim.target, claim.capability]
        return self._plan(metrics, claim.where, judge, assumed, [claim.target])

    def _plan(
        self,
        metrics: Sequence[str],
        where: Selection,
        judge: Judge,
        assumed: Callable[[DoseAxis], tuple[Sequence[AssumedSweeps], str]],
        never_turning: Sequence[str],
    ) -> CurvePlan:
        """Of a pilot, every curve at once; or of what is assumed, one of them.

        `never_turning` are the metrics of which nothing is read where a curve turns back.
        """
        chosen = [c for c in self.cases if where.selects(c.case.params, baseline=False)]
        axes = _axes(chosen)
        self._check(axes, metrics)
        columns = [(case, name) for axis in axes for name in metrics for case in axis.cases]
        rows = None if self.pilot is None else self.pilot.rows(columns)
        if rows is not None and self.pilot is not None:
            told = f"the {len(rows)} samples of run {self.pilot.run} are as all are"
            alike = self._alike(axes, metrics, rows, never_turning, self.pilot.run)
            return CurvePlan(
                ResampledSweeps(rows, alike), self._judging(axes, metrics, judge), told
            )
        unknown = [name for name in metrics if not self.cases[0].kind(name).share]
        if unknown:
            raise NotPlannedError(no_spread(unknown[0]))
        parts, told = assumed(axes[0])
        several = f", in each of {len(axes)} curves" if len(axes) > 1 else ""
        return CurvePlan(
            SweepsBeside(tuple(parts)),
            self._judging(axes[:1], metrics, judge),
            f"{told}{several}",
            max(part.changes for part in parts),
        )

    def _alike(
        self,
        axes: Sequence[DoseAxis],
        metrics: Sequence[str],
        rows: Floats,
        never_turning: Sequence[str],
        run: str,
    ) -> tuple[tuple[int, ...], ...]:
        """The columns of doses that the isotonic fit of a pilot's curve puts at one height.

        What a few samples make of a curve that never turns back is that it does, a little; of
        20 000 like them it would be certain.

        Raises:
            NotPlannedError: it turns back by more than chance explains.
        """
        found, at = [], 0
        for axis in axes:
            for name in metrics:
                own = rows[:, at : at + len(axis.doses)]
                kind = self.cases[0].kind(name)
                curve = Curve(axis.doses, own, kind, unit=_unit(own, share=kind.share))
                try:
                    if name in never_turning:
                        curve.check_monotone()
                except NoDose as reason:
                    raise NotPlannedError(f"in run {run}: {reason}") from None
                rising = curve.direction == "rising"
                ends = optimize.isotonic_regression(curve.means, increasing=rising).blocks
                found += [tuple(range(at + a, at + b)) for a, b in pairwise(ends) if b - a > 1]
                at += len(axis.doses)
        return tuple(found)

    def _judging(
        self, axes: Sequence[DoseAxis], metrics: Sequence[str], judge: Judge
    ) -> Callable[[Floats], tuple[bool, str]]:
        """What reads values of these curves, one after the other, and in each of its metrics."""
        kinds = [self.cases[0].kind(name) for name in metrics]

        def judged(values: Floats) -> tuple[bool, str]:
            at = 0
            for axis in axes:
                curves = []
                try:
                    for kind in kinds:
                        own = values[:, at : at + len(axis.doses)]
                        at += len(axis.doses)
                        unit = _unit(own, share=kind.share)
                        curves.append(Curve(axis.doses, own, kind, unit=unit))
                    holds, told = judge(curves)
                except (NoDose, Undecided) as reason:
                    return False, str(reason)
                if not holds:
                    return False, told
            return True, ""

        return judged

    def _check(self, axes: Sequence[DoseAxis], metrics: Sequence[str]) -> None:
        """Raise NotPlannedError where there is no curve."""
        if not axes or min(len(axis.doses) for axis in axes) < FEWEST:
            raise NotPlannedError(f"fewer than {FEWEST} doses are selected, which are no curve")
        first = self.cases[0]
        rule = dosed_rule(first.experiment)
        if rule is not None and rule.weakens:
            raise NotPlannedError(
                f"a higher {rule.name} does less, and doses are read where it does more"
            )
        if first.measure.units == "seeds":
            raise NotPlannedError("its doses are read over seeds, of which samples are no more")
        for name in metrics:
            if first.kind(name).aggregate is not None:
                raise NotPlannedError(f"{name} is no mean over samples, which doses are read from")

    def _moving(self, axis: DoseAxis, place: float, part: float, effect: float) -> AssumedSweeps:
        """A rate that changes by so much, and has gone a part of the way at a place."""
        ends = [float(axis.places[0]), place, float(axis.places[-1])]
        lost = np.interp(axis.places, ends, [0.0, part * effect, effect])
        return AssumedSweeps.changing((1 + effect) / 2 - lost, self._changes(effect))

    def _losing(self, axis: DoseAxis, place: float, response: float, metric: str) -> AssumedSweeps:
        """A rate that gets worse in one straight line, by `response` at a place."""
        first = float(axis.places[0])
        lost = response * (axis.places - first) / (place - first)
        lost = np.minimum(lost, max(_MOST_MOVED, response))
        rates = (1 + lost[-1]) / 2 - lost
        rising = self.cases[0].kind(metric).good == "lower"
        return AssumedSweeps.changing(1 - rates if rising else rates, self._changes(lost[-1]))

    def _changes(self, effect: float) -> float:
        """The share of samples that change where a rate changes by this much."""
        return 2 * effect if self.changes is None else self.changes


def no_spread(metric: str) -> str:
    """Why a metric that is no rate has no plan without a pilot."""
    return (
        f"{metric} is no rate, and how much it varies is not known before a run: run some of the "
        "samples first (--limit), by which it is planned then"
    )


def _unit(values: Floats, *, share: bool) -> Literal["samples", "seeds"]:
    """How doses are compared: what are no 0/1 values by t tests, as seeds are, which have the power
    of sign flips (Hoeffding 1952) and take no time.
    """
    return "samples" if share and np.isin(values, (0, 1)).all() else "seeds"


def _axes(cases: Sequence[PlannedCase]) -> list[DoseAxis]:
    """The curves of these cases, as a report finds them."""
    groups: dict[str, list[PlannedCase]] = {}
    for case in cases:
        if case.case.dose is not None and case.case.dose != math.inf:
            groups.setdefault(curve_named(case), []).append(case)
    found = []
    for members in groups.values():
        members.sort(key=lambda case: case.case.dose or 0.0)
        neutral = (each for each in members if each.case.is_neutral)
        first = next(neutral, next((each for each in members if each.case.dose == 0), None))
        least = 0.0 if first is None else first.case.dose or 0.0
        points = [(least, first.id)] if first is not None else []
        if first is None and members[0].baseline is not None:
            points = [(0.0, members[0].baseline.id)]
        points += [
            (each.case.dose or 0.0, each.id) for each in members if (each.case.dose or 0.0) > least
        ]
        found.append(DoseAxis(tuple(dose for dose, _ in points), tuple(id_ for _, id_ in points)))
    return found
