"""At which dose: of every curve of a run, from the samples' values at each of its doses.

A curve is the cases of an experiment that differ in their dose alone, with the dose that changes
nothing in front: the neutral case, another one at dose 0, or else the baseline. A dose without end
is beyond its last: there is no number that a line to it could be read at. Where a measure's
units are seeds, curves that differ in their seed alone are one, over the seeds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from harness.report.dose_report import (
    BenchmarkDose,
    DoseInterval,
    DoseReport,
    LevelsInterval,
    PotencyReport,
    RatioInterval,
    Slope,
    WindowReport,
)
from harness.report.sweeps import SEED
from harness.spec.doses import FEWEST, RESPONSE
from harness.spec.treatment import dosed_rule
from harness.statistics.dose_response import Curve, NoDose, NoMean, scale_of
from harness.statistics.levels import levels_of
from harness.statistics.paired import paired
from harness.statistics.potency import TherapeuticWindow, potency, window
from harness.statistics.sequential import compare_anytime
from harness.store.results import CaseResult, compared

#: Of fewer seeds the spread is not known.
FEWEST_SEEDS = 3
#: Doses that were decided early have few samples, and no others in common.
_NOT_ASKED = (
    "the run stopped when doses differed, and some have few samples; ask for it: decide: [ed50 "
    "within 0.5 log2]"
)
#: What is read of a run that asked all samples, whatever they said.
_FIXED = "it is read of a fixed number of samples, and this run stopped itself; run it without stop"


class Dosed(NamedTuple):
    """The complete cases of one curve, by rising dose, and what they have in common."""

    experiment: str
    params: dict[str, JsonValue]
    doses: tuple[float, ...]
    cases: tuple[CaseResult, ...]
    baseline: CaseResult | None = None
    seeds: Mapping[str, tuple[CaseResult, ...]] = {}
    """Of a curve over seeds the cases of each; `cases` are those of the first."""

    @property
    def named(self) -> str:
        """What tells it from the other curves, in front of what is said of it; or nothing."""
        named = (f"{axis.rpartition('.')[2]}={value}" for axis, value in self.params.items())
        return f"{', '.join(named)}: " if self.params else ""

    @property
    def stopped(self) -> bool:
        """Whether its run stopped itself."""
        return any(case.stopped is not None for case in self.cases)

    def samples(self, metric: str) -> set[str]:
        """The samples that have a value of a metric at every dose, or the seeds that have it."""
        if self.seeds:
            return {
                seed
                for seed, own in self.seeds.items()
                if all(case.sample_metrics.get(metric) for case in own)
            }
        return set.intersection(*(set(case.sample_metrics.get(metric, {})) for case in self.cases))

    def curve(self, metric: str, samples: set[str] | None = None) -> Curve:
        """The curve of a metric, over the samples that have a value at every dose.

        Args:
            metric: Its name.
            samples: Of these the ones to take, where another curve is held against it.

        Raises:
            NoDose: it is no curve, because of its doses or of what the metric is.
        """
        rule = dosed_rule(self.cases[-1].case.experiment)
        if rule is not None and rule.weakens:
            raise NoDose(f"a higher {rule.name} does less, and doses are read where it does more")
        last = self.cases[-1]
        kind = last.kind(metric)
        shared = sorted(self.samples(metric) if samples is None else samples)
        if self.seeds:
            kind = replace(kind, kind="score", aggregate=None, interval=None)
            numbers = [[_number(case, metric) for case in self.seeds[seed]] for seed in shared]
            values = np.array(numbers, dtype=float)
            return Curve(self.doses, values, kind, unit="seeds")
        if last.measure.units == "seeds":
            raise NoMean(
                "the places of a list are no samples of anything; doses are read over "
                f"{FEWEST_SEEDS} seeds or more (axes: seed)"
            )
        if kind.aggregate is not None:
            raise NoMean(f"{metric} is no mean over samples, which doses are read from")
        columns = [case.sample_metrics.get(metric, {}) for case in self.cases]
        values = np.array(
            [[column[sample] for column in columns] for sample in shared], dtype=float
        )
        done = last.intervention
        saturated = None if done is None else done.saturated(last.counts)
        return Curve(self.doses, values.reshape(len(shared), len(self.doses)), kind, saturated)


def dosed(results: Sequence[CaseResult], axes: Mapping[str, str]) -> list[Dosed]:
    """The curves of these results; `axes` are the experiments' dose axes."""
    by_id = {result.case.id: result for result in results}
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        case = result.case
        if case.dose is None or case.dose == math.inf:
            continue
        if result.status != "complete" or result.baseline is None:
            continue
        key = [case.experiment.name, _others(result, axes)]
        groups.setdefault(json.dumps(key, sort_keys=True), []).append(result)
    return _over_seeds([_one(members, by_id, axes) for members in groups.values()])


def _over_seeds(curves: Sequence[Dosed]) -> list[Dosed]:
    """The same, those together that differ in their seed alone where that is what others draw."""
    groups: dict[str, list[Dosed]] = {}
    for at, curve in enumerate(curves):
        others = {name: value for name, value in curve.params.items() if name != SEED}
        repeats = SEED in curve.params and curve.cases[-1].measure.units == "seeds"
        key = [curve.experiment, others] if repeats else [at]
        groups.setdefault(json.dumps(key, sort_keys=True), []).append(curve)
    found = []
    for members in groups.values():
        doses = [dose for dose in members[0].doses if all(dose in each.doses for each in members)]
        if len(members) < FEWEST_SEEDS:
            found += members
            continue
        seeds = {
            str(each.params[SEED]): tuple(each.cases[each.doses.index(dose)] for dose in doses)
            for each in members
        }
        params = {name: value for name, value in members[0].params.items() if name != SEED}
        cases = next(iter(seeds.values()))
        found.append(Dosed(members[0].experiment, params, tuple(doses), cases, None, seeds))
    return found


def _number(case: CaseResult, metric: str) -> float:
    return case.kind(metric).of(case.sample_metrics[metric].values())


def dose_reports(results: Sequence[CaseResult], axes: Mapping[str, str]) -> Iterator[DoseReport]:
    """What is said of every curve's primary metric, and of those of a window that is asked for;
    nothing of what is no curve.
    """
    for found in dosed(results, axes):
        asked = found.cases[-1].case.experiment.window
        between = [] if asked is None else [asked.target, asked.capability]
        for metric in dict.fromkeys([found.cases[-1].metric, *between]):
            try:
                curve = found.curve(metric)
            except NoMean as reason:
                if not found.stopped and len(found.doses) >= FEWEST and found.samples(metric):
                    yield _levels_alone(found, metric, str(reason))
                continue
            except NoDose:
                continue
            yield report_of(found, metric, curve)


def _anytime(found: Dosed, metric: str) -> list[float]:
    """Of a run that stopped itself: the p of each dose above the first, beside the baseline."""
    ps = []
    for case in found.cases[1:]:
        versus = None
        if found.baseline is not None:
            versus = compare_anytime(*compared(case, found.baseline, metric), case.kind(metric))
        ps.append(1.0 if versus is None else versus.p)
    return ps


def _asked(found: Dosed, metric: str) -> bool:
    """Whether a run that stopped itself went on until it knew the ED50 of a metric."""
    case = found.cases[-1]
    stop = case.case.experiment.stop
    asked = stop.decisions if stop is not None else ()
    return any(each.within and (each.metric or case.metric) == metric for each in asked)


def window_reports(
    results: Sequence[CaseResult], axes: Mapping[str, str]
) -> Iterator[WindowReport]:
    """The window of every curve of an experiment that asks for one."""
    for found in dosed(results, axes):
        asked = found.cases[-1].case.experiment.window
        if asked is not None and found.samples(asked.target):
            yield window_of(found, asked.target, asked.capability, asked.response)


def window_of(found: Dosed, target: str, capability: str, response: float) -> WindowReport:
    """What lies between the two curves, or in a sentence why nothing is said of it."""
    shared = found.samples(target) & found.samples(capability)
    between: TherapeuticWindow | None = None
    why: str | None = _FIXED
    if not found.stopped:
        concerned = capability
        try:
            safe = found.curve(capability, shared)
            concerned = target
            between = window(found.curve(target, shared), safe, response)
            why = between.no_index and f"no index: {capability}: {between.no_index}"
        except NoDose as reason:
            why = f"{concerned}: {reason}"
    return WindowReport(
        experiment=found.experiment,
        params=found.params,
        target=target,
        capability=capability,
        response=response,
        highest=found.doses[-1],
        samples=max(len(shared), 1),
        state="refused" if between is None else between.state,
        ed50=None if between is None else DoseInterval(**between.effective._asdict()),
        lower=None if between is None else between.safe.lower,
        index=None
        if between is None or between.therapeutic is None
        else RatioInterval(**between.therapeutic._asdict()),
        why=why,
    )


def potency_reports(
    results: Sequence[CaseResult], axes: Mapping[str, str]
) -> Iterator[PotencyReport]:
    """Curves that differ in one axis, each beside that with the axis's first value."""
    found = dosed(results, axes)
    for at, one in enumerate(found):
        for axis in one.params:
            pair = {"experiment": one.experiment, "metric": one.cases[-1].metric, "axis": axis}
            common = {name: value for name, value in one.params.items() if name != axis}
            first = next(other for other in found if _beside(other, one, axis))
            if first is found[at]:
                continue
            shared = one.samples(pair["metric"]) & first.samples(pair["metric"])
            try:
                curves = [each.curve(pair["metric"], shared) for each in (first, one)]
            except NoDose:
                continue
            ratio, why = (None, _FIXED) if one.stopped else _ratio(*curves)
            yield PotencyReport(
                **pair,
                params=common,
                value=one.params[axis],
                other=first.params[axis],
                samples=len(shared),
                ratio=ratio,
                why=why,
            )


def _ratio(one: Curve, other: Curve) -> tuple[RatioInterval | None, str | None]:
    """How many times the dose the other takes, or in a sentence why there is no such number."""
    try:
        return RatioInterval(**potency(one, other)._asdict()), None
    except NoDose as reason:
        return None, str(reason)


def _beside(other: Dosed, one: Dosed, axis: str) -> bool:
    """Whether two curves of an experiment and metric differ in this axis at most."""
    return other.experiment == one.experiment and all(
        other.params.get(name) == value for name, value in one.params.items() if name != axis
    )


def report_of(found: Dosed, metric: str, curve: Curve) -> DoseReport:
    """The doses of a curve, each with its interval, or in a sentence why there is none."""
    ed50, ed10, ed90, slope, why = None, None, None, None, None
    try:
        ed10, ed50, ed90 = (
            DoseInterval(**curve.effective_dose(share)._asdict()) for share in (0.1, 0.5, 0.9)
        )
    except NoDose as reason:
        why = str(reason)
    if ed50 is not None:
        try:
            slope = _slope(curve)
        except NoDose:
            slope = None
    levels, beside = curve.levels(), None
    if not found.stopped:
        beside = curve.levels_range()
    else:
        levels = levels_of(curve.doses, _anytime(found, metric))
        if not _asked(found, metric):
            ed50, ed10, ed90, slope, why = None, None, None, None, _NOT_ASKED
    bounded = curve.kind.bounds == (0, 1)
    benchmark = None
    if bounded and not found.stopped:
        benchmark = BenchmarkDose(**curve.benchmark(RESPONSE)._asdict())
    return DoseReport(
        experiment=found.experiment,
        params=found.params,
        metric=metric,
        scale=curve.scale,
        doses=found.doses,
        samples=len(curve.values),
        unit=curve.unit,
        ed50=ed50,
        no_ed50=why,
        ed10=ed10,
        ed90=ed90,
        slope=slope,
        loel=levels.loel,
        noel=levels.noel,
        levels=None if beside is None else LevelsInterval(**beside._asdict()),
        benchmark=benchmark,
        no_benchmark=_FIXED if bounded and found.stopped else None,
    )


def _levels_alone(found: Dosed, metric: str, why: str) -> DoseReport:
    """Of a metric that is no mean: which doses differ from the first."""
    shared, kind = sorted(found.samples(metric)), found.cases[-1].kind(metric)
    first, *others = (
        {sample: case.sample_metrics[metric][sample] for sample in shared} for case in found.cases
    )
    levels = levels_of(found.doses, [paired(each, first, kind).p for each in others])
    return DoseReport(
        experiment=found.experiment,
        params=found.params,
        metric=metric,
        scale=scale_of(found.doses),
        doses=found.doses,
        samples=len(shared),
        ed50=None,
        no_ed50=why,
        loel=levels.loel,
        noel=levels.noel,
    )


def _slope(curve: Curve) -> Slope:
    hill = curve.hill()
    return Slope(
        value=hill.slope,
        low=hill.low,
        high=hill.high,
        p=hill.p,
        ed50=hill.ed50,
        begins=float(curve.means[0]),
        height=hill.height,
    )


def _one(
    members: list[CaseResult], by_id: Mapping[str, CaseResult], axes: Mapping[str, str]
) -> Dosed:
    """A curve from its neutral case on; doses on its other side are left out."""
    members.sort(key=lambda result: result.case.dose or 0.0)
    neutral = (each for each in members if each.case.is_neutral)
    first = next(neutral, next((each for each in members if each.case.dose == 0), None))
    if first is None:
        baseline = by_id.get(members[0].baseline or "")
        above = [each for each in members if (each.case.dose or 0.0) > 0]
        if baseline is None or baseline.status != "complete":
            start: list[tuple[float, CaseResult]] = []
        else:
            start = [(0.0, baseline)]
    else:
        start = [(first.case.dose or 0.0, first)]
        above = [each for each in members if (each.case.dose or 0.0) > (first.case.dose or 0.0)]
    points = [*start, *((each.case.dose or 0.0, each) for each in above)]
    return Dosed(
        members[0].case.experiment.name,
        _others(members[0], axes),
        tuple(dose for dose, _ in points),
        tuple(case for _, case in points),
        by_id.get(members[0].baseline or ""),
    )


def _others(result: CaseResult, axes: Mapping[str, str]) -> dict[str, JsonValue]:
    axis = axes.get(result.case.experiment.name)
    return {name: value for name, value in result.case.params.items() if name != axis}
