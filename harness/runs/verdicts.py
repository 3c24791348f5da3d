"""Every verdict that a spec asks for, and how many samples each takes at a power of 80 %.

Differences, and rates beside a number, have the power of their tests; what is read of curves or of
intervals is simulated (`statistics/planning.py`). What was assumed stands beside each number, and
what cannot be planned has a reason in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from harness.claims.threshold import could_show, upwards
from harness.runs.curve_plans import CurvePlan, CurvePlanner, NotPlannedError, no_spread
from harness.runs.pilot import Pilot
from harness.runs.planned_case import PlannedCase
from harness.runs.stopping import aims_of, curve_named
from harness.spec.gates import (
    Claim,
    DoseBound,
    Monotone,
    NeutralEqualsBaseline,
    NoWorse,
    SameAcross,
    Selection,
    Threshold,
    WindowExists,
)
from harness.spec.stop import StopSettings
from harness.statistics.dose_response import Floats
from harness.statistics.intervals import CONFIDENCE, paired_rate_interval
from harness.statistics.planning import AssumedSweeps, fewest_samples, stopped_samples
from harness.statistics.power import (
    ALPHA,
    MOST_SAMPLES,
    fewest,
    mean_samples_needed,
    samples_needed,
    side_power,
)
from harness.statistics.sequential import side_needed, stopping_needed
from harness.statistics.stopping import LEAST_CHUNKS

FIXED_ALONE = "it takes a fixed number of them, and a run that stops itself leaves it undecided"
_NO_BETS = "stopping is planned of rates alone"
_NOT_SHOWN = f"{MOST_SAMPLES:,} samples do not show it"
_IDENTITY = "it is an identity and no estimate: one sample that departs violates it"


@dataclass(frozen=True)
class PlannedVerdict:
    """A verdict and the samples that it takes: `fixed` all at once, with stopping `mean` on average
    and `most` at most. None where there is no such number, for the reason in `why`.
    """

    verdict: str
    doses: int
    """Cases that it is about."""
    baselines: int
    """What these are compared with."""
    assumed: str = ""
    changes: float | None = None
    """The share of samples that change at all; None where that does not matter, or a pilot says."""
    fixed: int | None = None
    mean: int | None = None
    most: int | None = None
    why: str = ""


@dataclass(frozen=True)
class VerdictPlanner:
    """The verdicts of one experiment.

    Args:
        cases: Its cases.
        effect: The difference of a rate from the baseline's that is to be found.
        changes: The share of samples that change at all; when None as few as can be, twice and four
            times as many, and twice as many for what is simulated.
        pilot: What an earlier run of the spec has measured.
    """

    cases: Sequence[PlannedCase]
    effect: float
    changes: float | None = None
    pilot: Pilot | None = None

    def verdicts(self) -> Iterator[PlannedVerdict]:
        """That doses differ, what `stop` is to decide, the gates and the window."""
        experiment, primary = self.cases[0].experiment, self.cases[0].metric
        stop, window = experiment.stop, experiment.window
        decisions = [] if stop is None else list(zip(stop.decide, stop.decisions, strict=True))
        asked = [each.metric for _, each in decisions if not each.gates and not each.within]
        for metric in dict.fromkeys([primary, *(name or primary for name in asked)]):
            yield from self._differ(metric)
        for text, each in decisions:
            if each.within is not None:
                plan = partial(self._curves.precise, each.metric or primary, each.within)
                yield self._simulated(self._spoken_of(text, Selection()), plan, stops=True)
        for gate in experiment.gates:
            yield self._gate(gate.text, gate.claim)
        if window is not None:
            claim = WindowExists(window.target, window.capability, window.response, Selection())
            if claim not in [gate.claim for gate in experiment.gates]:
                text = f"window({window.target}, {window.capability}, {window.response:g}) exists"
                yield self._gate(text, claim)

    @property
    def _curves(self) -> CurvePlanner:
        return CurvePlanner(self._compared, self.effect, self.changes, self.pilot)

    @property
    def _compared(self) -> list[PlannedCase]:
        return [case for case in self.cases if case.baseline is not None]

    @property
    def _stop(self) -> StopSettings | None:
        return self.cases[0].experiment.stop

    @property
    def _alpha(self) -> float:
        return ALPHA if self._stop is None else self._stop.alpha

    @property
    def _look(self) -> int:
        own: int = StopSettings.model_fields["look"].default
        return own if self._stop is None else self._stop.look

    def _spoken_of(self, text: str, where: Selection) -> PlannedVerdict:
        """A verdict of the cases that a claim speaks of, before anything is planned."""
        if where.baseline:
            baselines = {
                each.id
                for case in self.cases
                if (each := case.baseline) is not None
                and where.selects(each.case.params, baseline=True)
            }
            return PlannedVerdict(text, 0, len(baselines))
        chosen = [c for c in self.cases if where.selects(c.case.params, baseline=False)]
        baselines = {case.baseline.id for case in chosen if case.baseline is not None}
        return PlannedVerdict(text, len(chosen), len(baselines))

    def _differ(self, metric: str) -> Iterator[PlannedVerdict]:
        """That every dose differs from its baseline, by tests that Holm's method corrects."""
        found = self._spoken_of(f"{metric} differs from baseline", Selection())
        kind, alpha = self.cases[0].kind(metric), self._alpha / max(found.doses, 1)
        if kind.aggregate is not None:
            yield replace(found, why=f"{metric} is no mean: no formula has the power of its test")
            return
        told = f"every dose differs by {self.effect:g}"
        if kind.share:
            for share in self._shares:
                mean, most = stopping_needed(self.effect, share, alpha)
                own = samples_needed(self.effect, share, alpha)
                yield replace(found, assumed=told, changes=share, fixed=own, mean=mean, most=most)
            return
        spread = self._spread(metric)
        if self.pilot is None or not spread:
            still = f"no sample's {metric} changed in the run that was made of them"
            yield replace(found, why=no_spread(metric) if spread is None else still)
            return
        told += f", and differences vary as in run {self.pilot.run}"
        fixed = mean_samples_needed(self.effect, spread, alpha)
        why = "" if fixed else _NOT_SHOWN
        yield replace(found, assumed=told, fixed=fixed, why=why or _NO_BETS)

    @property
    def _shares(self) -> list[float]:
        """Shares of samples that change: as few as can be, and more."""
        if self.changes is not None:
            return [self.changes]
        return [share for share in (self.effect, 2 * self.effect, 4 * self.effect) if share <= 1]

    def _spread(self, metric: str) -> float | None:
        """The largest standard deviation of differences from the baseline in the pilot, if any."""
        if self.pilot is None:
            return None
        found = [
            float((rows[:, 0] - rows[:, 1]).std(ddof=1))
            for case in self._compared
            if case.baseline is not None
            and (rows := self._pairs_of(case.id, case.baseline.id, metric)) is not None
        ]
        return max(found, default=None)

    def _pairs_of(self, case: str, baseline: str, metric: str) -> Floats | None:
        assert self.pilot is not None
        return self.pilot.rows([(case, metric), (baseline, metric)])

    def _gate(self, text: str, claim: Claim) -> PlannedVerdict:
        match claim:
            case DoseBound(where=where):
                plan = partial(self._curves.bound, claim)
                return self._simulated(self._spoken_of(text, where), plan)
            case WindowExists(where=where):
                plan = partial(self._curves.window, claim)
                return self._simulated(self._spoken_of(text, where), plan)
            case Threshold(where=where):
                return self._beside_number(self._spoken_of(text, where), claim)
            case Monotone(where=where):
                return self._turn(self._spoken_of(text, where), claim)
            case NoWorse(where=where):
                return self._no_worse(self._spoken_of(text, where), claim)
            case SameAcross(where=where):
                return replace(self._spoken_of(text, where), why=_IDENTITY)
            case NeutralEqualsBaseline():
                neutral = [case for case in self.cases if case.case.is_neutral]
                return PlannedVerdict(text, len(neutral), len(neutral), why=_IDENTITY)
        raise AssertionError("a rule speaks of two runs")

    def _simulated(
        self, found: PlannedVerdict, made: Callable[[], CurvePlan], *, stops: bool = False
    ) -> PlannedVerdict:
        """A verdict that sweeps are drawn for."""
        try:
            plan = made()
        except NotPlannedError as reason:
            return replace(found, why=str(reason))
        found = replace(found, assumed=plan.assumed, changes=plan.changes)
        fixed = fewest_samples(plan.sweeps, plan.reached)
        if fixed is None:
            _, told = plan.judge(plan.sweeps.draw(0, MOST_SAMPLES))
            return replace(found, why=f"{_NOT_SHOWN}: {told}" if told else _NOT_SHOWN)
        if not stops:
            return replace(found, fixed=fixed, why=FIXED_ALONE)
        least = LEAST_CHUNKS * self._look
        mean, most = stopped_samples(
            plan.sweeps, plan.reached, self._look, least, max(2 * fixed, least)
        )
        return replace(found, fixed=fixed, mean=mean, most=most)

    def _beside_number(self, found: PlannedVerdict, claim: Threshold) -> PlannedVerdict:
        """That a rate lies on one side of a number."""
        kind, above = self.cases[0].kind(claim.metric), upwards(claim)
        bound = claim.bound != "value"
        least = 0.0 if above else 1.0
        if not kind.share:
            return replace(found, why=no_spread(claim.metric))
        if claim.operator == "==" or claim.value == 1 - least:
            why = "it is a claim about the samples that are asked alone: two decide it"
            return replace(found, why=why)
        rate = claim.value + self.effect if above else claim.value - self.effect
        rate = min(max(rate, 0.0), 1.0)
        told = f"the rate nearest to it is {rate:.3g}"

        def power(n: int) -> float:
            if not could_show(claim, n):
                return 0.0
            return side_power(n, rate, claim.value, above=above, bound=bound)

        found = replace(found, assumed=told, fixed=fewest(power, MOST_SAMPLES))
        if found.fixed is None:
            return replace(found, why=_NOT_SHOWN)
        if bound or (self._stop and not any(each.gates for each in self._stop.decisions)):
            why = "" if bound else "stop.decide has no gates"
            return replace(found, why=why or FIXED_ALONE)
        settings = self._stop or StopSettings(decide=["gates"])
        sides = len(aims_of(self.cases, settings).sides)
        size = self.cases[0].task.size
        mean, most = side_needed(rate, claim.value, self._alpha / max(sides, 1), size, self._look)
        return replace(found, mean=mean, most=most)

    def _turn(self, found: PlannedVerdict, claim: Monotone) -> PlannedVerdict:
        """That no curve turns: what shows a turn. Where there is none, any number is enough."""
        metric = claim.metric or self.cases[0].metric
        if not self.cases[0].kind(metric).share:
            return replace(found, why=no_spread(metric))
        curves: dict[str, int] = {}
        for case in self._compared:
            if claim.where.selects(case.case.params, baseline=False):
                curves[curve_named(case)] = curves.get(curve_named(case), 0) + 1
        pairs = max((len(list(combinations(range(n), 2))) for n in curves.values()), default=0)
        confidence = 1 - (1 - CONFIDENCE) / max(pairs, 1)

        def turns(rose: int, fell: int, n: int) -> bool:
            low, _ = paired_rate_interval(rose, fell, n, confidence)
            return low is not None and low > 0

        told = f"a curve turns back by {self.effect:g}; one that does not holds in 95 % of runs"
        return self._of_pairs(found, self.effect, turns, told)

    def _no_worse(self, found: PlannedVerdict, claim: NoWorse) -> PlannedVerdict:
        """That nothing is lost beside a saved run, where nothing is."""
        metric = claim.metric or self.cases[0].metric
        if not self.cases[0].kind(metric).share:
            return replace(found, why=no_spread(metric))

        def shown(rose: int, fell: int, n: int) -> bool:
            low, _ = paired_rate_interval(rose, fell, n, 1 - 2 * claim.alpha)
            return low is not None and low > -claim.margin

        return self._of_pairs(found, 0.0, shown, f"{metric} is as in {claim.saved}")

    def _of_pairs(
        self,
        found: PlannedVerdict,
        effect: float,
        reached: Callable[[int, int, int], bool],
        told: str,
    ) -> PlannedVerdict:
        """Of two cases whose rates differ by so much: told how many samples rose and fell."""
        rates = np.array([(1 - effect) / 2, (1 + effect) / 2])
        changes = self.changes or 2 * self.effect
        sweeps = AssumedSweeps.changing(rates, changes)

        def decided(values: Floats) -> bool:
            steps = values[:, 1] - values[:, 0]
            return reached(int((steps > 0).sum()), int((steps < 0).sum()), len(steps))

        fixed = fewest_samples(sweeps, decided)
        found = replace(found, assumed=told, changes=sweeps.changes, fixed=fixed)
        return replace(found, why=FIXED_ALONE if fixed else _NOT_SHOWN)
