"""A paragraph for a paper's appendix: what was measured, on what, and by which statistics.

Only what the report used is named; `docs/statistics.md` has the source of each method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.report.report import CaseReport, RunReport
from harness.spec.measure import measure_named

#: As `docs/statistics.md` describes them, with the sources that a paper would cite.
_INTERVALS: Mapping[str, str] = {
    "jeffreys": "Jeffreys intervals",
    "wilson_effective": "Wilson intervals on the effective number of samples",
    "wilson": "Wilson intervals",
    "t_hall": "Student's t intervals after Hall's transformation for skewness",
    "t": "Student's t intervals",
    "bootstrap": "percentile intervals of a bootstrap over samples (4 999 draws)",
    "own": "intervals of their own",
    "confidence_sequence": "confidence sequences, which hold at every look",
}
#: Intervals that metrics have of their own, by the references of their entries.
_OWN: Mapping[str, str] = {
    "harness.statistics.crossed:crossed_interval": "intervals of a two-way layout of samples by "
    "raters, in Wilson's form (Student's t of raters; Jeffreys intervals of one)",
    "harness.statistics.crossed:weighted_crossed_interval": "intervals of a two-way layout of "
    "weighted samples by raters, in Wilson's form (Student's t of raters)",
}
_DRAWN = "percentiles of a bootstrap over samples"
_TESTS: Mapping[str, str] = {
    "mcnemar_exact": "the exact McNemar test",
    "sign_flip": "permutation tests that flip the signs of paired differences",
    "paired_bootstrap": "a paired bootstrap of the aggregate (4 999 draws)",
    "anytime_kt": "Krichevsky-Trofimov e-processes on discordant samples, valid at every look",
    "anytime_betting": "betting martingales on paired differences, valid at every look",
}


def methods(report: RunReport) -> str:
    """The paragraph, in plain text."""
    return " ".join(_sentences(report))


def _sentences(report: RunReport) -> Iterator[str]:
    cases = [case for case in report.cases if case.status == "complete"]
    versions = report.run.versions
    made = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "transformers", "vllm") if name in versions
    )
    yield (
        f"All measurements were made with titrate {versions.get('pytest-titrate', '')} "
        f"({made}; run {report.run.id})."
    )
    for experiment in report.experiments:
        yield from _experiment(
            experiment, [each for each in cases if each.experiment == experiment]
        )
    yield from _statistics(cases)
    yield from _curves(report)
    yield from _help(report)
    held = [each for each in report.invariants if each.holds]
    if report.invariants:
        yield (
            f"{len(held)} of {len(report.invariants)} identities that results must satisfy held in "
            "the same run."
        )


def _experiment(name: str, cases: Sequence[CaseReport]) -> Iterator[str]:
    if not cases:
        return
    first = cases[0]
    measure = measure_named(str(first.settings.get("measure", "generate")))
    axes = sorted({axis for case in cases for axis in case.params})
    models = ", ".join(dict.fromkeys(case.model for case in cases))
    task = f"{first.task.name} (version {first.task.version})"
    conditions = f"under {len(cases)} condition{'s' * (len(cases) != 1)}"
    conditions += f" of {', '.join(axes)}" if axes else ""
    if measure.reads:
        yield (
            f"In experiment {name}, {models} was measured by {measure.noun} on {task}, "
            f"{conditions}: {measure.summary}; {_samples(cases)}."
        )
        return
    answers = " or ".join(
        f"{draws} answer{'s' * (draws != 1)}" for draws in _values(cases, "draws", 1)
    )
    temperatures = _values(cases, "temperature", 0)
    shown = f"{temperatures[0]:g}" + (f" to {temperatures[-1]:g}" if temperatures[1:] else "")
    yield (
        f"In experiment {name}, {models} answered {_samples(cases)} of {task}, {answers} each, at "
        f"temperature {shown}, {conditions}."
    )
    if any(_engine(case).get("determinism", "fast") == "fast" for case in cases):
        yield (
            "Its passes had whatever shape was cheapest (determinism fast), so that a token at "
            "which two logits tie within rounding may differ in a repetition; which tokens those "
            "are was not recorded."
        )


def _samples(cases: Sequence[CaseReport]) -> str:
    """How many samples a case has, of those with a value of the most of its metrics."""
    counts = {max((each.n for each in case.metrics.values()), default=0) for case in cases}
    low, high = min(counts), max(counts)
    return f"{low} to {high} samples" if low < high else f"{high} sample{'s' * (high != 1)}"


def _engine(case: CaseReport) -> dict[str, Any]:
    """Its engine's settings; reports of the first versions have none."""
    given = case.settings.get("engine")
    return given if isinstance(given, dict) else {}


def _values(cases: Sequence[CaseReport], field: str, default: float) -> list[Any]:
    """What the cases set a field of their sampling to, in order."""
    given = [case.settings.get("sampling") for case in cases]
    return sorted({(each if isinstance(each, dict) else {}).get(field, default) for each in given})


def _statistics(cases: Sequence[CaseReport]) -> Iterator[str]:
    intervals: dict[str, set[str]] = {}
    tests: dict[str, set[str]] = {}
    for case in cases:
        for name, each in case.metrics.items():
            method = _own(case, name) if each.method == "own" else str(each.method)
            intervals.setdefault(method, set()).add(name)
        for name, versus in case.versus_baseline.items():
            tests.setdefault(str(versus.test), set()).add(name)
    if intervals:
        yield f"Metrics carry 95 % {_listed(_with_metrics(intervals, {**_INTERVALS, **_OWN}))}."
    if not tests:
        return
    stopped = any(case.stopped is not None for case in cases)
    yield (
        "Conditions were compared with their baseline on the same samples by "
        f"{_listed(_with_metrics(tests, _TESTS))}, with p values corrected over all conditions of "
        "an experiment by Holm's step-down procedure (Holm 1979)."
    )
    if stopped:
        yield "Sampling stopped by rules that were fixed beforehand."
    if any("parsed" in case.metrics for case in cases):
        yield "An answer that could not be read counts as wrong."


def _own(case: CaseReport, name: str) -> str:
    """The reference of a metric's own interval, where it is known."""
    entries = measure_named(str(case.settings.get("measure", "generate"))).entries()
    found = next((each.interval for each in entries if each.name == name), None)
    return found if isinstance(found, str) else "own"


def _with_metrics(found: Mapping[str, set[str]], words: Mapping[str, str]) -> list[str]:
    """Each method with the metrics that it was used for, where there are several methods."""
    return [
        words.get(each, each) + (f" ({', '.join(sorted(found[each]))})" if len(found) > 1 else "")
        for each in sorted(found)
    ]


def _curves(report: RunReport) -> Iterator[str]:
    if report.doses:
        yield (
            "The dose of half the effect (ED50) was read from the isotonic fit of the paired means "
            "between measured doses, with the 95 % interval of all doses that a paired t test of "
            "half the change does not reject (Fieller 1954)."
        )
    if any(curve.loel is not None for curve in report.doses):
        yield (
            "The lowest dose with an effect (LOEL) is the one from which on every dose differs "
            "from the first, corrected after Holm over the doses of its curve."
        )
    if any(curve.slope is not None for curve in report.doses):
        yield (
            "Slopes are those of Hill's curve, fitted by generalised least squares in the "
            "covariance of the paired means, where a chi-square test does not reject it."
        )
    if any(curve.benchmark is not None for curve in report.doses):
        yield (
            "Benchmark doses (BMD) are where the isotonic fit has changed for the worse by 0.05; "
            "their intervals have all doses at which the 95 % interval of the paired difference "
            "holds that change, their lower bounds (BMDL) are of upper one-sided 95 % bounds."
        )
    if any(each.ratio is not None for each in report.potencies):
        yield (
            "Ratios of ED50s of two curves carry the 95 % interval of all ratios that Hotelling's "
            "T² test of both curves over the same samples does not reject."
        )
    if report.windows:
        yield (
            "A therapeutic window reaches from the ED50 of its target to the BMDL of its "
            "capability, and exists where all of the ED50's interval lies below it."
        )


def _help(report: RunReport) -> Iterator[str]:
    """What is said of an oracle's help."""
    if report.help:
        yield (
            "The performance gap recovered (PGR) is the accuracy with help, from 0, the model "
            "alone, to 1, the oracle alone; APGR is its mean over the oracle's shares of the "
            f"tokens from 0 to 1; their intervals, and those of shares and costs, are {_DRAWN}."
        )
    if any(point.promise is not None for each in report.help for point in each.points):
        yield (
            "Thresholds were fitted on other samples than those that are evaluated, so that they "
            "recover a promised share of the gap at 95 %."
        )
    if report.predictors:
        yield (
            "Predictors of where help mends a wrong answer are told by areas under the ROC curve "
            f"over the positions of wrong answers, with intervals that are {_DRAWN}; predictors "
            "are compared over the same draws."
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
