"""At which dose: of every curve of a run, from the samples' values at each of its doses.

A curve is the cases of an experiment that differ in their dose alone, with the dose that changes
nothing in front: the neutral case, or the baseline at dose 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from harness.report.report import BenchmarkDose, DoseInterval, DoseReport, Slope
from harness.spec.treatment import dosed_rule
from harness.statistics.dose_response import RESPONSE, Curve, NoDose
from harness.store.results import CaseResult


class Dosed(NamedTuple):
    """The complete cases of one curve, by rising dose, and what they have in common."""

    experiment: str
    params: dict[str, JsonValue]
    doses: tuple[float, ...]
    cases: tuple[CaseResult, ...]

    def curve(self, metric: str) -> Curve:
        """The curve of a metric, over the samples that have a value at every dose.

        Raises:
            NoDose: it is no curve, because of its doses or of what the metric is.
        """
        rule = dosed_rule(self.cases[-1].case.experiment)
        if rule is not None and rule.weakens:
            raise NoDose(f"a higher {rule.name} does less, and doses are read where it does more")
        kind = self.cases[-1].kind(metric)
        if kind.aggregate is not None:
            raise NoDose(f"{metric} is no mean over samples, which doses are read from")
        columns = [case.sample_metrics.get(metric, {}) for case in self.cases]
        shared = sorted(set.intersection(*map(set, columns)))
        values = np.array(
            [[column[sample] for column in columns] for sample in shared], dtype=float
        )
        return Curve(self.doses, values.reshape(len(shared), len(self.doses)), kind)


def dosed(results: Sequence[CaseResult], axes: Mapping[str, str]) -> list[Dosed]:
    """The curves of these results; `axes` are the experiments' dose axes."""
    by_id = {result.case.id: result for result in results}
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        case = result.case
        if case.dose is None or result.status != "complete" or result.baseline is None:
            continue
        key = [case.experiment.name, _others(result, axes)]
        groups.setdefault(json.dumps(key, sort_keys=True), []).append(result)
    return [_one(members, by_id, axes) for members in groups.values()]


def dose_reports(results: Sequence[CaseResult], axes: Mapping[str, str]) -> Iterator[DoseReport]:
    """What is said of every curve's primary metric; nothing of what is no curve."""
    for found in dosed(results, axes):
        metric = found.cases[-1].metric
        try:
            curve = found.curve(metric)
        except NoDose:
            continue
        yield report_of(found, metric, curve)


def report_of(found: Dosed, metric: str, curve: Curve) -> DoseReport:
    """The doses of a curve, each with its interval, or in a sentence why there is none."""
    ed50, slope, why = None, None, None
    try:
        ed50 = DoseInterval(**curve.effective_dose()._asdict())
    except NoDose as reason:
        why = str(reason)
    if ed50 is not None:
        try:
            hill = curve.hill()
            slope = Slope(value=hill.slope, low=hill.low, high=hill.high, p=hill.p)
        except NoDose:
            slope = None
    levels = curve.levels()
    harm = curve.kind.share and curve.kind.good != "neither"
    return DoseReport(
        experiment=found.experiment,
        params=found.params,
        metric=metric,
        scale=curve.scale,
        doses=found.doses,
        samples=len(curve.values),
        ed50=ed50,
        no_ed50=why,
        slope=slope,
        loel=levels.loel,
        noel=levels.noel,
        benchmark=BenchmarkDose(**curve.benchmark(RESPONSE)._asdict()) if harm else None,
    )


def _one(
    members: list[CaseResult], by_id: Mapping[str, CaseResult], axes: Mapping[str, str]
) -> Dosed:
    """A curve from its neutral case on; doses on its other side are left out."""
    members.sort(key=lambda result: result.case.dose or 0.0)
    first = next((each for each in members if each.case.is_neutral), None)
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
    )


def _others(result: CaseResult, axes: Mapping[str, str]) -> dict[str, JsonValue]:
    axis = axes.get(result.case.experiment.name)
    return {name: value for name, value in result.case.params.items() if name != axis}
