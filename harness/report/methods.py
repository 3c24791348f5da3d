"""A paragraph for a paper's appendix: what was measured, on what, and by which statistics.

Only what the report used is named; `docs/statistics.md` has the source of each method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.report.report import CaseReport, RunReport

#: As `docs/statistics.md` describes them, with the sources that a paper would cite.
_INTERVALS: Mapping[str, str] = {
    "jeffreys": "Jeffreys intervals",
    "wilson_effective": "Wilson intervals on the effective number of samples",
    "wilson": "Wilson intervals",
    "t_hall": "Student's t intervals after Hall's transformation for skewness",
    "t": "Student's t intervals",
    "bootstrap": "percentile intervals of a bootstrap over samples (4 999 draws)",
    "own": "intervals of the metric's own",
    "confidence_sequence": "confidence sequences, which hold at every look",
}
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
    if report.doses:
        yield (
            "The dose of half the effect (ED50) was read from the isotonic fit of the paired means "
            "between measured doses, with the 95 % interval of all doses that a paired t test of "
            "half the change does not reject (Fieller 1954)."
        )
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
    sampling = first.settings.get("sampling")
    given = sampling if isinstance(sampling, dict) else {}
    draws = given.get("draws", 1)
    axes = sorted({axis for case in cases for axis in case.params})
    samples = max((metric.n for case in cases for metric in case.metrics.values()), default=0)
    models = ", ".join(dict.fromkeys(case.model for case in cases))
    yield (
        f"In experiment {name}, {models} answered {samples} samples of {first.task.name} "
        f"(version {first.task.version}), {draws} answer{'s' * (draws != 1)} each, at temperature "
        f"{given.get('temperature', 0)}, under {len(cases)} conditions"
        + (f" of {', '.join(axes)}." if axes else ".")
    )


def _statistics(cases: Sequence[CaseReport]) -> Iterator[str]:
    intervals = {str(each.method) for case in cases for each in case.metrics.values()}
    tests = {str(each.test) for case in cases for each in case.versus_baseline.values()}
    if intervals:
        named = [_INTERVALS.get(each, each) for each in sorted(intervals)]
        yield f"Metrics carry 95 % {_listed(named)}; the unit is the sample."
    if tests:
        named = [_TESTS.get(each, each) for each in sorted(tests)]
        yield (
            "Conditions were compared with their baseline on the same samples by "
            f"{_listed(named)}, with p values corrected over all conditions of an experiment by "
            "Holm's step-down procedure (Holm 1979); an answer that could not be read counts as "
            "wrong."
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
